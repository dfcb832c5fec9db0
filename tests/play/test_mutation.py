"""Every check of a level earns its place: forced green, it makes a proof fail."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kuartui.catalog.reader import LevelFolder
from kuartui.catalog.scaffold import new_level
from kuartui.cluster.select import choose
from kuartui.play.mutants import mutate
from kuartui.play.mutation import verdict
from tests.catalog.pack import LEVEL, write


def test_each_check_must_catch_a_cheat(tmp_path: Path) -> None:
    text = LEVEL.replace("caughtBy: [up, reached]", "caughtBy: [up]")
    level = LevelFolder.open(write(tmp_path, level=text)).level()
    red = {"lazy": {"up", "reached"}, "rude": set[str]()}
    ok, words = verdict(level, red)
    assert (ok, words) == (
        False,
        "no cheat is caught by check reached (it is red after lazy: name it in caughtBy there)",
    )
    assert verdict(level, {"lazy": {"up"}})[1] == "no cheat is caught by check reached (none even leaves it red)"


def test_a_cheat_that_was_not_caught_as_it_should_be_proves_nothing(tmp_path: Path) -> None:
    level = LevelFolder.open(write(tmp_path)).level()
    assert verdict(level, {"lazy": {"up", "reached"}}) == (True, "every check catches a cheat")
    assert not verdict(level, {})[0]


@pytest.mark.e2e
def test_forcing_a_check_makes_a_proof_fail_unless_the_check_is_idle(tmp_path: Path) -> None:
    folder = new_level(tmp_path, "drafts", "shop")
    file = folder / "level.yaml"
    file.write_text(file.read_text().replace("caughtBy: [copies]", "caughtBy: [same-pods]"))
    report = asyncio.run(mutate([LevelFolder.open(folder).level()], choose("embedded", "mutants")))
    found = {line.name: (line.ok, line.detail) for line in report.lines}
    assert found["answers"][0]
    assert found["answers"][1].startswith("without it only-the-number: it counts as a solution")
    assert found["copies"] == (False, "forced green, it makes no proof fail")
    assert report.failed == ("shop",)
