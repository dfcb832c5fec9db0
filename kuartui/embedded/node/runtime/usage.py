"""CPU time and memory of a container: what cgroups would account, from what its programs declare.

CPU is served first come, first served by as many servers as the container may use cores, so a CPU limit slows requests
down and a queue builds up when they come faster than that: latency under load is a result, not a setting.
"""

from __future__ import annotations

import math
from collections import deque

from kuartui.embedded.clock import Clock

WINDOW = 15.0  # seconds; metrics-server's resolution
KEPT = 60.0


class CpuAccount:
    """CPU time of one container."""

    def __init__(self, clock: Clock, cores: float) -> None:
        self._clock = clock
        self._done = 0.0
        self._running: deque[tuple[float, float, float]] = deque()  # start, finish, CPU seconds
        self._steady: dict[int, float] = {}
        self._steady_since = clock.monotonic()
        self._samples: deque[tuple[float, float]] = deque([(clock.monotonic(), 0.0)])
        self._free_at: list[float] = []
        self.resize(cores)

    def resize(self, cores: float) -> None:
        """Change how many cores may be used (the limit, or the node's)."""
        self._settle()
        self.cores = max(cores, 0.001)
        servers = max(1, math.ceil(self.cores))
        now = self._clock.monotonic()
        self._free_at = [*self._free_at[:servers], *[now] * (servers - len(self._free_at))]

    async def run(self, seconds: float, *, spent: bool = False) -> None:
        """Use CPU time, waiting for a core and running as slowly as the limit demands.

        `spent` says that the time is accounted already and has only to pass.
        """
        finish = self._book(seconds, counted=0.0 if spent else seconds)
        await self._clock.sleep(finish - self._clock.monotonic())

    def _book(self, seconds: float, counted: float) -> float:
        now = self._clock.monotonic()
        speed = self._speed()
        slot = min(range(len(self._free_at)), key=self._free_at.__getitem__)
        start = max(now, self._free_at[slot])
        finish = start + seconds / speed
        self._free_at[slot] = finish
        self._running.append((start, finish, counted))
        return finish

    def spend(self, seconds: float) -> None:
        """Account CPU time that nobody waits for."""
        self._done += seconds

    def steady(self, owner: int, cores: float) -> None:
        """A process burns this many cores from now on (0 ends it)."""
        self._settle()
        if cores:
            self._steady[owner] = cores
        else:
            self._steady.pop(owner, None)

    @property
    def backlog(self) -> float:
        """Seconds until CPU time asked for now would start."""
        return max(0.0, min(self._free_at) - self._clock.monotonic())

    def total(self) -> float:
        """CPU seconds used so far."""
        self._settle()
        now = self._clock.monotonic()
        while self._running and self._running[0][1] <= now:
            self._done += self._running.popleft()[2]
        partial = sum(
            seconds * min(1.0, (now - start) / (finish - start)) if finish > start else seconds
            for start, finish, seconds in self._running
            if start < now
        )
        return self._done + partial

    def rate(self) -> float:
        """Cores used over the last window."""
        now, total = self._clock.monotonic(), self.total()
        while len(self._samples) > 1 and now - self._samples[1][0] >= WINDOW:
            self._samples.popleft()
        since, before = self._samples[0]
        if now - self._samples[-1][0] >= 1.0:
            self._samples.append((now, total))
        return (total - before) / (now - since) if now > since else 0.0

    def _speed(self) -> float:
        spare = max(self.cores - sum(self._steady.values()), self.cores * 0.05)
        return min(1.0, spare / len(self._free_at))

    def _settle(self) -> None:
        now = self._clock.monotonic()
        if self._steady:
            self._done += min(sum(self._steady.values()), self.cores) * (now - self._steady_since)
        self._steady_since = now
