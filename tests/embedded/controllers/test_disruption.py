"""PodDisruptionBudgets and ResourceQuotas: numbers that follow the pods."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers.deployment import DeploymentController
from kuartui.embedded.controllers.disruption import DisruptionController
from kuartui.embedded.controllers.quota import ResourceQuotaController
from kuartui.embedded.controllers.replicaset import ReplicaSetController
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]
KEYS = ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods")


async def guarded(cluster: Cluster, **rule: Any) -> None:
    cluster.start(
        DeploymentController(cluster.client), ReplicaSetController(cluster.client), DisruptionController(cluster.client)
    )
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"nodeName": "n1", "containers": [{"name": "c"}]}}
    selector = {"matchLabels": {"app": "web"}}
    await cluster.create("deployments.apps", "web", spec={"replicas": 4, "selector": selector, "template": template})
    await cluster.create("poddisruptionbudgets.policy", "b", spec={"selector": selector, **rule})
    await cluster.run(3)


def numbers(cluster: Cluster) -> list[int]:
    status = cluster.get("poddisruptionbudgets.policy", "b")["status"]
    return [status[key] for key in KEYS]


async def test_min_available(cluster: Cluster) -> None:
    await guarded(cluster, minAvailable=4)
    assert numbers(cluster) == [4, 4, 0, 4]
    (condition,) = cluster.get("poddisruptionbudgets.policy", "b")["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "InsufficientPods")
    await cluster.edit("poddisruptionbudgets.policy", "b", {"spec": {"minAvailable": 1}})
    await cluster.run()
    assert numbers(cluster) == [4, 1, 3, 4]


async def test_percentages_count_what_the_deployment_wants(cluster: Cluster) -> None:
    await guarded(cluster, minAvailable="60%")
    assert numbers(cluster) == [4, 3, 1, 4]
    cluster.set_status("default", cluster.pods()[0]["metadata"]["name"], "Running", ready=False)
    await cluster.run()
    assert numbers(cluster) == [3, 3, 0, 4]


async def test_max_unavailable(cluster: Cluster) -> None:
    await guarded(cluster, maxUnavailable="30%")
    assert numbers(cluster) == [4, 2, 2, 4]


async def test_a_naked_pod_has_no_expected_count(cluster: Cluster) -> None:
    cluster.start(DisruptionController(cluster.client))
    await cluster.create("pods", "p", metadata={"labels": {"app": "web"}}, spec={"containers": []})
    spec = {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 0}
    await cluster.create("poddisruptionbudgets.policy", "b", spec=spec)
    await cluster.run()
    assert numbers(cluster) == [0, 0, 0, 1]


async def test_an_evicted_pod_is_not_counted_until_it_is_gone(cluster: Cluster) -> None:
    await guarded(cluster, minAvailable=2)
    name = cluster.pods()[0]["metadata"]["name"]
    noted = {name: cluster.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")}
    await cluster.edit("poddisruptionbudgets.policy", "b", {"status": {"disruptedPods": noted}})
    await cluster.run()
    assert numbers(cluster) == [3, 2, 1, 4]
    await cluster.run(130)
    assert numbers(cluster) == [4, 2, 2, 4]


OWNER = {"controller": True, "blockOwnerDeletion": True, "name": "o"}
CRDS = "customresourcedefinitions.apiextensions.k8s.io"


async def owned(cluster: Cluster, owner: Obj | None, **rule: Any) -> None:
    """A pod of somebody's and a budget for it."""
    cluster.start(DisruptionController(cluster.client))
    metadata: Obj = {"labels": {"app": "web"}}
    if owner is not None:
        metadata["ownerReferences"] = [OWNER | owner]
    await cluster.create("pods", "p", metadata=metadata, spec={"containers": []})
    spec = {"selector": {"matchLabels": {"app": "web"}}, **rule}
    await cluster.create("poddisruptionbudgets.policy", "b", spec=spec)
    await cluster.run()


async def test_a_controller_without_a_size_allows_nothing(cluster: Cluster) -> None:
    await owned(cluster, {"apiVersion": "batch/v1", "kind": "Job", "uid": "j"}, maxUnavailable=1)
    told = "jobs.batch does not implement the scale subresource"
    assert cluster.events("CalculateExpectedPodCountFailed")[0] == (
        f"Failed to calculate the number of expected pods: {told}"
    )
    status = cluster.get("poddisruptionbudgets.policy", "b")["status"]
    (condition,) = status["conditions"]
    assert (condition["reason"], condition["message"]) == ("SyncFailed", told)
    assert "observedGeneration" not in condition
    assert [status[key] for key in KEYS] == [0, 0, 0, 0]


async def test_a_controller_that_is_gone(cluster: Cluster) -> None:
    await owned(cluster, {"apiVersion": "apps/v1", "kind": "StatefulSet", "uid": "s"}, maxUnavailable=1)
    assert cluster.events("CalculateExpectedPodCountFailed")[0] == (
        'Failed to calculate the number of expected pods: found no controllers for pod "p"'
    )


async def test_custom_controllers_have_sizes(cluster: Cluster) -> None:
    scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
    versions = [{"name": "v1", "served": True, "subresources": {"scale": scale}}]
    names = {"kind": "Widget", "plural": "widgets"}
    crd = await cluster.create(
        CRDS, "widgets.example.com", spec={"group": "example.com", "names": names, "versions": versions}
    )
    await cluster.edit(
        CRDS, crd["metadata"]["name"], {"status": {"conditions": [{"type": "Established", "status": "True"}]}}
    )
    widget = await cluster.create("widgets.example.com", "o", spec={"size": 4})
    owner = {"apiVersion": "example.com/v1", "kind": "Widget", "uid": widget["metadata"]["uid"]}
    await owned(cluster, owner, minAvailable="50%")
    assert numbers(cluster) == [0, 2, 0, 4]


async def test_pods_of_nobodys_are_told_of(cluster: Cluster) -> None:
    await owned(cluster, None, maxUnavailable=1)
    assert cluster.events("UnmanagedPods")[0].startswith(
        "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:map[string]string{app: web,},"
        "MatchExpressions:[]LabelSelectorRequirement{},}) were found to be unmanaged. As a result, "
    )
    assert numbers(cluster) == [0, 0, 0, 0]


async def test_two_budgets_for_one_pod(cluster: Cluster) -> None:
    await owned(cluster, None, minAvailable=0)
    await cluster.create("poddisruptionbudgets.policy", "c", spec={"selector": {}, "minAvailable": 0})
    cluster.set_status("default", "p", "Running", ready=True)
    await cluster.run()
    assert cluster.events("MultiplePodDisruptionBudgets") == [
        'Pod "default"/"p" matches multiple PodDisruptionBudgets.  Chose "b" arbitrarily.'
    ]


async def test_quota_counts_what_is_there(cluster: Cluster) -> None:
    cluster.start(ResourceQuotaController(cluster.client))
    hard = {"pods": "5", "requests.cpu": "2", "count/configmaps": "3", "example.com/uncounted": "1"}
    await cluster.create("resourcequotas", "q", spec={"hard": hard})
    resources = {"requests": {"cpu": "300m"}}
    for name in ("a", "b"):
        await cluster.create("pods", name, spec={"containers": [{"name": "c", "resources": resources}]})
    await cluster.create("configmaps", "m")
    await cluster.edit("resourcequotas", "q", {"spec": {"hard": {"secrets": "1"}}})
    await cluster.run()
    status = cluster.get("resourcequotas", "q")["status"]
    assert status["hard"] == hard | {"secrets": "1"}
    assert status["used"] == {"pods": "2", "requests.cpu": "600m", "count/configmaps": "1", "secrets": "0"}
    await cluster.delete("pods", "a")
    cluster.set_status("default", "b", "Succeeded", ready=False)
    await cluster.run()
    assert cluster.get("resourcequotas", "q")["status"]["used"]["pods"] == "0"
    assert cluster.get("resourcequotas", "q")["status"]["used"]["requests.cpu"] == "0"


async def test_quota_gives_up_counting_pods_that_nobody_ends(cluster: Cluster) -> None:
    """The node of a pod is lost: someone else may have its room, though it is still there."""
    cluster.start(ResourceQuotaController(cluster.client), kubelet=False)
    await cluster.create("resourcequotas", "q", spec={"hard": {"pods": "5", "count/pods": "5"}})
    await cluster.create("pods", "a", spec={"nodeName": "lost", "containers": [{"name": "c"}]})
    await cluster.delete("pods", "a")
    await cluster.run(10)
    assert cluster.get("resourcequotas", "q")["status"]["used"] == {"pods": "1", "count/pods": "1"}
    await cluster.run(300)
    assert cluster.get("resourcequotas", "q")["status"]["used"] == {"pods": "0", "count/pods": "1"}
