"""One attempt, from start to result: the API that the command line and the screen share.

    session = await start(level, cluster=cluster, store=store)          # sets the level up, then the clock runs
    session = await resume(record, level, cluster=cluster, store=store) # after a restart, or beside another process
    async for event in session.events(): screen.show(session.snapshot())
    await session.hint(); await session.reset(); result = await session.finish()

An attempt belongs to no process. Its events are in the progress store; the screen and the command line may both have
a session of it, and each sees what the other does. One of them, the leader (a lease in the store), runs the live
checks and records what they find; if it dies, another takes over. `close()` leaves the attempt running.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.base import Cluster, Report, Sandbox, silent
from kuartui.cluster.clock import RealClock
from kuartui.containers.engine import Docker
from kuartui.errors import AttemptError, GoneError, KuartuiError
from kuartui.game.duration import Duration
from kuartui.game.events import Finished, Mode, Outcome, Started
from kuartui.game.exam import ends
from kuartui.game.level import Level
from kuartui.message import later
from kuartui.play import consent, timer, trail
from kuartui.play.arena import head_start, require
from kuartui.play.dealt import level_if_there
from kuartui.play.dockside import require_engine
from kuartui.play.leading import Leader
from kuartui.play.live import AttemptSession
from kuartui.play.supply import supply
from kuartui.play.takedown import take_down
from kuartui.play.turns import setting_up
from kuartui.progress.store import AttemptRecord, ExamRecord, Store

__all__ = ["AttemptSession", "resume", "start"]


async def start(
    level: Level,
    *,
    cluster: Cluster,
    store: Store,
    mode: Mode = "ranked",
    note: Callable[[str], None] = lambda _: None,
    report: Report = silent,
) -> AttemptSession:
    """Begin an attempt at `level` (already filled in for a seed) and return when it is set up and settled. `note` is
    told its id before anything is made for it."""
    if cluster.kind == "embedded":  # others have to be asked first
        require(level, cluster.capabilities, cluster.name)
    docker = Docker()
    try:
        await require_engine(level, docker)
    finally:
        docker.close()
    consent.require(level, cluster)
    if mode != "exam" and _borrows_its_name(level):
        mode = "practice"
    async with setting_up():
        record, sandbox = await _set_up(level, mode, cluster, store, note, report)
        store.set_anchor(record.id, timer.anchor(sandbox.clock, 0.0, ticking=True))
        store.append(record.id, Started(at=0.0, level=level.name, seed=level.seed, mode=mode, digest=level.digest))
    exam = exam_of(record, store)
    session = AttemptSession(record, in_time(record, level, exam, store), cluster, store, sandbox, exam)
    await session.run()
    return session


async def _set_up(
    level: Level, mode: Mode, cluster: Cluster, store: Store, note: Callable[[str], None], report: Report
) -> tuple[AttemptRecord, Sandbox]:
    if mode != "exam":
        no_exam(store)
    await _make_way(cluster, store)
    await cluster.up(report)
    await supply(cluster, level, report)
    require(level, cluster.capabilities, cluster.name)
    attempt_id = uuid.uuid4().hex[:12]
    record = AttemptRecord(
        id=attempt_id,
        level=level.name,
        seed=level.seed,
        mode=mode,
        cluster=cluster.ref,
        sandbox=f"attempt-{attempt_id}",
        kubeconfig="",
        begun=datetime.now(UTC),
        folder=level.folder,
        digest=level.digest,
    )
    store.begin(record)
    note(attempt_id)
    sandbox: Sandbox | None = None
    try:
        sandbox = await cluster.sandbox(record.sandbox, head=head_start(level), report=report)
        record = replace(record, kubeconfig=str(await sandbox.player_kubeconfig(level.namespace)))
        store.set_place(record.id, record.sandbox, record.kubeconfig)
        leader = Leader.for_setup(level, record.id, sandbox, store)
        try:
            await leader.prepare(report)
        finally:
            await leader.stop()
    except BaseException:
        close_unscored(record, "abandoned", store)
        if sandbox is not None and sandbox.disposable:
            with suppress(KuartuiError):  # the next attempt makes way for itself
                await sandbox.close()
        raise
    return record, sandbox


def no_exam(store: Store) -> None:
    """AttemptError while an exam is under way."""
    if store.exam_under_way() is not None:
        raise AttemptError(later("an exam is under way"), hint=later("kuartui exam show, or kuartui exam finish"))


def in_time(record: AttemptRecord, level: Level, exam: ExamRecord | None, store: Store) -> Level:
    """A level as an attempt may take it: the time limit of an exam's task is what is left of the exam."""
    if exam is None:
        return level
    rest = max(0.0, (ends(exam.begun, exam.minutes) - store.now()).total_seconds())
    spent = timer.elapsed(RealClock(), store.anchor(record.id))
    return msgspec.structs.replace(level, time_limit=Duration(spent + rest))


def exam_of(record: AttemptRecord, store: Store) -> ExamRecord | None:
    """The exam that an attempt is a task of; None for others, and when it is over."""
    exam, current = store.exam_under_way(), store.attempt(record.id)
    return exam if exam is not None and current is not None and current.exam == exam.id else None


def _borrows_its_name(level: Level) -> bool:
    """Whether the catalogue has another level of this name, whose scores this one must not get."""
    catalog = Catalog.default()
    return level.name in catalog.names() and catalog.open(level.name).digest() != level.digest


async def resume(record: AttemptRecord, level: Level, *, cluster: Cluster, store: Store) -> AttemptSession:
    """A session of an attempt that began earlier, here or in another process. Trouble with its cluster is shown in the
    session, which then can still be reset, finished or abandoned."""
    if not store.events(record.id):
        raise AttemptError(
            later("setting {level} up was interrupted", level=record.level), hint=f"kuartui level start {record.level}"
        )
    exam = exam_of(record, store)
    session = AttemptSession(record, in_time(record, level, exam, store), cluster, store, None, exam)
    await session.run()
    return session


async def _make_way(cluster: Cluster, store: Store) -> None:
    """One attempt at a time; what earlier ones left behind is removed."""
    running = store.running()
    if running is not None and store.events(running.id):
        raise AttemptError(
            later("{level} is still in play", level=running.level),
            hint=later("kuartui level finish, or kuartui level finish --abandon"),
        )
    for record in [*([running] if running else []), *store.leftovers()]:
        if record.outcome is None:
            close_unscored(record, "abandoned", store)
        if record.cluster == cluster.ref:
            with suppress(GoneError):  # with all that was left there
                await cluster.wake()
            await take_down(record, level_if_there(record), cluster, store)
    await trail.sweep(cluster)


def close_unscored(record: AttemptRecord, outcome: Outcome, store: Store) -> None:
    """Close an attempt that brings nothing: one whose set-up did not come to its end, or whose level can no longer be
    read."""
    spent = timer.elapsed(RealClock(), store.anchor(record.id))
    store.append(record.id, Finished(at=spent, outcome=outcome))
    store.close_unscored(record.id, outcome, spent)


async def give_up(record: AttemptRecord, cluster: Cluster, store: Store) -> None:
    """Abandon an attempt whose level can no longer be read, and remove its place."""
    close_unscored(record, "abandoned", store)
    if record.sandbox:
        with suppress(GoneError):
            await cluster.wake()
        await take_down(record, None, cluster, store)
