"""The state of an attempt, replayed from its events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from kuartui.game.events import (
    AttemptEvent,
    CheckLost,
    CheckPassed,
    DrillFailed,
    DrillPassed,
    DrillStarted,
    Finished,
    GuardBroken,
    GuardRestored,
    HintTaken,
    Mode,
    Outcome,
    Paused,
    ResetDone,
    Resumed,
    SolutionsOpened,
    Started,
    TimelineFired,
    Violated,
)
from kuartui.game.guards import guards_of, sticky_names
from kuartui.game.level import Level


@dataclass(frozen=True, slots=True)
class AttemptState:
    """Where an attempt stands; `passed` and `broken` are as last recorded."""

    started: bool = False
    mode: Mode = "ranked"
    seed: int = 0
    passed: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    why: dict[str, str] = field(default_factory=dict)
    hints: frozenset[int] = frozenset()
    violated: frozenset[str] = frozenset()  # history questions that were false at some time
    drills: frozenset[str] = frozenset()
    drilling: tuple[str, float] | None = None  # the drill that was begun and has not ended, and when
    fired: frozenset[int] = frozenset()
    opened: bool = False
    resets: int = 0
    paused: bool = False
    outcome: Outcome | None = None
    finished_at: float | None = None
    last_at: float = 0.0

    @property
    def over(self) -> bool:
        return self.outcome is not None

    @property
    def ranked(self) -> bool:
        """Whether it can bring points."""
        return self.mode == "ranked" and not self.opened and self.outcome != "abandoned"


def replay(level: Level, events: Iterable[AttemptEvent]) -> AttemptState:
    """Fold the events in their order. Events after the end, and repeated ones, change nothing."""
    state = AttemptState()
    sticky = sticky_names(level)
    for event in events:
        state = step(state, event, sticky)
    return state


def step(state: AttemptState, event: AttemptEvent, sticky: frozenset[str] = frozenset()) -> AttemptState:
    """The state after one more event. `sticky` names the guards that a restoring does not restore."""
    if state.over:
        return state
    state = replace(state, last_at=max(state.last_at, event.at))
    match event:
        case Started():
            return state if state.started else replace(state, started=True, mode=event.mode, seed=event.seed)
        case CheckPassed():
            return replace(state, passed=state.passed | {event.check})
        case CheckLost():
            return replace(state, passed=state.passed - {event.check})
        case GuardBroken():
            if event.guard in state.broken:
                return state
            return replace(state, broken=state.broken | {event.guard}, why={**state.why, event.guard: event.why})
        case GuardRestored():
            return state if event.guard in sticky else replace(state, broken=state.broken - {event.guard})
        case Violated():
            return replace(state, violated=state.violated | {event.question})
        case HintTaken():
            return replace(state, hints=state.hints | {event.index})
        case SolutionsOpened():
            return replace(state, opened=True)
        case ResetDone():
            empty: frozenset[str] = frozenset()
            return replace(
                state,
                passed=empty,
                broken=empty,
                violated=empty,
                why={},
                drills=empty,
                drilling=None,
                fired=frozenset(),  # what happened by itself is undone with the rest: it happens anew
                resets=state.resets + 1,
            )
        case DrillStarted():
            return replace(state, drilling=(event.drill, event.at))
        case DrillPassed():
            return replace(state, drills=state.drills | {event.drill}, drilling=None)
        case DrillFailed():
            return replace(state, drilling=None)
        case TimelineFired():
            return replace(state, fired=state.fired | {event.index})
        case Paused():
            return replace(state, paused=True)
        case Resumed():
            return replace(state, paused=False)
        case Finished():
            return replace(state, outcome=event.outcome, finished_at=event.at, paused=False)


def counted(level: Level, state: AttemptState) -> frozenset[str]:
    """The passed checks that count: those that no broken guard voids."""
    void = {
        name
        for guard in guards_of(level)
        if guard.effect == "void" and guard.name in state.broken
        for name in guard.voids
    }
    return frozenset(check.name for check in level.checks if check.name in state.passed and check.name not in void)


def is_done(level: Level, state: AttemptState) -> bool:
    """All is clear, and every drill is passed: solved."""
    return is_clear(level, state) and all(drill.name in state.drills for drill in level.after)


def is_clear(level: Level, state: AttemptState) -> bool:
    """Every check green, every guard whole."""
    return not state.broken and all(check.name in state.passed for check in level.checks)
