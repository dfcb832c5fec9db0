"""`level prove --mutate`: builds of a level in which one check is always green, each of which must fail a proof.

`kuartui.play.mutation` tells the same from a proof's own runs; this plays it. A check is forced once the start has been
looked at (there any forced check would be noticed), in a run of a cheat that the check is said to catch. That run must
then count as a solution, or as not caught by the check.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kuartui.checks.engine import Engine
from kuartui.cluster.base import Cluster, Sandbox, silent
from kuartui.cluster.base import Report as Reporter
from kuartui.cluster.kubectl import find
from kuartui.errors import KuartuiError
from kuartui.game.level import Cheat, Check, Level
from kuartui.message import later, together
from kuartui.play.dockside import DOCKER
from kuartui.play.pace import Pace
from kuartui.play.proof import Report, Tally, end, runs_at_once
from kuartui.play.proof_run import Line, Run
from kuartui.play.scene import Scene, staged
from kuartui.play.shell import remembering
from kuartui.play.trail import following

MISSED = re.compile(r"not caught by ([^;]+)")


class Mutant(Run):
    """A run in which a check is green whatever is seen, from the moment that the player may begin."""

    def __init__(self, forced: Check, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.forced = forced

    async def _check_start(self, engine: Engine, pace: Pace, *, disposable: bool) -> None:
        await super()._check_start(engine, pace, disposable=disposable)
        engine.force(self.forced.name)


async def mutate(
    levels: Sequence[Level],
    cluster: Cluster,
    *,
    jobs: int = 0,
    on_line: Callable[[Line], None] = lambda _: None,
    report: Reporter = silent,
) -> Report:
    """A line for each check of each level: ok when forcing it makes a proof fail. `report` hears of each."""
    begun = time.monotonic()
    fast = cluster.kind == "embedded"
    wanted = runs_at_once(jobs) if fast else 1
    kubectl = find().path
    places: asyncio.Queue[Cluster] = asyncio.Queue()
    turns = asyncio.Semaphore(wanted)
    lines: list[Line] = []
    engine = asyncio.Lock()  # there is one Docker engine, and names on it are taken

    async def one(level: Level) -> list[Line]:
        async with engine if DOCKER in level.needs else contextlib.nullcontext():
            place = await places.get()
            try:
                if not cluster.copies or DOCKER in level.needs:  # they would be in each other's way
                    return [await force(level, check, place, None) for check in level.checks]
                async with staged(level, place, memory.allowed, turns, undone=False) as scene:
                    forced = [asyncio.ensure_future(force(level, check, place, scene)) for check in level.checks]
                    running.extend(forced)
                    return list(await asyncio.gather(*forced))
            except KuartuiError as error:
                return [_line(level, check, False, error.message, begun) for check in level.checks]
            finally:
                places.put_nowait(place)

    async def force(level: Level, check: Check, place: Cluster, scene: Scene | None) -> Line:
        async with turns:
            began = time.monotonic()
            seen = [later("forced green, it makes no proof fail")]
            try:
                for cheat in _caught(level, check):
                    run = Mutant(check, level, cheat, kubectl, memory, fast=fast, first=False, book=book)
                    (line,) = await run.lines(place, _close, scene)
                    if _noticed(line, check):
                        text = later("without it {cheat}: {detail:.120}", cheat=cheat.name, detail=line.detail)
                        return _line(level, check, True, text, began)
                    seen.append(later("{cheat}: {detail}", cheat=cheat.name, detail=line.detail))
                return _line(level, check, False, together(seen), began)
            finally:
                tally.run()

    running: list[asyncio.Task[Line]] = []
    async with contextlib.AsyncExitStack() as stack:
        book = await stack.enter_async_context(following(cluster))
        memory = stack.enter_context(remembering())
        tally = Tally(report, sum(len(level.checks) for level in levels), len({level.name for level in levels}))
        for place in await stack.enter_async_context(cluster.apart(min(wanted, len(levels)))):
            places.put_nowait(place)
        tasks = [asyncio.ensure_future(one(level)) for level in levels]
        stack.push_async_callback(end, tasks, running)
        for index, (level, task) in enumerate(zip(levels, tasks, strict=True)):
            await asyncio.wait([task])
            for line in task.result():
                lines.append(line)
                on_line(line)
            if all(other.name != level.name for other in levels[index + 1 :]):
                tally.level()
    return Report(tuple(lines), time.monotonic() - begun)


def _caught(level: Level, check: Check) -> Iterator[Cheat]:
    """The cheats that the check is said to catch, those that it catches alone first."""
    yield from sorted((cheat for cheat in level.cheats if check.name in cheat.caught_by), key=_company)


def _company(cheat: Cheat) -> int:
    return len(cheat.caught_by)


def _noticed(line: Line, check: Check) -> bool:
    """Whether the run failed for this check and not for another reason."""
    missed = MISSED.match(line.detail)
    named = missed is not None and check.name in missed[1].split(", ")
    return not line.ok and (named or line.detail.startswith("it counts as a solution"))


def _line(level: Level, check: Check, ok: bool, detail: str, began: float) -> Line:
    return Line(level.name, level.seed, "mutation", check.name, ok, detail, time.monotonic() - began)


async def _close(sandbox: Sandbox) -> None:
    await sandbox.close()
