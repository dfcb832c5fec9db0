"""Par is what reading, finding, typing and waiting come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from kuartui.catalog.reader import LevelFolder
from kuartui.game.par import Par, par_of
from tests.catalog.pack import LEVEL, write


def par(tmp_path: Path, *changes: tuple[str, str]) -> Par:
    text = LEVEL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return par_of(LevelFolder.open(write(tmp_path / str(abs(hash(changes))), level=text)).level())


def test_the_parts(tmp_path: Path) -> None:
    found = par(tmp_path)
    words = "A quiet shop Nobody answers in here. Make it answer on 8080. It answers It is reached It is the same"
    assert found.reading == len(words.split()) * 60 / 150
    assert found.finding == 30 + 2 * 25
    assert found.typing == pytest.approx(10 + len("kubectl get pods") / 3)
    assert found.waiting == 0


def test_a_harder_level_takes_more_thinking_but_not_more_reading(tmp_path: Path) -> None:
    easy, hard = par(tmp_path), par(tmp_path, ("difficulty: 1", "difficulty: 3"))
    assert hard.reading == easy.reading
    assert (hard.finding, hard.typing) == (pytest.approx(easy.finding * 1.4), pytest.approx(easy.typing * 1.4))


def test_the_quickest_solution_counts(tmp_path: Path) -> None:
    longer = par(tmp_path, ('run: ["kubectl get pods -A"]', 'run: ["kubectl get pods -A", "true"]'))
    assert longer.typing == par(tmp_path).typing
    assert par(tmp_path, ('["kubectl get pods"]', '["true"]')).typing == pytest.approx(10 + 4 / 3)


def test_documents_are_half_copied(tmp_path: Path) -> None:
    document = '["cat <<E\\n' + "x" * 60 + '"]'
    found = par(tmp_path, ('["kubectl get pods"]', document), ('["kubectl get pods -A"]', document))
    assert found.typing == pytest.approx(10 + 7 / 3 + 60 / 6)


def test_holds_and_pauses_are_waited_for(tmp_path: Path) -> None:
    found = par(tmp_path, ("weight: 40", "weight: 40\n      hold: 60s"), ('["kubectl get pods"]', '["sleep 7"]'))
    assert found.waiting == 67
    assert found.typing == 0


def test_the_band_and_the_rounding() -> None:
    assert Par(100, 100, 50, 0).fits(200)
    assert not Par(100, 100, 50, 0).fits(199)
    assert not Par(100, 100, 50, 0).fits(313)
    assert str(Par(100, 100, 50, 0).rounded) == "4m"
    assert str(Par(100, 100, 80, 0).rounded) == "4m30s"
    assert str(Par(300, 100, 50, 0).rounded) == "8m"
