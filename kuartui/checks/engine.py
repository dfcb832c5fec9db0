"""The live engine: follows every check and guard of a level and says at once when one changes.

What a question reads is watched; a change there makes it look again. Probes also look by themselves, on the cluster's
clock. A question that cannot be answered (the cluster is away, an answer makes no sense) is `unknown` with a reason and
comes back by itself. `hold` counts how long a check has been true without a break; `after` keeps it waiting for others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from kuartui.checks.evidence import Evidence, NotThereError, Verdict
from kuartui.checks.history import holds_now
from kuartui.checks.registry import kind_of
from kuartui.checks.universal import UNIVERSAL
from kuartui.checks.world import World
from kuartui.cluster.watch import Change
from kuartui.errors import ClusterError, KuartuiError, NoKindError
from kuartui.game.guards import GlobalGuard, guards_of
from kuartui.game.level import Check, Guard
from kuartui.game.spec import HistorySpec, ResourceQuery
from kuartui.translate import tr

#: waiting: other checks come first; unknown: not looked at yet, or it cannot be told
State = Literal["waiting", "unknown", "failing", "holding", "passing"]
CALM = 0.1  # seconds between two looks of a probe, however much changes around it
STEADY = 4  # periods with the same finding, after which a probe looks
SLOWER = 3  # times less often


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known about a check or guard. `held_since` is on the cluster's monotonic clock."""

    name: str
    state: State = "unknown"
    observed: str = ""
    problem: str = ""
    held_since: float | None = None
    evidence: Evidence | None = field(default=None, compare=False, repr=False)


def undecided(name: str, findings: Mapping[str, Finding], after: Mapping[str, Collection[str]]) -> bool:
    """Whether a check waits only until those before it (`after`, by name) have been looked at."""
    others = [findings[other] for other in after[name]]
    return bool(others) and all(
        other.state in ("passing", "unknown") or (other.state == "waiting" and undecided(other.name, findings, after))
        for other in others
    )


@dataclass(slots=True)
class _Item:
    """A question with all that the engine needs to follow it."""

    name: str
    look: Callable[[], Awaitable[tuple[Evidence, Verdict]]]
    reads: tuple[ResourceQuery, ...]
    hold: float = 0.0
    after: tuple[str, ...] = ()
    period: float | None = None
    exact: Callable[[], bool] | None = None  # judges this very moment, for questions about every moment
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    unserved: bool = False  # what it reads is of a kind that the cluster does not know yet
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    seen: asyncio.Event = field(default_factory=asyncio.Event)  # once and for all


class Engine:
    """`on_change(finding, before)` is called at every change of state or observation, `on_trouble(text)` when the
    cluster goes away ("" when it is back), `on_violation(name)` when a history question was first seen false."""

    def __init__(
        self,
        world: World,
        *,
        on_change: Callable[[Finding, Finding], None] = lambda _now, _before: None,
        on_trouble: Callable[[str], None] = lambda _: None,
        on_violation: Callable[[str], None] = lambda _: None,
        leisure: float = 1.0,
        passed: Collection[str] = (),
        seen: Mapping[str, Finding] | None = None,
    ) -> None:
        """`leisure` stretches the periods of probes, for those who ask for a `refresh` when it matters. `passed` names
        the checks that passed when another engine looked last: what of them is still true was held long enough. `seen`
        is what another engine found at this very moment, on what this cluster is a copy of: what it saw something of
        is not looked at again before something changes."""
        self.world = world
        self._leisure = leisure
        self.findings: dict[str, Finding] = {}
        self.trouble = ""
        self._on_change, self._on_trouble, self._on_violation = on_change, on_trouble, on_violation
        self._items: dict[str, _Item] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._started = False
        self._forced: set[str] = set()
        self._checks = tuple(check.name for check in world.level.checks)
        for question in (*world.level.checks, *guards_of(world.level)):
            item = self._global(question) if isinstance(question, GlobalGuard) else self._question(question)
            self._items[item.name] = item
            held_since = self.world.clock.monotonic() - item.hold if item.name in passed else None
            self.findings[item.name] = Finding(item.name, held_since=held_since)
            known = (seen or {}).get(item.name)
            if known is not None and known.evidence:
                self.findings[item.name] = known
                item.seen.set()

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Watch what the questions read and begin to follow them. ClusterError when the cluster does not answer."""
        self.world.objects.on_problem.append(self._problem)
        for item in self._items.values():
            await self._begin(item)
        self._started = True
        for item in self._items.values():
            self._spawn(self._follow(item), f"check {item.name}")
            if item.period is not None:
                self._spawn(self._tick(item, item.period * self._leisure), f"period {item.name}")

    async def _begin(self, item: _Item) -> None:
        """Watch what a question reads. A kind that it waits for may be made by the player: then it is watched later."""
        try:
            await self.world.objects.follow(item.reads, self._waker(item))
        except NoKindError:
            if not item.after:
                raise
            item.unserved = True

    async def stop(self) -> None:
        """Stop following; the findings stay."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def looked(self) -> None:
        """Return when everything has been looked at once."""
        for item in self._items.values():
            await item.seen.wait()

    async def refresh(self) -> None:
        """Look at everything once more, probes included, and return when all have been looked at."""
        await asyncio.gather(*(self._look(item) for item in self._items.values()))
        for item in self._items.values():  # those that waited may have their turn now
            if item.after:
                await self._look(item)

    def force(self, name: str) -> None:
        """Let a check pass from now on, whatever is seen: to prove that a proof would notice."""
        self._forced.add(name)
        self._items[name].dirty.set()

    @property
    def busy(self) -> bool:
        """Whether some question is being looked at this moment, or is about to be."""
        return any(item.looking.locked() for item in self._items.values())

    def _undecided(self, name: str) -> bool:
        return undecided(name, self.findings, {item.name: item.after for item in self._items.values()})

    def hold_left(self, name: str) -> float:
        """Seconds of cluster time until a holding check passes."""
        finding, item = self.findings[name], self._items[name]
        if finding.held_since is None:
            return item.hold
        return max(0.0, item.hold - (self.world.clock.monotonic() - finding.held_since))

    def green(self) -> bool:
        """Every check passes and no guard is known to be broken."""
        return all(
            finding.state == "passing" if finding.name in self._checks else finding.state != "failing"
            for finding in self.findings.values()
        )

    # --- following ----------------------------------------------------------------------------------------------

    def _spawn(self, work: Awaitable[None], name: str) -> None:
        self._tasks.append(asyncio.ensure_future(work))
        self._tasks[-1].set_name(name)

    async def _follow(self, item: _Item) -> None:
        while True:
            if not item.seen.is_set() or item.dirty.is_set():  # else another engine has looked
                await self.world.clock.rest()
                item.dirty.clear()
                await self._look(item)
            if item.period is not None:
                await self.world.clock.sleep(CALM)
            await item.dirty.wait()

    async def _tick(self, item: _Item, period: float) -> None:
        """Look by itself, less often while always the same is seen."""
        since = self.world.clock.monotonic()
        before = self.findings[item.name]
        while True:
            now = self.world.clock.monotonic()
            if self.findings[item.name] != before:
                before, since = self.findings[item.name], now
            await self.world.clock.sleep(period * (SLOWER if now - since > STEADY * period else 1))
            item.dirty.set()

    async def _look(self, item: _Item) -> None:
        async with item.looking:
            await self._look_now(item)
            item.seen.set()

    async def _look_now(self, item: _Item) -> None:
        if item.name in self._forced:
            self._settle(item, Finding(item.name, "passing"))
            return
        if any(self.findings[name].state != "passing" for name in item.after):
            held_since = self.findings[item.name].held_since if self._undecided(item.name) else None
            self._settle(item, Finding(item.name, "waiting", held_since=held_since))
            return
        try:
            if item.unserved:
                self.world.objects.forget_kinds()
                await self.world.objects.follow(item.reads, self._waker(item))
                item.unserved = False
            evidence, verdict = await item.look()
        except NoKindError as error:
            evidence, verdict = {}, Verdict(False, tr(error.message))
            self._again(item, 1.0)
        except NotThereError as absent:
            evidence, verdict = {}, Verdict(False, tr(absent.args[0]))
        except KuartuiError as error:
            evidence, verdict = {}, Verdict(None, problem=tr(error.message))
            if isinstance(error, ClusterError) and item.period is None:
                self._again(item, 1.0)
        except (LookupError, TypeError, ValueError, AttributeError) as error:  # objects that are none
            what = f"{type(error).__name__}: {error}"
            problem = tr("the cluster's answer makes no sense ({what})", what=what)
            evidence, verdict = {}, Verdict(None, problem=problem)
        self._judge(item, evidence, verdict)

    def _judge(self, item: _Item, evidence: Evidence, verdict: Verdict) -> None:
        before, now = self.findings[item.name], self.world.clock.monotonic()
        finding = Finding(item.name, "failing", verdict.observed, verdict.problem, evidence=evidence)
        if verdict.holds is None:
            finding = replace(finding, state="unknown", held_since=before.held_since)
        elif verdict.holds:
            since = before.held_since if before.held_since is not None else now
            held = now - since >= item.hold - 1e-6
            finding = replace(finding, state="passing" if held else "holding", held_since=since)
            if not held and before.held_since is None:
                self._again(item, item.hold)
        self._settle(item, finding)

    def _settle(self, item: _Item, finding: Finding) -> None:
        before = self.findings[item.name]
        self.findings[item.name] = finding
        if finding == before:
            return
        if (finding.state == "passing") != (before.state == "passing"):
            for other in self._items.values():
                if item.name in other.after:
                    other.dirty.set()
        self._on_change(finding, before)

    def _again(self, item: _Item, seconds: float) -> None:
        async def later() -> None:
            await self.world.clock.sleep(seconds)
            item.dirty.set()

        self._tasks = [task for task in self._tasks if not task.done()]
        self._spawn(later(), f"again {item.name}")

    def _waker(self, item: _Item) -> Callable[[Change], None]:
        def wake(change: Change) -> None:
            item.dirty.set()
            if item.exact is not None and self._started and not change.listed and not item.exact():
                self._violate(item.name)

        return wake

    def _violate(self, name: str) -> None:
        if name not in self.world.violated:
            self.world.violated.add(name)
            self._on_violation(name)

    def _problem(self, problem: str) -> None:
        if problem != self.trouble:
            self.trouble = problem
            self._on_trouble(problem)
            for item in self._items.values():
                item.dirty.set()

    # --- questions ------------------------------------------------------------------------------------------------

    def _question(self, question: Check | Guard) -> _Item:
        kind, spec, name = kind_of(question), question.spec, question.name
        before: tuple[Evidence, Verdict] | None = None

        async def look() -> tuple[Evidence, Verdict]:
            nonlocal before
            if (
                self.trouble and kind.period(spec) is None
            ):  # copies out of date prove nothing; probes ask for themselves
                raise ClusterError(self.trouble)
            evidence = await kind.observe(spec, self.world, name)
            if before is None or before[0] != evidence:  # judging is pure: the same evidence has the same verdict
                before = (evidence, kind.judge(spec, evidence))
            return evidence, before[1]

        item = _Item(name, look, kind.reads(spec), period=kind.period(spec))
        if isinstance(spec, HistorySpec):
            item.exact = partial(holds_now, spec, self.world, name)
        if isinstance(question, Check):
            item.hold, item.after = float(question.hold), question.after
        return item

    def _global(self, guard: GlobalGuard) -> _Item:
        kind = UNIVERSAL[guard.name]

        async def look() -> tuple[Evidence, Verdict]:
            if self.trouble:
                raise ClusterError(self.trouble)
            now = await kind.look(self.world)
            start = self.world.baseline.get(guard.name)
            if start is None:
                return now, Verdict(None, problem=tr("the state at the start is not known"))
            return {"start": start, "now": now}, kind.judge(start, now)

        return _Item(guard.name, look, kind.reads(self.world.level))
