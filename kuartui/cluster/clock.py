"""Time as a cluster lives it. Checks, waits and attempts read it from here and nowhere else.

On real clusters it is the machine's time. An embedded cluster may run on stepped time, which passes only when it is
told to: then our own timers must pass with it, in the same steps, and whoever advances the cluster advances both
(`SteppedClock`). So a proof that "it holds for 60 seconds" takes milliseconds and never depends on the machine.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """`steppable` says whether time passes by itself or only in `advance`."""

    @property
    def steppable(self) -> bool: ...

    def now(self) -> datetime:
        """Aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds; the same scale in every process of this machine until it reboots."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    async def advance(self, seconds: float) -> None:
        """Let time pass: on real clocks, wait."""
        ...

    async def rest(self) -> None:
        """Wait for the end of a step that is under way: in its midst the cluster is on its way to what it will show."""
        ...


class RealClock:
    """The machine's own time."""

    steppable = False

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def advance(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def rest(self) -> None:
        return


class SteppedClock:
    """Stepped time. `drive(seconds)` advances the cluster and returns when it has settled, before our timers run.

    It answers what time it is there, if it knows: the cluster began before we did, by seconds on a busy machine, and
    what it logs is as old as its own clock makes it.
    """

    steppable = True

    def __init__(
        self, drive: Callable[[float], Awaitable[datetime | None]] | None = None, start: datetime | None = None
    ) -> None:
        self._drive = drive
        self._start = start or datetime.now(UTC).replace(microsecond=0)
        self._elapsed = 0.0
        self._timers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._lock = asyncio.Lock()
        self._slept = asyncio.Event()
        self._rests = asyncio.Event()
        self._rests.set()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._timers, (self._elapsed + seconds, next(self._order), done))
        self._slept.set()
        await done

    @property
    def waited_for(self) -> bool:
        """Whether somebody sleeps on this clock."""
        return any(not done.done() for _, _, done in self._timers)

    async def sleeper(self) -> None:
        """Wait until somebody new sleeps on it, if nobody does."""
        while not self.waited_for:
            self._slept.clear()
            await self._slept.wait()

    async def rest(self) -> None:
        await self._rests.wait()

    async def advance(self, seconds: float) -> None:
        """Pass `seconds`: the cluster first, then our own sleepers in the order in which they fall due."""
        async with self._lock:
            self._rests.clear()
            try:
                await self._pass(seconds)
            finally:
                self._rests.set()

    async def _pass(self, seconds: float) -> None:
        there = await self._drive(seconds) if self._drive is not None else None
        target = self._elapsed + seconds
        if there is not None:
            self._start = there - timedelta(seconds=target)
        while self._timers and self._timers[0][0] <= target + 1e-9:
            due, _, done = heapq.heappop(self._timers)
            self._elapsed = max(self._elapsed, due)
            if not done.done():
                done.set_result(None)
                await asyncio.sleep(0)
        self._elapsed = target
