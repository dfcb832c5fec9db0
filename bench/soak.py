"""Ten simulated hours of churn: `python bench/soak.py [HOURS] [--trace]`.

Two hundred pods on five nodes are rolled out, scaled, crashed and evicted by failing nodes. Four times the cluster
rests: every node up, every Deployment at its size, the events of the churn expired. In the end everything must be as it
was asked for, with nothing stuck, and the process must hold no more than at an earlier rest: Python objects, with
--trace also bytes. Prints what it saw; exits 1 if the cluster does not settle or memory grows.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import random
import resource
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any, NamedTuple

from kuartui.embedded.cluster import Cluster, Spec
from kuartui.embedded.host import Host

APPS = 10
PODS = 20  # of each
IMAGES = ("nginx:1.26", "nginx:1.27")
SECONDS = 600.0  # between two disturbances
REST = 4500.0  # long enough for events to expire after their hour
TOLERANCE = 0.03
LINUX = sys.platform == "linux"
NAMESPACE = "default"

Obj = dict[str, Any]


class Size(NamedTuple):
    """Memory at rest: objects that the collector knows, bytes that tracemalloc knows (0 without), bytes resident."""

    objects: int
    traced: int
    resident: int


def deployment(number: int) -> Obj:
    """Twenty pods; those of the last one crash three times an hour."""
    container: Obj = {"name": "c", "image": IMAGES[0]}
    if number == APPS - 1:
        container = {"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", "sleep 1200; exit 1"]}
    labels = {"app": f"a{number}"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"a{number}", "namespace": NAMESPACE},
        "spec": {
            "replicas": PODS,
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


async def disturb(cluster: Cluster, dice: random.Random, down: list[str]) -> str:
    """One thing goes wrong, or is asked for."""
    name = f"a{dice.randrange(APPS)}"
    what = dice.choice(("rollout", "scale", "kill", "node"))
    client = cluster.client
    if what == "rollout":
        stamp = {"metadata": {"annotations": {"rolled": str(dice.random())}}}
        await client.patch("deployments.apps", NAMESPACE, name, {"spec": {"template": stamp}})
    elif what == "scale":
        await client.patch("deployments.apps", NAMESPACE, name, {"spec": {"replicas": dice.randrange(10, 31)}})
    elif what == "kill":
        pods = client.list("pods", NAMESPACE)
        for pod in dice.sample(pods, min(10, len(pods))):
            await client.delete("pods", NAMESPACE, pod["metadata"]["name"], grace=0)
    elif down:
        await cluster.parts.fleet.switch(down.pop(), "recover")
    else:
        workers = [node["metadata"]["name"] for node in client.list("nodes")][1:]
        down.append(dice.choice(workers))
        await cluster.parts.fleet.switch(down[-1], "fail")
    return what


def wrongs(cluster: Cluster) -> list[str]:
    """What is not as it was asked for."""
    found = []
    client = cluster.client
    for one in client.list("deployments.apps", NAMESPACE):
        name, wanted = one["metadata"]["name"], one["spec"]["replicas"]
        labels = {"matchLabels": one["spec"]["selector"]["matchLabels"]}
        pods = [
            p for p in client.list("pods", NAMESPACE, labels) if p["status"].get("phase") not in ("Failed", "Succeeded")
        ]
        if len(pods) != wanted:
            found.append(f"{name}: {len(pods)} pods instead of {wanted}")
        stuck = [p["metadata"]["name"] for p in pods if p["metadata"].get("deletionTimestamp")]
        if stuck:
            found.append(f"{name}: {len(stuck)} pods do not go")
        if name != f"a{APPS - 1}" and one["status"].get("readyReplicas") != wanted:
            found.append(f"{name}: {one['status'].get('readyReplicas', 0)} of {wanted} ready")
    return found


async def rest(cluster: Cluster, down: list[str]) -> None:
    """Bring it to the state that it had at the beginning: every node up, every size as asked for, no event left."""
    while down:
        await cluster.parts.fleet.switch(down.pop(), "recover")
    for number in range(APPS):
        await cluster.client.patch("deployments.apps", NAMESPACE, f"a{number}", {"spec": {"replicas": PODS}})
    await cluster.clock.advance(REST)


def measure() -> Size:
    """What the process holds now, but for what `lru_cache` may keep: those have their bounds."""
    for one in gc.get_objects():
        if isinstance(one, functools._lru_cache_wrapper) and str(one.__module__).startswith("kuartui"):
            one.cache_clear()
    gc.collect()
    traced = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else 0
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() if LINUX else 0
    return Size(len(gc.get_objects()), traced, resident)


def grown(sizes: list[Size]) -> list[str]:
    """What grows from rest to rest though the cluster is as before. The first rest is not counted: caches fill."""
    first, last = sizes[min(1, len(sizes) - 1)], sizes[-1]
    found = []
    if last.objects > first.objects * (1 + TOLERANCE):
        found.append(f"a leak: {last.objects} Python objects at rest, after {first.objects}")
    if last.traced > first.traced * (1 + TOLERANCE):
        found.append(f"a leak: {last.traced >> 10} KiB at rest, after {first.traced >> 10} KiB")
    return found


async def main(hours: float, rests: int = 4) -> int:
    """Churn for `hours` with `rests` pauses to measure in; 1 if the cluster or its memory is not as it should be."""
    dice = random.Random(1)
    done: dict[str, int] = {}
    down: list[str] = []
    with tempfile.TemporaryDirectory(prefix="kuartui-soak-") as folder:
        host = Host(Path(folder))
        cluster = await host.create(Spec(name="soak", nodes=6, fast=True, durable=False))
        for number in range(APPS):
            await cluster.client.create("deployments.apps", deployment(number))
        await cluster.clock.advance(60)
        begin, sizes = time.process_time(), []
        rounds = int(hours * 3600 / SECONDS)
        for index in range(rounds):
            what = await disturb(cluster, dice, down)
            done[what] = done.get(what, 0) + 1
            await cluster.clock.advance(SECONDS)
            if (index + 1) % (rounds // rests or 1) == 0:
                await rest(cluster, down)
                sizes.append(measure())
        took = time.process_time() - begin
        wrong = wrongs(cluster) + grown(sizes)
        print(f"{hours:g} simulated hours of churn in {took:.1f} s of CPU: {done}")
        for size in sizes:
            traced = f", {size.traced >> 10} KiB traced" if size.traced else ""
            print(f"at rest: {size.objects} Python objects{traced}, {size.resident >> 20} MiB resident")
        print("\n".join(wrong) or "everything is as it was asked for, and nothing grew")
        await host.delete("soak")
    return bool(wrong)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--trace"]
    if "--trace" in sys.argv:
        tracemalloc.start()
    sys.exit(asyncio.run(main(float(words[0]) if words else 10)))
