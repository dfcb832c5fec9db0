"""What the leading process of an attempt does: runs the live checks, records what they find, ends the attempt.

There is one leader at a time. It writes events and findings to the store and nowhere else, so that every process that
has a session of the attempt, this one included, learns of them in the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from kuartui.checks.engine import Engine, Finding
from kuartui.cluster.base import Report, Sandbox, silent
from kuartui.cluster.clock import Clock
from kuartui.containers.traces import Stock
from kuartui.errors import KuartuiError
from kuartui.game.attempt import AttemptState, is_clear
from kuartui.game.events import DrillFailed, DrillPassed, DrillStarted, Finished, TimelineFired, Violated
from kuartui.game.guards import sticky_names
from kuartui.game.level import Drill, Level
from kuartui.game.spec import ResourceQuery
from kuartui.play.arena import Arena
from kuartui.play.chronicle import Chronicle
from kuartui.play.cleanup import Before
from kuartui.play.drill import Performance
from kuartui.play.ledger import Ledger
from kuartui.play.observe import WHOLE, scope
from kuartui.play.pace import Pace
from kuartui.play.present import Seen
from kuartui.play.recorder import news
from kuartui.play.setup import Setup
from kuartui.progress.store import Made, Store
from kuartui.translate import tr

CONFIRM = 0.5  # seconds that all must stay green: a guard may take as long to see what a check saw at once
DRILL_PAUSE = 2.0  # seconds until what a drill does shows
INVENTORY = "@inventory"  # beside the baselines of questions, whose names cannot hold an @
STOCK = "@docker"
UNFINISHED = "@unfinished"  # while the level is set up anew: whoever finds it later has to begin that again
ASKED = "@asked"  # beside the findings: what another process wishes that the leader looks at everything
LOOKED = "@looked"  # and the last such wish that came true


class Leader:
    """Leads one attempt. `now()` is the attempt's clock, `state()` its recorded state, `wrote()` is called after each
    write to the store, `trouble(text)` when the cluster goes away or comes back. `late()` says that the time is over:
    what is seen from then on is not recorded. `ends`: whether the attempt ends by itself once all is green."""

    def __init__(
        self,
        level: Level,
        attempt_id: str,
        sandbox: Sandbox,
        store: Store,
        *,
        now: Callable[[], float],
        state: Callable[[], AttemptState],
        wrote: Callable[[], None],
        trouble: Callable[[str], None],
        late: Callable[[], bool] = lambda: False,
        ends: bool = True,
    ) -> None:
        self.level, self.attempt_id, self.store = level, attempt_id, store
        self.arena = Arena(level, sandbox, attempt_id)
        self._now, self._state, self._wrote, self._trouble, self._late = now, state, wrote, trouble, late
        self._ends = ends
        self._ending: asyncio.Task[None] | None = None
        self._firing: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._drill_failed = False
        self._renewing = False
        self._chronicle = Chronicle(now)
        self._sticky = sticky_names(level)
        self._ledger = Ledger(store, attempt_id, wrote=wrote, trouble=self._store_trouble)

    @classmethod
    def for_setup(cls, level: Level, attempt_id: str, sandbox: Sandbox, store: Store) -> Leader:
        """A leader that only sets the level up: there is no attempt to record yet."""
        return cls(
            level,
            attempt_id,
            sandbox,
            store,
            now=lambda: 0.0,
            state=AttemptState,
            wrote=lambda: None,
            trouble=lambda _: None,
        )

    @property
    def clock(self) -> Clock:
        return self.arena.clock

    @property
    def engine(self) -> Engine | None:
        return self.arena.engine

    # --- life -----------------------------------------------------------------------------------------------------

    async def prepare(self, report: Report = silent) -> None:
        """Set the level up and store the baseline."""
        self._keep(await Pace(self.clock).through(self._prepared(report)))

    async def _prepared(self, report: Report) -> dict[str, Any]:
        return await self.arena.prepare(report, self._note, found=self._found, stocked=self._stocked)

    async def renew(self, report: Report = silent) -> None:
        """Set the level up anew."""
        await self._quiet()
        stored = self.store.baseline(self.attempt_id)
        self.arena.before, self.arena.stock = stored.get(INVENTORY), stored.get(STOCK)
        self.arena.made = self.store.made(self.attempt_id)
        self._renewing = True
        self.store.set_baseline(self.attempt_id, {**stored, UNFINISHED: True})
        self.store.clear_findings(self.attempt_id)
        await self.arena.vacate(report)
        self.store.forget_made(self.attempt_id)  # not before it is undone: that may have to be gone on with
        await self.prepare(report)

    async def lead(self) -> None:
        """Start the live checks with what the store knows of the start."""
        stored = self.store.baseline(self.attempt_id)
        self.arena.before = stored.pop(INVENTORY, None)
        self.arena.stock = stored.pop(STOCK, None)
        self.arena.made = self.store.made(self.attempt_id)
        self.arena.world.baseline = stored
        self.arena.world.violated = set(self._state().violated)
        await self.arena.follow(
            on_change=self._changed,
            on_trouble=self._trouble,
            on_violation=self._violated,
            passed=self._state().passed,
        )
        await self._after_a_death()
        await self._listen()

    async def _after_a_death(self) -> None:
        """Whoever led in a drill is gone: what was done in a container is undone; it comes again when all is green."""
        name, _ = self._state().drilling or ("", 0.0)
        drill = next((item for item in self.level.after if item.name == name), None)
        if drill is None:
            return
        await Performance(drill, self.arena.world).recover()
        self._ledger.events(DrillFailed(at=self._now(), drill=name, why=tr("it was interrupted")))

    async def _listen(self) -> None:
        """Hear of what changes in the level's objects, for the timeline."""
        found = scope(self.level)
        for kind, version in found.kinds:
            for namespace in sorted(found.namespaces):
                query = ResourceQuery(kind=kind, api_version=version, namespace=namespace)
                with suppress(KuartuiError):  # a kind that this cluster does not have (yet)
                    await self.arena.world.objects.follow([query], self._chronicle.heard)
                if kind in WHOLE:
                    break

    async def stop(self) -> None:
        """Stop leading; the level stays as it is."""
        await self._quiet()
        await self.arena.close()

    async def undo(self) -> None:
        """Remove what the attempt made, where its place does not go away as a whole."""
        await self._quiet()
        if not self.arena.sandbox.disposable:
            stored = self.store.baseline(self.attempt_id)
            self.arena.before = stored.get(INVENTORY)
            self.arena.made = self.store.made(self.attempt_id)
            await self.arena.undo()

    async def refresh(self) -> None:
        """Look at everything now."""
        if self.engine is not None:
            await self.engine.refresh()
            self._record()

    def heed(self, findings: dict[str, dict[str, Any]]) -> None:
        """Look at everything if another process has asked for it since the last time."""
        wish = findings.get(ASKED)
        if wish and wish != findings.get(LOOKED) and (self._looking is None or self._looking.done()):
            self._looking = asyncio.ensure_future(self._look_for(wish))

    async def _look_for(self, wish: dict[str, Any]) -> None:
        with suppress(KuartuiError):  # what is wrong is shown already
            await self.refresh()
        self._ledger.finding(LOOKED, wish)

    def tick(self) -> None:
        """To be called several times a second: does what is due by the attempt's clock."""
        entries = self._chronicle.take()
        if entries:
            self._ledger.changes(entries)
            if self._drill_failed and any(kind == "write" for _, kind, _ in entries):  # it may be mended by that
                self._drill_failed = False
                self._record()
        elif self._ledger.stuck:
            self._ledger.flush()
        due = [
            index
            for index, event in enumerate(self.level.setup.events)
            if event.at <= self._now() and index not in self._reached().fired
        ]
        if due and (self._firing is None or self._firing.done()):
            self._firing = asyncio.ensure_future(self._fire(due[0]))

    async def _quiet(self) -> None:
        for task in (self._ending, self._firing, self._looking):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._ending = self._firing = self._looking = None

    def _keep(self, baseline: dict[str, Any]) -> None:
        self._renewing = False
        self.store.set_baseline(self.attempt_id, {**baseline, **self._start()})

    def _start(self) -> dict[str, Any]:
        """What was there before the level was."""
        found = {INVENTORY: self.arena.before, STOCK: self.arena.stock, UNFINISHED: self._renewing or None}
        return {key: value for key, value in found.items() if value is not None}

    def _found(self, before: Before) -> None:
        """What was there is stored before anything is made, for whoever cleans up after a crash."""
        self.store.set_baseline(self.attempt_id, {**self._start(), INVENTORY: before})

    def _stocked(self, stock: Stock) -> None:
        self.store.set_baseline(self.attempt_id, {**self._start(), STOCK: stock})

    def _note(self, made: list[Made]) -> None:
        self.store.note_made(self.attempt_id, made)

    # --- recording --------------------------------------------------------------------------------------------------

    def _changed(self, finding: Finding, _before: Finding) -> None:
        self._ledger.finding(finding.name, self._plain(finding))
        self._record()

    def _store_trouble(self, text: str) -> None:
        self._trouble(text or (self.engine.trouble if self.engine is not None else ""))

    def _reached(self) -> AttemptState:
        """Where the attempt stands, with what the store did not take yet."""
        return self._ledger.after(self._state(), self._sticky)

    def _plain(self, finding: Finding) -> dict[str, Any]:
        held = None
        if finding.held_since is not None:
            held = self._now() - (self.clock.monotonic() - finding.held_since)
        return {
            "state": finding.state,
            "observed": finding.observed,
            "problem": finding.problem,
            "held_since": held,
        }

    def _record(self) -> None:
        if self.engine is None or self._reached().over or self._late():
            return
        self._note_news()
        if is_clear(self.level, self._reached()) and (self._ending is None or self._ending.done()):
            self._ending = asyncio.ensure_future(self._end(self._now()))

    def _violated(self, name: str) -> None:
        self._ledger.events(Violated(at=self._now(), question=name))

    def _note_news(self) -> None:
        if self.engine is not None:
            events = news(self.level, self._reached(), self.engine.findings, self._now())
            if events:
                self._ledger.events(*events)
            else:
                self._wrote()

    # --- what happens by itself -------------------------------------------------------------------------------------

    async def _end(self, at: float) -> None:
        """All is green: make sure of it, run the drills, and end the attempt as of the moment when it became so, if it
        is to end by itself."""
        if not await self._confirmed():
            return
        for drill in self.level.after:
            if drill.name not in self._reached().drills and not await self._drill(drill):
                return
        if self._ends and not self._reached().over:
            self._ledger.events(Finished(at=at, outcome="solved"))

    async def _confirmed(self) -> bool:
        await self.clock.sleep(CONFIRM)
        if self.engine is None:
            return False
        await self.engine.refresh()
        self._note_news()
        return is_clear(self.level, self._reached())

    async def _drill(self, drill: Drill) -> bool:
        self._ledger.events(DrillStarted(at=self._now(), drill=drill.name))
        performance = Performance(drill, self.arena.world)
        try:
            missing = await self._came_of(performance)
        except KuartuiError as error:
            self._trouble(error.message)
            return False
        if not missing:
            until = self.clock.monotonic() + drill.settle  # the attempt's clock may be stopped, or at the limit
            while self.clock.monotonic() < until:
                if is_clear(self.level, self._reached()) and await self._confirmed():
                    self._ledger.events(DrillPassed(at=self._now(), drill=drill.name))
                    return True
                await self.clock.sleep(CONFIRM)
        self._ledger.events(DrillFailed(at=self._now(), drill=drill.name, why=missing))
        self._drill_failed = True
        return False

    async def _came_of(self, performance: Performance) -> str:
        """Do a drill, wait for what should come of it, and undo it; what did not come in time."""
        try:
            await performance.begin()
            await self.clock.sleep(DRILL_PAUSE)
            until = self.clock.monotonic() + performance.drill.within
            while (missing := await performance.missing()) and self.clock.monotonic() < until:
                await self.clock.sleep(CONFIRM)
            return missing
        finally:
            await performance.end()

    async def _fire(self, index: int) -> None:
        """One step of the level's own timeline."""
        event = self.level.setup.events[index]
        try:
            world = self.arena.world
            setup = Setup(world, self.attempt_id, note=self._note, report=silent, patient=True)
            await setup.change(event.stage)
        except KuartuiError as error:
            self._trouble(error.message)
            return
        self._ledger.events(TimelineFired(at=self._now(), index=index))


def asking() -> dict[str, Any]:
    """A wish that all is looked at, told from every other; to be stored as ASKED."""
    return {"wish": uuid4().hex}


def seen(findings: dict[str, dict[str, Any]]) -> dict[str, Seen]:
    """Stored findings as snapshots show them."""
    return {
        name: Seen(item["state"], item["observed"], item["problem"], item["held_since"])
        for name, item in findings.items()
        if name not in (ASKED, LOOKED)
    }
