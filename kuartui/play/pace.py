"""How time passes while a level is proven: by itself on real clusters, driven by us on stepped ones.

On stepped time nothing happens unless somebody advances the clock, and whoever does must not run ahead of work that
needs no time: an API call in flight, a kubectl process, a probe that is being answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from kuartui.cluster.clock import Clock, SteppedClock
from kuartui.play.processes import Glance

T = TypeVar("T")
STEP = 1.0  # seconds of cluster time
GROWTH = 1.5
LONGEST_STRIDE = 4.0
LONGEST_WAIT = 2.5  # the longest step beside a command that waits: it goes on once that is over
COMMAND_TICK = 0.05  # real seconds per step while a command runs of which nobody can tell whether it waits
WORKING = 3.0  # seconds on a core that a command may work before a step of time passes all the same,
PATIENCE = 30.0  # and real ones, whatever it does: on a machine with too much to do its turn may be long in coming
GLANCE = 0.025  # real seconds between two looks at it
FREE_SECONDS = 120.0  # of one command; then it may be waiting for real time, which must not run too far behind
ANSWER = 0.002  # real seconds in which many questions are answered,
MOMENTS = 4  # and nearly all in so many times as long
TURNS = 12  # of the event loop: from a watch event to a verdict


class Pace:
    """`busy` says whether checks are being looked at, `asked` how many questions were put to the cluster so far."""

    def __init__(self, clock: Clock, busy: Callable[[], bool] = lambda: False, asked: Callable[[], int] = int) -> None:
        self.clock, self.busy, self.asked = clock, busy, asked
        self._stride = STEP
        self._seen: object = None

    async def step(self, seconds: float = STEP) -> None:
        """Let some time pass, then let what follows from it arrive."""
        await self.clock.advance(seconds)
        await self.calm()

    async def pass_by(self, seconds: float) -> None:
        """Let so much time pass, in steps."""
        while seconds > 0:
            await self.step(min(STEP, seconds))
            seconds -= STEP

    async def stride(self, seen: Mapping[str, object], longest: float = LONGEST_STRIDE) -> None:
        """A step that grows as long as what is seen stays the same: waiting is most of what a proof does."""
        same = self._seen == seen
        self._stride = min(self._stride * GROWTH, longest) if same else STEP
        self._seen = dict(seen)
        await self.step(self._stride)

    async def calm(self) -> None:
        """Wait until nothing is being looked at, but not for what only more time can end.

        The cluster answers `advance` when nothing in it can go on without time. If then nobody has asked anything new,
        what is still being looked at waits for time.
        """
        await _turns()
        if not isinstance(self.clock, SteppedClock):
            return
        asked = -1
        while self.busy() and asked != self.asked():
            asked = self.asked()
            if not await self._answered(asked):
                await self.clock.advance(0)
                await _turns()

    async def _answered(self, asked: int) -> bool:
        """Wait for the answer to what was asked, a moment at a time; whether it came, or led to another question. It is
        cheaper than asking the cluster whether it still works on it."""
        for _ in range(MOMENTS):
            await asyncio.sleep(ANSWER)
            if asked != self.asked() or not self.busy():
                return True
        return False

    async def through(self, work: Awaitable[T]) -> T:
        """Run work of ours that sleeps on the cluster's clock; time passes only while it does."""
        if not isinstance(self.clock, SteppedClock):
            return await work
        async with _under_way(work) as task:
            while not task.done():
                if self.clock.waited_for:
                    await self.calm()
                    if not task.done():
                        await self.clock.advance(STEP)
                else:
                    async with _under_way(self.clock.sleeper()) as sleeper:
                        either: tuple[asyncio.Future[Any], ...] = (task, sleeper)
                        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return await task

    async def beside(self, work: Awaitable[T], look: Callable[[], Glance | None]) -> T:
        """Run work outside of our control (a kubectl that waits for a rollout); time passes while it waits.

        `look` says what its processes do. A command that computes on a machine with too much to do so takes no more of
        the cluster's time than one on an idle machine.
        """
        if not isinstance(self.clock, SteppedClock):
            return await work
        passed, stride, before = 0.0, STEP, None
        async with _under_way(work) as task:
            while not task.done():
                seen = await self._until_it_waits(task, look, before)
                if task.done():
                    break
                stride = min(stride * GROWTH, LONGEST_WAIT) if seen is not None and seen == before else STEP
                before = seen
                await self.step(stride)
                passed += stride
                if passed > FREE_SECONDS:
                    await asyncio.wait([task], timeout=COMMAND_TICK)
            return await task

    async def _until_it_waits(
        self, task: asyncio.Future[T], look: Callable[[], Glance | None], waited: Glance | None
    ) -> Glance | None:
        """What it looks like while it waits, if anybody can tell. One that looks as it did when it `waited` last has
        done nothing since, as nothing came for it: what comes wakes it."""
        loop = asyncio.get_running_loop()
        deadline, spent = loop.time() + PATIENCE, None
        while not task.done() and loop.time() < deadline:
            before = look()
            if before is None:
                await asyncio.wait([task], timeout=COMMAND_TICK)
                return None
            if before == waited:
                return before
            spent = before.spent if spent is None else spent
            if before.spent - spent > WORKING * 1e9:
                return None
            if not before.working:
                await self.clock.advance(0)  # the cluster has answered what it was asked
                if look() == before:
                    return before
            await asyncio.wait([task], timeout=GLANCE)
        return None


@asynccontextmanager
async def _under_way(work: Awaitable[T]) -> AsyncIterator[asyncio.Future[T]]:
    """The work as a task that ends with us: one that is cancelled has cleaned up when this is left."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
