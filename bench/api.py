"""The embedded API under load: `python bench/api.py [PODS…]` (1000 and 5000 unless told).

Prints creates per second, lists as JSON and as tables, fan-out to 50 watchers, restart; after each the processor time
that the server took for it (which a busy machine hardly changes, as it does the times) and its memory.
Nothing here ever fails a build: machines differ.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import httpx
from budgets import POD, client, elapsed, kuartui, memory

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
WATCHERS = 50


class Server:
    """The process that hosts the cluster."""

    def __init__(self, state: Path) -> None:
        self._state, self._seconds, self.pid = state, 0.0, 0
        self.find()

    def find(self) -> None:
        """Which process it is now."""
        self.pid = json.loads((self._state / "host.json").read_text())["pid"]
        self._seconds = 0.0

    def spent(self) -> float:
        """Processor seconds since the last call."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        now = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        before, self._seconds = self._seconds, now
        return now - before

    def say(self, what: str, figure: str, count: int = 1) -> None:
        """`count` is how many operations the figure is about."""
        took = self.spent() / count
        spent = f"{took * 1000:.1f} ms" if took < 1 else f"{took:.1f} s"
        print(f"{what:48} {figure:>10}   server CPU {spent:>8}   memory {memory(self.pid):.0f} MiB", flush=True)


async def create(http: httpx.AsyncClient, path: str, objects: list[dict[str, object]], workers: int) -> float:
    """Objects per second."""
    waiting = iter(objects)

    async def work() -> None:
        for obj in waiting:
            answer = await http.post(path, json=obj)
            answer.raise_for_status()

    begin = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    return len(objects) / (time.perf_counter() - begin)


async def fan_out(http: httpx.AsyncClient, changes: int) -> tuple[float, float]:
    """Events per second over all watchers, and the longest way of one change to the last of them (s)."""
    seen: list[list[float]] = [[] for _ in range(WATCHERS)]
    ready = asyncio.Event()
    open_ = 0

    async def follow(times: list[float]) -> None:
        nonlocal open_
        async with http.stream("GET", MAPS, params={"watch": "true", "fieldSelector": "metadata.name=beat"}) as answer:
            open_ += 1
            if open_ == WATCHERS:
                ready.set()
            async for line in answer.aiter_lines():
                if '"beat"' in line:
                    times.append(time.perf_counter())
                if len(times) > changes:
                    return

    tasks = [asyncio.create_task(follow(times)) for times in seen]
    await ready.wait()
    await http.post(MAPS, json={"metadata": {"name": "beat"}, "data": {"n": "0"}})
    sent = []
    for number in range(changes):
        sent.append(time.perf_counter())
        patch = json.dumps({"data": {"n": str(number + 1)}})
        await http.patch(f"{MAPS}/beat", content=patch, headers={"content-type": "application/merge-patch+json"})
    await asyncio.gather(*tasks)
    last = max(times[-1] for times in seen)
    ways = [max(times[index + 1] for times in seen) - at for index, at in enumerate(sent)]
    return WATCHERS * changes / (last - sent[0]), max(ways)


def asynchronous(http: httpx.Client) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=WATCHERS + 20)
    context = http._transport._pool._ssl_context  # type: ignore[attr-defined]  # the same trust, built once
    return httpx.AsyncClient(base_url=http.base_url, headers=http.headers, verify=context, timeout=120, limits=limits)


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or [1000, 5000]
    with tempfile.TemporaryDirectory(prefix="kuartui-bench-") as home:
        os.environ["KUARTUI_HOME"] = home
        kuartui("cluster", "up", "--name", "bench", "--nodes", "1", "--bare")
        server = Server(Path(home) / "state" / "embedded")
        kubeconfig = Path(kuartui("cluster", "kubeconfig", "--name", "bench", "--path").strip())
        http = client(kubeconfig)
        asyncio.run(writes(http, server))
        made = 0
        for size in sizes:
            pods = [{**POD, "metadata": {**POD["metadata"], "name": f"p{n}"}} for n in range(made, size)]
            made = size
            server.spent()
            server.say(f"create pods up to {size}, each", f"{asyncio.run(fill(http, pods)):.0f}/s", len(pods))
            for what, accept in (("JSON", "application/json"), ("Table", TABLE)):
                for when in ("first", "again"):
                    took = elapsed(lambda accept=accept: http.get(PODS, headers={"accept": accept}))
                    server.say(f"list {size} pods, {what}, {when}", f"{took * 1000:.0f} ms")
        os.kill(server.pid, signal.SIGKILL)
        while Path(f"/proc/{server.pid}").exists():
            time.sleep(0.01)
        took = elapsed(lambda: kuartui("cluster", "up", "--name", "bench"))
        server.find()
        server.say(f"restart after kill -9 with {made} pods", f"{took * 1000:.0f} ms")
        kuartui("cluster", "down", "--name", "bench")


async def writes(http: httpx.Client, server: Server) -> None:
    """Small objects, and a change told to many."""
    async with asynchronous(http) as many:
        maps = [{"metadata": {"name": f"m{n}"}, "data": {"a": "b"}} for n in range(2000)]
        server.spent()
        rate = await create(many, MAPS, maps, 8)
        server.say("create small objects, 8 connections, each", f"{rate:.0f}/s", len(maps))
        rate, way = await fan_out(many, 100)
        server.say(f"events to {WATCHERS} watchers, each", f"{rate:.0f}/s", 100 * WATCHERS)
        print(f"{'a change until the last watcher has it, worst':48} {f'{way * 1000:.0f} ms':>10}", flush=True)


async def fill(http: httpx.Client, pods: list[dict[str, object]]) -> float:
    async with asynchronous(http) as many:
        return await create(many, PODS, pods, 8)


if __name__ == "__main__":
    main()
