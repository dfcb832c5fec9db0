"""Nodes that fall silent, taints, and pods that lose their node."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.controllers.nodes.eviction import TaintEvictionController
from kuartui.embedded.controllers.nodes.lifecycle import NodeLifecycleController
from kuartui.embedded.controllers.nodes.pod_gc import PodGarbageCollector
from kuartui.embedded.meta.time import format_micro, format_time
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]
LEASES = "leases.coordination.k8s.io"
WAITS = [
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
    {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
]


class Nodes(Cluster):
    """Nodes whose kubelets renew their leases until they are switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.off: set[str] = set()

    async def node(self, name: str) -> None:
        now = format_time(self.clock.now())
        conditions = [
            {"type": type_, "status": status, "lastHeartbeatTime": now, "lastTransitionTime": now}
            for type_, status in (
                ("MemoryPressure", "False"),
                ("DiskPressure", "False"),
                ("PIDPressure", "False"),
                ("Ready", "True"),
            )
        ]
        await self.create("nodes", name, spec={}, status={"conditions": conditions})
        await self.create(LEASES, name, "kube-node-lease", spec={"renewTime": format_micro(self.clock.now())})
        self._beat(name)

    def _beat(self, name: str) -> None:
        if name not in self.off and self.client.get(LEASES, "kube-node-lease", name):
            stored = self.store.get(LEASES, "kube-node-lease", name)
            assert stored is not None
            lease = stored.mutable()
            lease["spec"]["renewTime"] = format_micro(self.clock.now())
            self.store.update(LEASES, "kube-node-lease", name, lease, None)
        self.clock.call_later(10, lambda: self._beat(name))

    async def pod(self, name: str, node: str = "n1", **more: Any) -> None:
        await self.create(
            "pods", name, spec={"nodeName": node, "containers": [{"name": "c"}], "tolerations": WAITS, **more}
        )
        await self.run(0.1)

    def taints(self, name: str = "n1") -> list[tuple[str, str]]:
        found = self.get("nodes", name)["spec"].get("taints") or ()
        return [(taint["key"].removeprefix("node.kubernetes.io/"), taint["effect"]) for taint in found]

    def ready(self, name: str = "n1") -> str:
        status: str = next(
            one["status"] for one in self.get("nodes", name)["status"]["conditions"] if one["type"] == "Ready"
        )
        return status


@pytest.fixture
async def nodes() -> Any:
    made = Nodes()
    made.start(
        NodeLifecycleController(made.client), TaintEvictionController(made.client), PodGarbageCollector(made.client)
    )
    for name in ("n1", "n2"):
        await made.node(name)
    await made.run(1)
    yield made
    await made.stop()


async def test_a_silent_node_is_unknown_unreachable_and_loses_its_pods(nodes: Nodes) -> None:
    await nodes.pod("p")
    await nodes.pod("stays", tolerations=[{"operator": "Exists"}])
    assert nodes.ready() == "True"
    nodes.off.add("n1")
    await nodes.run(45)
    assert nodes.ready() == "True"
    await nodes.run(20)
    assert nodes.ready() == "Unknown"
    assert nodes.taints() == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    assert nodes.events("NodeNotReady", "Pod/p") == ["Node is not ready"]
    assert nodes.events("NodeNotReady", "Node") == ["Node n1 status is now: NodeNotReady"]
    assert not nodes.get("pods", "p")["metadata"].get("deletionTimestamp")
    await nodes.run(305)
    assert nodes.gone("pods", "p")  # the kubelet of these tests goes on; a real one would leave it Terminating
    assert nodes.events("TaintManagerEviction", "Pod/p") == ["Marking for deletion Pod default/p"]
    assert nodes.get("pods", "stays")
    assert nodes.ready("n2") == "True"


async def test_a_node_that_nobody_runs_is_given_up_after_a_minute_without_a_word(nodes: Nodes) -> None:
    await nodes.create("nodes", "paper")
    await nodes.run(55)
    assert not nodes.get("nodes", "paper").get("status", {}).get("conditions")
    await nodes.run(10)
    conditions = nodes.get("nodes", "paper")["status"]["conditions"]
    assert {(one["status"], one["reason"]) for one in conditions} == {("Unknown", "NodeStatusNeverUpdated")}
    assert nodes.taints("paper") == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    assert nodes.events("NodeNotReady") == []


async def test_it_comes_back_in_time(nodes: Nodes) -> None:
    await nodes.pod("p")
    nodes.off.add("n1")
    await nodes.run(100)
    nodes.off.discard("n1")
    stored = nodes.store.get("nodes", "", "n1")
    assert stored is not None
    node = stored.mutable()
    for condition in node["status"]["conditions"]:
        condition["status"] = "True" if condition["type"] == "Ready" else "False"
        condition["lastHeartbeatTime"] = format_time(nodes.clock.now())
    nodes.store.update("nodes", "", "n1", node, None)
    await nodes.run(400)
    assert nodes.taints() == []
    assert nodes.events("TaintManagerEviction") == ["Cancelling deletion of Pod default/p"]
    assert nodes.get("pods", "p")


async def test_nobody_is_evicted_when_every_node_is_silent(nodes: Nodes) -> None:
    await nodes.pod("p")
    nodes.off |= {"n1", "n2"}
    await nodes.run(600)
    assert nodes.ready() == nodes.ready("n2") == "Unknown"
    assert nodes.get("pods", "p")


async def test_cordon_and_pressure_are_taints(nodes: Nodes) -> None:
    await nodes.edit("nodes", "n1", {"spec": {"unschedulable": True}})
    await nodes.run(1)
    assert nodes.taints() == [("unschedulable", "NoSchedule")]
    await nodes.edit("nodes", "n1", {"spec": {"unschedulable": None}})
    conditions = nodes.get("nodes", "n1")["status"]["conditions"]
    pressed = [{**one, "status": "True"} if one["type"] == "MemoryPressure" else one for one in conditions]
    await nodes.edit("nodes", "n1", {"status": {"conditions": pressed}})
    await nodes.run(1)
    assert nodes.taints() == [("memory-pressure", "NoSchedule")]


async def test_a_no_execute_taint_drives_out_at_once_or_later(nodes: Nodes) -> None:
    await nodes.pod("now")
    await nodes.pod(
        "later", tolerations=[{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}]
    )
    await nodes.pod("never", tolerations=[{"key": "k", "operator": "Exists"}])
    await nodes.edit("nodes", "n1", {"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoExecute"}]}})
    await nodes.run(2)
    assert [pod["metadata"]["name"] for pod in nodes.pods()] == ["later", "never"]
    await nodes.run(30)
    assert [pod["metadata"]["name"] for pod in nodes.pods()] == ["never"]
    await nodes.pod("late", tolerations=[])
    await nodes.run(1)
    assert nodes.gone("pods", "late")


async def test_pods_of_a_deleted_node_go_after_a_while(nodes: Nodes) -> None:
    await nodes.pod("p")
    await nodes.delete("nodes", "n1")
    await nodes.run(30)
    assert nodes.get("pods", "p")
    await nodes.run(15)
    assert nodes.gone("pods", "p")


async def test_a_terminating_pod_without_a_node_goes(nodes: Nodes) -> None:
    await nodes.create("pods", "p", spec={"containers": []}, metadata={"finalizers": ["x/y"]})
    await nodes.delete("pods", "p", grace=0)
    await nodes.edit("pods", "p", {"metadata": {"finalizers": None}})
    await nodes.run(1)
    assert nodes.gone("pods", "p")


async def test_of_several_tolerations_the_first_that_fits_says_how_long(nodes: Nodes) -> None:
    for_ever, briefly = {"key": "k", "operator": "Exists"}, {"operator": "Exists", "tolerationSeconds": 5}
    await nodes.pod("stays", tolerations=[for_ever, briefly])
    await nodes.pod("goes", tolerations=[briefly, for_ever])
    await nodes.edit("nodes", "n1", {"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoExecute"}]}})
    await nodes.run(10)
    assert [pod["metadata"]["name"] for pod in nodes.pods()] == ["stays"]


async def test_nodes_of_a_zone_are_emptied_one_after_the_other(nodes: Nodes) -> None:
    for number in range(3, 6):
        await nodes.node(f"n{number}")
    nodes.off |= {"n1", "n2"}
    await nodes.run(55)
    silent = [("unreachable", "NoSchedule")]
    evicted = [*silent, ("unreachable", "NoExecute")]
    assert sorted([nodes.taints("n1"), nodes.taints("n2")]) == [silent, evicted]
    await nodes.run(10)
    assert nodes.taints("n1") == nodes.taints("n2") == evicted


async def test_nobody_is_evicted_while_most_of_a_zone_is_silent(nodes: Nodes) -> None:
    for number in range(3, 6):
        await nodes.node(f"n{number}")
    nodes.off |= {"n1", "n2", "n3"}
    await nodes.run(120)
    assert all(nodes.taints(name) == [("unreachable", "NoSchedule")] for name in nodes.off)
    await nodes.delete("nodes", "n3")
    await nodes.run(30)
    assert nodes.taints("n1") == nodes.taints("n2") == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
