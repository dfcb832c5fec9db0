"""What quotas count of a pod, and what they make it say."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.resource_quota import ResourceQuota
from kuartui.embedded.quota import in_scope, usage
from tests.embedded.api.server import Server

Obj = dict[str, Any]

NAMESPACE = "/api/v1/namespaces/default"


def pod(name: str, **requests: str) -> Obj:
    asked = {"requests": requests, "limits": {k: v for k, v in requests.items() if "/" in k}}
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i", "resources": asked}]}}


@pytest.mark.parametrize(
    ("asked", "counted"),
    [
        ({"example.com/dongle": "2"}, {"requests.example.com/dongle": "2"}),
        ({"hugepages-2Mi": "4Mi"}, {"hugepages-2Mi": "4Mi", "requests.hugepages-2Mi": "4Mi"}),
    ],
)
def test_devices_and_huge_pages_count(asked: dict[str, str], counted: dict[str, str]) -> None:
    found = usage("pods", pod("p", **asked))
    assert {name: str(found[name]) for name in counted} == counted


@pytest.mark.parametrize(
    ("term", "counted"),
    [({"namespaces": ["other"]}, True), ({"namespaceSelector": {}}, True), ({}, False)],
)
@pytest.mark.parametrize("weighted", [True, False])
def test_affinity_to_pods_elsewhere_is_a_scope(term: Obj, counted: bool, weighted: bool) -> None:
    made = pod("p")
    kind = "preferred" if weighted else "required"
    terms = [{"weight": 1, "podAffinityTerm": term} if weighted else term]
    made["spec"]["affinity"] = {"podAntiAffinity": {f"{kind}DuringSchedulingIgnoredDuringExecution": terms}}
    quota = {"scopeSelector": {"matchExpressions": [{"scopeName": "CrossNamespacePodAffinity", "operator": "Exists"}]}}
    assert in_scope(quota, "pods", made) == counted


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
