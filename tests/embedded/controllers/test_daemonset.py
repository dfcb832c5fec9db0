"""DaemonSets: one pod per fitting node, and updates of them."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.controllers.daemonset import DaemonSetController
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]


class Fleet(Cluster):
    """A cluster with a scheduler in one line."""

    async def node(self, name: str, **more: Any) -> None:
        await self.create("nodes", name, metadata={"labels": more.pop("labels", {})}, spec=more, status={})

    def place(self, event: Any) -> None:
        import asyncio

        pod = event.obj.data
        if event.type == "ADDED" and not pod["spec"].get("nodeName"):
            required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            node = required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0]
            name = pod["metadata"]["name"]
            self.clock.call_later(
                0, lambda: self.tasks.append(asyncio.ensure_future(self.client.bind("default", name, node)))
            )


@pytest.fixture
async def fleet() -> Any:
    made = Fleet()
    made.client.listen("pods", made.place)
    for name in ("n1", "n2", "n3"):
        await made.node(name)
    yield made
    await made.stop()


def spec(image: str = "v1", **more: Any) -> Obj:
    template = {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    return {"selector": {"matchLabels": {"app": "agent"}}, "template": template, "updateStrategy": strategy} | more


def image(name: str) -> Obj:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": name}]}}}}


async def running(cluster: Cluster, **more: Any) -> None:
    cluster.start(DaemonSetController(cluster.client))
    annotations = {"deprecated.daemonset.template.generation": "1"}
    await cluster.create("daemonsets.apps", "agent", metadata={"annotations": annotations}, spec=spec(**more))
    await cluster.run(3)


def places(cluster: Cluster) -> dict[str, str]:
    return {pod["spec"].get("nodeName", ""): pod["spec"]["containers"][0]["image"] for pod in cluster.pods()}


async def test_runs_on_every_node(fleet: Fleet) -> None:
    await running(fleet)
    assert places(fleet) == {"n1": "v1", "n2": "v1", "n3": "v1"}
    assert fleet.get("daemonsets.apps", "agent")["status"] == {
        "currentNumberScheduled": 3,
        "desiredNumberScheduled": 3,
        "numberAvailable": 3,
        "numberMisscheduled": 0,
        "numberReady": 3,
        "observedGeneration": 1,
        "updatedNumberScheduled": 3,
    }
    pod = fleet.pods()[0]
    (revision,) = fleet.client.list("controllerrevisions.apps")
    digest = revision["metadata"]["labels"]["controller-revision-hash"]
    assert revision["metadata"]["name"] == f"agent-{digest}"
    assert pod["metadata"]["labels"] == {
        "app": "agent",
        "controller-revision-hash": digest,
        "pod-template-generation": "1",
    }
    tolerated = {one["key"] for one in pod["spec"]["tolerations"]}
    assert "node.kubernetes.io/unschedulable" in tolerated


async def test_follows_new_nodes_and_labels(fleet: Fleet) -> None:
    template = {"metadata": {"labels": {"app": "agent"}}, "spec": {"nodeSelector": {"disk": "ssd"}, "containers": [{}]}}
    await running(fleet, template=template)
    assert not fleet.pods()
    await fleet.edit("nodes", "n2", {"metadata": {"labels": {"disk": "ssd"}}})
    await fleet.node("n4", labels={"disk": "ssd"})
    await fleet.run()
    assert sorted(pod["spec"]["nodeName"] for pod in fleet.pods()) == ["n2", "n4"]
    await fleet.edit("nodes", "n2", {"metadata": {"labels": {"disk": None}}})
    await fleet.run()
    assert [pod["spec"]["nodeName"] for pod in fleet.pods()] == ["n4"]


async def test_taints_keep_new_pods_away_but_only_no_execute_drives_out(fleet: Fleet) -> None:
    await running(fleet)
    await fleet.edit("nodes", "n1", {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}})
    await fleet.edit("nodes", "n2", {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}})
    await fleet.run(2)
    assert sorted(places(fleet)) == ["n1", "n3"]
    assert fleet.get("daemonsets.apps", "agent")["status"]["numberMisscheduled"] == 1


async def test_updates_one_node_at_a_time(fleet: Fleet) -> None:
    fleet.ready_after["v2"] = 5
    await running(fleet)
    await fleet.edit("daemonsets.apps", "agent", image("v2"))
    await fleet.run(2)
    assert sorted(places(fleet).values()) == ["v1", "v1", "v2"]
    await fleet.run(20)
    assert set(places(fleet).values()) == {"v2"}
    assert len(fleet.client.list("controllerrevisions.apps")) == 2


async def test_a_surge_brings_the_new_pod_first(fleet: Fleet) -> None:
    fleet.ready_after["v2"] = 5
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    await running(fleet, updateStrategy=surge)
    await fleet.edit("daemonsets.apps", "agent", image("v2"))
    await fleet.run(2)
    assert len(fleet.pods()) == 4
    await fleet.run(30)
    assert len(fleet.pods()) == 3
    assert set(places(fleet).values()) == {"v2"}


async def test_on_delete(fleet: Fleet) -> None:
    await running(fleet, updateStrategy={"type": "OnDelete"})
    await fleet.edit("daemonsets.apps", "agent", image("v2"))
    await fleet.run(5)
    assert set(places(fleet).values()) == {"v1"}
    await fleet.delete("pods", fleet.pods()[0]["metadata"]["name"])
    await fleet.run(2)
    assert sorted(places(fleet).values()) == ["v1", "v1", "v2"]


async def test_a_failed_pod_is_replaced(fleet: Fleet) -> None:
    await running(fleet)
    failed = fleet.pods()[0]["metadata"]["name"]
    fleet.set_status("default", failed, "Failed", ready=False)
    await fleet.run(5)
    assert fleet.gone("pods", failed)
    assert len(fleet.pods()) == 3
    assert "Found failed daemon pod" in fleet.events("FailedDaemonPod")[0]


async def test_failing_pods_are_removed_after_one_second_then_two_then_four(fleet: Fleet) -> None:
    await running(fleet, updateStrategy={"type": "OnDelete"})
    first = places(fleet)

    def fail(event: Any) -> None:
        pod = event.obj.data
        fresh = event.type == "MODIFIED" and pod["spec"].get("nodeName") == "n1" and pod["status"]["phase"] == "Running"
        if fresh and pod["metadata"]["name"] not in first:
            fleet.clock.call_later(
                0.0, lambda: fleet.set_status("default", pod["metadata"]["name"], "Failed", ready=False)
            )

    fleet.client.listen("pods", fail)
    moments = []
    start = fleet.clock.monotonic()
    doomed = next(pod["metadata"]["name"] for pod in fleet.pods() if pod["spec"]["nodeName"] == "n1")
    fleet.set_status("default", doomed, "Failed", ready=False)
    for _ in range(80):
        await fleet.run(0.1)
        if len(fleet.events("FailedDaemonPod")) > len(moments):
            moments.append(round(fleet.clock.monotonic() - start))
    assert moments == [0, 1, 3, 7]


async def test_with_a_surge_a_new_pod_does_not_wait_for_the_end_of_the_old_one(fleet: Fleet) -> None:
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    await running(fleet, updateStrategy=surge)
    name = fleet.pods()[0]["metadata"]["name"]
    await fleet.edit("pods", name, {"metadata": {"finalizers": ["example.com/hold"]}})
    await fleet.delete("pods", name)
    await fleet.run(1)
    assert not fleet.gone("pods", name)
    assert len(fleet.pods()) == 3


async def test_with_a_surge_an_old_pod_that_does_not_work_goes_at_once(fleet: Fleet) -> None:
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    fleet.ready_after["v2"] = 1000
    await running(fleet, updateStrategy=surge)
    await fleet.edit("daemonsets.apps", "agent", image("v2"))
    await fleet.run(2)
    (new,) = (pod for pod in fleet.pods() if pod["spec"]["containers"][0]["image"] == "v2")
    (old,) = (
        pod["metadata"]["name"]
        for pod in fleet.pods()
        if pod["spec"]["nodeName"] == new["spec"]["nodeName"] and pod is not new
    )
    fleet.set_status("default", old, "Running", ready=False)
    await fleet.run(1)
    assert fleet.gone("pods", old)


async def test_an_update_removes_old_pods_also_from_where_none_may_start(fleet: Fleet) -> None:
    await running(fleet)
    await fleet.edit("nodes", "n3", {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}})
    await fleet.run(5)
    assert sorted(places(fleet).values()) == ["v1", "v1", "v1"]
    await fleet.edit("daemonsets.apps", "agent", image("v2"))
    await fleet.run(20)
    assert sorted(places(fleet).values()) == ["v2", "v2"]
    assert {pod["spec"]["nodeName"] for pod in fleet.pods()} == {"n1", "n2"}


async def test_a_pod_that_ended_and_is_held_does_not_keep_its_successor_away(fleet: Fleet) -> None:
    await running(fleet)
    name = fleet.pods()[0]["metadata"]["name"]
    await fleet.edit("pods", name, {"metadata": {"finalizers": ["example.com/hold"]}})
    fleet.set_status("default", name, "Failed", ready=False)
    await fleet.run(5)
    assert fleet.get("pods", name)["metadata"]["deletionTimestamp"]
    assert len(fleet.pods()) == 3
