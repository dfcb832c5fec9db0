"""Every check of a level earns its place: forced green, it makes a proof fail."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kuartui.catalog.reader import LevelFolder
from kuartui.catalog.scaffold import new_level
from kuartui.checks.engine import Engine
from kuartui.checks.evidence import Verdict
from kuartui.cluster.select import choose
from kuartui.play.mutation import verdict
from kuartui.play.proof import Line, Run, prove
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
@pytest.mark.parametrize(("forced", "cheat"), [("answers", "only-the-number"), ("copies", "only-the-port")])
def test_a_forced_check_lets_its_cheat_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forced: str, cheat: str
) -> None:
    """Forced once the start has been looked at; there it would be noticed whatever the check is good for."""
    judge, check_start = Engine._judge, Run._check_start
    started: set[Engine] = set()

    def always_green(self: Engine, item: Any, evidence: Any, found: Verdict) -> None:
        mutant = self in started and item.name == forced
        judge(self, item, evidence, Verdict(True) if mutant else found)

    async def then_force(self: Run, engine: Engine, pace: Any) -> None:
        await check_start(self, engine, pace)
        started.add(engine)

    level = LevelFolder.open(new_level(tmp_path, "drafts", "shop")).level()
    monkeypatch.setattr(Engine, "_judge", always_green)
    monkeypatch.setattr(Run, "_check_start", then_force)
    report = asyncio.run(prove([level], choose("embedded", "mutants")))
    failed: list[Line] = [line for line in report.lines if not line.ok]
    assert [(line.what, line.name) for line in failed] == [("cheat", cheat)]
    assert "it counts as a solution" in failed[0].detail
