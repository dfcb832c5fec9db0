"""Work for each request, and only so much at a time. What it does is written down in ../README.md."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time

REASONS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


def burn(seconds: float) -> None:
    """Use so much time of a processor."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


class Checkout:
    """The line and the workers."""

    def __init__(self) -> None:
        self.port = int(os.environ.get("PORT", "8080"))
        self.work_ms = float(os.environ.get("WORK_MS", "100"))
        self.wait_ms = float(os.environ.get("WAIT_MS", "300"))
        self.workers = int(os.environ.get("WORKERS", "1"))
        self.queue = int(os.environ.get("QUEUE", "64"))
        self.free = asyncio.Semaphore(self.workers)
        self.waiting = self.serving = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, then the end of the connection."""
        try:
            path = (await reader.readline()).split(b" ")[1].split(b"?")[0].decode()
            while (await reader.readline()).strip():
                pass
            status, body = await self.answer(path, reader)
            if status:
                head = (
                    f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                writer.write((head + body).encode())
                await writer.drain()
        except (OSError, IndexError, ValueError):
            pass  # not HTTP, or gone
        finally:
            writer.close()

    async def answer(self, path: str, reader: asyncio.StreamReader) -> tuple[int, str]:
        """Status and body; status 0 for a client that is gone."""
        if path == "/healthz":
            return 200, "ok\n"
        if path != "/pay":
            return 404, "not found\n"
        if self.free.locked() and self.waiting >= self.queue:
            return 503, "too many waiting\n"
        self.waiting += 1
        try:
            await self.free.acquire()
        finally:
            self.waiting -= 1
        try:
            await asyncio.sleep(0)  # what came in meanwhile, the end of the connection above all
            if reader.at_eof():
                return 0, ""
            self.serving += 1
            self.idle.clear()
            try:
                await asyncio.to_thread(burn, self.work_ms / 1000)
                await asyncio.sleep(self.wait_ms / 1000)
            finally:
                self.serving -= 1
                if not self.serving:
                    self.idle.set()
            return 200, f"paid by {socket.gethostname()}\n"
        finally:
            self.free.release()


async def main() -> int:
    try:
        app = Checkout()
    except ValueError as error:
        print(f"checkout: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 2
    try:
        server = await asyncio.start_server(app.connection, "", app.port)
    except OSError as error:
        print(f"checkout: listen on :{app.port}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    print(  # noqa: T201
        f"checkout: listening on :{app.port}, {app.work_ms:g} ms of work and {app.wait_ms:g} ms of waiting "
        f"per request, {app.workers} at a time",
        flush=True,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    server.close()
    await app.idle.wait()
    await asyncio.sleep(0.05)  # the last answer is on its way out
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
