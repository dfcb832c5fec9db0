"""The ghost of a racing game: your own best attempt at a level, running beside this one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kuartui.game.events import AttemptEvent, CheckLost, CheckPassed, ResetDone


@dataclass(frozen=True, slots=True)
class Split:
    """One check: seconds on the clock when it turned green for good, here and in the best attempt; None where it did
    not."""

    check: str
    at: float | None
    best: float | None

    @property
    def ahead(self) -> float | None:
        """Seconds faster than the best attempt; negative when slower."""
        return None if self.at is None or self.best is None else self.best - self.at


def passed_at(events: Iterable[AttemptEvent]) -> dict[str, float]:
    """When each check turned green and stayed so to the end."""
    found: dict[str, float] = {}
    for event in events:
        match event:
            case CheckPassed():
                found.setdefault(event.check, event.at)
            case CheckLost():
                found.pop(event.check, None)
            case ResetDone():
                found.clear()
    return found


def splits(checks: Iterable[str], now: Iterable[AttemptEvent], best: Iterable[AttemptEvent]) -> list[Split]:
    """Check by check, in their order."""
    here, there = passed_at(now), passed_at(best)
    return [Split(name, here.get(name), there.get(name)) for name in checks]
