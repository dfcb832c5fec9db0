"""How containers stop: a first process ignores what it does not handle; traps, exec and grace periods."""

from __future__ import annotations

import asyncio

import pytest

from kuartui.embedded.node.runtime import Capture, Container, Exit
from tests.embedded.containers import World


async def stop(world: World, container: Container, grace: float = 30) -> Exit:
    task = asyncio.ensure_future(container.stop(grace))
    await world.clock.settle()
    await world.clock.advance(grace + 1)
    return await task


def seconds(exit_: Exit) -> float:
    return (exit_.finished_at - exit_.started_at).total_seconds()


@pytest.mark.parametrize(
    "argv", [("sleep", "infinity"), ("sh", "-c", "sleep infinity"), ("sh", "-c", "while true; do sleep 1; done")]
)
async def test_without_a_handler_only_kill_helps(world: World, argv: tuple[str, ...]) -> None:
    container = await world.start("busybox:1.36", *argv)
    exit_ = await stop(world, container)
    assert (exit_.code, exit_.reason, seconds(exit_)) == (137, "Error", 30)


async def test_a_trap_runs_after_the_command_in_the_foreground(world: World) -> None:
    script = "trap 'echo bye; exit 3' TERM; while true; do sleep 10; done"
    container = await world.start("busybox:1.36", "sh", "-c", script)
    await world.clock.advance(4)
    exit_ = await stop(world, container)
    assert (exit_.code, seconds(exit_)) == (3, 10)
    assert world.log(container) == "bye\n"


async def test_wait_is_interrupted_at_once(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "trap 'exit 4' TERM; sleep infinity & wait")
    exit_ = await stop(world, container)
    assert (exit_.code, seconds(exit_)) == (4, 0)


async def test_what_runs_beside_wait_goes_on_while_the_trap_runs(world: World) -> None:
    """As servers do it that answer until everybody has heard that they leave."""
    script = "sleep 500 & trap 'sleep 3; ps; exit 0' TERM; wait"
    container = await world.start("busybox:1.36", "sh", "-c", script)
    exit_ = await stop(world, container)
    assert (exit_.code, seconds(exit_)) == (0, 3)
    assert "sleep 500" in [line.split(None, 3)[-1] for line in world.log(container).splitlines()]


async def test_a_trap_that_kills_its_jobs_ends_them(world: World) -> None:
    script = "sleep 500 & trap 'kill $!; sleep 3; ps; exit 0' TERM; wait"
    container = await world.start("busybox:1.36", "sh", "-c", script)
    await stop(world, container)
    assert "sleep 500" not in [line.split(None, 3)[-1] for line in world.log(container).splitlines()]


async def test_a_trap_without_exit_does_not_end_the_shell(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "trap 'echo no' TERM; while true; do sleep 1; done")
    exit_ = await stop(world, container, grace=5)
    assert (exit_.code, world.log(container)) == (137, "no\n")


@pytest.mark.parametrize("argv", [("nginx", "-g", "daemon off;"), ("sh", "-c", "exec nginx -g 'daemon off;'"),
                                  ("sh", "-c", "exec nginx -g 'daemon off;'\n"),
                                  ("bash", "-c", "echo first\nnginx -g 'daemon off;'\n")])  # fmt: skip
async def test_a_program_that_handles_the_signal_stops(world: World, argv: tuple[str, ...]) -> None:
    container = await world.start("nginx:1.27", *argv)
    exit_ = await stop(world, container)
    assert (exit_.code, exit_.reason, seconds(exit_)) == (0, "Completed", 0)


async def test_ash_becomes_the_last_command_but_not_before_a_newline(world: World) -> None:
    script = "echo first; redis-server --save ''"
    stops = await world.start("redis:7-alpine", "sh", "-c", script)
    assert (await stop(world, stops)).code == 0
    stays = await world.start("redis:7-alpine", "sh", "-c", script + "\n")
    assert (await stop(world, stays)).code == 137


async def test_dash_stays_the_first_process(world: World) -> None:
    container = await world.start("nginx:1.27", "sh", "-c", "echo first; nginx -g 'daemon off;'")
    assert (await stop(world, container, grace=5)).code == 137


@pytest.mark.parametrize("argv", [("httpd", "-f", "-p", "8080"), ("sh", "-c", "exec httpd -f -p 8080"),
                                  ("sh", "-c", "echo first\nhttpd -f -p 8080\n")])  # fmt: skip
async def test_busybox_httpd_handles_no_signal(world: World, argv: tuple[str, ...]) -> None:
    container = await world.start("busybox:1.36", *argv)
    exit_ = await stop(world, container, grace=5)
    assert (exit_.code, seconds(exit_)) == (137, 5)


async def test_busybox_httpd_in_the_background_serves_until_the_trap_is_over(world: World) -> None:
    script = "httpd -f -p 8080 -h / &\ntrap 'sleep 3; exit 0' TERM\nwait\n"
    container = await world.start("busybox:1.36", "sh", "-c", script)
    exit_ = await stop(world, container, grace=5)
    assert (exit_.code, seconds(exit_), world.log(container)) == (0, 3, "")


async def test_a_program_below_a_shell_that_stays_does_not_hear_of_it(world: World) -> None:
    container = await world.start("nginx:1.27", "sh", "-c", "nginx -g 'daemon off;'; echo after")
    assert (await stop(world, container, grace=5)).code == 137


async def test_kill_from_inside_reaches_the_first_process(world: World) -> None:
    container = await world.start("nginx:1.27")
    await world.sh(container, "kill 1")
    assert container.exit is not None
    assert container.exit.code == 0


@pytest.mark.parametrize("signal", ["9", "TERM", "SEGV"])
@pytest.mark.parametrize(("image", "shell"), [("busybox:1.36", "sh"), ("debian:12", "bash")])
async def test_the_first_process_cannot_kill_itself(world: World, image: str, shell: str, signal: str) -> None:
    container = await world.start(image, shell, "-c", f"kill -{signal} $$; echo alive; exit 6")
    await world.clock.advance(1)
    assert world.log(container) == "alive\n"
    assert container.exit is not None
    assert container.exit.code == 6


async def test_a_shell_beside_it_can(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    assert await world.exec(container, "sh", "-c", "kill $$; echo alive") == (143, "", "")


async def test_kill_from_inside_cannot_kill_the_first_process(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    assert (await world.sh(container, "kill -9 1"))[0] == 0
    assert container.exit is None


async def test_no_grace_is_no_warning(world: World) -> None:
    container = await world.start("nginx:1.27")
    assert (await stop(world, container, grace=0)).code == 137


async def test_nothing_is_left_of_a_container(world: World) -> None:
    before = len(asyncio.all_tasks())
    container = await world.start("nginx:1.27")
    await world.sh(container, "nginx -t; ls / | wc -l")
    out = Capture()
    exec_ = asyncio.ensure_future(container.exec(["sh", "-c", "sleep infinity"], out.io()))
    await world.clock.settle()
    container.kill()
    await world.clock.settle()
    container.remove()
    assert not container.processes
    assert container.id not in world.runtime.containers
    host = world.network.host(container.sandbox.ip)
    assert host is not None
    assert not host.listeners
    assert await exec_ == 137
    await world.clock.settle()
    assert len(asyncio.all_tasks()) <= before


async def test_a_shell_that_execs_is_the_program_afterwards(world: World) -> None:
    """One process, the shell's number: in ps, for pidof, pgrep and kill. Arguments are shown in one line."""
    script = "sleep 1000 &\nexec httpd -f -p 8080"
    container = await world.start("busybox:1.36", "sh", "-c", script)
    await world.clock.settle()
    code, out, _ = await world.exec(container, "ps", "-o", "pid,comm,args")
    rows = [line.split(None, 2) for line in out.splitlines()]
    assert (code, rows[0]) == (0, ["PID", "COMMAND", "COMMAND"])
    assert rows[1] == ["1", "httpd", "httpd -f -p 8080"]
    assert [row[1] for row in rows[1:]] == ["httpd", "sleep", "ps"]
    assert (await world.exec(container, "pidof", "httpd"))[1] == "1\n"
    assert (await world.exec(container, "pgrep", "sh"))[1] == ""
    assert (await world.exec(container, "sh", "-c", "pgrep -f 'p 80.0$'"))[1] == "1\n"
    inner = await world.exec(container, "sh", "-c", "sh -c 'echo one;\nsleep 500' & sleep 1; ps; kill $!; wait $!; ps")
    first, _, second = inner[1].partition("PID")[2].partition("PID")
    assert "sleep 500" in first
    assert "sleep 500" not in second


async def test_a_number_in_a_variable_is_that_of_a_process_unless_it_is_a_job(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "sleep 1000 & sleep 2000 & wait")
    await world.clock.settle()
    script = "P=$(pidof sleep | tr ' ' '\\n' | head -1)\nkill $P && ! kill -0 $P"
    assert (await world.exec(container, "sh", "-c", script))[0] == 0
    assert len((await world.exec(container, "pidof", "sleep"))[1].split()) == 1
    code, out, err = await world.exec(container, "sh", "-c", "sleep 500 & P=$!\nkill $P\nwait $P; echo $?")
    assert (code, out, err) == (0, "143\n", "")


async def test_ps_shows_a_script_in_one_line(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "sleep 1\nwhile true; do sleep 5; done\n")
    code, out, err = await world.exec(container, "ps")
    assert (code, out.splitlines()[0]) == (0, "PID   USER     TIME  COMMAND")
    assert out.splitlines()[1] == "    1 root      0:00 sh -c sleep 1 while true; do sleep 5; done"
    code, out, err = await world.exec(container, "ps", "-o", "pid=NUMBER,colour")
    assert (code, out) == (1, "")
    assert err.startswith("ps: bad -o argument 'colour', supported arguments: ")
