"""kuartui/checkout: work for each request, and only so much at a time. See manifests/images/README.md."""

from __future__ import annotations

import asyncio

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process


class Checkout:
    """The line and the workers."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.port = int(process.env.get("PORT", "8080"))
        self.work_ms = float(process.env.get("WORK_MS", "100"))
        self.wait_ms = float(process.env.get("WAIT_MS", "300"))
        self.workers = int(process.env.get("WORKERS", "1"))
        self._queue = int(process.env.get("QUEUE", "64"))
        self._free = asyncio.Semaphore(self.workers)
        self._waiting = 0
        self.serving = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def handle(self, request: Request) -> Response:
        """Serve one request."""
        if request.path == "/healthz":
            return reply(200, "ok\n")
        if request.path != "/pay":
            return reply(404, "not found\n")
        if self._free.locked() and self._waiting >= self._queue:
            return reply(503, "too many waiting\n")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            if request.gone():
                return reply(499)
            self._begin()
            await self._process.compute(self.work_ms / 1000)
            await self._process.clock.sleep(self.wait_ms / 1000)
            return reply(200, f"paid by {self._process.container.sandbox.hostname}\n")
        finally:
            self._end()
            self._free.release()

    def _begin(self) -> None:
        self.serving += 1
        self.idle.clear()

    def _end(self) -> None:
        self.serving = max(0, self.serving - 1)
        if not self.serving:
            self.idle.set()


async def checkout(process: Process) -> int:
    """Serve until told to stop, then finish what is being served."""
    try:
        app = Checkout(process)
    except ValueError as error:
        await process.err(f"checkout: {error}\n")
        return 2
    try:
        listener = process.listen(app.port, server(app.handle))
    except OSError as error:
        await process.err(f"checkout: listen on :{app.port}: {error.strerror}\n")
        return 1
    await process.out(
        f"checkout: listening on :{app.port}, {app.work_ms:g} ms of work and {app.wait_ms:g} ms of waiting per request, "
        f"{app.workers} at a time\n"
    )
    await process.signals("TERM", "INT").get()
    listener.close(connections=False)
    await app.idle.wait()
    return 0
