"""Ten simulated hours of churn: `python bench/soak.py [HOURS]`.

Two hundred pods on five nodes are rolled out, scaled, crashed and evicted by failing nodes; then everything must be as
it was asked for, with nothing stuck and nothing left over. Prints what it saw; exits 1 if the cluster does not settle.
"""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kuartui.embedded.cluster import Cluster, Spec
from kuartui.embedded.host import Host

APPS = 10
IMAGES = ("nginx:1.26", "nginx:1.27")
SECONDS = 600.0  # between two disturbances
NAMESPACE = "default"

Obj = dict[str, Any]


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
            "replicas": 20,
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


async def main(hours: float) -> int:
    dice = random.Random(1)
    done: dict[str, int] = {}
    down: list[str] = []
    with tempfile.TemporaryDirectory(prefix="kuartui-soak-") as folder:
        host = Host(Path(folder))
        cluster = await host.create(Spec(name="soak", nodes=6, fast=True, durable=False))
        for number in range(APPS):
            await cluster.client.create("deployments.apps", deployment(number))
        await cluster.clock.advance(60)
        begin, sizes = time.perf_counter(), []
        rounds = int(hours * 3600 / SECONDS)
        for index in range(rounds):
            what = await disturb(cluster, dice, down)
            done[what] = done.get(what, 0) + 1
            await cluster.clock.advance(SECONDS)
            if index % (rounds // 4 or 1) == 0:
                gc.collect()
                sizes.append(len(gc.get_objects()))
        while down:
            await cluster.parts.fleet.switch(down.pop(), "recover")
        await cluster.clock.advance(1200)
        took = time.perf_counter() - begin
        wrong = wrongs(cluster)
        print(f"{hours:g} simulated hours in {took:.1f} s: {done}")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"Python objects at each quarter: {sizes}; {memory} MiB at most")
        print("\n".join(wrong) or "everything is as it was asked for")
        await host.delete("soak")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10)))
