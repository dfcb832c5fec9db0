"""A new level is sound from its first minute."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kuartui.catalog import schema
from kuartui.catalog.lint import lint
from kuartui.catalog.reader import LevelFolder
from kuartui.catalog.scaffold import new_level
from kuartui.cluster.select import choose
from kuartui.errors import UsageError
from kuartui.play.proof import prove


def test_it_has_nothing_to_complain_about(tmp_path: Path) -> None:
    folder = new_level(tmp_path, "services", "shop-window")
    assert folder == tmp_path / "services" / "shop-window"
    assert lint(folder) == []
    assert (tmp_path / "level.schema.json").read_text() == schema.text()


def test_a_debrief_that_still_tells_of_the_new_level(tmp_path: Path) -> None:
    folder = new_level(tmp_path, "services", "shop-window")
    level = folder / "level.yaml"
    level.write_text(level.read_text().replace("The shop window is dark", "The door is shut"))
    [found] = lint(folder)
    assert str(found).endswith("still tells of the level that kuartui level new made: tell of yours")
    debrief = folder / "debrief.md"
    debrief.write_text(debrief.read_text().replace("nobody listens", "nobody hears"))
    assert lint(folder) == []


@pytest.mark.e2e
def test_it_proves(tmp_path: Path) -> None:
    level = LevelFolder.open(new_level(tmp_path, "drafts", "shop-window")).level(1)
    report = asyncio.run(prove([level], choose("embedded", "scaffold")))
    assert [line for line in report.lines if not line.ok] == []
    assert len(report.lines) == len(["start", "undo", "mutation", "par"]) + len(level.solutions) + len(level.cheats)


@pytest.mark.parametrize(("track", "name"), [("drafts", "Shop Window"), ("../drafts", "shop"), ("drafts", "..")])
def test_a_name_is_a_name(tmp_path: Path, track: str, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a"):
        new_level(tmp_path, track, name)
    assert list(tmp_path.glob("**/level.yaml")) == []


def test_what_is_there_stays(tmp_path: Path) -> None:
    folder = new_level(tmp_path, "drafts", "shop")
    (folder / "level.yaml").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        new_level(tmp_path, "drafts", "shop")
    assert (folder / "level.yaml").read_text() == "mine"
