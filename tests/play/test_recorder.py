"""Only news is recorded, and what is unknown is no news."""

from __future__ import annotations

from kuartui.checks.engine import Finding
from kuartui.game.attempt import AttemptState, step
from kuartui.game.events import CheckLost, CheckPassed, GuardBroken, GuardRestored
from kuartui.game.guards import sticky_names
from kuartui.play.recorder import news
from tests.game.levels import LEVEL


def record(state: AttemptState, **found: str) -> tuple[AttemptState, list[object]]:
    findings = {name: Finding(name, what, "seen") for name, what in found.items()}  # type: ignore[arg-type]
    events = news(LEVEL, state, findings, 5.0)
    for event in events:
        state = step(state, event, sticky_names(LEVEL))
    return state, list(events)


def test_passing_and_losing() -> None:
    state, events = record(AttemptState(), one="passing", two="holding", three="waiting")
    assert events == [CheckPassed(at=5, check="one")]
    assert record(state, one="passing")[1] == []
    assert record(state, one="unknown")[1] == [], "a cluster that is away takes nothing back"
    assert record(state, one="failing")[1] == [CheckLost(at=5, check="one")]
    assert record(state, one="waiting")[1] == [CheckLost(at=5, check="one")]


def test_guards() -> None:
    state, events = record(AttemptState(), all="failing", forever="failing", half="passing")
    assert events == [GuardBroken(at=5, guard="all", why="seen"), GuardBroken(at=5, guard="forever", why="seen")]
    assert record(state, all="passing", forever="passing")[1] == [GuardRestored(at=5, guard="all")]
    assert record(state, all="unknown")[1] == []
