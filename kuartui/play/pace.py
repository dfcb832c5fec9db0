"""How time passes while a level is proven: by itself on real clusters, driven by us on stepped ones.

On stepped time nothing happens unless somebody advances the clock, and whoever does must not run ahead of work that
needs no time: an API call in flight, a kubectl process, a probe that is being answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from kuartui.cluster.clock import Clock, SteppedClock

T = TypeVar("T")
STEP = 1.0  # seconds of cluster time
GROWTH = 1.25
LONGEST_STRIDE = 4.0
COMMAND_TICK = 0.05  # real seconds per step while a command of a solution runs
PATIENCE = 0.05  # real seconds to wait for answers before time goes on without them
TURNS = 12  # of the event loop: from a watch event to a verdict


class Pace:
    """`busy` says whether checks are being looked at."""

    def __init__(self, clock: Clock, busy: Callable[[], bool] = lambda: False) -> None:
        self.clock, self.busy = clock, busy
        self._stride = STEP
        self._seen: object = None

    async def step(self, seconds: float = STEP) -> None:
        """Let some time pass, then let what follows from it arrive."""
        await self.clock.advance(seconds)
        await self.calm()

    async def stride(self, seen: Mapping[str, object]) -> None:
        """A step that grows as long as what is seen stays the same: waiting is most of what a proof does."""
        same = self._seen == seen
        self._stride = min(self._stride * GROWTH, LONGEST_STRIDE) if same else STEP
        self._seen = dict(seen)
        await self.step(self._stride)

    async def calm(self) -> None:
        """Wait until nothing is being looked at, but not for what only more time can end."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if isinstance(self.clock, SteppedClock):
            loop = asyncio.get_running_loop()
            deadline = loop.time() + PATIENCE
            while self.busy() and loop.time() < deadline:  # noqa: ASYNC110  many small things, no one event
                await asyncio.sleep(0.001)

    async def through(self, work: Awaitable[T], *, step: float = STEP / 2) -> T:
        """Run work of ours that sleeps on the cluster's clock; time passes only while it does."""
        if not isinstance(self.clock, SteppedClock):
            return await work
        task = asyncio.ensure_future(work)
        while not task.done():
            if self.clock.waited_for:
                await self.clock.advance(step)
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            else:
                await asyncio.wait([task], timeout=0.002)
        return await task

    async def beside(self, work: Awaitable[T]) -> T:
        """Run work outside of our control (a kubectl that waits for a rollout) while time goes on steadily."""
        if not isinstance(self.clock, SteppedClock):
            return await work
        task = asyncio.ensure_future(work)
        while not task.done():
            done, _ = await asyncio.wait([task], timeout=COMMAND_TICK)
            if not done:
                await self.step()
        return await task
