"""Redis Sentinel: three servers, three sentinels, and a master that dies."""

from __future__ import annotations

from kuartui.embedded.node.runtime import Container, Mount, Projected, Volume
from tests.embedded.containers import World

OPTIONS = "sentinel down-after-milliseconds redis 5000\nsentinel failover-timeout redis 20000\n"


async def cli(world: World, container: Container, command: str) -> str:
    return (await world.exec(container, "redis-cli", *command.split()))[1].strip()


async def ask(world: World, sentinel: Container, command: str) -> dict[str, str]:
    words = (await cli(world, sentinel, f"-p 26379 sentinel {command}")).splitlines()
    return dict(zip(words[::2], words[1::2], strict=True))


async def house(world: World, quorum: int) -> tuple[list[Container], list[Container]]:
    """A master with two replicas, and three sentinels that have met."""
    master = await world.start("redis:7-alpine")
    following = ("redis-server", "--replicaof", master.sandbox.ip, "6379")
    servers = [master, *[await world.start("redis:7-alpine", args=following) for _ in range(2)]]
    text = f"sentinel monitor redis {master.sandbox.ip} 6379 {quorum}\n{OPTIONS}"
    script = f"echo '{text}' > /data/sentinel.conf; exec redis-sentinel /data/sentinel.conf"
    sentinels = [await world.start("redis:7-alpine", "sh", "-c", script) for _ in range(3)]
    await world.clock.advance(10)
    return servers, sentinels


async def test_a_majority_promotes_a_replica_and_the_old_master_comes_back_as_one(world: World) -> None:
    servers, sentinels = await house(world, quorum=2)
    found = await ask(world, sentinels[0], "master redis")
    assert {key: found[key] for key in ("flags", "num-slaves", "num-other-sentinels", "quorum")} == {
        "flags": "master", "num-slaves": "2", "num-other-sentinels": "2", "quorum": "2",
    }  # fmt: skip
    await cli(world, servers[0], "set ledger 42")
    servers[0].kill()
    await world.clock.advance(30)
    addresses = {await cli(world, one, "-p 26379 sentinel get-master-addr-by-name redis") for one in sentinels}
    assert len(addresses) == 1
    address = addresses.pop().splitlines()[0]
    promoted, other = sorted(servers[1:], key=lambda one: one.sandbox.ip != address)
    assert promoted.sandbox.ip == address
    assert "role:master" in await cli(world, promoted, "info replication")
    assert await cli(world, promoted, "set ledger 43") == "OK"
    await world.clock.advance(2)
    assert await cli(world, other, "get ledger") == "43"
    logs = "".join(world.log(one) for one in sentinels)
    assert logs.count("+elected-leader master redis") == 1
    back = await world.start("redis:7-alpine", sandbox=servers[0].sandbox)
    await world.clock.advance(20)
    assert f"master_host:{address}" in await cli(world, back, "info replication")
    assert await cli(world, back, "get ledger") == "43"


async def test_a_quorum_of_all_cannot_be_reached_with_one_lost(world: World) -> None:
    servers, sentinels = await house(world, quorum=3)
    sentinels[0].kill()
    servers[0].kill()
    await world.clock.advance(60)
    found = await ask(world, sentinels[1], "master redis")
    assert found["flags"] == "master,s_down"
    assert (await cli(world, sentinels[1], "-p 26379 sentinel ckquorum redis")).startswith(
        "NOQUORUM 2 usable Sentinels"
    )
    for one in sentinels[1:]:
        assert await cli(world, one, "-p 26379 sentinel set redis quorum 2") == "OK"
    await world.clock.advance(30)
    roles = [await cli(world, one, "info replication") for one in servers[1:]]
    assert sum("role:master" in role for role in roles) == 1


async def test_what_sentinel_refuses_at_start(world: World) -> None:
    config = {"sentinel.conf": Projected(b"sentinel monitor redis 10.0.0.1 6379 2\n")}
    mounts = (Mount("/conf", Volume.projection(config, world.clock.now())),)
    exit_, log = await world.run("redis:7-alpine", "redis-sentinel", "/conf/sentinel.conf", mounts=mounts)
    assert exit_.code == 1
    assert log.endswith("Sentinel config file /conf/sentinel.conf is not writable: Read-only file system. Exiting...\n")
    script = (
        "echo 'sentinel monitor redis redis-0.redis 6379 2' > /data/s.conf; exec redis-server /data/s.conf --sentinel"
    )
    exit_, log = await world.run("redis:7-alpine", "sh", "-c", script)
    assert exit_.code == 1
    assert log.endswith(">>> 'sentinel monitor redis redis-0.redis 6379 2'\nCan't resolve instance hostname.\n")
