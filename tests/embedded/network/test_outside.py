"""Web sites outside of the cluster: found by name, open to pods, unless a NetworkPolicy keeps them in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kuartui.embedded.network import outside
from tests.embedded.containers import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    outside.settle(world.network)
    yield world
    await world.close()


async def test_pods_fetch_pages_from_outside(world: World) -> None:
    box = await world.start("busybox:1.36", "sleep", "1000")
    code, out, _ = await world.sh(box, "wget -qO- http://info.cern.ch; wget -qO- example.com")
    assert code == 0
    assert "Home of the first website" in out
    assert "Example Domain" in out
    code, _, error = await world.sh(box, "wget -qO- http://example.com/nope")
    assert code == 1
    assert "404" in error


async def test_a_policy_keeps_pods_in(world: World) -> None:
    box = await world.start("busybox:1.36", "sleep", "1000")
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]}
    meta = {"name": "keep", "namespace": "default"}
    world.network.apply("networkpolicies.networking.k8s.io", "ADDED", {"metadata": meta, "spec": spec})
    code, _, error = await world.sh(box, "wget -T 2 -qO- http://example.com")
    assert code == 1
    assert error == "wget: download timed out\n"
