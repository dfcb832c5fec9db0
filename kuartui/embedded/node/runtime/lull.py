"""Lets bashkit's thread rest while every shell of this process waits.

For each script that runs, bashkit looks every 10 ms whether it was cancelled (`wait_for_cancel` in its
crates/bashkit/src/execution.rs; 0.20.1 has no option for it). Ten pods that sleep in a loop so cost some percent of a
core for nothing. But a command of ours is called on the very thread that looks, so one that blocks there holds it up:
bashkit gets a single thread, and while nothing happens that thread spends most of its time in such a command.

Nothing is lost by it. Whatever a shell does begins or ends with one of our commands or sinks, which lets the thread go
(`stir`). Only what bashkit itself times (`read -t`) may come late, by HOLD_SECONDS at most.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from typing import Any

from bashkit import Bash, BuiltinContext, BuiltinResult

from kuartui.embedded.clock import Clock

QUIET_SECONDS = 0.1  # of no shell doing anything, before the thread is held
HOLD_SECONDS = 0.5
OPEN_SECONDS = 0.025  # between two holds: each look at a cancellation comes round at least once
BUSY_SHARE = 0.05  # a thread that computes for more than that of the time has work to do,
LOOK_SHARE = 0.005  # apart from what looking after each shell costs, with room

os.environ["TOKIO_WORKER_THREADS"] = "1"  # read once, when the first script of this process runs


class Lull:
    """Which shells there are, and what holds the thread while all of them wait."""

    def __init__(self) -> None:
        self._shells: dict[object, tuple[Clock, bool]] = {}  # with their clock, and whether they wait
        self._activity = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_look: asyncio.TimerHandle | None = None
        self._dozing: asyncio.Task[None] | None = None
        self._hold = _Hold()

    def stir(self, shell: object, clock: Clock, *, waits: bool) -> None:
        """A shell may go on, or does nothing but wait from now on."""
        self._shells[shell] = clock, waits
        self._touch()
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._next_look, self._dozing = loop, None, None
        if self._next_look is None and self._dozing is None:
            self._look_later()

    def forget(self, shell: object) -> None:
        """A shell ended."""
        self._shells.pop(shell, None)
        self._touch()
        if not self._shells and self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None

    def _touch(self) -> None:
        self._activity += 1
        self._hold.release()

    def _look_later(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._look, self._activity)

    def _look(self, seen: int) -> None:
        self._next_look = None
        calm = all(waits and not clock.stepped for clock, waits in self._shells.values())
        if calm and seen == self._activity:
            self._dozing = asyncio.get_running_loop().create_task(self._doze(seen))
        else:
            self._look_later()

    async def _doze(self, seen: int) -> None:
        """Hold the thread again and again until something happens."""
        try:
            await self._hold.run(0, 0)  # begins to measure
            idle = True
            while idle:
                await asyncio.sleep(OPEN_SECONDS)
                share = BUSY_SHARE + LOOK_SHARE * len(self._shells)
                idle = seen == self._activity and await self._hold.run(HOLD_SECONDS, share)
        finally:
            self._hold.release()
            self._dozing = None
        if self._shells:
            self._look_later()


class _Hold:
    """A shell of its own, with one command that blocks the thread which calls it."""

    def __init__(self) -> None:
        self._bash: Any = None
        self._seconds = self._share = 0.0
        self._go = threading.Event()
        self._since = 0.0, 0.0  # monotonic time and the thread's CPU time, when it was let go

    async def run(self, seconds: float, share: float) -> bool:
        """Hold the thread for so long, or until `release`; False if it computed for more than that share since then."""
        if self._bash is None:
            self._bash = Bash(custom_builtins={"hold": self._block})
            atexit.register(self._close)
        self._seconds, self._share = seconds, share
        self._go.clear()
        result = await self._bash.execute("hold")
        return bool(result.exit_code == 0)

    def release(self) -> None:
        """Let the thread go."""
        self._go.set()

    def _block(self, _context: BuiltinContext) -> BuiltinResult:
        since, used = self._since
        computed = time.thread_time() - used > (time.monotonic() - since) * self._share
        if self._seconds and not computed:
            self._go.wait(self._seconds)
        self._since = time.monotonic(), time.thread_time()
        return BuiltinResult(exit_code=int(computed))

    def _close(self) -> None:
        """Have the thread out of Python when Python ends: it would take the process with it."""
        self._go.set()
        asyncio.run(self._next())

    async def _next(self) -> None:
        """What is done once the thread is done with everything before: it does one thing after another."""
        await Bash().execute("true")


LULL = Lull()  # bashkit's thread serves the whole process
