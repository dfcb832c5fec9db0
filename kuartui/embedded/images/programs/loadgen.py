"""kuartui/loadgen: requests at an even pace, measured. See manifests/images/README.md."""

from __future__ import annotations

import json

from kuartui.embedded.images.applets.web import Fetch, Url, open_client, parse_url, send
from kuartui.embedded.network.http import ProtocolError
from kuartui.embedded.node.runtime.process import Process


class Measure:
    """What ended within a second."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.failed = 0

    def line(self) -> str:
        """One line of JSON; starts over."""
        times = sorted(self.times)
        shown = {
            "ok": len(times),
            "failed": self.failed,
            "p50_ms": _percentile(times, 0.50),
            "p95_ms": _percentile(times, 0.95),
        }
        self.times, self.failed = [], 0
        return json.dumps(shown) + "\n"


def _percentile(times: list[float], share: float) -> float:
    if not times:
        return 0.0
    return round(times[min(len(times) - 1, int(share * len(times)))] * 1000, 1)


async def loadgen(process: Process) -> int:
    """Send until told to stop."""
    target = process.env.get("TARGET", "")
    if not target:
        await process.out("loadgen: TARGET is not set\n")
        return 2
    try:
        url = parse_url(target)
        rate = float(process.env.get("RATE", "6"))
        limit = float(process.env.get("TIMEOUT_MS", "2000")) / 1000
    except ValueError as error:
        await process.out(f"loadgen: {error}\n")
        return 2
    await process.out(f"loadgen: {rate:g} requests per second to {target}\n")
    measure = Measure()
    stop = process.signals("TERM", "INT")
    process.background(_report(process, measure))
    if rate > 0:
        process.background(_pace(process, url, rate, limit, measure))
    await stop.get()
    return 0


async def _pace(process: Process, url: Url, rate: float, limit: float, measure: Measure) -> None:
    start, sent = process.clock.monotonic(), 0
    while True:
        process.background(_request(process, url, limit, measure))
        sent += 1
        await process.clock.sleep(max(0.0, start + sent / rate - process.clock.monotonic()))


async def _report(process: Process, measure: Measure) -> None:
    while True:
        await process.clock.sleep(1.0)
        await process.out(measure.line())


async def _request(process: Process, url: Url, limit: float, measure: Measure) -> None:
    begun = process.clock.monotonic()
    client = None
    try:
        async with process.clock.timeout(limit):
            fetch = Fetch(url, headers=[("Connection", "close")], verify=False, connect_seconds=limit + 1)
            client = await open_client(process, fetch)
            response = await send(client, fetch)
            await response.read()
        if not 200 <= response.status < 300:
            measure.failed += 1
        else:
            measure.times.append(process.clock.monotonic() - begun)
    except (OSError, ProtocolError):
        measure.failed += 1
    finally:
        if client is not None:
            client.close()
