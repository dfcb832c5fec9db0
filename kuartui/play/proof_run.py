"""One run of a proof: a solution or a cheat of a level, played in a place of its own.

In every run the level must settle, each check be red and each guard whole. A solution must then turn all green within
par and survive the drills; a cheat must not, and must be caught by what the level names. After one solution everything
is undone as on a shared cluster, and nothing may be left. Commands are run with the real kubectl, `sh -c`, in a home of
their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kuartui.checks.engine import Engine
from kuartui.cluster.base import Cluster, Sandbox
from kuartui.errors import KuartuiError
from kuartui.game.attempt import AttemptState, is_clear, step
from kuartui.game.duration import clock_text
from kuartui.game.guards import guards_of, sticky_names
from kuartui.game.level import Cheat, Level, Solution
from kuartui.message import later, together
from kuartui.paths import scratch_dir
from kuartui.play import trail, workspace
from kuartui.play.arena import Arena, head_start
from kuartui.play.dockside import DOCKER, left
from kuartui.play.drill import Performance
from kuartui.play.pace import Pace
from kuartui.play.recorder import news
from kuartui.play.scene import Scene
from kuartui.play.shell import Memory, Shell
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


class ProofError(KuartuiError):
    """Why a run does not prove what it should."""


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
