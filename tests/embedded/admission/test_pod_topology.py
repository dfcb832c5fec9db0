"""Pods carry the zone and the region of their node as labels."""

from __future__ import annotations

import pytest

from kuartui.embedded.admission.pod_topology import PodTopologyLabels
from kuartui.embedded.api.events import EventRecorder
from kuartui.embedded.api.local import LocalClient
from kuartui.embedded.api.request import SYSTEM
from tests.embedded.api.server import Server

PODS = "/api/v1/namespaces/default/pods"
ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"


@pytest.mark.parametrize("bound", [False, True])
async def test_a_pod_tells_where_it_runs(bound: bool) -> None:
    server = Server()
    server.rest.admission.add(PodTopologyLabels(server.store))
    labels = {ZONE: "eu-1a", REGION: "eu-1", "kubernetes.io/hostname": "n1"}
    await server.json("POST", "/api/v1/nodes", {"metadata": {"name": "n1", "labels": labels}})
    spec = {"containers": [{"name": "c", "image": "i"}], **({} if bound else {"nodeName": "n1"})}
    own = {"app": "web", REGION: "mine"}
    made = await server.json("POST", PODS, {"metadata": {"name": "p", "labels": own}, "spec": spec})
    if bound:
        assert made["metadata"]["labels"] == own
        client = LocalClient(server.rest, EventRecorder(server.store, server.clock), SYSTEM)
        await client.bind("default", "p", "n1")
        made = await server.json("GET", f"{PODS}/p")
    assert made["metadata"]["labels"] == {**own, ZONE: "eu-1a"}
