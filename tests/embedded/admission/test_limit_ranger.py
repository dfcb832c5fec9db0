"""LimitRanger: which LimitRange speaks, what counts as a pod's, and resizes."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.admission.limit_ranger import LimitRanger
from tests.embedded.api.server import Server

Obj = dict[str, Any]

CORE = "/api/v1/namespaces/default"


async def limited(**limits: list[Obj]) -> Server:
    """A server with LimitRanges, by name."""
    server = Server()
    server.rest.admission.add(LimitRanger(server.store))
    for name, items in limits.items():
        body = {"metadata": {"name": name}, "spec": {"limits": items}}
        await server.json("POST", f"{CORE}/limitranges", body)
    return server


def container(name: str = "c", cpu: str = "100m", **more: Any) -> Obj:
    amounts = {"cpu": cpu}
    return {"name": name, "image": "i", "resources": {"requests": amounts, "limits": dict(amounts)}, **more}


def pod(*containers: Obj, **spec: Any) -> Obj:
    return {"metadata": {"name": "p"}, "spec": {"containers": list(containers), **spec}}


async def refused(server: Server, body: Obj) -> str:
    answer = await server.json("POST", f"{CORE}/pods", body, code=403)
    return str(answer["message"]).removeprefix('pods "p" is forbidden: ')


async def test_the_first_limit_range_that_is_broken_speaks_alone() -> None:
    server = await limited(
        a=[{"type": "Container", "max": {"cpu": "1"}}, {"type": "Pod", "max": {"cpu": "2"}}],
        b=[{"type": "Pod", "max": {"cpu": "1"}}],
    )
    assert await refused(server, pod(container(cpu="3"))) == (
        "[maximum cpu usage per Container is 1, but limit is 3, maximum cpu usage per Pod is 2, but limit is 3]"
    )
    assert await refused(server, pod(container(cpu="1"), container("d"))) == (
        "maximum cpu usage per Pod is 1, but limit is 1100m"
    )


async def test_sidecars_count_beside_the_rest_and_the_pods_own_amounts_before_it() -> None:
    server = await limited(a=[{"type": "Pod", "max": {"cpu": "1"}}])
    sidecar = container("s", "600m", restartPolicy="Always")
    assert await refused(server, pod(container(cpu="500m"), initContainers=[sidecar])) == (
        "maximum cpu usage per Pod is 1, but limit is 1100m"
    )
    whole = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
    assert await refused(server, pod(container(), resources=whole)) == "maximum cpu usage per Pod is 1, but limit is 2"
    await server.json("POST", f"{CORE}/pods", pod(container(), initContainers=[container("i", "900m")]))


async def test_a_resize_keeps_within_the_limits_but_no_other_update_is_asked() -> None:
    server = await limited()
    made = await server.json("POST", f"{CORE}/pods", pod(container(cpu="2")))
    body = {"metadata": {"name": "a"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}}
    await server.json("POST", f"{CORE}/limitranges", body)
    made["metadata"]["labels"] = {"a": "b"}
    made = await server.json("PUT", f"{CORE}/pods/p", made)
    made["spec"]["containers"][0]["resources"] = container(cpu="3")["resources"]
    answer = await server.json("PUT", f"{CORE}/pods/p/resize", made, code=403)
    assert answer["message"].endswith("maximum cpu usage per Container is 1, but limit is 3")
    made["spec"]["containers"][0]["resources"] = container(cpu="1")["resources"]
    await server.json("PUT", f"{CORE}/pods/p/resize", made)
