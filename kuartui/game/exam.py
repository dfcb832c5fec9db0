"""A mock exam: tasks dealt by the weights of an exam's domains, under one clock. Pure.

As in the real ones (CKA, CKAD: 15 to 20 tasks in two hours, partial credit, the end state counts): a task is worth its
domain's weight divided by that domain's tasks, and brings the share of its checks that are green at the end, whatever
time it took. There are no hints.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kuartui.game.attempt import AttemptState
from kuartui.game.level import Level, LevelCard
from kuartui.game.score import score

MINUTES_A_TASK = 7.5  # 16 tasks in two hours
ROOM = 0.9  # of the time, for all pars together
DRAWS = 100  # until that is given up


@dataclass(frozen=True, slots=True)
class Task:
    """One level of an exam. `weight` is percent of the exam; all of them make 100."""

    number: int
    level: str
    seed: int
    domain: str
    weight: int


def shares(weights: Mapping[str, int], total: int) -> dict[str, int]:
    """`total` divided by weights in whole numbers, the largest remainders rounded up."""
    whole = sum(weights.values())
    exact = {name: total * weight / whole for name, weight in weights.items()}
    found = {name: int(part) for name, part in exact.items()}
    rest = sorted(exact, key=lambda name: found[name] - exact[name])
    for name in rest[: total - sum(found.values())]:
        found[name] += 1
    return found


def deal(
    cards: Sequence[LevelCard],
    exam: str,
    weights: Mapping[str, int],
    minutes: int,
    seed: int,
    last: Mapping[str, datetime],
) -> list[Task]:
    """The tasks of an exam of so many minutes, in their order. `weights` are percents by domain; `last` tells when a
    level was played last: what was not, or longest ago, comes first. Together their pars leave a tenth of the time,
    where there are such levels. The same seed deals the same from the same."""
    chance = random.Random(seed)
    shelf = {
        domain: sorted(
            (card for card in cards if any((at.exam, at.domain) == (exam, domain) for at in card.exams)),
            key=lambda card: card.name,
        )
        for domain in weights
    }
    offered = {domain: weight for domain, weight in weights.items() if shelf[domain]}
    if not offered:
        return []
    counts = shares(offered, max(1, round(minutes / MINUTES_A_TASK)))
    draws = (_draw(shelf, counts, last, chance) for _ in range(DRAWS))
    par = {card.name: card.par_time for card in cards}
    chosen, quickest = [], float("inf")
    for draw in draws:
        time = sum(par[level] for _, level in draw)
        if time < quickest:
            chosen, quickest = draw, time
        if quickest <= ROOM * 60 * minutes:
            break
    chance.shuffle(chosen)
    weighed = _weighed(chosen, offered)
    return [
        Task(number, level, chance.randrange(1, 10_000), domain, weighed[level])
        for number, (domain, level) in enumerate(chosen, 1)
    ]


def _draw(
    shelf: Mapping[str, Sequence[LevelCard]],
    counts: Mapping[str, int],
    last: Mapping[str, datetime],
    chance: random.Random,
) -> list[tuple[str, str]]:
    """So many levels of each domain, as (domain, level); none twice, though it may serve several domains."""
    found: dict[str, str] = {}
    for domain, count in counts.items():
        cards = chance.sample(shelf[domain], len(shelf[domain]))
        cards.sort(key=lambda card: last[card.name].timestamp() if card.name in last else 0.0)
        free = [card.name for card in cards if card.name not in found]
        found |= dict.fromkeys(free[:count], domain)
    return [(domain, level) for level, domain in found.items()]


def _weighed(chosen: Sequence[tuple[str, str]], weights: Mapping[str, int]) -> dict[str, int]:
    """What each task is worth, by level: together 100, and each domain its weight where it has tasks."""
    levels: dict[str, list[str]] = {}
    for domain, level in chosen:
        levels.setdefault(domain, []).append(level)
    domains = shares({domain: weights[domain] for domain in levels}, 100)
    found: dict[str, int] = {}
    for domain, names in levels.items():
        found |= shares(dict.fromkeys(names, 1), domains[domain])
    return found


def credit(level: Level, state: AttemptState) -> float:
    """What a task brings as it stands, 0 to 1: the green checks by their weight, less what broken guards take."""
    found = score(level, state, state.last_at)
    return found.share * found.guard_factor


@dataclass(frozen=True, slots=True)
class Part:
    """A domain in a result: percent of the exam that it brought, and that it could have."""

    domain: str
    reached: float
    weight: int


def total(parts: Sequence[tuple[Task, float]]) -> float:
    """Percent of the exam, from each task's credit."""
    return sum(task.weight * share for task, share in parts)


def shown(percent: float, digits: int = 0) -> str:
    """A result as people read it, rounded down: nobody is told that 66 was not enough for 66."""
    step = 10**digits
    return f"{math.floor(round(percent, 6) * step) / step:.{digits}f}"


def by_domain(parts: Sequence[tuple[Task, float]]) -> list[Part]:
    """What each domain brought, the heaviest first."""
    domains = dict.fromkeys(task.domain for task, _ in parts)
    found = [
        Part(
            domain,
            total([(task, share) for task, share in parts if task.domain == domain]),
            sum(task.weight for task, _ in parts if task.domain == domain),
        )
        for domain in domains
    ]
    return sorted(found, key=lambda part: -part.weight)


def left(begun: datetime, minutes: int, now: datetime) -> float:
    """Seconds until the exam is over, 0 afterwards. Its clock is the one on the wall, as in the real ones: it goes on
    whatever happens to the screen."""
    return min(60.0 * minutes, max(0.0, (ends(begun, minutes) - now).total_seconds()))


def ends(begun: datetime, minutes: int) -> datetime:
    """When its time is over."""
    return begun + timedelta(minutes=minutes)
