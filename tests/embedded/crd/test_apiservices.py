"""APIServices of built-in group versions and of CRDs, as the aggregator keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kuartui.embedded.crd import apiservices
from tests.embedded.crd.world import CRDS, NAME, World, version

PATH = "/apis/apiregistration.k8s.io/v1/apiservices"
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
MERGE = {"content_type": "application/merge-patch+json"}


@pytest.fixture
async def aggregator(world: World) -> AsyncIterator[World]:
    """A server with the controller of APIServices, too."""
    task = asyncio.create_task(apiservices.ApiServices(world.client).run())
    await world.settle()
    yield world
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def names(world: World) -> list[str]:
    return [item["metadata"]["name"] for item in (await world.json("GET", PATH))["items"]]


def available(obj: dict[str, Any]) -> str:
    (condition,) = obj["status"]["conditions"]
    assert condition["type"] == "Available"
    return f"{condition['status']} {condition['reason']}"


async def test_each_group_version_that_discovery_names_has_one(aggregator: World) -> None:
    apiservices.install(aggregator.client)
    groups = (await aggregator.json("GET", "/apis"))["groups"]
    served = {f"{one['version']}.{group['name']}" for group in groups for one in group["versions"]}
    assert set(await names(aggregator)) == (served - {"v1.apiregistration.k8s.io"}) | {"v1."}
    for item in (await aggregator.json("GET", PATH))["items"]:
        assert available(item) == "True Local"
        assert item["metadata"]["labels"] == {MANAGED: "onstart"}


async def test_a_second_start_changes_nothing(aggregator: World) -> None:
    apiservices.install(aggregator.client)
    before = await aggregator.json("GET", PATH)
    apiservices.install(aggregator.client)
    await aggregator.settle()
    assert await aggregator.json("GET", PATH) == before


async def test_versions_of_a_crd_come_and_go_with_it(aggregator: World) -> None:
    await aggregator.define(None, version("v1", storage=True), version("v1beta1"), version("v1alpha1", served=False))
    assert await names(aggregator) == ["v1.shop.example.com", "v1beta1.shop.example.com"]
    made = await aggregator.json("GET", f"{PATH}/v1.shop.example.com")
    assert available(made) == "True Local"
    assert made["metadata"]["labels"] == {MANAGED: "true"}
    assert (made["spec"]["groupPriorityMinimum"], made["spec"]["versionPriority"]) == (1000, 100)

    fewer = {"spec": {"versions": [version("v1", storage=True)]}}
    await aggregator.json("PATCH", f"{CRDS}/{NAME}", fewer, **MERGE)
    await aggregator.settle()
    assert await names(aggregator) == ["v1.shop.example.com"]

    await aggregator.json("DELETE", f"{PATH}/v1.shop.example.com")
    await aggregator.settle()
    assert await names(aggregator) == ["v1.shop.example.com"]  # put back: the CRD is still there

    await aggregator.json("DELETE", f"{CRDS}/{NAME}")
    await aggregator.settle()
    assert await names(aggregator) == []


async def test_one_with_a_service_is_not_called_available(aggregator: World) -> None:
    spec = {"group": "a.b", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100}
    body = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.a.b"}}
    remote = {**body, "spec": {**spec, "insecureSkipTLSVerify": True, "service": {"namespace": "d", "name": "s"}}}
    await aggregator.json("POST", PATH, remote)
    await aggregator.settle()
    found = await aggregator.json("GET", f"{PATH}/v1.a.b")
    assert not (found.get("status") or {}).get("conditions")
    assert await names(aggregator) == ["v1.a.b"]
