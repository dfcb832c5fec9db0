"""`level prove`: machine evidence that a level is sound.

Each solution and each cheat is a run (`kuartui.play.proof_run`) in a place of its own: a copy of where the level was
set up (`kuartui.play.scene`), or one where it sets the level up for itself. In the end every check must have caught a
cheat (`kuartui.play.mutation`), and par be what it takes (`kuartui.game.par`). On stepped time a proof takes the time
that the work takes; on real clusters it takes what the cluster takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kuartui.cluster.base import Cluster, Progress, Sandbox, silent
from kuartui.cluster.base import Report as Reporter
from kuartui.cluster.kubectl import find
from kuartui.containers.engine import Docker
from kuartui.errors import KuartuiError
from kuartui.game.duration import clock_text
from kuartui.game.level import Cheat, Level, Solution
from kuartui.game.par import par_of
from kuartui.message import later
from kuartui.play import trail
from kuartui.play.arena import head_start, require
from kuartui.play.dockside import DOCKER, require_engine
from kuartui.play.mutation import verdict
from kuartui.play.proof_run import CHEAT_SECONDS, Line, Run
from kuartui.play.scene import Scene, staged
from kuartui.play.shell import remembering
from kuartui.play.supply import supply


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
    wanted = runs_at_once(jobs) if fast else 1
    places: asyncio.Queue[Cluster] = asyncio.Queue()
    kubectl = find().path

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
        if not cluster.copies or DOCKER in level.needs:
            return await play(share)
        place = await places.get()
        try:
            async with staged(level, place, memory.allowed, turns, head=share.head, runs=share.runs) as scene:
                return await play(share, place, scene)
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
        runs = sum(share.runs for share in plan)
        tally = Tally(report, runs, len({level.name for level in levels}))
        for place in await stack.enter_async_context(
            cluster.apart(min(hands, len(plan)) if cluster.copies else min(wanted, runs))
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


def runs_at_once(jobs: int) -> int:
    """How many to play side by side; 0 is for us to choose: more than there are cores, as some wait for real time."""
    return jobs or (os.cpu_count() or 1) + 2


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

    @property
    def runs(self) -> int:
        return len(self.solutions) + len(self.cheats)


def in_turns(levels: Sequence[Level]) -> Iterator[Share]:
    """The first solution for every level; those of one name share the rest out among their seeds."""
    turns = Counter(level.name for level in levels)
    taken: Counter[str] = Counter()
    for level in levels:
        turn, step = taken[level.name], turns[level.name]
        taken[level.name] += 1
        others = level.solutions[1 + turn :: step]
        head = head_start(level) if turn % 2 == 0 else 0.0  # players come so much later; it holds for others, too
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
