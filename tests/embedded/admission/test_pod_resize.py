"""A resize that the node could never grant is refused."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.pod_resize import PodResizeValidator
from tests.embedded.api.server import Server

PODS = "/api/v1/namespaces/default/pods"
ROOM = {"cpu": "4", "memory": "1Gi"}
LITTLE = "node didn't have enough allocatable resources: "


def spec(requests: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}], **more}


@pytest.mark.parametrize(
    ("system", "node", "requests", "why", "reason"),
    [
        ("linux", "n1", {"cpu": "4", "memory": "1Gi"}, None, None),
        ("linux", "n1", {"cpu": "4100m"}, f"{LITTLE}cpu, requested: 4100, allocatable: 4000", "NodeCapacity"),
        (
            "linux",
            "n1",
            {"cpu": "5", "memory": "2Gi"},
            f"{LITTLE}cpu, requested: 5000, allocatable: 4000; memory, requested: 2147483648, allocatable: 1073741824",
            "NodeCapacity",
        ),
        (
            "windows",
            "n1",
            {"cpu": "2"},
            'pod resize is only supported on linux nodes, node "n1" is "windows"',
            "UnsupportedPlatform",
        ),
        ("linux", None, {"cpu": "99"}, None, None),
    ],
)
async def test_only_what_a_node_could_grant(
    system: str, node: str | None, requests: dict[str, str], why: str | None, reason: str | None
) -> None:
    server = Server()
    server.rest.admission.add(PodResizeValidator(server.store))
    metadata = {"name": "n1", "labels": {"kubernetes.io/os": system}}
    status = {"capacity": ROOM, "allocatable": ROOM}
    await server.json("POST", "/api/v1/nodes", {"metadata": metadata})
    await server.json("PUT", "/api/v1/nodes/n1/status", {"metadata": metadata, "status": status})
    before = spec({"cpu": "1", "memory": "1Mi"}, **({"nodeName": node} if node else {}))
    pod = await server.json("POST", PODS, {"metadata": {"name": "p"}, "spec": before})
    resources = pod["spec"]["containers"][0]["resources"]["requests"]
    resources |= requests
    if not why:
        resized = await server.json("PUT", f"{PODS}/p/resize", pod)
        assert resized["spec"]["containers"][0]["resources"]["requests"] == resources
        return
    answer = await server.json("PUT", f"{PODS}/p/resize", pod, code=403)
    assert answer["message"] == f'pods "p" is forbidden: {why}'
    assert answer["details"]["causes"] == [{"reason": reason}]
