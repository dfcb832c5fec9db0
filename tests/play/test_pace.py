"""Time passes in a proof while commands wait, and not while they work, however slow the machine is."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kuartui.cluster.clock import SteppedClock
from kuartui.play.pace import LONGEST_WAIT, Pace
from kuartui.play.processes import Glance, glance
from kuartui.play.shell import STARTING, Shell, remembering

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is there on Linux only")

TOTAL = str(sum(range(3_000_000)))
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
"""


@asynccontextmanager
async def session(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*command, start_new_session=True)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(look: Callable[[], Glance | None], right: Callable[[Glance], bool]) -> Glance:
    async with asyncio.timeout(20):
        while True:
            found = look()
            if found is not None and right(found):
                return found
            await asyncio.sleep(0.001)


async def test_a_process_that_waits_is_asleep() -> None:
    async with session("sh", "-c", "sleep 60; true") as process:
        seen = await until(lambda: glance(process.pid), lambda seen: not seen.working and len(seen.processes) == 2)
        assert process.pid in seen.processes
        assert glance(process.pid) == seen


async def test_a_process_that_computes_works() -> None:
    async with session(sys.executable, "-c", "while True: pass") as process:
        first = await until(lambda: glance(process.pid), lambda seen: seen.working and seen.spent > 0)
        later = await until(lambda: glance(process.pid), lambda seen: seen.spent > first.spent)
        assert later.working


async def test_who_has_ended_and_waits_for_us_works() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    try:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it is dead, and nobody has asked
        seen = glance(child)
        assert seen is not None
        assert seen.working
    finally:
        os.waitpid(child, 0)


async def test_nobody_is_there() -> None:
    async with session("true") as process:
        await process.wait()
    assert glance(process.pid) is None


async def test_time_passes_while_a_command_waits_for_the_cluster(tmp_path: Path) -> None:
    fifo = tmp_path / "answer"
    os.mkfifo(fifo)
    passed = 0.0

    async def drive(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        if passed >= 5 and fifo.exists():
            end = os.open(fifo, os.O_WRONLY)
            fifo.unlink()
            os.write(end, b"done\n")
            os.close(end)

    pace = Pace(SteppedClock(drive))
    async with session("sh", "-c", f"read answer < {fifo}") as process:
        assert await pace.beside(process.wait(), lambda: glance(process.pid)) == 0
    assert 5 <= passed < 5 + LONGEST_WAIT


async def test_steps_grow_beside_a_command_that_does_nothing_but_wait() -> None:
    done, steps, asked, work = asyncio.Event(), [], 0, 0

    async def drive(seconds: float) -> None:
        nonlocal asked, work
        if not seconds:
            asked += 1
            return
        steps.append(seconds)
        work += len(steps) == 6  # something happens to what it waits for
        if len(steps) == 9:
            done.set()

    pace = Pace(SteppedClock(drive))
    await pace.beside(done.wait(), lambda: Glance(working=False, processes=frozenset({1}), spent=work))
    assert steps == [1, 1.5, 2.25, 2.5, 2.5, 2.5, 1, 1.5, 2.25]
    assert asked == 2  # whether the cluster has answered, each time that there was something to answer


async def test_time_stands_still_while_a_command_computes() -> None:
    pace = Pace(SteppedClock())
    async with session(sys.executable, "-c", "sum(range(3_000_000))") as process:
        assert await pace.beside(process.wait(), lambda: glance(process.pid)) == 0
    assert pace.clock.monotonic() == 0


async def test_time_stands_still_while_a_command_has_no_core_to_compute_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuartui.play.pace.WORKING", 0.02)
    pace, work = Pace(SteppedClock()), asyncio.sleep(0.3)
    starved = Glance(working=True, processes=frozenset({1}), spent=5)
    await pace.beside(work, lambda: starved)
    assert pace.clock.monotonic() == 0


async def test_time_passes_beside_a_command_that_computes_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuartui.play.pace.WORKING", 0.02)
    pace = Pace(SteppedClock())
    async with session(sys.executable, "-c", "while True: pass") as process:
        beside = asyncio.ensure_future(pace.beside(process.wait(), lambda: glance(process.pid)))
        async with asyncio.timeout(20):
            while not pace.clock.monotonic():
                await asyncio.sleep(0.01)
        process.kill()
        await beside


async def test_time_stands_still_while_commands_begin_and_end(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    pace = Pace(SteppedClock())
    with remembering() as memory:
        shell = Shell(tmp_path, kubeconfig, Path(sys.executable), memory, "", tmp_path)
        for _ in range(2):
            assert await pace.beside(shell.run("kubectl -c 'print(sum(range(3_000_000)))'"), shell.glance) == (0, TOTAL)
    assert pace.clock.monotonic() == 0


def ended(pid: int) -> bool:
    """Whether it is gone, or nobody has asked yet how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


async def test_a_command_ends_with_the_proof_that_runs_it(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    with remembering() as memory:
        shell = Shell(tmp_path, kubeconfig, Path(sys.executable), memory, "", tmp_path)
        running = asyncio.create_task(shell.run("sleep 60 & echo $! > pid; wait"))
        said = tmp_path / "pid"
        while shell.glance() is STARTING or not said.exists() or not said.read_text():
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    async with asyncio.timeout(10):
        while not ended(int(said.read_text())):
            await asyncio.sleep(0.01)
