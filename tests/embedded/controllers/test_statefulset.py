"""StatefulSets: order, identity, storage, updates."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kuartui.embedded.controllers.garbage_collector import GarbageCollector
from kuartui.embedded.controllers.statefulset import StatefulSetController
from kuartui.embedded.meta import errors
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]


def spec(replicas: int = 3, image: str = "v1", **more: Any) -> Obj:
    template = {
        "metadata": {"labels": {"app": "db"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": image}]},
    }
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    made = {"serviceName": "db", "replicas": replicas, "selector": {"matchLabels": {"app": "db"}}}
    return made | {"template": template, "updateStrategy": strategy, "podManagementPolicy": "OrderedReady"} | more


def image(name: str) -> Obj:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": name}]}}}}


async def running(cluster: Cluster, **more: Any) -> None:
    cluster.start(StatefulSetController(cluster.client), GarbageCollector(cluster.client))
    await cluster.create("statefulsets.apps", "db", spec=spec(**more))
    await cluster.run(5)


def names(cluster: Cluster) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.pods()]


def images(cluster: Cluster) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in cluster.pods()}


CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}


async def test_pods_are_numbered_and_know_who_they_are(cluster: Cluster) -> None:
    await running(cluster, volumeClaimTemplates=[CLAIM])
    assert names(cluster) == ["db-0", "db-1", "db-2"]
    pod = cluster.get("pods", "db-1")
    revision = cluster.get("statefulsets.apps", "db")["status"]["currentRevision"]
    assert pod["metadata"]["labels"] == {
        "app": "db",
        "apps.kubernetes.io/pod-index": "1",
        "controller-revision-hash": revision,
        "statefulset.kubernetes.io/pod-name": "db-1",
    }
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")
    assert pod["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1", "readOnly": False}}
    ]
    assert cluster.get("persistentvolumeclaims", "data-db-1")["metadata"]["labels"] == {"app": "db"}
    assert cluster.events("SuccessfulCreate")[:2] == [
        "Create Claim data-db-0 Pod db-0 in StatefulSet db success",
        "Create Pod db-0 in StatefulSet db successful",
    ]
    assert cluster.get("statefulsets.apps", "db")["status"] == {
        "availableReplicas": 3,
        "collisionCount": 0,
        "currentReplicas": 3,
        "currentRevision": revision,
        "observedGeneration": 1,
        "readyReplicas": 3,
        "replicas": 3,
        "updateRevision": revision,
        "updatedReplicas": 3,
    }


async def test_each_waits_for_the_one_before(cluster: Cluster) -> None:
    cluster.ready_after["slow"] = 10
    await running(cluster, image="slow")
    assert names(cluster) == ["db-0"]
    await cluster.run(10)
    assert names(cluster) == ["db-0", "db-1"]


async def test_parallel_does_not_wait(cluster: Cluster) -> None:
    cluster.ready_after["slow"] = -1
    await running(cluster, image="slow", podManagementPolicy="Parallel")
    assert names(cluster) == ["db-0", "db-1", "db-2"]


async def test_scales_down_from_the_top_one_by_one(cluster: Cluster) -> None:
    await running(cluster)
    await cluster.edit("statefulsets.apps", "db", {"spec": {"replicas": 1}})
    await cluster.run(0.2)
    assert names(cluster) == ["db-0", "db-1"]
    await cluster.run(2)
    assert names(cluster) == ["db-0"]


async def test_a_deleted_pod_comes_back_under_its_name_with_its_claim(cluster: Cluster) -> None:
    await running(cluster, volumeClaimTemplates=[CLAIM])
    before = cluster.get("persistentvolumeclaims", "data-db-1")["metadata"]["uid"]
    old = cluster.get("pods", "db-1")["metadata"]["uid"]
    await cluster.delete("pods", "db-1")
    await cluster.run(3)
    assert cluster.get("pods", "db-1")["metadata"]["uid"] != old
    assert cluster.get("persistentvolumeclaims", "data-db-1")["metadata"]["uid"] == before


async def test_updates_from_the_top(cluster: Cluster) -> None:
    cluster.ready_after["v2"] = 5
    await running(cluster)
    await cluster.edit("statefulsets.apps", "db", image("v2"))
    await cluster.run(2)
    assert images(cluster) == {"db-0": "v1", "db-1": "v1", "db-2": "v2"}
    status = cluster.get("statefulsets.apps", "db")["status"]
    assert (status["updatedReplicas"], status["currentReplicas"]) == (1, 2)
    await cluster.run(20)
    assert set(images(cluster).values()) == {"v2"}
    status = cluster.get("statefulsets.apps", "db")["status"]
    assert status["currentRevision"] == status["updateRevision"]


async def test_a_partition_keeps_the_lower_ordinals(cluster: Cluster) -> None:
    partition = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await running(cluster, updateStrategy=partition)
    await cluster.edit("statefulsets.apps", "db", image("v2"))
    await cluster.run(20)
    assert images(cluster) == {"db-0": "v1", "db-1": "v1", "db-2": "v2"}
    await cluster.delete("pods", "db-0")
    await cluster.run(3)
    assert images(cluster)["db-0"] == "v1"


async def test_on_delete_leaves_it_to_the_player(cluster: Cluster) -> None:
    await running(cluster, updateStrategy={"type": "OnDelete"})
    await cluster.edit("statefulsets.apps", "db", image("v2"))
    await cluster.run(10)
    assert set(images(cluster).values()) == {"v1"}
    await cluster.delete("pods", "db-1")
    await cluster.run(3)
    assert images(cluster) == {"db-0": "v1", "db-1": "v2", "db-2": "v1"}


async def test_a_failed_pod_is_made_anew(cluster: Cluster) -> None:
    await running(cluster)
    cluster.set_status("default", "db-1", "Failed", ready=False)
    await cluster.run(3)
    assert cluster.get("pods", "db-1")["status"]["phase"] == "Running"
    assert cluster.events("", "StatefulSet")[-2:] == [
        "Delete Pod db-1 in StatefulSet db successful",
        "Create Pod db-1 in StatefulSet db successful",
    ]
    assert not cluster.events("RecreatingFailedPod"), "Kubernetes 1.31 and later does not tell of it"


async def test_going_back_makes_the_old_revision_the_newest(cluster: Cluster) -> None:
    await running(cluster)
    first = cluster.get("statefulsets.apps", "db")["status"]["currentRevision"]
    for name in ("v2", "v1"):
        await cluster.edit("statefulsets.apps", "db", image(name))
        await cluster.run(20)
    assert cluster.get("statefulsets.apps", "db")["status"]["currentRevision"] == first
    revisions = {one["metadata"]["name"]: one["revision"] for one in cluster.client.list("controllerrevisions.apps")}
    assert len(revisions) == 2
    assert revisions[first] == 3
    patch = cluster.get("controllerrevisions.apps", first)["data"]
    assert patch["spec"]["template"]["$patch"] == "replace"


async def test_claims_go_as_the_policy_says(cluster: Cluster) -> None:
    policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
    await running(cluster, volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy)
    await cluster.edit("statefulsets.apps", "db", {"spec": {"replicas": 1}})
    await cluster.run(5)
    assert [claim["metadata"]["name"] for claim in cluster.client.list("persistentvolumeclaims")] == ["data-db-0"]
    await cluster.delete("statefulsets.apps", "db")
    await cluster.run(5)
    assert not cluster.pods()
    assert [claim["metadata"]["name"] for claim in cluster.client.list("persistentvolumeclaims")] == ["data-db-0"]


async def test_claims_go_with_the_set(cluster: Cluster) -> None:
    policy = {"whenDeleted": "Delete", "whenScaled": "Retain"}
    await running(cluster, volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy)
    await cluster.delete("statefulsets.apps", "db")
    await cluster.run(5)
    assert not cluster.client.list("persistentvolumeclaims")


async def test_ordinals_may_start_elsewhere(cluster: Cluster) -> None:
    await running(cluster, replicas=2, ordinals={"start": 5})
    assert names(cluster) == ["db-5", "db-6"]


@settings(max_examples=25)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["scale", "image", "kill"]), st.integers(0, 4), st.floats(0, 6)), max_size=6
    )
)
def test_ordered_sets_never_have_two_pods_in_the_making(steps: list[tuple[str, int, float]]) -> None:
    """Whatever is done to them: at most one pod that is not ready beside those that somebody killed."""

    async def scenario() -> None:
        cluster = Cluster()
        cluster.ready_after |= {f"v{number}": 1.0 for number in range(5)}
        try:
            await running(cluster, replicas=3)
            await cluster.run(5)
            broken: list[str] = []
            killed = 0

            def look(_: Any) -> None:
                fresh = [
                    pod["metadata"]["name"]
                    for pod in cluster.pods()
                    if not any(one["status"] == "True" for one in pod["status"].get("conditions", ()))
                ]
                if len(fresh) > 1 + killed:
                    broken.append(f"in the making: {fresh}")

            cluster.store.listen("pods", look)
            size = 3
            for what, number, seconds in steps:
                if what == "scale":
                    size = number
                    await cluster.edit("statefulsets.apps", "db", {"spec": {"replicas": number}})
                elif what == "image":
                    await cluster.edit("statefulsets.apps", "db", image(f"v{number}"))
                elif not cluster.gone("pods", f"db-{number}"):
                    killed += 1
                    await cluster.delete("pods", f"db-{number}")
                await cluster.run(seconds)
            await cluster.run(60)
            assert not broken
            assert names(cluster) == [f"db-{number}" for number in range(size)]
            status = cluster.get("statefulsets.apps", "db")["status"]
            assert status.get("updatedReplicas", 0) == status.get("readyReplicas", 0) == size
        finally:
            await cluster.stop()

    asyncio.run(scenario())


async def test_scaled_down_before_the_last_pod_is_available(cluster: Cluster) -> None:
    await running(cluster, replicas=2, minReadySeconds=20)
    await cluster.run(20)
    assert names(cluster) == ["db-0", "db-1"]
    await cluster.edit("statefulsets.apps", "db", {"spec": {"replicas": 1}})
    await cluster.run(1)
    found = cluster.get("statefulsets.apps", "db")
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    assert names(cluster) == ["db-0", "db-1"]  # it is no unhealthy one, so it has to be available first
    await cluster.run(21)
    assert names(cluster) == ["db-0"]


async def test_a_revision_has_its_keys_in_order_as_kubectl_compares_its_bytes(cluster: Cluster) -> None:
    """`kubectl rollout undo --to-revision` skips what is in force already."""
    await running(cluster, replicas=0)
    (revision,) = cluster.client.list("controllerrevisions.apps")
    assert json.dumps(revision["data"]) == json.dumps(revision["data"], sort_keys=True)


async def test_a_partition_counts_from_the_first_ordinal(cluster: Cluster) -> None:
    partition = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await running(cluster, updateStrategy=partition, ordinals={"start": 5})
    await cluster.edit("statefulsets.apps", "db", image("v2"))
    await cluster.run(20)
    assert images(cluster) == {"db-5": "v1", "db-6": "v1", "db-7": "v2"}
    await cluster.delete("pods", "db-6")
    await cluster.run(3)
    assert images(cluster)["db-6"] == "v1"


async def test_in_parallel_nobody_waits_for_a_pod_that_failed(cluster: Cluster) -> None:
    await running(cluster, podManagementPolicy="Parallel")
    await cluster.edit("pods", "db-0", {"metadata": {"finalizers": ["example.com/hold"]}})
    cluster.set_status("default", "db-0", "Failed", ready=False)
    await cluster.edit("statefulsets.apps", "db", {"spec": {"replicas": 4}})
    await cluster.run(3)
    assert cluster.get("pods", "db-3")["status"]["phase"] == "Running"
    assert cluster.get("pods", "db-0")["metadata"]["deletionTimestamp"]
    assert cluster.events("SuccessfulDelete") == ["Delete Pod db-0 in StatefulSet db successful"]


async def test_a_pod_gets_back_the_labels_that_say_who_it_is(cluster: Cluster) -> None:
    await running(cluster)
    before = cluster.get("pods", "db-1")["metadata"]
    lost = {"statefulset.kubernetes.io/pod-name": None, "apps.kubernetes.io/pod-index": "7"}
    await cluster.edit("pods", "db-1", {"metadata": {"labels": lost}})
    await cluster.run(1)
    after = cluster.get("pods", "db-1")["metadata"]
    assert (after["labels"], after["uid"]) == (before["labels"], before["uid"])
    assert cluster.events("SuccessfulUpdate") == ["Update Pod db-1 in StatefulSet db successful"]


async def test_claims_that_cannot_be_made_are_told_all_together(cluster: Cluster) -> None:
    refusal = errors.forbidden("persistentvolumeclaims", "x", "exceeded quota: q")
    refused = {"logs-db-0"}
    cluster.memory.refuse = lambda resource, obj: refusal if obj["metadata"].get("name") in refused else None
    going = {"finalizers": ["example.com/hold"]}
    await cluster.create("persistentvolumeclaims", "data-db-0", metadata=going)
    await cluster.delete("persistentvolumeclaims", "data-db-0")
    templates = [CLAIM, CLAIM | {"metadata": {"name": "logs"}}, CLAIM | {"metadata": {"name": "spare"}}]
    await running(cluster, volumeClaimTemplates=templates)
    where = "Pod db-0 in StatefulSet db"
    assert set(cluster.events("FailedCreate")) == {
        f"Create Claim logs-db-0 for {where} failed error: {refusal}",
        f"Create {where} failed error: [pvc data-db-0 is being deleted, failed to create PVC logs-db-0: {refusal}]",
    }
    assert cluster.events("SuccessfulCreate") == [f"Create Claim spare-db-0 {where} success"]
    refused.clear()
    await cluster.edit("persistentvolumeclaims", "data-db-0", {"metadata": {"finalizers": None}})
    await cluster.run(10)
    assert names(cluster) == ["db-0", "db-1", "db-2"]
