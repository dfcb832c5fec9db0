"""The levels as home shows them: what is known of each, in rows that fit the list's width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import get_args

from rich.cells import cell_len
from textual.content import Content

from kuartui.game.level import Exam, Level, LevelCard
from kuartui.game.review import Review, Try, due, recommended, reviews
from kuartui.message import later
from kuartui.progress.store import AttemptRecord, Best, ExamRecord
from kuartui.translate import tr, trn
from kuartui.tui.text import fit, join, plain, span
from kuartui.tui.widgets.prose import Block

MEDALS = (later("gold"), later("silver"), later("bronze"))
MEDAL_STYLES = {"gold": "bold $text-warning", "silver": "bold $foreground", "bronze": "$text-warning"}
STAR = "★"
EXAMS = {exam.lower() for exam in get_args(Exam)}


@dataclass(frozen=True, slots=True)
class Shelf:
    """The levels and the player's records of them, at one moment."""

    cards: Sequence[LevelCard] = ()
    tracks: dict[str, str] = field(default_factory=dict)  # titles by name
    best: dict[str, Best] = field(default_factory=dict)
    attempt: AttemptRecord | None = None  # in play
    exam: ExamRecord | None = None  # the latest, over or not
    tries: Sequence[Try] = ()
    broken: Mapping[str, str] = field(default_factory=dict)  # what could not be read, and why
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def card(self, name: str) -> LevelCard | None:
        return next((card for card in self.cards if card.name == name), None)

    def solved(self) -> list[str]:
        return [card.name for card in self.cards if card.name in self.best and self.best[card.name].solved]

    def points(self) -> int:
        return sum(best.score for best in self.best.values())

    def medals(self) -> list[tuple[str, int]]:
        """Those that were won, the best first."""
        count = Counter(best.medal for best in self.best.values())
        return [(medal, count[medal]) for medal in MEDALS if count[medal]]

    def due(self) -> list[Review]:
        """What should be played again by now."""
        names = {card.name for card in self.cards}
        return [review for review in due(self.tries, self.now) if review.level in names]

    def recommended(self) -> LevelCard | None:
        return self.card(recommended(self.cards, self.tries))

    @property
    def examined(self) -> bool:
        """Whether an exam is under way: then there is nothing else to play."""
        return self.exam is not None and self.exam.ended is None

    def suggestions(self) -> list[tuple[str, LevelCard]]:
        """(continue | review | next, level): what is worth playing now."""
        if self.examined:
            return []
        found: list[tuple[str, LevelCard | None]] = []
        if self.attempt is not None:
            found.append(("continue", self.card(self.attempt.level)))
        reviews = [review for review in self.due() if self.attempt is None or review.level != self.attempt.level]
        if reviews:
            found.append(("review", self.card(reviews[0].level)))
        following = self.recommended()
        if self.attempt is None or following is None or following.name != self.attempt.level:
            found.append(("next", following))
        return [(kind, card) for kind, card in found if card is not None]

    def by_track(self, wanted: str = "") -> Iterator[tuple[str, list[LevelCard]]]:
        """The levels that have every word of `wanted` somewhere, by track."""
        words = wanted.lower().split()
        reviews = {review.level for review in self.due()}
        tracks = dict.fromkeys(card.track for card in self.cards)
        for track in tracks:
            cards = [card for card in self.cards if card.track == track]
            found = [card for card in cards if self._has(card, words, card.name in reviews)]
            if found:
                yield track, found

    def _has(self, card: LevelCard, words: Sequence[str], review: bool) -> bool:
        """Whether a level has all the words. The name of an exam is a whole word: who prepares for the CKA wants no
        level that is for the CKAD only."""
        exams = {domain.exam.lower() for domain in card.exams}
        facts = self._facts(card, review)
        return all(word in (exams if word in EXAMS else facts) for word in words)

    def _facts(self, card: LevelCard, review: bool) -> str:
        """What the filter looks at."""
        best = self.best.get(card.name)
        state = "solved" if best and best.solved else "open"
        exams = " ".join(f"{domain.exam} {domain.domain}" for domain in card.exams)
        medal = f"{best.medal} {tr(best.medal)}" if best and best.medal else ""
        parts = (card.name, card.title, card.track, self.tracks.get(card.track, ""), exams, state, medal)
        return " ".join((*parts, "due" if review else "", "*" * card.difficulty)).lower()


def heading(shelf: Shelf, track: str, cards: Sequence[LevelCard], width: int) -> Content:
    """A track as a map: its title, then a sign for each of its levels."""
    signs = [_sign(shelf, card) for card in cards]
    solved = sum(card.name in shelf.best and shelf.best[card.name].solved for card in cards)
    tail = f" {solved}/{len(cards)}"
    room = max(8, width - 2 * len(signs) - len(tail))
    title = plain(fit(shelf.tracks.get(track, track), room), "bold $text-accent")
    return join(title, *(join(plain(sign, style), " ") for sign, style in signs), plain(tail, "$text-muted"))


def _sign(shelf: Shelf, card: LevelCard) -> tuple[str, str]:
    """G, S, B for a medal; ✓ solved, ▸ in play, ◦ tried, · new."""
    best = shelf.best.get(card.name)
    if shelf.attempt is not None and shelf.attempt.level == card.name:
        return "▸", "bold $text-warning"
    if best and best.medal:
        return best.medal[0].upper(), MEDAL_STYLES[best.medal]
    if best and best.solved:
        return "✓", "$text-success"
    return ("◦", "$text-warning") if best else ("·", "$text-muted")


def row(shelf: Shelf, card: LevelCard, width: int) -> Content:
    """One level: sign, title, difficulty, par, points, medal. Not its name: some names tell what is the matter."""
    sign, style = _sign(shelf, card)
    best = shelf.best.get(card.name)
    stars = fit(STAR * card.difficulty, 5)
    score = f"{best.score if best else '-':>3}/{card.points:<3}"
    medal = fit(tr(best.medal) if best and best.medal else "", 6)
    tail = f" {stars} {span(card.par_time)} {score} {medal}"
    room = max(8, width - 2 - cell_len(tail))
    return join(plain(f"{sign} ", style), plain(fit(card.title, room)), plain(tail, "$text-muted"))


def suggestion(shelf: Shelf, kind: str, card: LevelCard, width: int) -> Content:
    """What to do now, with its reason."""
    more = len(shelf.due()) - 1
    reasons = {
        "continue": ("▸", tr("Continue"), tr("in play")),
        "review": ("↻", tr("Review"), trn("{n} more is due", "{n} more are due", more) if more > 0 else tr("due")),
        "next": ("→", tr("Next"), tr("two minutes, to begin with") if card.name == TOUR and not shelf.tries else ""),
    }
    sign, verb, why = reasons[kind]
    style = "bold $text-warning" if kind == "continue" else "bold $text-success"
    head = f"{sign} {fit(verb, 9)}"
    title = fit(card.title, min(cell_len(card.title), max(0, width - 11)))
    rest = fit(f"  {why}" if why else "", max(0, width - cell_len(title) - 11))
    return join(plain(head, style), plain(title, "bold"), plain(rest, "$text-muted"))


def exam_row(width: int) -> Content:
    """Beside what to play now: a mock exam."""
    text = fit(tr("tasks by the weights of the CKA or the CKAD"), max(0, width - 11))
    return join(plain(f"# {fit(tr('Exam'), 9)}", "bold $text-success"), plain(text, "$text-muted"))


TOUR = "first-steps"


def _when(review: Review, now: datetime) -> Content:
    """When a level is to be played again, in days."""
    late = review.late_by(now)
    if late < timedelta():
        return plain(trn("review in {n} day", "review in {n} days", ceil(-late / timedelta(days=1))), "$text-muted")
    text = trn("review due for {n} day", "review due for {n} days", late.days) if late.days else tr("review due today")
    return plain(text, "$text-warning")


def about(shelf: Shelf, card: LevelCard, level: Level) -> list[Block]:
    """The details of a level: facts, your record, story, task."""
    track = shelf.tracks.get(card.track, card.track)
    facts = [
        f"{STAR * card.difficulty}  " + tr("{points} points", points=card.points),
        tr("par {par}, limit {limit}", par=span(card.par_time), limit=span(card.time_limit)),
        tr(
            "{one}, {other}",
            one=trn("{n} check", "{n} checks", card.checks),
            other=trn("{n} hint", "{n} hints", card.hints),
        ),
        track,
    ]
    exams = ", ".join(f"{domain.exam} {domain.domain}" for domain in card.exams)
    best = shelf.best.get(card.name)
    name = card.name if best and best.solved else ""  # before, it may tell too much
    blocks: list[Block] = [plain(card.title, "bold"), *([plain(name, "$text-muted")] if name else []), ""]
    blocks += [plain(f"{fact}", "$text-muted") for fact in (*facts, exams) if fact]
    if best:
        medal = f", {tr(best.medal)}" if best.medal else ""
        text = tr("practised, no points yet")
        if best.elapsed is not None:
            text = tr("best {score} in {time}{medal}", score=best.score, time=span(best.elapsed), medal=medal)
        tries = trn("{n} attempt", "{n} attempts", best.attempts)
        blocks.append(plain(f"{text}; {tries}", "$text-success"))
    review = next((review for review in reviews(shelf.tries) if review.level == card.name), None)
    if review:
        blocks.append(_when(review, shelf.now))
    return [*blocks, "", level.story, "", plain(tr("Task"), "bold"), level.task]
