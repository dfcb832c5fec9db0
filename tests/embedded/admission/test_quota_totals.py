"""What a quota asks of a pod of several containers, and what it charges for one as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.resource_quota import ResourceQuota
from tests.embedded.api.server import Server

Obj = dict[str, Any]

PODS = "/api/v1/namespaces/default/pods"
QUOTA = "/api/v1/namespaces/default/resourcequotas"


async def limited(**hard: str) -> Server:
    """A server with a quota for what is named, dots as double underscores."""
    server = Server()
    server.rest.admission.add(ResourceQuota(server.rest))
    spec = {"hard": {name.replace("__", "."): amount for name, amount in hard.items()}}
    await server.json("POST", QUOTA, {"metadata": {"name": "q"}, "spec": spec})
    return server


def pod(*asks: str, name: str = "p", **spec: Any) -> Obj:
    """A pod whose containers each have so much memory as request and limit; nothing is said for an empty one."""
    containers = [
        {"name": f"c{n}", "image": "i"}
        | ({"resources": {"requests": {"memory": ask}, "limits": {"memory": ask}}} if ask else {})
        for n, ask in enumerate(asks)
    ]
    return {"metadata": {"name": name}, "spec": {"containers": containers, **spec}}


async def used(server: Server) -> Obj:
    found: Obj = (await server.json("GET", f"{QUOTA}/q"))["status"]["used"]
    return found


async def test_every_container_says_what_is_counted() -> None:
    server = await limited(limits__memory="1Gi", requests__memory="1Gi")
    refused = await server.json("POST", PODS, pod("64Mi", ""), code=403)
    assert refused["message"] == (
        'pods "p" is forbidden: failed quota: q: must specify limits.memory for: c1; requests.memory for: c1'
    )
    await server.json("POST", PODS, pod("64Mi", "32Mi"), code=201)
    assert await used(server) == {"limits.memory": "96Mi", "requests.memory": "96Mi"}


async def test_disk_is_counted_but_need_not_be_said() -> None:
    server = await limited(**{"requests__ephemeral-storage": "1Gi"})
    await server.json("POST", PODS, pod(""), code=201)
    disk = {"resources": {"requests": {"ephemeral-storage": "2Gi"}}}
    big = {"metadata": {"name": "big"}, "spec": {"containers": [{"name": "c", "image": "i", **disk}]}}
    refused = await server.json("POST", PODS, big, code=403)
    assert "requested: requests.ephemeral-storage=2Gi" in refused["message"]


async def test_what_is_said_of_the_pod_as_a_whole_counts() -> None:
    server = await limited(limits__memory="300Mi", requests__memory="300Mi")
    whole = {"requests": {"memory": "100Mi"}, "limits": {"memory": "200Mi"}}
    await server.json("POST", PODS, pod("", "32Mi", resources=whole), code=201)
    assert await used(server) == {"limits.memory": "200Mi", "requests.memory": "100Mi"}
    refused = await server.json("POST", PODS, pod("", name="second", resources=whole), code=403)
    assert "exceeded quota: q, requested: limits.memory=200Mi, used: limits.memory=200Mi" in refused["message"]


async def test_sidecars_count_beside_the_rest() -> None:
    server = await limited(requests__memory="1Gi")
    sidecar = pod("50Mi")["spec"]["containers"][0] | {"name": "side", "restartPolicy": "Always"}
    first = pod("120Mi")["spec"]["containers"][0] | {"name": "first"}
    await server.json("POST", PODS, pod("100Mi", initContainers=[sidecar, first]), code=201)
    assert await used(server) == {"requests.memory": "170Mi"}


@pytest.mark.parametrize(("memory", "code"), [("200Mi", 200), ("400Mi", 403)])
async def test_a_pod_that_grows_is_charged(memory: str, code: int) -> None:
    server = await limited(requests__memory="300Mi")
    await server.json("POST", PODS, pod("100Mi"), code=201)
    await server.json("PUT", f"{PODS}/p/resize", await grown(server, memory), code=code)
    assert (await used(server))["requests.memory"] == (memory if code == 200 else "100Mi")


async def grown(server: Server, memory: str) -> Obj:
    """The pod as it is, with so much memory."""
    found = await server.json("GET", f"{PODS}/p")
    found["spec"]["containers"][0]["resources"] = {"requests": {"memory": memory}, "limits": {"memory": memory}}
    return found
