"""`level prove`: machine evidence that a level is sound.

Each run has a place of its own: a copy of where the level was set up (`kuartui.play.scene`), or one where it sets the
level up for itself. In every run the level must settle, each check be red and each guard whole. A solution must
then turn all green within par and survive the drills; a cheat must not, and must be caught by what the level names. In
the end every check must have caught a cheat (`kuartui.play.mutation`), and par be what it takes (`kuartui.game.par`).
After one solution everything is undone as on a shared cluster, and nothing may be left. Commands are run with the real
kubectl, `sh -c`, in a home of their own. On stepped time a proof takes the time that the work takes; on real clusters
it takes what the cluster takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kuartui.checks.engine import Engine
from kuartui.cluster.base import Cluster, Progress, Sandbox, silent
from kuartui.cluster.base import Report as Reporter
from kuartui.cluster.kubectl import find
from kuartui.containers.engine import Docker
from kuartui.errors import KuartuiError
from kuartui.game.attempt import AttemptState, is_clear, step
from kuartui.game.duration import clock_text
from kuartui.game.guards import guards_of, sticky_names
from kuartui.game.level import Cheat, Level, Solution
from kuartui.game.par import par_of
from kuartui.message import later, together
from kuartui.paths import scratch_dir
from kuartui.play import trail, workspace
from kuartui.play.arena import Arena, head_start, require
from kuartui.play.dockside import DOCKER, left, require_engine
from kuartui.play.drill import Performance
from kuartui.play.mutation import verdict
from kuartui.play.pace import Pace
from kuartui.play.recorder import news
from kuartui.play.scene import Scene
from kuartui.play.shell import Memory, Shell, remembering
from kuartui.play.supply import supply
from kuartui.progress.store import Store

What = Literal["level", "solution", "cheat", "undo", "mutation", "par"]
#: what a check or a guard is, where a proof says that it should be something else
STATES = {
    "passing": later("passing"),
    "failing": later("failing"),
    "holding": later("holding"),
    "waiting": later("waiting"),
    "unknown": later("unknown"),
}
CHEAT_SECONDS = 5.0  # of cluster time that a cheat gets on top of what the slowest solution took, and a quarter more
PAUSE = re.compile(r"sleep (\d+(?:\.\d+)?)s?")
START_SECONDS = 15.0  # for a real cluster to be as the level says after it was set up
LEISURE = 3.0  # probes look so much less often than in play: what counts is looked at once more in the end
CHEAT_STRIDE = 10.0  # the longest step while one is watched of which nothing has changed its colour
CHEAT_QUIET = 3.0  # and nothing may change for so long before it counts as over


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report. `seconds` is what it took here, `played` what the level's clock showed, `red` the checks
    that were not green in the end. `detail` may be a `later` text."""

    level: str
    seed: int
    what: What
    name: str
    ok: bool
    detail: str
    seconds: float = 0.0
    played: float = 0.0
    red: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """`left` counts the levels that a proof did not come to, or not to the end of, because it was interrupted."""

    lines: tuple[Line, ...]
    seconds: float
    left: int = 0

    @property
    def failed(self) -> tuple[str, ...]:
        """The levels with a line that failed."""
        return tuple(sorted({line.level for line in self.lines if not line.ok}))

    @property
    def passed(self) -> tuple[str, ...]:
        return tuple(sorted({line.level for line in self.lines} - set(self.failed)))

    def closing(self) -> str:
        """4 passed, 0 failed"""
        passed, failed = len(self.passed), len(self.failed)
        if not self.left:
            return later("{passed} passed, {failed} failed", passed=passed, failed=failed)
        return later(
            "{passed} passed, {failed} failed, {left} not proven", passed=passed, failed=failed, left=self.left
        )


def cut_short(lines: Sequence[Line], levels: Sequence[Level], seconds: float) -> Report:
    """What a proof says that was interrupted after these lines. They came level by level, so that only the last one
    may lack some; whatever failed has failed."""
    last = lines[-1].level if lines and lines[-1].what != "par" else ""
    whole = tuple(line for line in lines if line.level != last or not line.ok)
    return Report(whole, seconds, len({level.name for level in levels} - {line.level for line in whole}))


class ProofError(KuartuiError):
    """Why a run does not prove what it should."""


async def prove(
    levels: Sequence[Level],
    cluster: Cluster,
    *,
    jobs: int = 0,
    thorough: bool = False,
    on_line: Callable[[Line], None] = lambda _: None,
    report: Reporter = silent,
) -> Report:
    """Prove levels (already filled in for their seeds), several runs side by side where the cluster allows it; `report`
    hears of each run that is over.

    The first solution of a level is played with each of its seeds. Its other solutions and its cheats take turns: each
    is played with one of the seeds, or with all of them if the proof is to be `thorough`.
    """
    begun = time.monotonic()
    fast = cluster.kind == "embedded"
    wanted = max(1, jobs or (os.cpu_count() or 1) + 1) if fast else 1
    places: asyncio.Queue[Cluster] = asyncio.Queue()
    kubectl = find().path

    copies = fast and cluster.copies
    hands = wanted + 2  # levels begun and not done: lines come while the proof goes on
    in_hand, turns = asyncio.Semaphore(hands), asyncio.Semaphore(wanted)

    async def one(share: Share) -> list[Line]:
        async with in_hand:
            return await one_of(share)

    async def one_of(share: Share) -> list[Line]:
        level = share.level
        try:
            await supply(cluster, level)
            require(level, cluster.capabilities, cluster.name)
            await require_engine(level, Docker())
        except KuartuiError as error:
            return [Line(level.name, level.seed, "level", "start", False, error.message)]
        if not copies or DOCKER in level.needs:
            return await play(share)
        place = await places.get()
        try:
            runs = len(share.solutions) + len(share.cheats)
            async with turns:
                scene = await Scene.of(level, place, memory.allowed, head=share.head, runs=runs)
            try:
                return await play(share, place, scene)
            finally:
                await scene.close()
        except KuartuiError as error:
            return [Line(level.name, level.seed, "level", "start", False, error.message)]
        finally:
            places.put_nowait(place)

    async def play(share: Share, place: Cluster | None = None, scene: Scene | None = None) -> list[Line]:
        level = share.level
        lines: list[Line] = []
        patience = CHEAT_SECONDS
        for attempts in (share.solutions, share.cheats):
            runs = [
                Run(
                    level,
                    item,
                    kubectl,
                    memory,
                    fast=fast,
                    first=item is level.solutions[0],
                    patience=patience,
                    book=book,
                )
                for item in attempts
            ]
            played = [asyncio.ensure_future(in_turn(run, place, scene)) for run in runs]
            running.extend(played)
            for found in await asyncio.gather(*played):
                lines += found
            if faults := [line for line in lines if line.what == "level" and not line.ok]:
                return faults[:1]  # what does not start cannot be played either, whatever is tried
            slowest = max((line.played for line in lines if line.what == "solution"), default=0.0)
            patience = slowest * 1.25 + CHEAT_SECONDS
        return lines

    running: list[asyncio.Task[list[Line]]] = []
    closing: set[asyncio.Task[None]] = set()

    async def close(sandbox: Sandbox) -> None:
        """Where each run has a cluster of its own, let the next one begin while this one's goes away."""
        task = asyncio.create_task(sandbox.close())
        if fast:
            closing.add(task)
        else:
            await task

    engine = asyncio.Lock()  # there is one Docker engine, and names on it are taken

    async def in_turn(run: Run, kept: Cluster | None, scene: Scene | None) -> list[Line]:
        async with engine if DOCKER in run.level.needs else contextlib.nullcontext():
            place = kept or await places.get()
            try:
                async with turns:
                    return await run.lines(place, close, scene)
            finally:
                if kept is None:
                    places.put_nowait(place)
                tally.run()

    gathered: list[Line] = []
    async with contextlib.AsyncExitStack() as stack:
        book = await stack.enter_async_context(trail.following(cluster))
        memory = stack.enter_context(remembering())
        plan = (
            [Share(level, level.solutions, level.cheats, head_start(level)) for level in levels]
            if thorough
            else list(in_turns(levels))
        )
        runs = sum(len(share.solutions) + len(share.cheats) for share in plan)
        tally = Tally(report, runs, len({level.name for level in levels}))
        for place in await stack.enter_async_context(
            cluster.apart(min(hands, len(plan)) if copies else min(wanted, runs))
        ):
            places.put_nowait(place)
        tasks = [(share.level, asyncio.ensure_future(one(share))) for share in plan]
        stack.push_async_callback(end, [task for _, task in tasks], running, closing)
        for position, (level, task) in enumerate(tasks):
            await asyncio.wait([task])  # to be cancelled is for all of them at once, in end()
            lines = task.result()
            if all(other.name != level.name for other, _ in tasks[position + 1 :]):
                first = next(item for item, _ in tasks if item.name == level.name)
                played = [line for line in gathered if line.level == level.name]
                lines = [*lines, *_conclusions(first, [*played, *lines])]
                tally.level()
            for line in lines:
                gathered.append(line)
                on_line(line)
        await asyncio.gather(*closing)
    return Report(tuple(gathered), time.monotonic() - begun)


async def end(tasks: Iterable[asyncio.Task[Any]], *theirs: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel what is still running, and wait until it and what it has begun are through with cleaning up: where they
    play is about to go away. Who waits for tasks of `theirs` hands the cancelling on to them, once."""
    for task in tasks:
        task.cancel()
    for group in (tasks, *theirs):
        await asyncio.gather(*group, return_exceptions=True)


class Tally:
    """Counts the runs and the levels that are over, and reports each."""

    def __init__(self, report: Reporter, runs: int, levels: int) -> None:
        self._report, self._runs, self._levels = report, runs, levels
        self._runs_over = self._levels_over = 0
        self._tell()

    def run(self) -> None:
        self._runs_over += 1
        self._tell()

    def level(self) -> None:
        self._levels_over += 1
        self._tell()

    def _tell(self) -> None:
        text = later("{done} of {all} levels", done=self._levels_over, all=self._levels)
        self._report(Progress(text, self._runs_over, self._runs))


@dataclass(frozen=True, slots=True)
class Share:
    """What is played of a level with one of its seeds."""

    level: Level
    solutions: tuple[Solution, ...]
    cheats: tuple[Cheat, ...]
    head: float = 0.0  # seconds that have passed since the set-up began, when they are played on a copy of it


def in_turns(levels: Sequence[Level]) -> Iterator[Share]:
    """The first solution for every level; those of one name share the rest out among their seeds."""
    turns = Counter(level.name for level in levels)
    taken: Counter[str] = Counter()
    for level in levels:
        turn, step = taken[level.name], turns[level.name]
        taken[level.name] += 1
        others = level.solutions[1 + turn :: step]
        head = (
            head_start(level) if turn % 2 == 0 else 0.0
        )  # players come so much later; where they do not, it holds, too
        yield Share(level, (level.solutions[0], *others), level.cheats[turn::step], head)


def _conclusions(level: Level, lines: Sequence[Line]) -> list[Line]:
    """What all runs of a level, with all of its seeds, together say of it, once each holds by itself."""
    if not all(line.ok for line in lines):
        return []
    caught = {line.name: frozenset(line.red) for line in lines if line.what == "cheat"}
    par = par_of(level, settling=min(line.played for line in lines if line.what == "solution"))
    words = later("{par} for what comes to {sum}", par=clock_text(level.par_time), sum=clock_text(par.total))
    return [
        Line(level.name, level.seed, "mutation", "checks", *verdict(level, caught)),
        Line(level.name, level.seed, "par", "par", par.fits(level.par_time), words),
    ]


class Run:
    """One solution or cheat, in a place of its own."""

    def __init__(
        self,
        level: Level,
        attempt: Solution | Cheat,
        kubectl: Path,
        memory: Memory,
        *,
        fast: bool,
        first: bool,
        patience: float = CHEAT_SECONDS,
        book: Store | None = None,
    ) -> None:
        """`patience` is how long a cheat is watched, in seconds of cluster time, before it counts as none. `book` is
        where what is done on a cluster of others is written down."""
        self.level, self.attempt, self.kubectl, self.memory = level, attempt, kubectl, memory
        self.fast = fast and DOCKER not in level.needs  # containers of a Docker engine live on real time
        self.first, self.patience, self.book = first, patience, book
        self.state = AttemptState()
        self.found: list[Line] = []
        self.happened = 0  # steps of the level's own timeline
        self._sticky = sticky_names(level)
        self._refused = False
        self._failed_drill = ""
        self._failed: list[str] = []  # commands that did not end well, and what they said

    async def lines(
        self, cluster: Cluster, close: Callable[[Sandbox], Awaitable[None]], scene: Scene | None = None
    ) -> list[Line]:
        """Play it there, in the scene if there is one; what there is to report. `close` takes where it was played."""
        begun = time.monotonic()
        what: What = "solution" if isinstance(self.attempt, Solution) else "cheat"
        try:
            async with contextlib.AsyncExitStack() as stack:
                arena = await self._enter(cluster, scene, close, stack)
                detail, played = await self._play(arena)
            self._line(what, self.attempt.name, True, detail, time.monotonic() - begun, played)
        except ProofError as error:
            self._line(what, self.attempt.name, False, error.message, time.monotonic() - begun)
        except KuartuiError as error:
            if self.first:
                self._line("level", "start", False, error.message, time.monotonic() - begun)
            self._line(what, self.attempt.name, False, later("could not be played: {why}", why=error.message))
        return self.found

    def _line(self, what: What, name: str, ok: bool, detail: str, seconds: float = 0.0, played: float = 0.0) -> None:
        red = tuple(check.name for check in self.level.checks if check.name not in self.state.passed)
        self.found.append(Line(self.level.name, self.level.seed, what, name, ok, detail, seconds, played, red))

    async def _enter(
        self,
        cluster: Cluster,
        scene: Scene | None,
        close: Callable[[Sandbox], Awaitable[None]],
        stack: contextlib.AsyncExitStack,
    ) -> Arena:
        """Where the run is played, set up; the stack takes it away."""
        if scene is not None and (arena := await scene.enter()):
            stack.push_async_callback(self._leave, arena, close)
            return arena
        attempt_id = uuid.uuid4().hex[:12]
        head = head_start(self.level) if self.first else 0.0  # players start so much later than the cheats below
        if self.book is not None:
            trail.begin(self.book, self.level, attempt_id, cluster)
        sandbox = await cluster.sandbox(trail.place_of(attempt_id), fast=self.fast, head=head)
        arena = Arena(self.level, sandbox, attempt_id)
        stack.push_async_callback(self._leave, arena, close)
        arena.world.known = self.memory.allowed
        noting = trail.noting(self.book, attempt_id) if self.book is not None else {}
        await Pace(sandbox.clock).through(arena.prepare(take_inventory=self.first, **noting))
        return arena

    async def _leave(self, arena: Arena, close: Callable[[Sandbox], Awaitable[None]]) -> None:
        left = [] if arena.sandbox.disposable else await Pace(arena.clock).through(arena.undo())
        await arena.clear_docker()
        await arena.close()
        workspace.clear_away(arena.desk)
        await close(arena.sandbox)
        if self.book is not None and not left:
            trail.end(self.book, arena.attempt_id)

    async def _play(self, arena: Arena) -> tuple[str, float]:
        """What to say of it, and how long it took on the level's clock. Raises ProofError."""
        engine = await arena.follow(leisure=LEISURE if self.fast else 1.0)
        pace = Pace(arena.clock, lambda: engine.busy, lambda: arena.api.asked)
        await self._check_start(engine, pace, disposable=arena.sandbox.disposable)
        kubeconfig = await arena.sandbox.player_kubeconfig(self.level.namespace)
        begun = arena.clock.monotonic()
        detail = await self._perform(arena, engine, pace, kubeconfig)
        played = arena.clock.monotonic() - begun
        if self.first:
            await self._check_undo(arena, pace)
        return detail, played

    # --- the start and the end ------------------------------------------------------------------------------------

    async def _check_start(self, engine: Engine, pace: Pace, *, disposable: bool) -> None:
        """Every check red, every guard whole. A real cluster may need a moment more than it was given."""
        await pace.through(engine.looked())
        until = pace.clock.monotonic() + (0.0 if disposable else START_SECONDS)
        while wrong := self._wrong_at_the_start(engine):
            if pace.clock.monotonic() >= until:
                raise KuartuiError(together(wrong))
            await pace.step()
            await pace.through(engine.refresh())
        if self.first:
            words = later("{n} checks red, every guard whole", n=len(self.level.checks))
            self._line("level", "start", True, together([words, *self._silent(engine)]))

    def _wrong_at_the_start(self, engine: Engine) -> list[str]:
        wrong = []
        for check in self.level.checks:
            finding = engine.findings[check.name]
            if finding.state not in ("failing", "waiting"):
                text = later("check {name} is {state} at the start", name=check.name, state=STATES[finding.state])
                wrong.append(_because(text, finding.problem, finding.observed))
        for guard in guards_of(self.level):
            finding = engine.findings[guard.name]
            if finding.state != "passing":
                text = later("guard {name} is {state} at the start", name=guard.name, state=STATES[finding.state])
                wrong.append(_because(text, finding.problem, finding.observed))
        return wrong

    def _silent(self, engine: Engine) -> list[str]:
        """The checks whose `observe` comes to nothing at the start, so that the player is told nothing."""
        return [
            later(
                "check {name} does not say what it sees: its observe is empty, or asks for what is not there"
                " (then x.?y.orValue(0) helps)",
                name=check.name,
            )
            for check in self.level.checks
            if getattr(check.spec, "observe", "")
            and not engine.findings[check.name].observed
            and engine.findings[check.name].state == "failing"
        ]

    async def _check_undo(self, arena: Arena, pace: Pace) -> None:
        found = await pace.through(arena.undo())
        if arena.stock is not None:
            found += await arena.clear_docker() or await left(arena.stock, arena.docker)
        words = later("nothing is left behind")
        if found:
            words = later("left behind: {names}", names=", ".join(found[:5]))
        self._line("undo", "undo", not found, words)

    # --- solutions and cheats ---------------------------------------------------------------------------------------

    async def _perform(self, arena: Arena, engine: Engine, pace: Pace, kubeconfig: Path) -> str:
        begun = arena.clock.monotonic()
        home = Path(tempfile.mkdtemp(prefix="kuartui-proof-", dir=scratch_dir()))
        try:
            serves = f"{self.level.name}-{self.level.seed}"
            place = workspace.folder(arena.desk)
            shell = Shell(home, kubeconfig, self.kubectl, self.memory, serves, place)
            if DOCKER in self.level.needs:
                shell.environment["DOCKER_HOST"] = arena.docker.address
            for line in self.attempt.run:
                code, said = await self._line_of(line, shell, pace)
                if code:
                    text = later(
                        "`{command}` ended with exit code {code}: {said}",
                        command=" ".join(line.split()),
                        code=code,
                        said=said,
                    )
                    self._failed.append(text)
                await self._happen(arena, pace, begun)
                self._absorb(engine)
                if code and isinstance(self.attempt, Solution):
                    raise ProofError(self._failed[-1])
        finally:
            await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
        await pace.calm()

        async def happen() -> None:
            await self._happen(arena, pace, begun)

        if isinstance(self.attempt, Cheat):
            self._refused = shell.refused and not arena.sandbox.disposable
            return await self._expect_caught(self.attempt, arena, engine, pace, happen)
        limit = self.attempt.settle or self.level.par_time
        await self._until_green(engine, pace, begun, limit, happen)
        for drill in self.level.after:
            await self._drill(Performance(drill, arena.world), engine, pace, happen)
        took = arena.clock.monotonic() - begun
        return later("all green after {time} (par {par})", time=clock_text(took), par=clock_text(self.level.par_time))

    async def _drill(
        self, performance: Performance, engine: Engine, pace: Pace, happen: Callable[[], Awaitable[None]]
    ) -> None:
        """Raises ProofError where it does not lead to what it should, or all is not green again in time."""
        drill = performance.drill
        try:
            await pace.through(performance.begin())
            await pace.step()
            until = pace.clock.monotonic() + drill.within
            while missing := await pace.through(performance.missing()):
                if pace.clock.monotonic() > until:
                    text = later("drill {name}: not within {time}", name=drill.name, time=clock_text(drill.within))
                    raise ProofError(_because(text, missing))
                await pace.step()
                await happen()
        finally:
            await pace.through(performance.end())
        await self._until_green(engine, pace, pace.clock.monotonic(), drill.settle, happen)

    async def _line_of(self, line: str, shell: Shell, pace: Pace) -> tuple[int, str]:
        """Play a line. One that only sleeps sleeps on the cluster's time."""
        pause = PAUSE.fullmatch(line.strip())
        if pause:
            await pace.pass_by(float(pause[1]))
            return 0, ""
        return await pace.beside(shell.run(line), shell.glance)

    async def _happen(self, arena: Arena, pace: Pace, begun: float) -> None:
        """What the level's own timeline has for this moment."""
        for event in self.level.setup.events[self.happened :]:
            if event.at > arena.clock.monotonic() - begun:
                break
            self.happened += 1
            await pace.through(arena.change(event.stage))

    async def _until_green(
        self, engine: Engine, pace: Pace, begun: float, limit: float, happen: Callable[[], Awaitable[None]]
    ) -> None:
        """Let time pass until every check is green, and still is after another look at everything."""
        while True:
            await happen()
            self._absorb(engine)
            if is_clear(self.level, self.state):
                await pace.through(engine.refresh())
                self._absorb(engine)
                if is_clear(self.level, self.state):
                    return
            if self._hopeless():
                raise ProofError(later("a guard broke: {what}", what=self._words(engine)))
            if pace.clock.monotonic() - begun > limit:
                raise ProofError(
                    later("not all green within {time}: {what}", time=clock_text(limit), what=self._words(engine))
                )
            await pace.stride(engine.findings)

    async def _expect_caught(
        self, cheat: Cheat, arena: Arena, engine: Engine, pace: Pace, happen: Callable[[], Awaitable[None]]
    ) -> str:
        begun = quiet_since = pace.clock.monotonic()
        before = self.state
        while self._missed(cheat) or not self._hopeless():
            now = pace.clock.monotonic()
            if self.state.passed != before.passed or self.state.broken != before.broken:
                before, quiet_since = self.state, now
            if now - begun > self.patience and now - quiet_since > CHEAT_QUIET:
                break
            await pace.stride({name: found.state for name, found in engine.findings.items()}, CHEAT_STRIDE)
            await happen()
            self._absorb(engine)
        await pace.through(engine.refresh())
        self._absorb(engine)
        if is_clear(self.level, self.state) and not await self._fails_a_drill(arena, engine, pace, happen):
            raise ProofError(later("it counts as a solution: all green, every guard whole"))
        missing = self._missed(cheat)
        if missing and self._refused:
            return later("refused: on this cluster the player's account may not do it")
        if missing:
            text = later("not caught by {names}; it is: {what}", names=", ".join(missing), what=self._words(engine))
            raise ProofError(self._noted(text))
        return self._noted(later("caught by {names}", names=", ".join(cheat.caught_by)))

    async def _fails_a_drill(
        self, arena: Arena, engine: Engine, pace: Pace, happen: Callable[[], Awaitable[None]]
    ) -> bool:
        for drill in self.level.after:
            try:
                await self._drill(Performance(drill, arena.world), engine, pace, happen)
            except ProofError:
                self._failed_drill = drill.name
                return True
        return False

    def _noted(self, text: str) -> str:
        """With the commands of a cheat that failed. That may be the point (the cluster refuses), or a slip of the
        author."""
        return _because(text, together(self._failed))

    def _missed(self, cheat: Cheat) -> list[str]:
        """What should have caught it, and has not (yet)."""
        red = {check.name for check in self.level.checks if check.name not in self.state.passed}
        return [name for name in cheat.caught_by if name not in red | self.state.broken | {self._failed_drill}]

    def _absorb(self, engine: Engine) -> None:
        for event in news(self.level, self.state, engine.findings, engine.world.clock.monotonic()):
            self.state = step(self.state, event, self._sticky)

    def _hopeless(self) -> bool:
        """A broken guard that nothing mends."""
        return bool(self.state.broken & self._sticky)

    def _words(self, engine: Engine) -> str:
        red = [engine.findings[check.name] for check in self.level.checks if check.name not in self.state.passed]
        words = [
            _because(
                later("{name} is {state}", name=finding.name, state=STATES[finding.state]),
                finding.problem,
                finding.observed,
            )
            for finding in red
        ]
        words += [
            _because(later("guard {name} is broken", name=name), self.state.why.get(name, ""))
            for name in sorted(self.state.broken)
        ]
        return together(words) or later("all green")


def _because(text: str, *reasons: str) -> str:
    """The text, and behind it the first reason that there is."""
    why = next((reason for reason in reasons if reason), "")
    return later("{text} ({why})", text=text, why=why) if why else text
