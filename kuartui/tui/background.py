"""Where everything that may wait is done: a thread with an event loop of its own, beside that of the screens.

SQLite, the attempt with its checks, watches, files: none of it can hold up a key press, however slow a disk, a lock or
a cluster is. What screens call there and then is in memory (`AttemptSession.snapshot`, `Observer.sections`); all else
goes through `run` and `call`, and comes back as a result or as a message.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from kuartui.tui import heap

T = TypeVar("T")

GRACE = 3.0  # seconds that work which began may take to come to its end when all is closed


class Background:
    """Runs until `close`."""

    def __init__(self) -> None:
        heap.keep_whole()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self._pending: set[asyncio.Task[Any]] = set()
        self.at_end: list[Callable[[], None]] = []  # called there, last of all
        self._thread = threading.Thread(target=self._main, name="kuartui-background", daemon=True)
        self._thread.start()
        self._ready.wait()

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._end.wait()
        if self._pending:
            await asyncio.wait(self._pending, timeout=GRACE)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            if not task.cancelling():  # a second time would interrupt what it does to come to its end
                task.cancel()
        if others:
            await asyncio.wait(others, timeout=GRACE)
        for function in self.at_end:
            function()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it there and wait for it here; cancelling one cancels the other."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call it there."""

        async def work() -> T:
            return function(*arguments)

        return await self.run(work())

    def wait(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call it there and wait: for what comes before the first screen and after the last one."""

        async def work() -> T:
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result()

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do it there while nobody waits; `close` gives it time."""

        def start() -> None:
            task = self._loop.create_task(work)
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

        self._loop.call_soon_threadsafe(start)

    def close(self) -> bool:
        """End it; False when something, such as a call that nobody answers, still holds it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(3 * GRACE)
        return not self._thread.is_alive()
