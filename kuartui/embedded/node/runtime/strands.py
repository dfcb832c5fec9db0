"""Keeps fast time still while a shell works in a thread of its own.

A shell holds `clock.busy()` while bashkit's thread may be doing something, and lets go when it only waits for one of
our commands. For a script that does one thing at a time that is exact: a command begins, the thread waits; it ends,
the thread goes on. With pipes and background jobs other parts of the script may still be at work when one command
blocks. Then the threads themselves are asked: time may pass once they all sleep. (Where the system cannot tell, a short
quiet time has to do.) With a real clock none of this costs anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator

from kuartui.embedded.clock import Clock

THREAD_NAME = "tokio-rt-worker"
LOOK_SECONDS = 0.0003
QUIET_SECONDS = 0.005  # where /proc tells no thread states
STUCK_SECONDS = 4.0  # real time; a script that calls no command for so long computes in a circle


class Strands:
    """The parts of one shell that may run."""

    def __init__(self, clock: Clock, *, single: bool, stuck: Callable[[], None]) -> None:
        self._clock = clock
        self._single = single
        self._stuck = stuck
        self._stack = contextlib.ExitStack()
        self._alive = False
        self._waiting = 0
        self._holding = False
        self._activity = 0
        self._look: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """The shell's thread begins."""
        self._alive = True
        self._update()

    def finish(self) -> None:
        """The shell ended."""
        self._alive = False
        self._release()
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """A part of the script waits for us: for a command, or for somebody to take its output."""
        self._waiting += 1
        self._update()
        try:
            yield
        finally:
            self._waiting -= 1
            self._update()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """A command hands bytes to the script or takes some: meanwhile the thread works, if it can."""
        self._waiting -= 1
        self._update()
        try:
            yield
        finally:
            self._waiting += 1
            self._update()

    def _update(self) -> None:
        """Something changed: hold fast time, unless every part of the script is known to wait."""
        self._activity += 1
        if not self._alive:
            return
        if self._waiting <= 0 and self._watchdog is None:
            self._watchdog = asyncio.get_running_loop().call_later(STUCK_SECONDS, self._fire, self._activity)
        if not self._clock.stepped:
            return
        if self._single and self._waiting > 0:
            self._release()
            return
        if not self._holding:
            self._stack.enter_context(self._clock.busy())
            self._holding = True
        if not self._single and self._look is None:
            self._look = asyncio.get_running_loop().create_task(self._until_quiet())

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            self._stack.close()

    def _fire(self, activity: int) -> None:
        self._watchdog = None
        if activity == self._activity and self._waiting <= 0:
            self._stuck()
        elif self._waiting <= 0:
            self._update()

    async def _until_quiet(self) -> None:
        seen = -1
        quiet = 0
        while quiet < 2:
            await asyncio.sleep(LOOK_SECONDS if _THREADS else QUIET_SECONDS)
            calm = seen == self._activity and self._waiting > 0 and (not _THREADS or _threads_sleep())
            quiet = quiet + 1 if calm else 0
            seen = self._activity
        self._look = None
        self._release()


_THREADS = os.path.isdir("/proc/self/task")


def _threads_sleep() -> bool:
    """Whether every thread of the shells' runtime sleeps (Linux)."""
    try:
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/stat", encoding="ascii", errors="replace") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(") ")
            if name == THREAD_NAME and rest[:1] != "S":
                return False
    except OSError:
        return False  # a thread ended while we looked
    return True
