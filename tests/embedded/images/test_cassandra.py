"""Cassandra's ring, as the tutorial looks at it."""

from __future__ import annotations

from kuartui.embedded.node.runtime import Container
from tests.embedded.containers import World

IMAGE = "gcr.io/google-samples/cassandra:v13"
ENV = {"CASSANDRA_CLUSTER_NAME": "K8Demo", "CASSANDRA_DC": "DC1-K8Demo", "CASSANDRA_RACK": "Rack1-K8Demo"}


async def node(world: World, number: int, seeds: str = "cassandra-0.cassandra") -> Container:
    sandbox = world.sandbox(f"cassandra-{number}")
    host = world.network.host(sandbox.ip)
    assert host is not None
    if number:
        host.hosts["cassandra-0.cassandra"] = "10.244.0.2"
    return await world.start(IMAGE, sandbox=sandbox, env={**ENV, "CASSANDRA_SEEDS": seeds})


async def status(world: World, container: Container) -> list[str]:
    text = (await world.exec(container, "nodetool", "status"))[1]
    return [line[:2] + " " + line.split()[1] for line in text.splitlines() if line[:1] in ("U", "D") and "10." in line]


async def test_nodes_find_each_other_by_their_seed(world: World) -> None:
    first = await node(world, 0)
    assert (await world.exec(first, "/bin/bash", "-c", "/ready-probe.sh"))[0] == 1
    await world.clock.advance(12)
    assert (await world.exec(first, "/bin/bash", "-c", "/ready-probe.sh"))[0] == 0
    second, third = await node(world, 1), await node(world, 2)
    await world.clock.advance(3)
    assert await status(world, first) == ["UN 10.244.0.2", "UJ 10.244.0.3", "UJ 10.244.0.4"]
    await world.clock.advance(12)
    up = ["UN 10.244.0.2", "UN 10.244.0.3", "UN 10.244.0.4"]
    assert [await status(world, one) for one in (first, second, third)] == [up, up, up]
    text = (await world.exec(second, "nodetool", "status"))[1]
    assert text.startswith("Datacenter: DC1-K8Demo\n======================\nStatus=Up/Down\n")
    assert "Rack1-K8Demo" in text
    await second.stop(0)
    await world.clock.advance(20)
    assert await status(world, third) == ["UN 10.244.0.2", "DN 10.244.0.3", "UN 10.244.0.4"]
    assert await world.exec(third, "/bin/sh", "-c", "nodetool drain") == (0, "", "")
    assert (await status(world, third))[2] == "UL 10.244.0.4"


async def test_a_node_needs_a_seed(world: World) -> None:
    sandbox = world.sandbox("cassandra-1")
    exit_, log = await world.run(IMAGE, sandbox=sandbox, env={**ENV, "CASSANDRA_SEEDS": "nobody"}, seconds=90)
    assert exit_.code == 3
    assert "The seed provider lists no seeds." in log
