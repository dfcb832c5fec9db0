"""ZooKeeper as the tutorial has it: an ensemble of StatefulSet pods."""

from __future__ import annotations

from kuartui.embedded.node.runtime import Container, Mount, Volume
from tests.embedded.containers import World

IMAGE = "registry.k8s.io/kubernetes-zookeeper:1.0-3.4.10"
HELLO = "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null\n"


async def member(world: World, number: int, volume: Volume | None = None) -> Container:
    sandbox = world.sandbox(f"zk-{number}")
    for other in range(3):
        ip = f"10.244.0.{other + 2}"
        host = world.network.host(sandbox.ip)
        assert host is not None
        host.hosts[f"zk-{other}.zk-hs"] = ip
    mounts = (Mount("/var/lib/zookeeper", volume or Volume()),)
    sandbox.hosts = f"127.0.0.1\tlocalhost\n{sandbox.ip}\tzk-{number}.zk-hs\tzk-{number}\n"
    return await world.start(IMAGE, "sh", "-c", "start-zookeeper --servers=3", sandbox=sandbox, mounts=mounts)


async def cli(world: World, container: Container, *words: str) -> tuple[int, str, str]:
    return await world.exec(container, "zkCli.sh", *words)


async def test_most_of_an_ensemble_serves_and_all_have_what_was_written(world: World) -> None:
    first = await member(world, 0)
    assert (await world.exec(first, "zookeeper-ready", "2181"))[0] == 0
    assert (await world.exec(first, "cat", "/var/lib/zookeeper/data/myid"))[1] == "1\n"
    code, _, complaint = await cli(world, first, "get", "/hello")
    assert code == 1
    assert "ConnectionLoss for /hello" in complaint
    second, third = await member(world, 1), await member(world, 2)
    await world.clock.advance(5)
    assert await cli(world, first, "create", "/hello", "world") == (0, HELLO + "Created /hello\n", "")
    shown = (await cli(world, third, "get", "/hello"))[1]
    assert shown.startswith(HELLO + "world\ncZxid = 0x100000001\n")
    assert "dataLength = 5\nnumChildren = 0\n" in shown
    assert (await cli(world, second, "create", "/hello", "x"))[2] == "Node already exists: /hello\n"
    await cli(world, second, "set", "/hello", "again")
    assert "again\n" in (await cli(world, first, "get", "/hello"))[1]
    assert (await cli(world, first, "ls", "/"))[1] == HELLO + "[hello, zookeeper]\n"
    modes = []
    for one in (first, second, third):
        stream = await world.network.connect(one.sandbox.ip, one.sandbox.ip, 2181)
        await stream.write(b"srvr")
        modes.append((await stream.read()).decode().splitlines()[2])
    assert modes == ["Mode: follower", "Mode: leader", "Mode: follower"]


async def test_a_server_comes_back_with_its_data_and_dies_with_java(world: World) -> None:
    volume = Volume()
    first, second = await member(world, 0, volume), await member(world, 1)
    await world.clock.advance(5)
    await cli(world, first, "create", "/kept", "yes")
    assert (await world.exec(first, "pkill", "java"))[0] == 0
    await world.clock.advance(1)
    assert first.exit is not None
    assert first.exit.code == 143
    assert "myid:2" in world.log(second)


async def test_a_probe_notices_that_its_script_was_removed(world: World) -> None:
    first = await member(world, 0)
    assert (await world.sh(first, "zookeeper-ready 2181"))[0] == 0
    await world.exec(first, "rm", "/opt/zookeeper/bin/zookeeper-ready")
    code, _, complaint = await world.sh(first, "zookeeper-ready 2181")
    assert (code, complaint) == (127, "sh: 1: zookeeper-ready: not found\n")


async def test_only_a_pod_of_a_stateful_set_has_a_number(world: World) -> None:
    exit_, log = await world.run(IMAGE, "start-zookeeper", sandbox=world.sandbox("zk"))
    assert (exit_.code, log) == (1, "Failed to parse name and ordinal of Pod\n")


async def test_ps_of_debian_has_its_formats(world: World) -> None:
    first = await member(world, 0)
    await world.clock.advance(60)
    full = (await world.exec(first, "ps", "-ef"))[1].splitlines()
    assert full[0] == "UID          PID    PPID  C STIME TTY          TIME CMD"
    assert full[2].startswith("root           2       1  0 ")
    assert full[2].endswith(" ?        00:00:00 start-zookeeper --servers=3")
    assert (await world.exec(first, "ps", "-elf"))[1].startswith(
        "F S UID          PID    PPID  C PRI  NI ADDR    SZ WCHAN"
    )
    assert (await world.exec(first, "ps", "aux"))[1].startswith(
        "USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START"
    )
    assert (await world.exec(first, "ps", "-eo", "pid,ppid,comm"))[1].splitlines()[
        2
    ] == "      2       1 start-zookeeper"
    assert (await world.exec(first, "ps"))[1].splitlines()[:2] == [
        "    PID TTY          TIME CMD", "      1 ?        00:00:00 sh"
    ]  # fmt: skip
