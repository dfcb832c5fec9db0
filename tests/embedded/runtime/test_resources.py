"""Limits: memory kills, CPU slows down, usage is what metrics show; logs keep time and stream."""

from __future__ import annotations

import asyncio

import pytest

from kuartui.embedded.clock import FastClock
from kuartui.embedded.node.runtime import ContainerLog, Resources
from kuartui.embedded.node.runtime.usage import CpuAccount
from tests.embedded.containers import World

MIB = 1 << 20


async def test_a_program_beyond_its_limit_is_killed(world: World) -> None:
    container = await world.start(
        "busybox:1.36", "sh", "-c", "tail /dev/zero", resources=Resources(memory_limit=64 * MIB)
    )
    await world.clock.advance(5)
    assert container.exit is not None
    assert (container.exit.code, container.exit.reason) == (137, "OOMKilled")


async def test_a_shell_that_eats_memory_is_killed(world: World) -> None:
    script = "x=aaaaaaaa; while true; do x=$x$x; done"
    exit_, _ = await world.run("busybox:1.36", "sh", "-c", script, resources=Resources(memory_limit=64 * MIB))
    assert (exit_.code, exit_.reason) == (137, "OOMKilled")


async def test_a_container_reads_its_limits_in_its_cgroup(world: World) -> None:
    limits = Resources(cpu_limit=0.25, memory_limit=100_000_000)
    container = await world.start("busybox:1.36", "sleep", "infinity", resources=limits)
    names = [f"/sys/fs/cgroup/{name}" for name in ("cpu.max", "memory.max")]
    assert await world.exec(container, "cat", *names) == (0, "25000 100000\n99999744\n", "")
    _, memory, _ = await world.exec(container, "cat", "/proc/meminfo")
    assert int(memory.split()[1]) << 10 == container.sandbox.node_memory, "a limit does not show there"
    container.update(Resources())
    assert await world.sh(container, f"cat {' '.join(names)}") == (0, "max 100000\nmax\n", "")
    code, _, _ = await world.sh(container, "echo 1 > /sys/fs/cgroup/memory.max")
    assert code != 0


async def test_a_lower_limit_takes_hold_at_once(world: World) -> None:
    container = await world.start("redis:7")
    await world.exec(container, "redis-cli", "debug", "populate", "100", "k", "1000000")
    assert container.usage().memory_bytes > 100 * MIB
    container.update(Resources(memory_limit=50 * MIB))
    await world.clock.settle()
    assert container.exit is not None
    assert container.exit.reason == "OOMKilled"


async def test_cpu_is_shared_by_the_limit() -> None:
    clock = FastClock()
    cpu = CpuAccount(clock, 0.5)
    done: list[float] = []

    async def work() -> None:
        await cpu.run(0.1)
        done.append(clock.monotonic())

    tasks = [asyncio.ensure_future(work()) for _ in range(3)]
    await clock.advance(10)
    assert done == pytest.approx([0.2, 0.4, 0.6])
    assert cpu.total() == pytest.approx(0.3)
    await asyncio.gather(*tasks)


async def test_a_rate_is_over_the_last_window() -> None:
    clock = FastClock()
    cpu = CpuAccount(clock, 4)
    cpu.steady(1, 0.25)
    for _ in range(6):
        await clock.advance(10)
        assert cpu.rate() == pytest.approx(0.25)
    cpu.steady(1, 0)
    for _ in range(6):
        await clock.advance(10)
        cpu.rate()
    assert cpu.rate() == 0


async def test_a_hundred_sleepers_cost_next_to_nothing(world: World) -> None:
    for _ in range(100):
        await world.start("busybox:1.36", "sleep", "infinity")
    assert all(container._files is None for container in world.containers)  # nothing was built for them


async def test_a_log_has_time_stream_and_partial_lines() -> None:
    clock = FastClock()
    log = ContainerLog(clock)
    log.write("stdout", b"one\ntw")
    await clock.advance(1)
    log.write("stderr", b"err\n")
    log.write("stdout", b"o\nend")
    log.close()
    entries = log.entries()
    assert [(e.stream, e.line) for e in entries] == [
        ("stdout", b"one\n"), ("stderr", b"err\n"), ("stdout", b"two\n"), ("stdout", b"end"),
    ]  # fmt: skip
    assert (entries[1].time - entries[0].time).total_seconds() == 1
    assert [e.text for e in log.entries(tail=1)] == [b"end"]
    assert [e.text for e in log.entries(since=entries[1].time)] == [b"err", b"two", b"end"]
    assert entries[0].timestamp.endswith("Z")


async def test_following_a_log_ends_with_the_container(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 1; done")
    seen: list[bytes] = []

    async def follow() -> None:
        async for entry in container.log.follow(tail=1):
            seen.append(entry.text)

    task = asyncio.ensure_future(follow())
    await world.clock.advance(10)
    await task
    assert seen == [b"1", b"2", b"3"]


async def test_a_log_is_cut_at_its_size() -> None:
    log = ContainerLog(FastClock())
    for _ in range(20):
        log.write("stdout", b"x" * (1 << 20) + b"\n")
    assert log.size <= 10 << 20
