"""An attempt as one process sees it: follows the store, and leads where nobody else does (see `play.session`)."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

from kuartui.cluster.base import Cluster, Progress, Report, Sandbox, silent
from kuartui.cluster.clock import Clock, RealClock
from kuartui.errors import AttemptError, KuartuiError, StorageError
from kuartui.game.attempt import AttemptState, is_done, step
from kuartui.game.events import (
    AttemptEvent,
    Finished,
    HintTaken,
    Outcome,
    Paused,
    ResetDone,
    Resumed,
    SolutionsOpened,
)
from kuartui.game.exam import ends
from kuartui.game.guards import sticky_names
from kuartui.game.level import Level
from kuartui.game.score import potential, score
from kuartui.message import later
from kuartui.play import present, timer, view, workspace
from kuartui.play.cleanup import cluster_of
from kuartui.play.leading import ASKED, INVENTORY, LOOKED, UNFINISHED, Leader, asking, seen
from kuartui.play.present import Seen
from kuartui.play.takedown import alone, take_down
from kuartui.play.turns import setting_up
from kuartui.play.view import AttemptView, HintView, Phase, PlayEvent, Result
from kuartui.progress.store import AttemptRecord, ExamRecord, Store
from kuartui.prose import outcome_word

POLL = 0.1  # seconds between two looks into the store for what other processes wrote
LOOK_SECONDS = 15.0  # for the leader to look at everything; what it found by then has to do
REVIVE_EVERY = 3.0  # seconds of trouble between two tries to bring the cluster up again
LEASE_EVERY = 1.0  # seconds between two renewals of the lead


class AttemptSession:
    """A running (or finished) attempt as one process sees it. Make one with `start` or `resume`."""

    def __init__(
        self,
        record: AttemptRecord,
        level: Level,
        cluster: Cluster,
        store: Store,
        sandbox: Sandbox | None,
        exam: ExamRecord | None = None,
    ) -> None:
        """`exam` is the one that it is a task of: with that it ends by the clock on the wall, whatever its own says."""
        self.record, self.level, self.cluster, self.store = record, level, cluster, store
        self._until = ends(exam.begun, exam.minutes) if exam is not None else None
        self._strict = exam is not None and exam.strict
        self.withheld = self._strict  # whether what was found may not be told: not before the end of a strict exam
        self.sandbox = sandbox
        self.clock: Clock = sandbox.clock if sandbox else RealClock()
        self.kubeconfig = Path(record.kubeconfig) if record.kubeconfig else None
        self._holder = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._events: list[AttemptEvent] = []
        self._sequence = 0
        self._changes: list[view.TimelineEntry] = []
        self._last_change = 0
        self._timeline: tuple[view.TimelineEntry, ...] = ()
        self._state = AttemptState()
        self._sticky = sticky_names(level)
        self._anchor = store.anchor(record.id)
        self._seen: dict[str, Seen] = {}
        self._phase: Phase = "running"
        self._progress = ""
        self._trouble = ""
        self._stuck = False  # whether the trouble is with the store
        self._behind = False  # whether there is something in the store that could not be taken in
        self._listeners: set[asyncio.Queue[PlayEvent | BaseException | None]] = set()
        self._leader: Leader | None = None
        self._leased_at = -LEASE_EVERY
        self._troubled_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._resetting: asyncio.Task[None] | None = None
        self._result: Result | None = None
        self._closed = False
        self._sync()

    # --- what there is to see --------------------------------------------------------------------------------------

    @property
    def attempt_id(self) -> str:
        return self.record.id

    @property
    def leading(self) -> bool:
        """Whether this process runs the live checks."""
        return self._leader is not None and self._leader.engine is not None

    @property
    def in_exam(self) -> bool:
        """Whether it is a task of an exam that is not over: nothing tells the solution yet."""
        return self.record.mode == "exam" and self.store.exam_under_way() is not None

    @property
    def left_on(self) -> str:
        """The cluster where something of it is left, once it is over: one that is away; "" when all is removed."""
        current = self.store.attempt(self.attempt_id)
        return current.cluster if current is not None and current.sandbox else ""

    def elapsed(self) -> float:
        """Seconds on the attempt's clock."""
        if self._state.finished_at is not None:
            return self._state.finished_at
        return min(self._spent(), float(self.level.time_limit))

    def _spent(self) -> float:
        """The same, also beyond the limit."""
        return timer.elapsed(self.clock, self._anchor, self._state.last_at)

    def snapshot(self) -> AttemptView:
        """All there is to show, now. Cheap: call it at every event and every tick of a clock."""
        elapsed, level = self.elapsed(), self.level
        state, seen = self._told()
        helped = self.record.mode != "exam"
        following = present.next_hint(level, state) if helped else None
        drill = present.drill(level, state, elapsed)
        phase = "over" if self._state.over else "drill" if drill and self._phase == "running" else self._phase
        return AttemptView(
            attempt_id=self.record.id,
            level=level,
            mode=self.record.mode,
            cluster=self.record.cluster,
            kubeconfig=self.kubeconfig,
            workspace=workspace.folder(self.record.id),
            phase=phase,
            elapsed=elapsed,
            paused=self._state.paused,
            checks=present.checks(level, state, seen, elapsed),
            guards=present.guards(level, state),
            hints=present.hints(level, state),
            next_hint_cost=None if following is None else present.hint(level, following).cost,
            hints_left=len(level.hints) - len(state.hints) if helped else 0,
            score=score(level, state, elapsed),
            potential=potential(level, state, elapsed),
            timeline=self._timeline,
            outcome=self._state.outcome,
            trouble=self._trouble,
            progress=drill if phase == "drill" else self._progress,
            withheld=self.withheld,
        )

    def _told(self) -> tuple[AttemptState, Mapping[str, Seen]]:
        """What was recorded and found last, as far as it may be told."""
        return (AttemptState(), {}) if self.withheld else (self._state, self._seen)

    def events(self) -> AsyncIterator[PlayEvent]:
        """What happens from this call on, until the attempt is over or the session closed. Of one that is over already,
        that it is."""
        queue: asyncio.Queue[PlayEvent | BaseException | None] = asyncio.Queue()
        if self._result is not None:
            queue.put_nowait(view.Finished(self._result))
        if self._closed or self._result is not None:
            queue.put_nowait(None)
        self._listeners.add(queue)
        return self._listen(queue)

    async def _listen(self, queue: asyncio.Queue[PlayEvent | BaseException | None]) -> AsyncIterator[PlayEvent]:
        try:
            while (event := await queue.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self._listeners.discard(queue)

    async def refresh(self) -> AttemptView:
        """Look at every check now (probes included) and return the new snapshot: `level check`."""
        if self._leader is None or not self.leading:
            await self._others_look()
        if self._leader is not None and self.leading:  # or it is we who lead by now
            await self._leader.refresh()
        self._sync()
        return self.snapshot()

    async def _others_look(self) -> None:
        """Ask whoever leads to look at everything, and wait for it a while."""
        wish, waited = asking(), 0.0
        with suppress(StorageError):  # on a full disk what was found last has to do
            self.store.set_finding(self.record.id, ASKED, wish)
        asked = self.store.findings(self.record.id).get(ASKED) == wish
        while asked and not self._state.over and not self.leading and waited < LOOK_SECONDS:
            await self.clock.sleep(POLL)
            waited += POLL
            self._sync()
            if self.store.findings(self.record.id).get(LOOKED) == wish:
                break

    def result(self) -> Result:
        """AttemptError while it is not over."""
        if self._result is None:
            raise AttemptError(later("the attempt is not over"), hint="kuartui level finish")
        return self._result

    # --- what a player does ------------------------------------------------------------------------------------------

    async def hint(self, offered: int | None = None) -> HintView:
        """Take the next hint, or the one that was `offered` (its index): if another process took that meanwhile, it
        costs nothing more. AttemptError when there is none left, in an exam, or when the attempt is over."""
        self._must_run()
        if self.record.mode == "exam":
            raise AttemptError(later("there are no hints in an exam"))
        if offered is not None and offered in self._state.hints:
            return present.hint(self.level, offered)
        index = present.next_hint(self.level, self._state)
        if index is None:
            raise AttemptError(later("there are no more hints"))
        self._write(HintTaken(at=self.elapsed(), index=index))
        return present.hint(self.level, index)

    async def open_solutions(self) -> None:
        """Look at the solutions before the end: the attempt becomes practice."""
        self._must_run()
        self._write(SolutionsOpened(at=self.elapsed()))

    async def pause(self) -> None:
        """Stop the clock, if it is not stopped. AttemptError when the mode does not allow it."""
        self._must_run()
        if self.record.mode != "practice":
            raise AttemptError(
                later("the clock can be paused in practice only"), hint="kuartui level start --practice LEVEL"
            )
        if not self._state.paused:
            self._set_clock(ticking=False)

    async def unpause(self) -> None:
        """Let the clock go on, if it is stopped."""
        self._must_run()
        if self._state.paused:
            self._set_clock(ticking=True)

    async def reset(self, report: Report = silent) -> None:
        """Set the level up anew. The clock runs on."""
        self._must_run()
        async with setting_up():
            self._must_run()
            try:
                await self._renew(report)
            except KuartuiError:
                self._must_run()  # ended elsewhere meanwhile: its place was taken away, and that is why
                raise
            self._must_run()

    async def _renew(self, report: Report) -> None:
        self.store.seize(self.record.id, self._holder)
        self._leased_at = self.clock.monotonic()
        self._enter("setup", "setting the level up anew")
        leader: Leader | None = None
        try:
            await self._drop_lead(release=False)
            await self._find_sandbox(report)
            leader = self._new_leader()
            await leader.renew(self._reporting(report))
            self._write(ResetDone(at=self.elapsed()))
            await leader.lead()
            self._leader = leader
        finally:
            if leader is not None and leader is not self._leader:
                await leader.stop()
            self._enter("running")

    def _go_on_with_reset(self) -> None:
        """Whoever set the level up anew left, or died, in the midst of it: it is half made."""
        if self._resetting is None or self._resetting.done():
            self._resetting = asyncio.ensure_future(self._reset_again())

    async def _reset_again(self) -> None:
        try:
            await self.reset()
            self._set_trouble("")
        except KuartuiError as error:
            self._set_trouble(error.message)
            await self.clock.sleep(REVIVE_EVERY)

    async def finish(self) -> Result:
        """End it here with what is green. An attempt that turns all green ends by itself."""
        if not self._state.over:
            solved = is_done(self.level, self._state) and not self.withheld
            outcome: Outcome = "solved" if solved else "finished"
            self._write(Finished(at=self.elapsed(), outcome=outcome))
        return self.result()

    async def abandon(self) -> None:
        """End it without a score, and clean up."""
        if not self._state.over:
            self._write(Finished(at=self.elapsed(), outcome="abandoned"))
        await self.close()

    async def close(self, *, referee: bool = True) -> None:
        """Let go; a running attempt goes on and can be resumed. With `referee`, a process of its own goes on looking
        at the checks, so that nothing goes unseen while no screen is open."""
        if self._closed:
            return
        self._closed = True
        for task in (self._task, self._resetting):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        led = self.leading or self._half_made()
        try:
            if self._state.over:
                await self._take_down()
        finally:
            await self._drop_lead()
            for queue in list(self._listeners):
                queue.put_nowait(None)
        if referee and led and not self._state.over:
            from kuartui.play.referee import spawn

            spawn(self.record.id)

    # --- following the store ---------------------------------------------------------------------------------------

    def _write(self, *events: AttemptEvent) -> None:
        self.store.append(self.record.id, *events)
        self._sync()

    def _sync(self) -> None:
        """Take in what is new in the store, whoever wrote it."""
        fresh = self.store.events(self.record.id, self._sequence)
        before = {check.name: check for check in present.checks(self.level, self._state, self._seen, 0.0)}
        self.withheld = self.withheld and self.store.exam_under_way() is not None
        broken = self._state.broken
        for sequence, event in fresh:
            self._sequence = sequence
            self._state = step(self._state, event, self._sticky)
            self._events.append(event)
            entry = present.line(self.level, event)
            if entry is not None and self._may_tell(entry):
                self._emit(view.TimelineGrew(entry))
            if isinstance(event, HintTaken) and event.index < len(self.level.hints):  # its files may have changed
                self._emit(view.HintTaken(present.hint(self.level, event.index)))
            if isinstance(event, ResetDone):
                self._seen = {}
                self._emit(view.WasReset(self._state.resets))
        changes = self.store.changes(self.record.id, self._last_change)
        for self._last_change, at, kind, text in changes:
            self._changes.append(view.TimelineEntry(at, kind, text))
            self._emit(view.TimelineGrew(self._changes[-1]))
        if fresh or changes:
            entries = [*present.timeline(self.level, self._events), *self._changes]
            self._timeline = tuple(sorted(filter(self._may_tell, entries), key=lambda entry: entry.at))
        self._anchor = self.store.anchor(self.record.id)
        findings = self.store.findings(self.record.id)
        self._seen = seen(findings)
        if self._leader is not None and self.leading and not self._state.over:
            self._leader.heed(findings)
        self._tell_changes(before, broken)
        if self._state.over and self._result is None:
            self._conclude()
        self._behind = False

    def _take_in(self) -> None:
        """The same for a leader, which follows the cluster whatever becomes of the store."""
        try:
            self._sync()
        except StorageError as error:
            self._behind = self._stuck = True  # the loop tries again
            self._set_trouble(error.message)

    def _may_tell(self, entry: view.TimelineEntry) -> bool:
        return not self.withheld or entry.kind not in present.VERDICTS

    def _tell_changes(self, before: dict[str, view.CheckView], broken: frozenset[str]) -> None:
        if self.withheld:
            return
        for check in present.checks(self.level, self._state, self._seen, self.elapsed()):
            old = before[check.name]
            if (check.state, check.observed, check.problem, check.voided_by) != (
                old.state,
                old.observed,
                old.problem,
                old.voided_by,
            ):
                self._emit(view.CheckChanged(check, old.state))
        if self._state.broken != broken:
            for guard in present.guards(self.level, self._state):
                if guard.broken != (guard.name in broken):
                    self._emit(view.GuardChanged(guard))

    def _conclude(self) -> None:
        """The attempt is over: work the score out and close the books."""
        outcome = self._state.outcome
        if outcome is None:
            return
        elapsed = self.elapsed()
        state, seen = self._told()
        final = score(self.level, state, elapsed)
        before = self.store.best_score(self.record.level, without=self.record.id)
        if self.withheld:
            self.store.close_unscored(self.record.id, outcome, elapsed)
        else:
            self.store.set_outcome(self.record.id, outcome, final)
        self._result = Result(
            attempt_id=self.record.id,
            level=self.level,
            outcome=outcome,
            score=final,
            checks=present.checks(self.level, state, seen, elapsed),
            guards=present.guards(self.level, state),
            timeline=self._timeline,
            debrief=self.level.debrief,
            solutions=self.level.solutions,
            best=max(final.total, before or 0),
            best_before=before,
            in_exam=self.record.mode == "exam",
        )
        self._emit(view.PhaseChanged("over", outcome_word(outcome)))
        self._emit(view.Finished(self._result))
        for queue in self._listeners:
            queue.put_nowait(None)

    def _emit(self, event: PlayEvent) -> None:
        for queue in self._listeners:
            queue.put_nowait(event)

    # --- leading -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Begin to lead (where nobody else does) and to follow; returns when the first look is done."""
        self._end_in_time()
        await self._try_to_lead()
        self._task = asyncio.ensure_future(self._loop())
        self._task.add_done_callback(self._loop_ended)

    def _loop_ended(self, task: asyncio.Task[None]) -> None:
        """A bug in the loop is raised where the events are awaited, not lost."""
        if not task.cancelled() and (error := task.exception()) is not None:
            for queue in self._listeners:
                queue.put_nowait(error)

    async def _loop(self) -> None:
        version = -1
        while self._result is None:
            await self.clock.sleep(POLL)
            try:
                version = await self._step(version)
            except KuartuiError as error:  # a full disk, say: shown, and tried again
                self._stuck = self._stuck or isinstance(error, StorageError)
                self._set_trouble(error.message)

    async def _step(self, version: int) -> int:
        """Do what is due; the version of the store that was taken in."""
        now = self.store.data_version()
        if now != version or self._behind or self._state.over:
            self._sync()
        self._end_in_time()
        if not self._state.over and self._leader is not None and self.leading:
            self._leader.tick()
        if self._phase == "setup":
            self._stay_ahead()
        else:
            await self._revive()
            await self._try_to_lead()
        return now

    def _time_is_up(self) -> bool:
        """A task of an exam ends with the exam, whose clock is the wall's: also after a night with the lid closed."""
        if self._until is not None and self.store.now() >= self._until:
            return True
        if self._spent() < self.level.time_limit:
            return False
        # all was green in time, or there would be no drill: its end is waited for
        return self.record.mode == "exam" or not present.drill(self.level, self._state, self._spent())

    def _end_in_time(self) -> None:
        """What comes after the limit counts nothing, whether or not somebody looked when it was reached."""
        if not self._state.over and self._time_is_up():
            solved = self._strict and is_done(self.level, self._state)  # others end once they are
            self._write(Finished(at=self.elapsed(), outcome="solved" if solved else "time-up"))

    def _stay_ahead(self) -> None:
        """Keep the lead while the level is set up anew: whoever took it would judge what is half made."""
        now = self.clock.monotonic()
        if now - self._leased_at >= LEASE_EVERY:
            self._leased_at = now
            self.store.seize(self.record.id, self._holder)

    async def _revive(self) -> None:
        """A cluster whose process died is brought up again; the watches find it by themselves."""
        now = self.clock.monotonic()
        if (
            self._leader is not None and self._leader.arena.api.expired
        ):  # whoever leads anew does so with new credentials
            await self._drop_lead(release=False)
        if not self._trouble or not self.leading:
            self._troubled_at = now
        elif now - self._troubled_at >= REVIVE_EVERY:
            self._troubled_at = now
            with suppress(KuartuiError):  # what is wrong is shown already
                await self._find_sandbox()

    async def _try_to_lead(self) -> None:
        """Take the lead or keep it. Trouble with the cluster is shown, and tried again."""
        now = self.clock.monotonic()
        if self._state.over or now - self._leased_at < LEASE_EVERY:
            return
        self._leased_at = now
        if self.record.mode == "exam" and self._state.paused:  # it waits: what is green by now counts
            await self._drop_lead()
            return
        leads = self.store.lease(self.record.id, self._holder)
        if self._stuck:  # the store takes what it is given again
            self._stuck = False
            self._set_trouble("")
        if not leads:
            await self._drop_lead(release=False)
            return
        if self._leader is not None:
            return
        if self._half_made():
            self._go_on_with_reset()
            return
        leader: Leader | None = None
        try:
            await self._find_sandbox()
            leader = self._new_leader()
            await leader.lead()
            self._leader = leader
            self._set_trouble("")
        except KuartuiError as error:
            self._set_trouble(error.message)
        finally:  # also when the session is closed meanwhile
            if leader is not None and leader is not self._leader:
                await leader.stop()

    def _half_made(self) -> bool:
        return UNFINISHED in self.store.baseline(self.record.id)

    def _new_leader(self) -> Leader:
        if self.sandbox is None:
            raise AttemptError(later("the cluster of this attempt is gone"), hint="kuartui level finish --abandon")
        return Leader(
            self.level,
            self.record.id,
            self.sandbox,
            self.store,
            now=self.elapsed,
            state=lambda: self._state,
            wrote=self._take_in,
            trouble=self._set_trouble,
            late=self._time_is_up,
            ends=not self._strict,
        )

    async def _find_sandbox(self, report: Report = silent) -> None:
        """The attempt's place; a cluster that went down is brought up again."""
        await self.cluster.wake(report)
        async with alone(self.record.id):
            current = self.store.attempt(self.record.id)
            if current is not None and current.sandbox:  # else it was taken down meanwhile
                uid = cluster_of(self.store.baseline(current.id).get(INVENTORY))
                self.sandbox = await self.cluster.find(current.sandbox, uid=uid) or self.sandbox
        if self.sandbox is None:
            raise AttemptError(later("the cluster of this attempt is gone"), hint="kuartui level finish --abandon")
        self.clock = self.sandbox.clock

    async def _drop_lead(self, *, release: bool = True) -> None:
        leader, self._leader = self._leader, None
        if leader is not None:
            await leader.stop()
        if release:
            self.store.release(self.record.id, self._holder)

    async def _take_down(self) -> None:
        await take_down(self.record, self.level, self.cluster, self.store)

    def _set_clock(self, *, ticking: bool) -> None:
        at = self.elapsed()
        event = Resumed(at=at) if ticking else Paused(at=at)
        self.store.append(self.record.id, event, anchor=timer.anchor(self.clock, at, ticking=ticking))
        self._sync()

    def _set_trouble(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            self._emit(view.TroubleChanged(text))

    def _enter(self, phase: Phase, progress: str = "") -> None:
        self._phase, self._progress = phase, progress
        self._emit(view.PhaseChanged(phase, progress))

    def _reporting(self, report: Report) -> Report:
        def tell(progress: Progress) -> None:
            self._progress = progress.text
            self._emit(view.SetupProgress(progress.text, progress.step, progress.steps))
            report(progress)

        return tell

    def _must_run(self) -> None:
        self._sync()
        if self._state.over:
            raise AttemptError(later("the attempt is over"), hint="kuartui level start LEVEL")
