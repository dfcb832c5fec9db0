"""cluster-proportional-autoscaler: replicas by the number of nodes and cores, as its ConfigMap says."""

from __future__ import annotations

import json
import math
from typing import Any

from kuartui.embedded.images.programs.api_client import ApiClient
from kuartui.embedded.meta import quantity
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]

PERIOD_SECONDS = 10.0
PATHS = {
    "deployment": "/apis/apps/v1/namespaces/{}/deployments/{}",
    "replicaset": "/apis/apps/v1/namespaces/{}/replicasets/{}",
    "replicationcontroller": "/api/v1/namespaces/{}/replicationcontrollers/{}",
}


class Scaler:
    """One target and what to hold it to."""

    def __init__(self, process: Process, options: dict[str, str]) -> None:
        self._process = process
        self._api = ApiClient(process)
        self._namespace = options.get("namespace") or self._api.namespace
        self._map = options["configmap"]
        self._default = json.loads(options.get("default-params") or "{}")
        kind, _, name = options["target"].partition("/")
        self._target = PATHS[kind.lower()].format(self._namespace, name) + "/scale"

    async def round(self) -> None:
        """Look at the nodes once, and scale if need be."""
        wanted = await self._wanted()
        scale = await self._api.call("GET", self._target)
        if wanted is None or not scale.ok:
            if not scale.ok:
                await self._log(f"Error while getting the target's scale: {scale.text}", "E")
            return
        now = scale.body["spec"].get("replicas", 0)
        if now == wanted:
            return
        await self._log(f"Cluster status: replicas = {now}, expected = {wanted}. Updating resource")
        answer = await self._api.call("PUT", self._target, scale.body | {"spec": {"replicas": wanted}})
        if not answer.ok:
            await self._log(f"Update failure: {answer.text}", "E")

    async def _wanted(self) -> int | None:
        path = f"/api/v1/namespaces/{self._namespace}/configmaps"
        found = await self._api.call("GET", f"{path}/{self._map}")
        if found.status == 404 and self._default:
            await self._log(f"ConfigMap not found: {self._map}, will create one with default params")
            data = {mode: json.dumps(given, separators=(",", ":")) for mode, given in self._default.items()}
            made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self._map}, "data": data}
            found = await self._api.call("POST", path, made)
        nodes = await self._api.call("GET", "/api/v1/nodes")
        if not found.ok or not nodes.ok:
            await self._log(f"Error fetching: {(nodes if found.ok else found).text}", "E")
            return None
        mode, text = next(iter((found.body.get("data") or {"": ""}).items()))
        try:
            return replicas(mode, json.loads(text), nodes.body.get("items") or [])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            await self._log(f"Error parsing the ConfigMap: {error}", "E")
            return None

    async def _log(self, text: str, level: str = "I") -> None:
        now = self._process.clock.now()
        await self._process.err(
            f"{level}{now:%m%d %H:%M:%S}.{now.microsecond:06d}       1 autoscaler_server.go:153] {text}\n"
        )

    async def rounds(self, seconds: float) -> None:
        """Round after round."""
        while True:
            await self.round()
            await self._process.clock.sleep(seconds)


def replicas(mode: str, given: Obj, nodes: list[Obj]) -> int:
    """How many replicas a mode's parameters ask for. Raises ValueError for an unknown mode."""
    if not given.get("includeUnschedulableNodes"):
        nodes = [node for node in nodes if not node.get("spec", {}).get("unschedulable")]
    cores = (
        sum(quantity.parse((node.get("status", {}).get("allocatable") or {}).get("cpu", "0")).milli for node in nodes)
        / 1000
    )
    if mode == "linear":
        least = 2 if given.get("preventSinglePointFailure") and len(nodes) > 1 else 1
        wanted = max(
            math.ceil(cores / given["coresPerReplica"]) if given.get("coresPerReplica") else 0,
            math.ceil(len(nodes) / given["nodesPerReplica"]) if given.get("nodesPerReplica") else 0,
            int(given.get("min") or 1),
            least,
        )
        return min(wanted, int(given["max"])) if given.get("max") else wanted
    if mode == "ladder":
        steps = [(given.get("coresToReplicas"), cores), (given.get("nodesToReplicas"), len(nodes))]
        return max((count for table, size in steps for start, count in table or () if start <= size), default=0)
    raise ValueError(f"no such mode: {mode!r}")


async def autoscaler(process: Process) -> int:
    """Work until told to stop."""
    options = dict(word.removeprefix("--").partition("=")[::2] for word in process.argv[1:])
    try:
        scaler = Scaler(process, options)
    except (KeyError, ValueError) as error:
        await process.err(f"F cluster-proportional-autoscaler: {type(error).__name__}: {error}\n")
        return 1
    stop = process.signals("TERM", "INT")
    process.background(scaler.rounds(float(options.get("poll-period-seconds") or PERIOD_SECONDS)))
    await stop.get()
    return 0
