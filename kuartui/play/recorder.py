"""Turns what the engine finds into the events of an attempt: only what the events so far do not say already."""

from __future__ import annotations

from collections.abc import Mapping

from kuartui.checks.engine import Finding, undecided
from kuartui.game.attempt import AttemptState
from kuartui.game.events import AttemptEvent, CheckLost, CheckPassed, GuardBroken, GuardRestored
from kuartui.game.guards import guards_of, sticky_names
from kuartui.game.level import Level


def news(level: Level, state: AttemptState, findings: Mapping[str, Finding], at: float) -> list[AttemptEvent]:
    """The events that bring the recorded state up to these findings. What is unknown changes nothing."""
    events: list[AttemptEvent] = []
    sticky = sticky_names(level)
    for guard in guards_of(level):
        finding = findings.get(guard.name)
        if finding is None or finding.state == "unknown":
            continue
        if finding.state == "failing" and guard.name not in state.broken:
            events.append(GuardBroken(at=at, guard=guard.name, why=finding.observed))
        elif finding.state == "passing" and guard.name in state.broken and guard.name not in sticky:
            events.append(GuardRestored(at=at, guard=guard.name))
    after = {check.name: check.after for check in level.checks}
    for check in level.checks:
        finding = findings.get(check.name)
        if finding is None or finding.state == "unknown":
            continue
        if finding.state == "waiting" and undecided(check.name, findings, after):
            continue
        if finding.state == "passing" and check.name not in state.passed:
            events.append(CheckPassed(at=at, check=check.name))
        elif finding.state != "passing" and check.name in state.passed:
            events.append(CheckLost(at=at, check=check.name))
    return events
