"""Mock exams, from the first task to the result; headless, shared by the command line and the screens.

    exam = begin("CKA", 120, store=store)
    session = await take_up(exam, 3, cluster=cluster, store=store)   # sets task 3 up, or goes on with it
    session = await take_up(exam, 5, cluster=cluster, store=store)   # task 3 waits meanwhile, as it is
    sheet = await finish(exam, cluster=cluster, store=store)

Each task is an attempt with a cluster of its own. One is in play at a time; the others wait with their clocks stopped,
and bring what was green when they were left. Everything is in the store, so that an exam outlives whatever shows it.
When its time is over it ends by itself: whoever looks next (`current`) closes the books.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from kuartui.catalog import curriculum
from kuartui.catalog.catalog import Catalog
from kuartui.cluster.base import Cluster, Report, silent
from kuartui.cluster.capabilities import missing
from kuartui.cluster.clock import RealClock
from kuartui.errors import AttemptError, KuartuiError, UnknownName
from kuartui.game import exam as rules
from kuartui.game.attempt import is_done, replay
from kuartui.game.events import Finished, Outcome, Paused, Resumed
from kuartui.game.exam import Part, Task
from kuartui.game.level import LevelCard
from kuartui.game.review import due
from kuartui.game.score import score
from kuartui.message import later
from kuartui.play import timer
from kuartui.play.dealt import level_if_there, level_of
from kuartui.play.session import AttemptSession, close_unscored, no_exam, resume, start
from kuartui.play.takedown import take_down
from kuartui.play.turns import setting_up
from kuartui.play.view import Result
from kuartui.progress.store import AttemptRecord, ExamRecord, Store, TaskRecord
from kuartui.translate import tr

START = "kuartui exam start CKA"
STATES = {  # of a task, in words
    "new": later("new"),
    "in play": later("in play"),
    "waiting": later("waiting"),
    "handed in": later("handed in"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A task as a list shows it. `state` is one of `STATES`; `spent` seconds; `credit` is there once
    the exam is over."""

    task: Task
    title: str
    domain: str
    state: str
    spent: float
    flagged: bool
    credit: float | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """An exam at one moment. `left` seconds; `reached` percent and `parts` by domain once it is over."""

    exam: ExamRecord
    title: str
    left: float
    rows: tuple[Row, ...]
    to_pass: int
    reached: float | None = None
    parts: tuple[Part, ...] = ()

    @property
    def passed(self) -> bool:
        return self.reached is not None and round(self.reached, 6) >= self.to_pass


def heading(exam: ExamRecord) -> str:
    """Which one it is."""
    text = tr("{exam} mock exam, {minutes} minutes", exam=exam.name, minutes=exam.minutes)
    return tr("{one}, {other}", one=text, other=tr("strict")) if exam.strict else text


def offered() -> list[curriculum.Exam]:
    """The exams that can be tried here."""
    return [exam for exam in curriculum.curriculum().exams if not exam.aside]


def _offered(name: str) -> curriculum.Exam:
    """By its name in any case; UnknownName for one that is not offered."""
    found = {exam.name: exam for exam in offered()}
    exam = found.get(name.upper())
    if exam is None:
        raise UnknownName(later("exam"), name, found)
    return exam


@dataclass(frozen=True, slots=True)
class Readiness:
    """What was made of a domain's levels: how many are solved, how many of those are due for review, and the names of
    the others, the easiest first."""

    domain: curriculum.Domain
    levels: int
    solved: int
    due: int
    open: tuple[str, ...]


def readiness(name: str, *, store: Store, cards: Sequence[LevelCard]) -> list[Readiness]:
    """By domain of an exam, in its order. UnknownName for an exam that is not offered."""
    solved = {level for level, best in store.best().items() if best.solved}
    late = {review.level for review in due(store.tries(), store.now())}
    found = []
    for domain in _offered(name).domains:
        mine = [card for card in cards if any((at.exam, at.domain) == (name.upper(), domain.name) for at in card.exams)]
        left = sorted((card for card in mine if card.name not in solved), key=lambda card: card.difficulty)
        names = {card.name for card in mine}
        found.append(
            Readiness(domain, len(mine), len(names & solved), len(names & late), tuple(card.name for card in left))
        )
    return found


def begin(
    name: str,
    minutes: int | None,
    *,
    cluster: Cluster,
    store: Store,
    catalog: Catalog,
    seed: int | None = None,
    strict: bool = False,
) -> ExamRecord:
    """Deal the tasks and start the clock; in a `strict` exam nothing tells what is right before its end. UnknownName
    for an exam that is not offered; AttemptError while another exam or a level is in play."""
    exam = _offered(name)
    _only_one(store)
    cards = [card for card in catalog.cards() if not missing(card.needs, cluster.capabilities)]
    weights = {domain.name: domain.weight for domain in exam.domains}
    record = ExamRecord(uuid.uuid4().hex[:12], exam.name, minutes or exam.minutes, store.now(), strict=strict)
    chance = random.SystemRandom().randrange(1, 10_000) if seed is None else seed
    tasks = rules.deal(cards, exam.name, weights, record.minutes, chance, store.last_played())
    if not store.begin_exam(record, tasks):  # another command was quicker
        no_exam(store)
    return record


def _only_one(store: Store) -> None:
    no_exam(store)
    running = store.running()
    if running is not None and store.events(running.id):
        raise AttemptError(
            later("{level} is still in play", level=running.level),
            hint=later("kuartui level finish, or kuartui level finish --abandon"),
        )


def under_way(store: Store) -> ExamRecord:
    """The exam that is under way. AttemptError when there is none."""
    exam = store.exam_under_way()
    if exam is None:
        raise AttemptError(later("no exam is under way"), hint=START)
    return exam


async def current(*, cluster: Cluster, store: Store) -> ExamRecord | None:
    """The exam that is under way, None when there is none. One whose time is over is closed first."""
    exam = store.exam_under_way()
    if exam is None:
        return None
    if rules.left(exam.begun, exam.minutes, store.now()) > 0:
        return exam
    await finish(exam, cluster=cluster, store=store)
    return None


def sheet(exam: ExamRecord, *, store: Store, catalog: Catalog, language: str = "") -> Sheet:
    """What there is to show of an exam now."""
    facts = next(item for item in curriculum.curriculum().exams if item.name == exam.name)
    domains = {domain.name: domain.title for domain in facts.domains}
    titles = {card.name: card.title for card in catalog.cards(language)}
    records = store.tasks(exam.id)
    rows = tuple(
        Row(
            record.task,
            titles.get(record.task.level, record.task.level),
            domains.get(record.task.domain, record.task.domain),
            *_state(record, store),
            record.flagged,
            record.credit,
        )
        for record in records
    )
    over = exam.ended is not None
    marks = [(record.task, record.credit or 0.0) for record in records]
    return Sheet(
        exam,
        facts.title,
        0.0 if over else rules.left(exam.begun, exam.minutes, store.now()),
        rows,
        facts.pass_,
        rules.total(marks) if over else None,
        tuple(Part(domains.get(part.domain, part.domain), part.reached, part.weight) for part in rules.by_domain(marks))
        if over
        else (),
    )


async def review(exam: ExamRecord, number: int, *, cluster: Cluster, store: Store, language: str = "") -> Result | None:
    """How a task went, with its solution; None for one that was never begun. AttemptError before the exam is over."""
    if exam.ended is None:
        raise AttemptError(later("the exam is not over"), hint="kuartui exam finish")
    record = next((item for item in store.tasks(exam.id) if item.task.number == number), None)
    attempt = _attempt(record, store) if record is not None else None
    if attempt is None:
        return None
    session = await resume(attempt, level_of(attempt, language), cluster=cluster, store=store)
    try:
        return session.result()
    finally:
        await session.close()


def _task(exam: ExamRecord, number: int, store: Store) -> TaskRecord:
    """AttemptError when there is no such task."""
    record = next((item for item in store.tasks(exam.id) if item.task.number == number), None)
    if record is None:
        raise AttemptError(later("the exam has no task {number}", number=number), hint="kuartui exam show")
    return record


def _state(record: TaskRecord, store: Store) -> tuple[str, float]:
    """How far a task is, and the seconds that it took so far."""
    attempt = _attempt(record, store)
    if attempt is None:
        return "new", 0.0
    if attempt.outcome is not None:
        return "handed in", attempt.elapsed
    return "waiting" if attempt.aside else "in play", timer.elapsed(RealClock(), store.anchor(attempt.id))


def _attempt(record: TaskRecord, store: Store) -> AttemptRecord | None:
    """The attempt at a task; None before one, and after one that was given up or never set up: it begins anew."""
    found = store.attempt(record.attempt) if record.attempt else None
    if found is None or found.outcome == "abandoned" or not store.events(found.id):
        return None
    return found


async def take_up(
    exam: ExamRecord,
    number: int,
    *,
    cluster: Cluster,
    store: Store,
    catalog: Catalog,
    language: str = "",
    report: Report = silent,
) -> AttemptSession:
    """Work at a task: it is set up, or goes on as it was left. Another one that is in play waits from now on.
    AttemptError when the exam is over, or the task was handed in."""
    if rules.left(exam.begun, exam.minutes, store.now()) <= 0 or exam.ended is not None:
        raise AttemptError(later("the exam is over"), hint="kuartui exam show")
    record = _task(exam, number, store)
    attempt = _attempt(record, store)
    if attempt is not None and attempt.outcome is not None:
        raise AttemptError(later("task {number} was handed in", number=number), hint="kuartui exam show")
    running = store.running()
    if running is not None and store.events(running.id) and (attempt is None or running.id != attempt.id):
        if running.exam != exam.id:
            raise AttemptError(later("{level} is still in play", level=running.level), hint="kuartui level finish")
        put_aside(running, store)
    if attempt is None:
        level = catalog.level(record.task.level, record.task.seed, language)
        session = await start(
            level,
            cluster=cluster,
            store=store,
            mode="exam",
            note=lambda attempt_id: store.begin_task(exam.id, number, attempt_id),
            report=report,
        )
        if _ended(exam, store):  # by another command meanwhile: this one counts no more
            await session.abandon()
            raise AttemptError(later("the exam is over"), hint="kuartui exam show")
        return session
    async with setting_up():  # what is half set up now was left so by a process that died
        _close_half_set_up(store)
        for other in store.not_over():  # one that another command took up meanwhile
            if other.exam == exam.id and not other.aside and other.id != attempt.id:
                put_aside(other, store)
        store.set_aside(attempt.id, False)
        if not store.anchor(attempt.id).ticking:  # also where a process died between the two
            _set_clock(attempt, store, ticking=True)
    return await resume(attempt, level_of(attempt, language), cluster=cluster, store=store)


def _close_half_set_up(store: Store) -> list[AttemptRecord]:
    """Close the attempts at tasks whose set-up did not come to its end: one of them would pass for the one in play."""
    found = [record for record in store.not_over() if record.mode == "exam" and not store.events(record.id)]
    for record in found:
        close_unscored(record, "abandoned", store)
    return found


def _ended(exam: ExamRecord, store: Store) -> bool:
    return any(known.id == exam.id and known.ended is not None for known in store.exams())


def put_aside(attempt: AttemptRecord, store: Store) -> None:
    """Let a task wait as it is, its clock stopped."""
    _set_clock(attempt, store, ticking=False)
    store.set_aside(attempt.id, True)


def _set_clock(attempt: AttemptRecord, store: Store, *, ticking: bool) -> None:
    clock = RealClock()
    spent = timer.elapsed(clock, store.anchor(attempt.id))
    event = Resumed(at=spent) if ticking else Paused(at=spent)
    store.append(attempt.id, event, anchor=timer.anchor(clock, spent, ticking=ticking))


def flag(exam: ExamRecord, number: int, store: Store) -> bool:
    """Mark a task to come back to, or take the mark away; whether it is marked now. AttemptError when there is no such
    task."""
    record = _task(exam, number, store)
    store.flag(exam.id, number, not record.flagged)
    return not record.flagged


async def finish(exam: ExamRecord, *, cluster: Cluster, store: Store) -> None:
    """End it: every task brings what is green in it. Then their clusters are removed."""
    late = rules.left(exam.begun, exam.minutes, store.now()) <= 0
    attempts = {record.task.number: _attempt(record, store) for record in store.tasks(exam.id)}
    brought: dict[int, float] = {}
    for number, attempt in attempts.items():
        brought[number] = _close(attempt, store, "time-up" if late else "finished") if attempt is not None else 0.0
    store.end_exam(exam.id, store.now(), brought)
    left = [*_close_half_set_up(store), *(attempt for attempt in attempts.values() if attempt is not None)]
    await _clean_up(left, cluster, store)


def _close(attempt: AttemptRecord, store: Store, outcome: Outcome) -> float:
    """End the attempt at a task where that was not done; what it brings."""
    level = level_if_there(attempt)
    if level is None:
        close_unscored(attempt, outcome, store)
        return 0.0
    state = replay(level, [event for _, event in store.events(attempt.id)])
    if not state.over:
        spent = timer.elapsed(RealClock(), store.anchor(attempt.id), state.last_at)
        end: Outcome = "solved" if is_done(level, state) else outcome
        store.append(attempt.id, Finished(at=spent, outcome=end))
        state = replay(level, [event for _, event in store.events(attempt.id)])
    final = score(level, state, state.last_at)
    store.set_outcome(attempt.id, state.outcome or outcome, final)
    store.set_score(attempt.id, final)  # where it was handed in, but not told yet
    return rules.credit(level, state)


async def _clean_up(attempts: Sequence[AttemptRecord], cluster: Cluster, store: Store) -> None:
    """Remove the places of tasks. What cannot be removed now is removed before the next level is set up."""
    for attempt in attempts:
        try:
            await take_down(attempt, level_if_there(attempt), cluster, store)
        except KuartuiError:
            continue
