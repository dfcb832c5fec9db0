"""kuartui/loadgen: even load over real connections, measured; as manifests/images/README.md says."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.network.http import ProtocolError, exchange
from kuartui.embedded.node.runtime.process import Process

REPORT_SECONDS = 1.0
REQUEST_CPU = 0.002  # seconds of CPU that one request costs the sender


class LoadGenerator:
    """Sends and counts."""

    def __init__(self, process: Process, target: str) -> None:
        self.process = process
        self.target = urlsplit(target)
        self.rate = float(process.env.get("RATE") or 6)
        self.timeout = float(process.env.get("TIMEOUT_MS") or 2000) / 1000
        self._times: list[float] = []
        self._failed = 0

    async def run(self) -> int:
        process = self.process
        await process.out(f"loadgen: {self.rate:g} requests per second to {self.target.geturl()}\n")
        stop = process.signals("TERM", "INT")
        sending, reporting = process.background(self._send()), process.background(self._report())
        await stop.get()
        sending.cancel()
        reporting.cancel()
        return 0

    async def _send(self) -> None:
        while True:
            self.process.background(self._request())
            await self.process.clock.sleep(1 / self.rate)

    async def _request(self) -> None:
        clock = self.process.clock
        begun = clock.monotonic()
        ok = False
        try:
            async with clock.timeout(self.timeout):
                await self.process.compute(REQUEST_CPU)
                ok = await self._get()
        except (OSError, ProtocolError, NameNotResolved, TimeoutError):
            ok = False
        if ok:
            self._times.append(clock.monotonic() - begun)
        else:
            self._failed += 1

    async def _get(self) -> bool:
        host, port = self.target.hostname or "", self.target.port or 80
        stream = await self.process.connect(host, port, seconds=self.timeout)
        try:
            path = (self.target.path or "/") + (f"?{self.target.query}" if self.target.query else "")
            response = await exchange(stream, "GET", path, self.target.netloc)
        except asyncio.CancelledError:
            stream.abort()  # who hangs up while in line is not served
            raise
        return 200 <= response.status < 300

    async def _report(self) -> None:
        while True:
            await self.process.clock.sleep(REPORT_SECONDS)
            times, failed = sorted(self._times), self._failed
            self._times, self._failed = [], 0
            line = {
                "ok": len(times),
                "failed": failed,
                "p50_ms": percentile(times, 0.5),
                "p95_ms": percentile(times, 0.95),
            }
            await self.process.out(json.dumps(line) + "\n")


def percentile(times: list[float], share: float) -> float:
    """In milliseconds; 0 without any."""
    if not times:
        return 0.0
    return round(1000 * times[min(len(times) - 1, int(share * len(times)))], 1)


async def loadgen(process: Process) -> int:
    """The program."""
    target = process.env.get("TARGET", "")
    if not target:
        await process.err("loadgen: TARGET is not set\n")
        return 2
    return await LoadGenerator(process, target).run()
