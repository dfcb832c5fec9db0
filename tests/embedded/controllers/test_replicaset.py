"""ReplicaSets: counting, adopting, releasing, choosing whom to delete."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.controllers.pods import slowly
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


async def test_pods_are_asked_for_in_growing_batches() -> None:
    """One, two, four: the batch in which the quota is reached is tried to its end, and no other begins."""
    asked: list[int] = []

    async def make(number: int) -> None:
        asked.append(number)
        if number >= 4:
            raise errors.forbidden("pods", f"front-{number}", "exceeded quota: q")

    with pytest.raises(errors.StatusError, match="front-4"):
        await slowly(20, make)
    assert asked == list(range(7))


@pytest.mark.parametrize(("owner", "goes"), [("Deployment", "front-0"), ("", "front-2")])
async def test_a_fuller_node_counts_among_sets_of_one_deployment(cluster: Cluster, owner: str, goes: str) -> None:
    refs = [{"apiVersion": "apps/v1", "kind": owner, "name": "web", "uid": "u", "controller": True}] if owner else []
    await cluster.create("replicasets.apps", "front", metadata={"ownerReferences": refs}, spec=spec(2))
    labels = {"labels": {"app": "front"}}
    for number, node in enumerate(("n1", "n1", "n2")):
        body = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
        await cluster.create("pods", f"front-{number}", metadata=labels, spec=body)
        restarts = [{"name": "c", "restartCount": number}]
        cluster.set_status("default", f"front-{number}", "Running", ready=True, containerStatuses=restarts)
    cluster.set_status(
        "default", "front-0", "Running", ready=True, containerStatuses=[{"name": "c", "restartCount": 9}]
    )
    cluster.set_status(
        "default", "front-2", "Running", ready=True, containerStatuses=[{"name": "c", "restartCount": 10}]
    )
    cluster.start(ReplicaSetController(cluster.client), kubelet=False)
    await cluster.run(1)
    assert cluster.events("SuccessfulDelete") == [f"Deleted pod: {goes}"]


async def test_restarts_of_sidecars_tell_pods_apart(cluster: Cluster) -> None:
    await cluster.create("replicasets.apps", "front", spec=spec(1))
    body = {
        "nodeName": "n1",
        "containers": [{"name": "c"}],
        "initContainers": [{"name": "s", "restartPolicy": "Always"}],
    }
    for number in (1, 2):
        await cluster.create("pods", f"front-{number}", metadata={"labels": {"app": "front"}}, spec=body)
        beside = [{"name": "s", "restartCount": number}]
        cluster.set_status("default", f"front-{number}", "Running", ready=True, initContainerStatuses=beside)
    cluster.start(ReplicaSetController(cluster.client), kubelet=False)
    await cluster.run(1)
    assert cluster.events("SuccessfulDelete") == ["Deleted pod: front-2"]
