"""What an attempt is worth.

    points = base(difficulty) x weights passed x guards x time - hints, never below 0

Time is 1 up to par and falls evenly to 0.5 at the limit. A hint costs a percentage of the base. Opening the solutions
makes it practice. Who ends a level before its drills were passed has not solved it. Medals are for solved levels: gold
within par, silver within the first half of the time from par to the limit, bronze for the rest. A player's total takes
the best attempt of each level, so repeating farms nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from kuartui.game.attempt import AttemptState, counted, is_done
from kuartui.game.guards import guards_of, sticky_names
from kuartui.game.level import Level

Medal = Literal["gold", "silver", "bronze"]
GUARD_FACTOR = {"zero": 0.0, "half": 0.5, "void": 1.0}


@dataclass(frozen=True, slots=True)
class Score:
    """The total and every step to it, so that a result screen can explain itself. `share` and factors are 0..1."""

    total: int
    base: int
    share: float
    guard_factor: float
    time_factor: float
    hint_cost: int
    elapsed: float
    solved: bool
    ranked: bool
    medal: Medal | None


def time_factor(level: Level, elapsed: float) -> float:
    """1 at par or faster, 0.5 at the limit or slower, evenly in between."""
    if elapsed <= level.par_time:
        return 1.0
    span = max(1e-9, level.time_limit - level.par_time)
    return max(0.5, 1.0 - 0.5 * (elapsed - level.par_time) / span)


def hint_cost(level: Level, taken: Iterable[int]) -> int:
    """Points that the hints with these indices cost."""
    percent = sum(level.hints[index].cost for index in set(taken) if 0 <= index < len(level.hints))
    return round(level.points * percent / 100)


def medal(level: Level, elapsed: float) -> Medal:
    """For a solved level."""
    if elapsed <= level.par_time:
        return "gold"
    return "silver" if elapsed <= (level.par_time + level.time_limit) / 2 else "bronze"


def score(level: Level, state: AttemptState, elapsed: float) -> Score:
    """The score if the attempt ended now, `elapsed` seconds in; for a finished one, its score."""
    at = state.finished_at if state.finished_at is not None else elapsed
    weights = sum(check.weight for check in level.checks if check.name in counted(level, state))
    guards = 1.0
    for guard in guards_of(level):
        if guard.name in state.broken:
            guards *= GUARD_FACTOR[guard.effect]
    share, factor, cost = weights / level.total_weight, time_factor(level, at), hint_cost(level, state.hints)
    total = max(0, round(level.points * share * guards * factor) - cost) if state.ranked else 0
    solved = is_done(level, state) and state.outcome in (None, "solved", "finished")
    return Score(
        total=total,
        base=level.points,
        share=share,
        guard_factor=guards,
        time_factor=factor,
        hint_cost=cost,
        elapsed=at,
        solved=solved,
        ranked=state.ranked,
        medal=medal(level, at) if solved and state.ranked else None,
    )


def potential(level: Level, state: AttemptState, elapsed: float) -> int:
    """What the attempt brings if every red check turns green this moment, and every guard is mended that can be."""
    passed = frozenset(check.name for check in level.checks)
    return score(level, replace(state, passed=passed, broken=state.broken & sticky_names(level)), elapsed).total
