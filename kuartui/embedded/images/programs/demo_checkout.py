"""kuartui/checkout: a web server that does real work for each request, as manifests/images/README.md says."""

from __future__ import annotations

import asyncio

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process


class Checkout:
    """One running server: so many at a time, so many in line."""

    def __init__(self, process: Process) -> None:
        env = process.env
        self.process = process
        self.port = int(env.get("PORT") or 8080)
        self.work = int(env.get("WORK_MS") or 100)
        self.wait = int(env.get("WAIT_MS") or 300)
        self.workers = max(1, int(env.get("WORKERS") or 1))
        self.queue = int(env.get("QUEUE") or 64)
        self._slots = asyncio.Semaphore(self.workers)
        self._waiting = 0
        self._serving = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def handle(self, request: Request) -> Response:
        if request.path == "/healthz":
            return reply(200, "ok\n")
        if request.path != "/pay":
            return reply(404, "404 page not found\n")
        if self._waiting >= self.queue:
            return reply(503, "too many customers in line\n")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._serving += 1
        self._idle.clear()
        try:
            await self.process.compute(self.work / 1000)
            await self.process.clock.sleep(self.wait / 1000)
        finally:
            self._slots.release()
            self._serving -= 1
            if not self._serving:
                self._idle.set()
        return reply(200, f"paid by {self.process.env.get('HOSTNAME', '')}\n")

    async def run(self) -> int:
        listener = self.process.listen(self.port, server(self.handle))
        await self.process.out(
            f"checkout: listening on :{self.port}, {self.work} ms of work and {self.wait} ms of waiting per request, "
            f"{self.workers} at a time\n"
        )
        await self.process.signals("TERM", "INT").get()
        listener.close(connections=False)
        await self._idle.wait()
        return 0


async def checkout(process: Process) -> int:
    """The program."""
    return await Checkout(process).run()
