"""Server-side apply of scales and statuses."""

from __future__ import annotations

from typing import Any

from tests.embedded.api.server import Server
from tests.embedded.crd.world import World

Obj = dict[str, Any]

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
APPLY = "application/apply-patch+yaml"


def deployment(**spec: Any) -> Obj:
    labels = {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    whole = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": whole}


def scale(replicas: int) -> Obj:
    return {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": replicas}}


async def _apply(world: Server, path: str, body: Obj, manager: str, code: int = 0, *, force: bool = False) -> Obj:
    target = f"{DEPLOYMENTS}/d{path}?fieldManager={manager}" + ("&force=true" if force else "")
    return await world.json("PATCH", target, body, code, content_type=APPLY)


async def _managers_of_replicas(world: Server) -> list[tuple[str, str, str]]:
    entries = (await world.json("GET", f"{DEPLOYMENTS}/d"))["metadata"]["managedFields"]
    return [
        (entry["manager"], entry["operation"], entry.get("subresource", ""))
        for entry in entries
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    ]


async def test_a_scale_is_managed_by_those_who_manage_the_replicas() -> None:
    world = World()
    await _apply(world, "", deployment(replicas=1), "owner")
    refused = await _apply(world, "/scale", scale(5), "scaler", 409)
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "owner": .spec.replicas'
    await _apply(world, "/scale", scale(1), "owner")  # by the name of another way to the same field
    assert await _managers_of_replicas(world) == [("owner", "Apply", ""), ("owner", "Apply", "scale")]


async def test_an_applied_scale_owns_the_replicas() -> None:
    world = World()
    await _apply(world, "", deployment(replicas=1), "owner")
    await _apply(world, "/scale", scale(5), "scaler", force=True)
    assert await _managers_of_replicas(world) == [("scaler", "Apply", "scale")]
    await _apply(world, "/scale", scale(6), "scaler")
    assert await _managers_of_replicas(world) == [("scaler", "Apply", "scale")]
    refused = await _apply(world, "", deployment(replicas=2), "owner", 409)
    assert refused["message"] == (
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale": .spec.replicas'
    )
    assert (await _apply(world, "", deployment(), "owner"))["spec"]["replicas"] == 6


async def test_a_subresource_creates_nothing() -> None:
    world = World()
    for path, body in (("/scale", scale(5)), ("/status", deployment())):
        refused = await _apply(world, path, body, "me", 404)
        assert refused["message"] == 'deployments.apps "d" not found'
