"""Rules about room: resources, the number of pods, host ports."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.scheduler.framework import Plugin, Refusal, Trial
from kuartui.embedded.scheduler.nodes import NodeInfo, PodOnNode

Obj = dict[str, Any]

ORDER = {"cpu": 0, "memory": 1, "ephemeral-storage": 2}


class NodePorts(Plugin):
    """Host ports can be taken once per node, address and protocol."""

    name = "NodePorts"
    wakes = frozenset({"pod-gone", "node"})

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        for wanted in trial.entry.ports:
            if any(_clash(wanted, taken) for entry in info.pods.values() for taken in entry.ports):
                return self.refuse("node(s) didn't have free ports for the requested pod ports")
        return None

    def helped_by(self, client: Client, pod: Obj, before: Obj | None, after: Obj | None) -> bool:
        """Somebody who held one of the ports went."""
        if before is None or after is not None:
            return False
        freed = PodOnNode(before).ports
        return any(_clash(wanted, taken) for wanted in PodOnNode(pod).ports for taken in freed)


def _clash(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    if one[1:] != other[1:]:
        return False
    return one[0] == other[0] or "0.0.0.0" in (one[0], other[0])


class NodeResourcesFit(Plugin):
    """Requests against what the node can still give."""

    name = "NodeResourcesFit"
    wakes = frozenset({"pod-gone", "pod-shrunk", "node"})

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        allocatable = info.allocatable
        reasons = []
        if len(info.pods) + 1 > allocatable.get("pods", 0):
            reasons.append("Too many pods")
        hopeless = False
        for name, wanted in sorted(trial.entry.requests.items(), key=lambda one: (ORDER.get(one[0], 3), one[0])):
            capacity = allocatable.get(name, 0)
            if wanted > 0 and wanted > capacity - info.requested.get(name, 0):
                reasons.append(f"Insufficient {name}")
                hopeless = hopeless or wanted > capacity
        return self.refuse(*reasons, final=hopeless) if reasons else None

    def helped_by_node(self, pod: Obj, before: Obj | None, after: Obj) -> bool:
        """It has more of something that the pod asks for, and as much as that."""
        asked, now = {**PodOnNode(pod).requests, "pods": 1}, NodeInfo(after).allocatable
        if any(amount > now.get(name, 0) for name, amount in asked.items()):
            return False
        if before is None:
            return True
        then = NodeInfo(before).allocatable
        return any(amount and now.get(name, 0) > then.get(name, 0) for name, amount in asked.items())
