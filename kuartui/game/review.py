"""What to play again, and what to play next: spaced review over the attempts so far. Pure.

A level climbs one step each time it is solved, so the gaps grow: a day, three days, a week … It falls to the first step
when an attempt at it fails, and stays where it is when it was solved late (bronze) or played again before it was due:
repeating at once teaches little. These are Leitner's boxes; gaps that grow about twofold hold what was learned best for
the time they cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kuartui.game.level import LevelCard

#: days until a level is due again, by how often it was solved in time
GAPS = (1, 3, 7, 16, 35, 90)


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt that is over. `when` it began, with its time zone."""

    level: str
    when: datetime
    solved: bool
    late: bool = False  # solved, but in the slower half of the time


@dataclass(frozen=True, slots=True)
class Review:
    """A level that was solved at some time, and when it should be played again."""

    level: str
    due: datetime
    step: int

    def late_by(self, now: datetime) -> timedelta:
        return now - self.due


def reviews(tries: Iterable[Try]) -> list[Review]:
    """Of every level that was ever solved, the one that is due first first."""
    found: dict[str, Review] = {}
    for attempt in sorted(tries, key=lambda item: item.when):
        known = found.get(attempt.level)
        if known is None and not attempt.solved:
            continue
        step = _step(known, attempt)
        found[attempt.level] = Review(attempt.level, attempt.when + timedelta(days=GAPS[step]), step)
    return sorted(found.values(), key=lambda item: (item.due, item.level))


def _step(known: Review | None, attempt: Try) -> int:
    if known is None or not attempt.solved:
        return 0
    if attempt.late or attempt.when < known.due:
        return known.step
    return min(known.step + 1, len(GAPS) - 1)


def due(tries: Iterable[Try], now: datetime) -> list[Review]:
    """Those that should be played again by now, longest overdue first."""
    return [review for review in reviews(tries) if review.due <= now]


def recommended(cards: Sequence[LevelCard], tries: Iterable[Try]) -> str:
    """The level to play next, "" when all are solved.

    In the track that was played last, then in the others by their order: the first open level that is at most one step
    harder than what was solved so far; when none is, the easiest open one.
    """
    history = sorted(tries, key=lambda item: item.when)
    solved = {attempt.level for attempt in history if attempt.solved}
    levels: Mapping[str, LevelCard] = {card.name: card for card in cards}
    open_ones = [card for card in cards if card.name not in solved]
    if not open_ones:
        return ""
    reach = 1 + max((levels[name].difficulty for name in solved if name in levels), default=0)
    last = next((levels[attempt.level].track for attempt in reversed(history) if attempt.level in levels), "")
    at_hand = [card for card in open_ones if card.difficulty <= reach]
    here = [card for card in at_hand if card.track == last]
    return (here or at_hand or sorted(open_ones, key=lambda card: card.difficulty))[0].name
