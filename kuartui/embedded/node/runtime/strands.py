"""Keeps fast time still while a shell works in a thread of its own.

A shell holds `clock.busy()` while bashkit's threads may be doing something, and lets go once all it does is wait: for
one of our commands, or for somebody to take its output. A command that begins does not mean that the script waits:
other parts of it, or its output, may still be on their way. So the threads themselves are asked, and time may pass when
they have been seen asleep twice with nothing happening in between. (Where the system cannot tell, a short quiet time
has to do.) With a real clock none of this costs anything. In either case `lull` gets to know what goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator

from kuartui.embedded.clock import Clock
from kuartui.embedded.node.runtime.lull import LULL

THREAD_NAME = b"tokio-rt-worker"
STAT_BYTES = 4096
LOOK_SECONDS = 0.0001
IDLE_TURNS = 24  # of the event loop, before threads are worth a look: most commands have ended by then
QUIET_SECONDS = 0.005  # where /proc tells no thread states
STUCK_SECONDS = 4.0  # real time; a script that calls no command for so long computes in a circle,
STUCK_SPENT = 1.0  # unless this process had less of a core since: on a busy machine its turn may be long in coming


class Strands:
    """The parts of one shell that may run."""

    def __init__(self, clock: Clock, stuck: Callable[[], None]) -> None:
        self._clock = clock
        self._stuck = stuck
        self._stack = contextlib.ExitStack()
        self._alive = False
        self._waiting = 0
        self._ending = False
        self._holding = False
        self._activity = 0
        self._look: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """The shell's thread begins."""
        self._alive = True
        self._update()

    def end(self) -> None:
        """The shell was told to stop: until it has, time stands still."""
        self._ending = True
        self._update()

    def finish(self) -> None:
        """The shell ended."""
        self._alive = self._ending = False
        LULL.forget(self)
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
        """A command hands bytes to the script or takes some: the thread may go on."""
        self._update()
        try:
            yield
        finally:
            self._update()

    def _update(self) -> None:
        """Something happened: hold fast time until everything is quiet."""
        self._activity += 1
        if not self._alive:
            return
        LULL.stir(self, self._clock, waits=self._waiting > 0 and not self._ending)
        if self._waiting <= 0 and self._watchdog is None:
            self._watch(self._activity, time.process_time())
        if not self._clock.stepped:
            return
        if not self._holding:
            self._stack.enter_context(self._clock.busy())
            self._holding = True
        if self._look is None and self._waiting > 0 and not self._ending:
            self._look = asyncio.get_running_loop().create_task(self._until_quiet())

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            self._stack.close()

    def _watch(self, activity: int, spent: float) -> None:
        """Look later whether anything has happened since; `spent` is what this process had computed by then."""
        self._watchdog = asyncio.get_running_loop().call_later(STUCK_SECONDS, self._fire, activity, spent)

    def _fire(self, activity: int, spent: float) -> None:
        self._watchdog = None
        if self._waiting > 0:
            return
        if activity != self._activity:
            self._update()
        elif time.process_time() - spent >= STUCK_SPENT:
            self._stuck()
        else:
            self._watch(activity, spent)

    async def _until_quiet(self) -> None:
        seen = -1
        idle = quiet = 0
        while quiet < 2 and self._waiting > 0 and not self._ending:
            await asyncio.sleep(0)
            if seen != self._activity:
                seen, idle, quiet = self._activity, 0, 0
                continue
            idle += 1
            if idle < IDLE_TURNS:
                continue
            # The interpreter lock has to be free for a moment of real time; the event loop's own timers are too coarse.
            time.sleep(LOOK_SECONDS if _THREADS else QUIET_SECONDS)  # noqa: ASYNC251
            await asyncio.sleep(0)
            calm = seen == self._activity and (not _THREADS or _threads_sleep())
            quiet = quiet + 1 if calm else 0
        self._look = None
        if quiet >= 2:
            self._release()


_THREADS = os.path.isdir("/proc/self/task")


def _threads_sleep() -> bool:
    """Whether every thread of the shells' runtime sleeps (Linux)."""
    try:
        for task in os.listdir("/proc/self/task"):
            file = os.open(f"/proc/self/task/{task}/stat", os.O_RDONLY)  # asked often: no text, no buffers
            try:
                name, _, rest = os.read(file, STAT_BYTES).partition(b"(")[2].rpartition(b") ")
            finally:
                os.close(file)
            if name == THREAD_NAME and rest[:1] != b"S":
                return False
    except OSError:
        return False  # a thread ended while we looked
    return True
