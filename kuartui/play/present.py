"""Makes the snapshots that front ends show, from what is recorded and what was found last. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kuartui.checks.engine import State
from kuartui.game.attempt import AttemptState
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
from kuartui.play.view import CheckView, GuardView, HintView, TimelineEntry
from kuartui.prose import outcome_word
from kuartui.translate import tr


@dataclass(frozen=True, slots=True)
class Seen:
    """What the leader found last about a check or guard. `held_since` is on the attempt's clock."""

    state: State = "unknown"
    observed: str = ""
    problem: str = ""
    held_since: float | None = None


NOTHING = Seen()
VERDICTS = frozenset({"passed", "lost", "guard", "drill"})  # kinds of entries that tell what is right


def checks(level: Level, state: AttemptState, seen: Mapping[str, Seen], elapsed: float) -> tuple[CheckView, ...]:
    voided = {
        name: guard.name
        for guard in guards_of(level)
        if guard.effect == "void" and guard.name in state.broken
        for name in guard.voids
    }
    found = []
    for check in level.checks:
        now = seen.get(check.name, NOTHING)
        if state.over:  # what counts is recorded; the cluster behind the last findings is gone
            ended: State = "passing" if check.name in state.passed else "failing"
            now = Seen(state=ended, observed="" if now.problem else now.observed)
        left = float(check.hold)
        if now.state == "passing":
            left = 0.0
        elif now.state == "holding" and now.held_since is not None:
            left = max(0.0, check.hold - (elapsed - now.held_since))
        found.append(
            CheckView(
                name=check.name,
                title=check.title,
                weight=check.weight,
                points=round(level.points * check.weight / level.total_weight),
                state=now.state,
                observed=now.observed,
                problem=now.problem,
                hold=float(check.hold),
                hold_left=left,
                waits_for=check.after,
                voided_by=voided.get(check.name, ""),
            )
        )
    return tuple(found)


def guards(level: Level, state: AttemptState) -> tuple[GuardView, ...]:
    sticky = sticky_names(level)
    return tuple(
        GuardView(
            name=guard.name,
            title=tr(guard.title),
            effect=guard.effect,
            broken=guard.name in state.broken,
            why=state.why.get(guard.name, "") if guard.name in state.broken else "",
            sticky=guard.name in sticky,
        )
        for guard in guards_of(level)
    )


def hint(level: Level, index: int) -> HintView:
    return HintView(index, round(level.points * level.hints[index].cost / 100), level.hints[index].text)


def hints(level: Level, state: AttemptState) -> tuple[HintView, ...]:
    return tuple(hint(level, index) for index in sorted(state.hints) if index < len(level.hints))


def next_hint(level: Level, state: AttemptState) -> int | None:
    """The index of the hint that comes next."""
    return next((index for index in range(len(level.hints)) if index not in state.hints), None)


def drill(level: Level, state: AttemptState, elapsed: float) -> str:
    """The title of the drill that goes on at this second of the attempt, "" when none does. One whose end nobody wrote
    down goes on for as long as it may take: whoever led it died."""
    if state.drilling is None or state.over:
        return ""
    name, begun = state.drilling
    return next(
        (known.title for known in level.after if known.name == name and elapsed < begun + known.within + known.settle),
        "",
    )


def timeline(level: Level, events: Iterable[AttemptEvent]) -> tuple[TimelineEntry, ...]:
    """What happened, in words."""
    return tuple(entry for event in events if (entry := line(level, event)) is not None)


def line(level: Level, event: AttemptEvent) -> TimelineEntry | None:
    """One event in words; None for what only the machinery cares about."""
    titles = {question.name: question.title for question in (*level.checks, *guards_of(level))}
    match event:
        case Started():
            kind, text = "started", level.title
        case CheckPassed():
            kind, text = "passed", titles.get(event.check, event.check)
        case CheckLost():
            kind, text = "lost", titles.get(event.check, event.check)
        case GuardBroken():
            title = titles.get(event.guard, event.guard)
            kind, text = "guard", tr("no longer: {title}", title=title) + (f" ({event.why})" if event.why else "")
        case GuardRestored():
            kind, text = "guard", tr("again: {title}", title=titles.get(event.guard, event.guard))
        case HintTaken():
            kind, text = "hint", tr("hint {number}", number=event.index + 1)
        case SolutionsOpened():
            kind, text = "solutions", tr("looked at the solutions")
        case ResetDone():
            kind, text = "reset", tr("set up anew")
        case DrillStarted():
            titles_of_drills = {drill.name: drill.title for drill in level.after}
            kind, text = "drill", titles_of_drills.get(event.drill, event.drill)
        case DrillPassed():
            kind, text = "drill", tr("passed")
        case DrillFailed():
            kind, text = "drill", tr("not passed") + (f": {event.why}" if event.why else "")
        case TimelineFired():
            events = level.setup.events
            text = events[event.index].message if event.index < len(events) else ""
            kind = "incident"
        case Paused():
            kind, text = "paused", tr("paused")
        case Resumed():
            kind, text = "resumed", tr("resumed")
        case Finished():
            kind, text = "over", outcome_word(event.outcome)
        case Violated():
            return None
    return TimelineEntry(event.at, kind, text) if text else None
