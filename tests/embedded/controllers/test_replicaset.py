"""ReplicaSets: counting, adopting, releasing, choosing whom to delete."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers.replicaset import ReplicaSetController, ReplicationController
from kuartui.embedded.meta import errors
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]


def spec(replicas: int = 2, **more: Any) -> Obj:
    template = {
        "metadata": {"labels": {"app": "front"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
    }
    return {"replicas": replicas, "selector": {"matchLabels": {"app": "front"}}, "template": template} | more


async def running(cluster: Cluster, **more: Any) -> None:
    cluster.start(ReplicaSetController(cluster.client))
    await cluster.create("replicasets.apps", "front", spec=spec(**more))
    await cluster.run()


async def test_makes_pods_like_its_template(cluster: Cluster) -> None:
    await running(cluster)
    pods = cluster.pods()
    assert len(pods) == 2
    assert pods[0]["metadata"]["generateName"] == "front-"
    assert pods[0]["metadata"]["labels"] == {"app": "front"}
    owner = cluster.get("replicasets.apps", "front")
    assert pods[0]["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "front",
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert owner["status"] == {
        "availableReplicas": 2,
        "fullyLabeledReplicas": 2,
        "observedGeneration": 1,
        "readyReplicas": 2,
        "replicas": 2,
        "terminatingReplicas": 0,
    }


async def test_adopts_a_matching_pod_and_lets_one_go_that_does_not_match_any_more(cluster: Cluster) -> None:
    body = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n1"}
    await cluster.create("pods", "loose", metadata={"labels": {"app": "front"}}, spec=body)
    await running(cluster)
    assert cluster.get("pods", "loose")["metadata"]["ownerReferences"][0]["name"] == "front"
    assert len(cluster.pods()) == 2
    await cluster.edit("pods", "loose", {"metadata": {"labels": {"app": "debug"}}})
    await cluster.run()
    assert "ownerReferences" not in cluster.get("pods", "loose")["metadata"]
    assert len(cluster.pods()) == 3


async def test_replaces_deleted_and_finished_pods(cluster: Cluster) -> None:
    await running(cluster)
    first, second = (pod["metadata"]["name"] for pod in cluster.pods())
    await cluster.delete("pods", first)
    cluster.set_status("default", second, "Failed", ready=False)
    await cluster.run()
    running_pods = [pod for pod in cluster.pods() if pod["status"]["phase"] == "Running"]
    assert len(running_pods) == 2
    assert not {first, second} & {pod["metadata"]["name"] for pod in running_pods}


async def test_gives_up_the_least_useful_pods_first(cluster: Cluster) -> None:
    await running(cluster, replicas=4)
    names = [pod["metadata"]["name"] for pod in cluster.pods()]
    cheap = {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}}
    await cluster.edit("pods", names[0], cheap)
    cluster.set_status("default", names[1], "Running", ready=False)
    await cluster.edit("replicasets.apps", "front", {"spec": {"replicas": 2}})
    await cluster.run()
    assert sorted(pod["metadata"]["name"] for pod in cluster.pods()) == sorted(names[2:])
    assert set(cluster.events("SuccessfulDelete")) == {f"Deleted pod: {names[0]}", f"Deleted pod: {names[1]}"}


async def test_says_why_it_cannot_create_pods(cluster: Cluster) -> None:
    refusal = errors.forbidden("pods", "front-x", "exceeded quota: q")
    cluster.memory.refuse = lambda resource, obj: refusal if resource == "pods" else None
    await running(cluster)
    (condition,) = cluster.get("replicasets.apps", "front")["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedCreate")
    assert condition["message"] == 'pods "front-x" is forbidden: exceeded quota: q'
    assert 'Error creating: pods "front-x" is forbidden: exceeded quota: q' in cluster.events("FailedCreate")
    cluster.memory.refuse = lambda resource, obj: None
    await cluster.run(10)
    assert "conditions" not in cluster.get("replicasets.apps", "front")["status"]
    assert len(cluster.pods()) == 2


async def test_replication_controllers_select_by_a_plain_map(cluster: Cluster) -> None:
    cluster.start(ReplicationController(cluster.client))
    body = spec() | {"selector": {"app": "front"}}
    await cluster.create("replicationcontrollers", "old", spec=body)
    await cluster.run()
    assert len(cluster.pods()) == 2
    assert "terminatingReplicas" not in cluster.get("replicationcontrollers", "old")["status"]
