"""The Gateway API's resources, as the add-on defines them."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.controllers.edge.gateway import GatewayController
from kuartui.embedded.crd import gateway
from tests.embedded.crd.world import CRDS, World, problems

GROUP = "/apis/gateway.networking.k8s.io/v1"
ROUTES = f"{GROUP}/namespaces/default/httproutes"
GATEWAYS = f"{GROUP}/namespaces/default/gateways"


@pytest.fixture
async def served(world: World) -> World:
    """A server with the add-on."""
    gateway.install(world.client)
    await world.settle()
    return world


VERSION = {"apiVersion": "gateway.networking.k8s.io/v1"}


def route(**spec: Any) -> dict[str, Any]:
    return {
        **VERSION,
        "kind": "HTTPRoute",
        "metadata": {"name": "web"},
        "spec": {"parentRefs": [{"name": "edge"}], **spec},
    }


def edge(*listeners: dict[str, Any]) -> dict[str, Any]:
    return {
        **VERSION,
        "kind": "Gateway",
        "metadata": {"name": "edge"},
        "spec": {"gatewayClassName": "ours", "listeners": list(listeners)},
    }


HTTP = {"name": "http", "port": 80, "protocol": "HTTP"}


@pytest.mark.parametrize("crd", gateway.definitions(), ids=lambda crd: crd["spec"]["names"]["plural"])
async def test_the_definitions_pass_validation(world: World, crd: dict[str, Any]) -> None:
    name = crd["metadata"]["name"]
    created = await world.json("POST", CRDS, crd)
    await world.settle()
    given = await world.json("GET", f"{CRDS}/{name}")
    world.store.delete("customresourcedefinitions.apiextensions.k8s.io", "", name)
    gateway.install(world.client)
    installed = await world.json("GET", f"{CRDS}/{name}")
    assert installed["spec"] == created["spec"]
    assert {one["type"]: one["reason"] for one in installed["status"]["conditions"]} == {
        one["type"]: one["reason"] for one in given["status"]["conditions"]
    }


async def test_installing_again_changes_nothing(served: World) -> None:
    before = served.store.revision
    gateway.install(served.client)
    await served.settle()
    assert served.store.revision == before


async def test_routes_are_completed(served: World) -> None:
    made = await served.json("POST", ROUTES, route(rules=[{"backendRefs": [{"name": "web", "port": 80}]}]))
    assert made["spec"]["parentRefs"] == [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}]
    assert made["spec"]["rules"] == [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            "backendRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80, "weight": 1}],
        }
    ]
    old = await served.json("GET", ROUTES.replace("/v1/", "/v1beta1/"))
    assert old["items"][0]["apiVersion"] == "gateway.networking.k8s.io/v1beta1"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            {"backendRefs": [{"name": "web"}]},
            "spec.rules[0].backendRefs[0]: Invalid value: Must have port for Service reference",
        ),
        (
            {"filters": [{"type": "URLRewrite"}]},
            "spec.rules[0].filters[0]: Invalid value: filter.urlRewrite must be specified for URLRewrite filter.type",
        ),
        (
            {"matches": [{"path": {"value": "shop"}}]},
            "spec.rules[0].matches[0].path: Invalid value: value must be an absolute path and start with '/' when type "
            "one of ['Exact', 'PathPrefix']",
        ),
        (
            {"filters": [{"type": "RequestRedirect", "requestRedirect": {"statusCode": 307}}]},
            "spec.rules[0].filters[0].requestRedirect.statusCode: Unsupported value: 307: supported values: "
            '"301", "302"',
        ),
        (
            {"timeouts": {"request": "1s", "backendRequest": "2s"}},
            "spec.rules[0].timeouts: Invalid value: backendRequest timeout cannot be longer than request timeout",
        ),
    ],
)
async def test_rules_of_routes_are_checked(served: World, rule: dict[str, Any], expected: str) -> None:
    assert expected in problems(await served.json("POST", ROUTES, route(rules=[rule]), code=422))


async def test_two_references_to_a_parent_name_its_sections(served: World) -> None:
    body = route(parentRefs=[{"name": "edge"}, {"name": "edge", "sectionName": "http"}])
    found = problems(await served.json("POST", ROUTES, body, code=422))
    why = "sectionName must be specified when parentRefs includes 2 or more references to the same parent"
    assert found == [f"spec.parentRefs: Invalid value: {why}"]


@pytest.mark.parametrize(
    ("listeners", "expected"),
    [
        ([HTTP, HTTP], 'spec.listeners[1]: Duplicate value: {"name":"http"}'),
        (
            [HTTP, {**HTTP, "name": "other"}],
            "spec.listeners: Invalid value: Combination of port, protocol and hostname must be unique for each listener",
        ),
        ([], "spec.listeners: Invalid value: 0: spec.listeners in body should have at least 1 items"),
        ([{"name": "http", "port": 80}], "spec.listeners[0].protocol: Required value"),
    ],
)
async def test_listeners_are_checked(served: World, listeners: list[Any], expected: str) -> None:
    assert expected in problems(await served.json("POST", GATEWAYS, edge(*listeners), code=422))


async def test_a_class_waits_for_its_controller(served: World) -> None:
    body = {
        **VERSION,
        "kind": "GatewayClass",
        "metadata": {"name": "theirs"},
        "spec": {"controllerName": "example.com/theirs"},
    }
    made = await served.json("POST", f"{GROUP}/gatewayclasses", body)
    assert made["status"]["conditions"][0]["message"] == "Waiting for controller"


async def test_what_the_controller_writes_is_valid(served: World) -> None:
    controller = GatewayController(served.client)
    controller.setup()
    body = {
        **VERSION,
        "kind": "GatewayClass",
        "metadata": {"name": "ours"},
        "spec": {"controllerName": "kuartui.dev/gateway-controller"},
    }
    await served.json("POST", f"{GROUP}/gatewayclasses", body)
    await served.json("POST", GATEWAYS, edge(HTTP))
    await served.json("POST", ROUTES, route(rules=[{"backendRefs": [{"name": "web", "port": 80}]}]))
    for resource, namespace, name in (
        ("gatewayclasses", "", "ours"),
        ("gateways", "default", "edge"),
        ("httproutes", "default", "web"),
    ):
        await controller.reconcile(f"{resource}.gateway.networking.k8s.io|{namespace}", name)
    found = await served.json("GET", f"{GATEWAYS}/edge")
    assert found["status"]["listeners"][0]["attachedRoutes"] == 1
    parent = (await served.json("GET", f"{ROUTES}/web"))["status"]["parents"][0]
    assert {one["type"]: one["reason"] for one in parent["conditions"]} == {
        "Accepted": "Accepted",
        "ResolvedRefs": "BackendNotFound",
    }
