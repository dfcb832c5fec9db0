"""Node health: a silent kubelet makes its node Unknown, and conditions become taints.

After pkg/controller/nodelifecycle. Silence is measured on this controller's own clock from the last sign of life seen,
so nothing has to be polled: one timer per node is enough.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

LEASES, LEASE_NAMESPACE = "leases.coordination.k8s.io", "kube-node-lease"
GRACE = 50.0  # --node-monitor-grace-period
STARTUP_GRACE = 60.0  # --node-startup-grace-period: for a node that never said anything
NEVER_HEARD = "NodeStatusNeverUpdated"
WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
PREFIX = "node.kubernetes.io/"
PRESSURES = {
    "MemoryPressure": "memory-pressure",
    "DiskPressure": "disk-pressure",
    "PIDPressure": "pid-pressure",
    "NetworkUnavailable": "network-unavailable",
}
HEALTH = ("not-ready", "unreachable")
MONITOR_PERIOD = 5.0  # --node-monitor-period: nodes that are down by the end of it are judged together
BETWEEN_EVICTIONS = 10.0  # seconds from one node of a zone to the next: --node-eviction-rate
UNHEALTHY_ZONE = 0.55  # --unhealthy-zone-threshold
ZONE = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


class NodeLifecycleController(Controller):
    """Watches nodes and their leases."""

    name = "node-controller"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._seen: dict[str, float] = {}
        self._next_eviction: dict[tuple[str, ...], float] = {}
        """By zone: when the pods of another node may be driven out."""
        self._down: dict[str, float] = {}
        """Nodes that are not ready, and since when."""

    def setup(self) -> None:
        self.watch("nodes", self._node_changed)
        self.watch(LEASES, self._lease_changed)

    def _node_changed(self, event: Event) -> None:
        name, node = event.obj.key.name, event.obj.data
        if event.type is EventType.DELETED:
            self._seen.pop(name, None)
            self._down.pop(name, None)
            for stored in self.client.store.list("nodes"):
                self.enqueue("", stored.key.name)
            self._tell(node, "Normal", "RemovingNode", f"Node {name} event: Removing Node {name} from Controller")
            return
        if name not in self._seen:
            self._tell(node, "Normal", "RegisteredNode", f"Node {name} event: Registered Node {name} in Controller")
            self._seen[name] = self.clock.monotonic()
        elif event.old is not None and _heartbeats(node) != _heartbeats(event.old.data):
            self._seen[name] = self.clock.monotonic()
        if event.old is None or _health(node) != _health(event.old.data):
            self.enqueue("", name)
        if event.old is not None and _ready(node) != _ready(event.old.data):
            for stored in self.client.store.list("nodes"):  # whether anybody is evicted depends on all of them
                self.enqueue("", stored.key.name)

    def _lease_changed(self, event: Event) -> None:
        if event.obj.key.namespace == LEASE_NAMESPACE and event.obj.key.name in self._seen:
            self._seen[event.obj.key.name] = self.clock.monotonic()

    async def reconcile(self, namespace: str, name: str) -> None:
        node = self.client.get("nodes", "", name)
        if node is None:
            return
        silence = self.clock.monotonic() - self._seen.get(name, 0.0)
        heard = objects.condition((node.get("status") or {}).get("conditions"), "Ready")
        grace = GRACE if heard else STARTUP_GRACE
        if silence >= grace:
            node = await self._mark_unknown(node)
        else:
            self.enqueue_after("", name, grace - silence)
        if _ready(node):
            self._down.pop(name, None)
        else:
            self._down.setdefault(name, self.clock.monotonic())
            await self._mark_pods(node)
        await self._taint(node, all_down=not _ready(node) and self._all_down())

    def _all_down(self) -> bool:
        """Whether no node answers: then it is rather us who are cut off, and nobody is evicted."""
        nodes = self.client.list("nodes")
        return bool(nodes) and not any(map(_ready, nodes))

    def _patience(self, node: Obj) -> float | None:
        """Seconds until the pods of a node that is down may be driven out; None while too much of its zone is down."""
        zone = _zone(node)
        there = [_ready(one) for one in self.client.list("nodes") if _zone(one) == zone]
        down = there.count(False)
        if down > 2 and down / len(there) >= UNHEALTHY_ZONE:  # a cluster as small as ours waits until it is less
            return None
        now = self.clock.monotonic()
        decided = self._down.get(objects.name_of(node), now) + MONITOR_PERIOD
        return max(0.0, decided - now, self._next_eviction.get(zone, 0.0) - now)

    async def _mark_unknown(self, node: Obj) -> Obj:
        status = node.get("status") or {}
        conditions = {one["type"]: one for one in status.get("conditions") or ()}
        now = format_time(self.clock.now())
        changed = False
        for type_ in WATCHED:
            current = conditions.get(type_)
            if current is not None and current["status"] == "Unknown":
                continue
            reason, message = "NodeStatusUnknown", "Kubelet stopped posting node status."
            if current is None:
                reason, message = NEVER_HEARD, "Kubelet never posted node status."
            conditions[type_] = {
                "type": type_,
                "status": "Unknown",
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": current["lastHeartbeatTime"] if current else node["metadata"]["creationTimestamp"],
                "lastTransitionTime": now,
            }
            changed = True
        if not changed:
            return node
        new = {**status, "conditions": list(conditions.values())}
        return await self.client.update_status("nodes", objects.with_status(node, new))

    async def _mark_pods(self, node: Obj) -> None:
        """Pods of a node that is not ready are not ready either; nobody but us can say so."""
        name = objects.name_of(node)
        for stored in self.client.store.by_index("pods", "node", name):
            conditions = stored.data.get("status", {}).get("conditions") or []
            ready = objects.condition(conditions, "Ready")
            if ready is None or ready["status"] != "True":
                continue
            now = format_time(self.clock.now())
            new = [
                {**one, "status": "False", "lastTransitionTime": now} if one["type"] == "Ready" else one
                for one in conditions
            ]
            try:
                await self.client.patch("pods", *stored.key[1:], {"status": {"conditions": new}}, "status")
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
            self._tell(stored.data, "Warning", "NodeNotReady", "Node is not ready")
        ready = objects.condition(node.get("status", {}).get("conditions"), "Ready")
        if ready and ready.get("reason") != NEVER_HEARD:  # who was never ready is no news
            self._tell_once(node)

    def _tell_once(self, node: Obj) -> None:
        """The event for a node that went down; it has not got its taint yet."""
        taints = {taint["key"] for taint in node.get("spec", {}).get("taints") or ()}
        if not taints & {PREFIX + one for one in HEALTH}:
            name = objects.name_of(node)
            self._tell(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")

    async def _taint(self, node: Obj, *, all_down: bool) -> None:
        spec = node.get("spec", {})
        current = spec.get("taints") or []
        wanted = _wanted_taints(node, evict=not all_down)
        kept = [taint for taint in current if not _ours(taint) or (taint["key"], taint["effect"]) in wanted]
        there = {(taint["key"], taint["effect"]) for taint in kept}
        now = format_time(self.clock.now())
        added = [
            {"key": key, "effect": effect, "timeAdded": now} for key, effect in wanted if (key, effect) not in there
        ]
        evicted = any(taint["effect"] == "NoExecute" and _ours(taint) for taint in current)
        evicts = not evicted and any(taint["effect"] == "NoExecute" for taint in added)
        patience = self._patience(node) if evicts else 0.0
        if patience != 0.0:
            evicts = False
            added = [taint for taint in added if taint["effect"] != "NoExecute"]
            if patience is not None:
                self.enqueue_after("", objects.name_of(node), patience)
        if not added and len(kept) == len(current):
            return
        patch = {
            "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
            "spec": {"taints": kept + added or None},
        }
        try:
            await self.client.patch("nodes", "", objects.name_of(node), patch)
        except StatusError as error:
            if error.code != 404:
                raise
            return
        if evicts:
            self._next_eviction[_zone(node)] = self.clock.monotonic() + BETWEEN_EVICTIONS

    def _tell(self, obj: Obj, type_: str, reason: str, message: str) -> None:
        self.client.record(obj, type_, reason, message, self.name)


def _ready(node: Obj) -> bool:
    return objects.condition_true(node, "Ready")


def _zone(node: Obj) -> tuple[str, ...]:
    labels = objects.labels_of(node)
    return tuple(labels.get(label, "") for label in ZONE)


def _heartbeats(node: Obj) -> list[str]:
    return [one.get("lastHeartbeatTime", "") for one in node.get("status", {}).get("conditions") or ()]


def _health(node: Obj) -> tuple[Any, ...]:
    """What of a node taints follow from."""
    conditions = [(one["type"], one["status"]) for one in node.get("status", {}).get("conditions") or ()]
    spec = node.get("spec", {})
    return conditions, spec.get("unschedulable"), spec.get("taints")


def _ours(taint: Obj) -> bool:
    """Whether a taint is one that this controller sets."""
    name = taint["key"].removeprefix(PREFIX)
    if taint["effect"] == "NoExecute":
        return name in HEALTH
    return taint["effect"] == "NoSchedule" and name in {*HEALTH, "unschedulable", *PRESSURES.values()}


def _wanted_taints(node: Obj, *, evict: bool) -> list[tuple[str, str]]:
    """Keys and effects that conditions call for."""
    wanted = []
    if node.get("spec", {}).get("unschedulable"):
        wanted.append((PREFIX + "unschedulable", "NoSchedule"))
    for one in node.get("status", {}).get("conditions") or ():
        type_, status = one["type"], one["status"]
        if type_ in PRESSURES and status == "True":
            wanted.append((PREFIX + PRESSURES[type_], "NoSchedule"))
        elif type_ == "Ready" and status != "True":
            key = PREFIX + ("unreachable" if status == "Unknown" else "not-ready")
            wanted.append((key, "NoSchedule"))
            if evict:
                wanted.append((key, "NoExecute"))
    return wanted
