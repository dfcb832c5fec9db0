"""Requests at an even pace, measured. What it does is written down in ../README.md."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from urllib.parse import SplitResult, urlsplit


class Measure:
    """What ended within a second."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.failed = 0

    def line(self) -> str:
        """One line of JSON; starts over."""
        times = sorted(self.times)
        shown = {"ok": len(times), "failed": self.failed, "p50_ms": share(times, 0.50), "p95_ms": share(times, 0.95)}
        self.times, self.failed = [], 0
        return json.dumps(shown)


def share(times: list[float], part: float) -> float:
    """Milliseconds within which that part of the requests was answered."""
    return round(times[min(len(times) - 1, int(part * len(times)))] * 1000, 1) if times else 0.0


async def ask(url: SplitResult) -> int:
    """The status of a GET on a connection of its own, read to its end."""
    reader, writer = await asyncio.open_connection(url.hostname, url.port or 80)
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n".encode())
        status = int((await reader.readline()).split(b" ", 2)[1])
        while await reader.read(65536):
            pass
        return status
    finally:
        writer.close()


async def request(url: SplitResult, limit: float, measure: Measure) -> None:
    begun = time.monotonic()
    try:
        async with asyncio.timeout(limit):
            status = await ask(url)
    except (OSError, TimeoutError, ValueError, IndexError, asyncio.IncompleteReadError):
        measure.failed += 1
        return
    if 200 <= status < 300:
        measure.times.append(time.monotonic() - begun)
    else:
        measure.failed += 1


async def pace(url: SplitResult, rate: float, limit: float, measure: Measure) -> None:
    start, sent, running = time.monotonic(), 0, set()
    while True:
        task = asyncio.create_task(request(url, limit, measure))
        running.add(task)
        task.add_done_callback(running.discard)
        sent += 1
        await asyncio.sleep(max(0.0, start + sent / rate - time.monotonic()))


async def report(measure: Measure) -> None:
    start, told = time.monotonic(), 0
    while True:
        told += 1
        await asyncio.sleep(max(0.0, start + told - time.monotonic()))
        print(measure.line(), flush=True)  # noqa: T201


async def main() -> int:
    target = os.environ.get("TARGET", "")
    if not target:
        print("loadgen: TARGET is not set", flush=True)  # noqa: T201
        return 2
    try:
        url, rate = urlsplit(target), float(os.environ.get("RATE", "6"))
        limit = float(os.environ.get("TIMEOUT_MS", "2000")) / 1000
        if url.scheme != "http" or not url.hostname:
            raise ValueError(f"{target} is no http URL")
    except ValueError as error:
        print(f"loadgen: {error}", flush=True)  # noqa: T201
        return 2
    print(f"loadgen: {rate:g} requests per second to {target}", flush=True)  # noqa: T201
    stop, measure = asyncio.Event(), Measure()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    work = [asyncio.create_task(report(measure))]
    if rate > 0:
        work.append(asyncio.create_task(pace(url, rate, limit, measure)))
    await stop.wait()
    for task in work:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
