"""What quotas count of a pod, and what they make it say."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.resource_quota import ResourceQuota
from kuartui.embedded.quota import counted, in_scope, usage
from tests.embedded.api.server import Server

Obj = dict[str, Any]

NAMESPACE = "/api/v1/namespaces/default"


def pod(name: str, **requests: str) -> Obj:
    asked = {"requests": requests, "limits": {k: v for k, v in requests.items() if "/" in k}}
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i", "resources": asked}]}}


@pytest.mark.parametrize(
    ("asked", "amounts"),
    [
        ({"example.com/dongle": "2"}, {"requests.example.com/dongle": "2"}),
        ({"hugepages-2Mi": "4Mi"}, {"hugepages-2Mi": "4Mi", "requests.hugepages-2Mi": "4Mi"}),
    ],
)
def test_devices_and_huge_pages_count(asked: dict[str, str], amounts: dict[str, str]) -> None:
    found = usage("pods", pod("p", **asked))
    assert {name: str(found[name]) for name in amounts} == amounts


@pytest.mark.parametrize(
    ("term", "inside"),
    [({"namespaces": ["other"]}, True), ({"namespaceSelector": {}}, True), ({}, False)],
)
@pytest.mark.parametrize("weighted", [True, False])
def test_affinity_to_pods_elsewhere_is_a_scope(term: Obj, inside: bool, weighted: bool) -> None:
    made = pod("p")
    kind = "preferred" if weighted else "required"
    terms = [{"weight": 1, "podAffinityTerm": term} if weighted else term]
    made["spec"]["affinity"] = {"podAntiAffinity": {f"{kind}DuringSchedulingIgnoredDuringExecution": terms}}
    quota = {"scopeSelector": {"matchExpressions": [{"scopeName": "CrossNamespacePodAffinity", "operator": "Exists"}]}}
    assert in_scope(quota, "pods", made) == inside


async def test_a_pod_that_asks_for_too_many_devices() -> None:
    server = Server()
    server.rest.admission.add(ResourceQuota(server.rest))
    await server.json("POST", "/api/v1/namespaces", {"metadata": {"name": "default"}})
    hard = {"requests.example.com/dongle": "3", "requests.ephemeral-storage": "1Gi"}
    quota = {"metadata": {"name": "q"}, "spec": {"hard": hard}}
    await server.json("POST", f"{NAMESPACE}/resourcequotas", quota)
    # ephemeral storage is counted, but nobody must ask for it
    await server.json("POST", f"{NAMESPACE}/pods", pod("a", **{"example.com/dongle": "2"}))
    used = (await server.json("GET", f"{NAMESPACE}/resourcequotas/q"))["status"]["used"]
    assert used["requests.example.com/dongle"] == "2"
    answer = await server.json("POST", f"{NAMESPACE}/pods", pod("b", **{"example.com/dongle": "2"}), 403)
    assert "requested: requests.example.com/dongle=2, used: requests.example.com/dongle=2" in answer["message"]


async def test_a_pod_that_one_quota_refuses_is_charged_to_none() -> None:
    server = Server()
    server.rest.admission.add(ResourceQuota(server.rest))
    await server.json("POST", "/api/v1/namespaces", {"metadata": {"name": "default"}})
    for name, hard in (("a", {"pods": "5"}), ("b", {"pods": "0"}), ("c", {"requests.cpu": "1"})):
        await server.json("POST", f"{NAMESPACE}/resourcequotas", {"metadata": {"name": name}, "spec": {"hard": hard}})
    answer = await server.json("POST", f"{NAMESPACE}/pods", pod("p"), 403)
    assert answer["message"].endswith("failed quota: c: must specify requests.cpu for: c")
    answer = await server.json("POST", f"{NAMESPACE}/pods", pod("p", cpu="1"), 403)
    assert "exceeded quota: b, requested: pods=1, used: pods=0, limited: pods=0" in answer["message"]
    status = (await server.json("GET", f"{NAMESPACE}/resourcequotas/a")).get("status", {})
    assert status.get("used", {}).get("pods", "0") == "0"


async def test_quotas_count_themselves() -> None:
    server = Server()
    server.rest.admission.add(ResourceQuota(server.rest))
    quotas = f"{NAMESPACE}/resourcequotas"
    await server.json("POST", quotas, {"metadata": {"name": "a"}, "spec": {"hard": {"resourcequotas": "0"}}})
    answer = await server.json("POST", quotas, {"metadata": {"name": "b"}, "spec": {"hard": {"pods": "1"}}}, 403)
    assert answer["message"] == (
        'resourcequotas "b" is forbidden: exceeded quota: a, requested: resourcequotas=1, used: resourcequotas=0, '
        "limited: resourcequotas=0"
    )


def test_a_claim_counts_for_the_devices_that_it_may_get() -> None:
    exactly = {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}
    every = {"deviceClassName": "nic", "allocationMode": "All"}
    either = [{"deviceClassName": "gpu", "count": 1}, {"deviceClassName": "gpu", "count": 3}, every]
    requests = [{"name": "a", "exactly": exactly}, {"name": "b", "firstAvailable": either}]
    found = usage("resourceclaims.resource.k8s.io", {"spec": {"devices": {"requests": requests}}})
    assert {name: str(amount) for name, amount in found.items()} == {
        "count/resourceclaims.resource.k8s.io": "1",
        "gpu.deviceclass.resource.k8s.io/devices": "5",
        "nic.deviceclass.resource.k8s.io/devices": "32",
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pods", True),
        ("requests.example.com/gpu", True),
        ("gold.storageclass.storage.k8s.io/requests.storage", True),
        ("gpu.deviceclass.resource.k8s.io/devices", True),
        ("count/jobs.batch", True),
        ("count/events", False),
        ("example.com/gpu", False),
        ("limits.example.com/gpu", False),
    ],
)
def test_what_is_counted_at_all(name: str, said: bool) -> None:
    assert counted(name) == said
