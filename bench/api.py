"""The embedded API under load: `python bench/api.py [PODS…]` (1000 and 5000 unless told).

Prints creates per second, lists as JSON and as tables, fan-out to 50 watchers, restart, and memory after each.
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
from budgets import POD, client, elapsed, kuartui

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
WATCHERS = 50


def memory(state: Path) -> str:
    """Of the server process."""
    pid = json.loads((state / "host.json").read_text())["pid"]
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return f"{int(line.split()[1]) / 1024:.0f} MiB"
    return "?"


def say(what: str, figure: str, state: Path) -> None:
    print(f"{what:48} {figure:>16}   memory {memory(state)}", flush=True)


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
        state = Path(home) / "state" / "embedded"
        kubeconfig = Path(kuartui("cluster", "kubeconfig", "--name", "bench", "--path").strip())
        http = client(kubeconfig)

        async def writes() -> None:
            async with asynchronous(http) as many:
                maps = [{"metadata": {"name": f"m{n}"}, "data": {"a": "b"}} for n in range(2000)]
                say("create small objects, 8 connections", f"{await create(many, MAPS, maps, 8):.0f}/s", state)
                rate, way = await fan_out(many, 100)
                say(f"events to {WATCHERS} watchers", f"{rate:.0f}/s", state)
                say("a change until the last watcher has it, worst", f"{way * 1000:.0f} ms", state)

        asyncio.run(writes())
        made = 0
        for size in sizes:
            pods = [{**POD, "metadata": {**POD["metadata"], "name": f"p{n}"}} for n in range(made, size)]
            made = size

            async def fill(pods: list[dict[str, object]] = pods) -> float:
                async with asynchronous(http) as many:
                    return await create(many, PODS, pods, 8)

            say(f"create pods up to {size}", f"{asyncio.run(fill()):.0f}/s", state)
            say(f"list {size} pods, JSON", f"{elapsed(lambda: http.get(PODS)) * 1000:.0f} ms", state)
            took = elapsed(lambda: http.get(PODS, headers={"accept": TABLE}))
            say(f"list {size} pods, Table", f"{took * 1000:.0f} ms", state)
        os.kill(json.loads((state / "host.json").read_text())["pid"], signal.SIGKILL)
        time.sleep(0.2)
        took = elapsed(lambda: kuartui("cluster", "up", "--name", "bench"))
        say(f"restart after kill -9 with {made} pods", f"{took * 1000:.0f} ms", state)
        kuartui("cluster", "down", "--name", "bench")


if __name__ == "__main__":
    main()
