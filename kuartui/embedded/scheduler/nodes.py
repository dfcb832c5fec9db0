"""What the scheduler knows of nodes: the pods on each, and what they take. Kept up to date change by change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.kinds.pod_resources import allocation, resize_infeasible
from kuartui.embedded.scheduler.requests import Amounts, amounts, pod_requests
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]


class PodOnNode:
    """A pod and what it takes."""

    def __init__(self, pod: Obj) -> None:
        self.pod = pod
        self.uid: str = pod["metadata"].get("uid", "")
        self.namespace: str = pod["metadata"]["namespace"]

    @cached_property
    def requests(self) -> Amounts:
        return pod_requests(self.pod)

    @cached_property
    def scored(self) -> Amounts:
        """Requests with defaults for what is not given."""
        return pod_requests(self.pod, for_score=True)

    @cached_property
    def ports(self) -> list[tuple[str, str, int]]:
        """Host ports: address, protocol, number."""
        sidecars = [one for one in self.pod["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"]
        return [
            (port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"])
            for container in [*self.pod["spec"]["containers"], *sidecars]
            for port in container.get("ports") or ()
            if port.get("hostPort")
        ]

    @property
    def labels(self) -> dict[str, str]:
        return self.pod["metadata"].get("labels") or {}

    @property
    def priority(self) -> int:
        return self.pod["spec"].get("priority") or 0

    @property
    def terminating(self) -> bool:
        return bool(self.pod["metadata"].get("deletionTimestamp"))

    @cached_property
    def affinity(self) -> Obj:
        found: Obj = self.pod["spec"].get("affinity") or {}
        return found


class NodeInfo:
    """A node with its pods. `node` is {} for pods on a node that is not (or no longer) there."""

    def __init__(self, node: Obj) -> None:
        self.node = node
        self.pods: dict[str, PodOnNode] = {}
        self.requested: Amounts = {}
        self.scored: Amounts = {}

    @property
    def name(self) -> str:
        name: str = self.node["metadata"]["name"]
        return name

    @property
    def labels(self) -> dict[str, str]:
        return self.node["metadata"].get("labels") or {}

    @property
    def taints(self) -> list[Obj]:
        return self.node.get("spec", {}).get("taints") or []

    @property
    def allocatable(self) -> Amounts:
        return amounts(self.node.get("status", {}).get("allocatable"))

    def add(self, entry: PodOnNode) -> None:
        """Put a pod on the node."""
        self.remove(entry.uid)
        self.pods[entry.uid] = entry
        _count(self.requested, entry.requests, 1)
        _count(self.scored, entry.scored, 1)

    def remove(self, uid: str) -> None:
        """Take a pod off, if it is there."""
        entry = self.pods.pop(uid, None)
        if entry is not None:
            _count(self.requested, entry.requests, -1)
            _count(self.scored, entry.scored, -1)

    def copy(self) -> NodeInfo:
        """The same, to try things on."""
        made = NodeInfo(self.node)
        made.pods = dict(self.pods)
        made.requested = dict(self.requested)
        made.scored = dict(self.scored)
        return made


def _count(total: Amounts, more: Amounts, sign: int) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + sign * value


def _same_needs(one: Obj, other: Obj) -> bool:
    return bool(
        one["spec"] == other["spec"]
        and allocation(one) == allocation(other)
        and resize_infeasible(one) == resize_infeasible(other)
    )


def takes_room(pod: Obj) -> bool:
    """Whether a pod counts on its node: assigned and not finished."""
    return bool(pod["spec"].get("nodeName")) and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


class Nodes:
    """All nodes, following the store."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._infos: dict[str, NodeInfo] = {}
        self._places: dict[str, str] = {}

    def follow(self) -> list[Callable[[], None]]:
        """Begin to listen; gives what ends it."""
        return [self._client.listen("nodes", self._node_changed), self._client.listen("pods", self._pod_changed)]

    def __iter__(self) -> Iterator[NodeInfo]:
        return (self._infos[name] for name in sorted(self._infos) if self._infos[name].node)

    def __len__(self) -> int:
        return sum(1 for info in self._infos.values() if info.node)

    def get(self, name: str) -> NodeInfo | None:
        """A node that exists."""
        info = self._infos.get(name)
        return info if info is not None and info.node else None

    def assume(self, pod: Obj, node: str) -> None:
        """Count a pod on a node before the API says so."""
        self._place(PodOnNode(pod), node)

    def forget(self, uid: str) -> None:
        """Take back an assumption, or drop a pod."""
        place = self._places.pop(uid, None)
        if place is not None and place in self._infos:
            self._infos[place].remove(uid)
            self._tidy(place)

    def _place(self, entry: PodOnNode, node: str) -> None:
        info = self._infos.setdefault(node, NodeInfo({}))
        known = info.pods.get(entry.uid)
        if known is not None and _same_needs(known.pod, entry.pod):
            known.pod = entry.pod  # asks for the same: nothing to count
            return
        if self._places.get(entry.uid) not in (None, node):
            self.forget(entry.uid)
        self._places[entry.uid] = node
        info.add(entry)

    def _node_changed(self, event: Event) -> None:
        name = event.obj.key.name
        gone = event.type is EventType.DELETED
        self._infos.setdefault(name, NodeInfo({})).node = {} if gone else event.obj.data
        if gone:
            self._tidy(name)

    def _pod_changed(self, event: Event) -> None:
        pod = event.obj.data
        if event.type is not EventType.DELETED and takes_room(pod):
            self._place(PodOnNode(pod), pod["spec"]["nodeName"])
        elif event.type is EventType.DELETED or pod["spec"].get("nodeName"):
            self.forget(event.obj.uid)

    def _tidy(self, name: str) -> None:
        info = self._infos[name]
        if not info.node and not info.pods:
            del self._infos[name]
