"""APIServices of built-in group versions and of CRDs, as the aggregator keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kuartui.embedded.crd import apiservices
from kuartui.embedded.crd.remote_apiservices import RemoteApiServices
from tests.embedded.crd.world import CRDS, NAME, World, version

PATH = "/apis/apiregistration.k8s.io/v1/apiservices"
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
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


SPEC: dict[str, Any] = {"group": "a.b", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100}
REMOTE = SPEC | {"insecureSkipTLSVerify": True, "service": {"namespace": "default", "name": "s"}}


def api_service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("name", "spec", "wrong"),
    [
        ("v2.a.b", {}, 'metadata.name: Invalid value: "v2.a.b": must be `spec.version+"."+spec.group`: "v1.a.b"'),
        ("v2.", {"group": "", "version": "v2"}, "spec.group: Required value: only v1 may have an empty group"),
        (
            "v1.a.b",
            {"groupPriorityMinimum": 20001},
            "spec.groupPriorityMinimum: Invalid value: 20001: must be positive",
        ),
        (
            "v1.a.b",
            {"versionPriority": 0},
            "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
        ),
        (
            "v1.a.b",
            {"service": None},
            "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have",
        ),
        ("v1.a.b", {"service": {"name": "s"}}, "spec.service.namespace: Required value"),
        (
            "v1.a.b",
            {"caBundle": "eA=="},
            "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle",
        ),
    ],
)
async def test_what_is_wrong_with_one_is_told(world: World, name: str, spec: dict[str, Any], wrong: str) -> None:
    answer = await world.json("POST", PATH, api_service(name, **(REMOTE | spec)), code=422)
    assert wrong in answer["message"]


async def nothing(group: str, version: str) -> list[dict[str, Any]]:
    return []


async def test_one_with_a_service_is_as_available_as_that(world: World) -> None:
    problem = "bad status from https://10.96.1.1:443/apis/a.b/v1: 404"
    asked: list[tuple[str, int, str]] = []

    async def ask(address: str, port: int, path: str) -> str:
        asked.append((address, port, path))
        return problem

    async def told() -> str:
        await world.settle()
        return available(await world.json("GET", f"{PATH}/v1.a.b"))

    controllers = apiservices.ApiServices(world.client), RemoteApiServices(world.client, world.resources, ask, nothing)
    tasks = [asyncio.create_task(controller.run()) for controller in controllers]
    made = await world.json("POST", PATH, api_service("v1.a.b", **REMOTE))
    assert made["spec"]["service"]["port"] == 443
    assert await told() == "False ServiceNotFound"

    service = {"metadata": {"name": "s"}, "spec": {"clusterIP": "10.96.1.1", "ports": [{"port": 80}]}}
    await world.json("POST", "/api/v1/namespaces/default/services", service)
    assert await told() == "False ServicePortError"
    ports = {"spec": {"ports": [{"port": 443}]}}
    await world.json("PATCH", "/api/v1/namespaces/default/services/s", ports, **MERGE)
    assert await told() == "False EndpointsNotFound"

    labels = {"kubernetes.io/service-name": "s"}
    endpoints = {"metadata": {"name": "s-1", "labels": labels}, "addressType": "IPv4", "endpoints": []}
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    await world.json("POST", slices, {**endpoints, "ports": [{"name": "", "port": 8443}]})
    assert await told() == "False MissingEndpoints"
    assert not asked
    await world.json("PATCH", f"{slices}/s-1", {"endpoints": [{"addresses": ["10.244.0.1"]}]}, **MERGE)
    assert await told() == "False FailedDiscoveryCheck"
    (condition,) = (await world.json("GET", f"{PATH}/v1.a.b"))["status"]["conditions"]
    url = "https://10.96.1.1:443/apis/a.b/v1"
    assert condition["message"] == f"failing or missing response from {url}: bad status from {url}: 404"
    problem = ""
    await world.clock.advance(31)
    assert await told() == "True Passed"
    assert set(asked) == {("10.96.1.1", 443, "/apis/a.b/v1")}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_discovery_names_what_another_server_should_answer_and_nobody_does(world: World) -> None:
    async def ask(address: str, port: int, path: str) -> str:
        return "nobody is there"

    task = asyncio.create_task(RemoteApiServices(world.client, world.resources, ask, nothing).run())
    await world.json("POST", PATH, api_service("v1.a.b", **REMOTE))
    await world.settle()
    groups = {group["name"]: group for group in (await world.json("GET", "/apis"))["groups"]}
    assert groups["a.b"]["preferredVersion"] == {"groupVersion": "a.b/v1", "version": "v1"}
    aggregated = await world.json("GET", "/apis", accept=AGGREGATED)
    (told,) = (group["versions"] for group in aggregated["items"] if group["metadata"]["name"] == "a.b")
    assert told == [{"version": "v1", "freshness": "Stale"}]
    for path in ("/apis/a.b/v1", "/apis/a.b/v1/namespaces/default/things"):
        answer = await world.ask("GET", path)
        assert (answer.status, answer.body) == (503, b"service unavailable\n")

    await world.json("DELETE", f"{PATH}/v1.a.b")
    await world.settle()
    assert "a.b" not in {group["name"] for group in (await world.json("GET", "/apis"))["groups"]}
    assert (await world.ask("GET", "/apis/a.b/v1")).status == 404
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_metrics_that_the_api_server_answers_have_one(aggregator: World) -> None:
    apiservices.install(aggregator.client, metrics=True)
    assert available(await aggregator.json("GET", f"{PATH}/v1beta1.metrics.k8s.io")) == "True Local"
