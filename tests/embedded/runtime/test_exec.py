"""exec and attach: streams, exit codes, standard input, terminals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kuartui.embedded.node.runtime import Capture, Container, Credentials, ExecIO
from tests.embedded.containers import World


class Keyboard:
    """Types into a terminal."""

    def __init__(self) -> None:
        self._keys: asyncio.Queue[bytes | None] = asyncio.Queue()

    def type(self, text: str) -> None:
        self._keys.put_nowait(text.encode())

    async def chunks(self) -> AsyncIterator[bytes]:
        while (keys := await self._keys.get()) is not None:
            yield keys


class Session:
    """`kubectl exec -it`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keyboard = Keyboard()
        self.screen = Capture()
        self.task: asyncio.Task[int] | None = None

    async def open(self, image: str, *argv: str, container: Container | None = None) -> None:
        container = container or await self.world.start(image, "sleep", "infinity")
        io = ExecIO(self.screen.write, None, self.keyboard.chunks(), tty=True)
        self.task = asyncio.ensure_future(container.exec(list(argv), io))
        await self.world.clock.settle()

    async def type(self, text: str) -> None:
        self.keyboard.type(text)
        await self.world.clock.settle()


async def test_stdin_reaches_the_command(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    assert await world.exec(container, "cat", stdin=b"typed\n") == (0, "typed\n", "")
    assert await world.exec(container, "grep", "-c", "a", stdin=b"a\nb\na\n") == (0, "2\n", "")
    assert await world.sh(container, "read x; echo got $x; exit 3", stdin=b"one\ntwo\n") == (3, "got one\n", "")


async def test_a_command_that_ignores_stdin_ends_anyway(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    never: asyncio.Queue[bytes] = asyncio.Queue()

    async def silent() -> AsyncIterator[bytes]:
        yield await never.get()

    out = Capture()
    task = asyncio.ensure_future(container.exec(["sh", "-c", "echo hi"], ExecIO(out.write, out.write, silent())))
    await world.clock.settle()
    assert (await task, out.text) == (0, "hi\n")


async def test_a_shell_reads_its_script_from_stdin(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    script = b"x=4\necho $x\nfor i in a b\ndo echo $i\ndone\nfalse\necho $?\nexit 9\n"
    assert await world.exec(container, "sh", stdin=script) == (9, "4\na\nb\n1\n", "")


async def test_tar_moves_files_in_and_out(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    await world.sh(container, "mkdir /from; printf '\\377\\000x' > /from/bin")
    out, err = Capture(), Capture()

    async def raw(data: bytes) -> None:
        archive.extend(data)

    archive = bytearray()
    assert await container.exec(["tar", "cf", "-", "/from/bin"], ExecIO(raw, err.write)) == 0
    assert len(archive) % 512 == 0
    code, _, _ = await world.exec(container, "tar", "xmf", "-", "-C", "/tmp", stdin=bytes(archive))
    assert code == 0
    assert container.files.read("/tmp/from/bin") == b"\xff\x00x"
    assert not out.text


async def test_a_prompt_shows_edits_and_remembers(world: World) -> None:
    session = Session(world)
    await session.open("busybox:1.36", "sh")
    assert session.screen.text == "/ # "
    await session.type("echo hx\x7fi\r")
    assert session.screen.text.endswith("\r\nhi\r\n/ # ")
    await session.type("cd /tmp\r")
    await session.type("\x1b[A\x1b[A\r")
    assert session.screen.text.endswith("hi\r\n/tmp # ")
    await session.type("false\r")
    await session.type("exit\r")
    assert session.task is not None
    assert await session.task == 1


async def test_kill_at_a_prompt_is_for_processes_or_for_jobs(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "trap 'echo hung up; exit 3' HUP; sleep 100 & wait")
    session = Session(world)
    await session.open("busybox:1.36", "sh", container=container)
    await session.type("kill -HUP 77\r")
    assert "kill: can't kill pid 77: No such process" in session.screen.text
    await session.type("kill %3; kill 1\r")
    await session.type("kill -HUP 1\r")
    await world.clock.advance(5)
    assert container.exit is not None
    assert container.exit.code == 3


async def test_a_command_over_several_lines(world: World) -> None:
    session = Session(world)
    await session.open("busybox:1.36", "sh")
    await session.type("for i in 1 2\r")
    assert session.screen.text.endswith("> ")
    await session.type("do echo n$i\r")
    await session.type("done\r")
    assert session.screen.text.endswith("n1\r\nn2\r\n/ # ")


async def test_ctrl_c_stops_the_command_and_ctrl_d_the_shell(world: World) -> None:
    session = Session(world)
    await session.open("busybox:1.36", "sh")
    await session.type("sleep 1000\r")
    await session.type("\x03")
    assert session.screen.text.endswith("^C\r\n/ # ")
    await session.type("echo $?\r")
    assert "130\r\n" in session.screen.text
    await session.type("\x04")
    assert session.task is not None
    assert await session.task == 0


async def test_bash_and_users_have_their_own_prompts(world: World) -> None:
    session = Session(world)
    await session.open("debian:12", "bash")
    assert session.screen.text.startswith("root@p1:/# ")


async def test_attach_sees_output_and_feeds_input(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "read x; echo got $x; sleep infinity", stdin=True)
    out = Capture()

    async def lines() -> AsyncIterator[bytes]:
        yield b"hello\n"
        await asyncio.Event().wait()

    task = asyncio.ensure_future(container.attach(ExecIO(out.write, out.write, lines())))
    await world.clock.settle()
    assert out.text == "got hello\n"
    container.kill()
    await world.clock.settle()
    assert task.done()


async def test_what_is_written_to_the_first_process_streams_is_in_the_log(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "echo begun; sleep 1000")
    script = "echo from a hook > /proc/1/fd/1; echo twice >> /proc/1/fd/1; echo oops > /proc/1/fd/2; date | wc -l > /proc/1/fd/1"
    assert await world.sh(container, script) == (0, "", "")
    assert world.log(container) == "begun\nfrom a hook\ntwice\noops\n1\n"
    assert await world.exec(container, "tee", "/proc/1/fd/1", stdin=b"tee\n") == (0, "tee\n", "")
    assert world.log(container).endswith("1\ntee\n")
    nobody = await world.start("busybox:1.36", "sleep", "1000", user=Credentials(uid=1000))
    assert await world.sh(nobody, "echo me > /proc/1/fd/1") == (0, "", "")
    assert world.log(nobody) == "me\n"


async def test_a_terminal_has_a_size_that_follows_the_clients(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "1000")
    sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
    keys: asyncio.Queue[bytes] = asyncio.Queue()
    out = Capture()

    async def each(queue: asyncio.Queue[Any]) -> AsyncIterator[Any]:
        while True:
            yield await queue.get()

    io = ExecIO(out.write, None, each(keys), tty=True, resize=each(sizes))
    running = asyncio.ensure_future(container.exec(["sh"], io))
    sizes.put_nowait((100, 40))
    await world.clock.settle()
    keys.put_nowait(b"stty size; tty\n")
    await world.clock.advance(1)
    sizes.put_nowait((80, 24))
    await world.clock.settle()
    keys.put_nowait(b"stty size\nexit 3\n")
    await world.clock.advance(1)
    assert await running == 3
    said = out.text.replace("\r", "").splitlines()
    assert [line for line in said if line in ("40 100", "/dev/pts/0", "24 80")] == ["40 100", "/dev/pts/0", "24 80"]
    assert (await world.exec(container, "stty", "size"))[2] == "stty: standard input: Inappropriate ioctl for device\n"
    assert (await world.exec(container, "tty"))[1] == "not a tty\n"


async def test_commands_that_read_nothing_do_not_wait_for_the_end_of_an_open_input(world: World) -> None:
    async def silence() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    container = await world.start("busybox:1.36", "sleep", "1000")
    script = "mkdir /tmp/d && echo a > /tmp/d/x && sed -i s/a/b/ /tmp/d/x && mv /tmp/d/x /tmp/y && cat /tmp/y; rm -r /tmp/d; ls /tmp"
    capture = Capture()
    io = ExecIO(capture.write, capture.write, silence())
    async with asyncio.timeout(10):
        assert await container.exec(["sh", "-c", script], io) == 0
    assert capture.text == "b\ny\n"


async def test_pwd_is_a_program_too(world: World) -> None:
    for image in ("busybox:1.36", "nginx:1.27"):
        container = await world.start(image, "sleep", "infinity", working_dir="/tmp")
        assert await world.exec(container, "pwd") == (0, "/tmp\n", "")
        assert await world.exec(container, "/bin/pwd") == (0, "/tmp\n", "")


async def test_a_script_from_stdin_has_a_name_and_arguments(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    script = b"echo $0 $# $2\nshift\necho $1 '$0'\n"
    assert await world.exec(container, "sh", "-s", "a", "b c", stdin=script) == (0, "sh 2 b c\nb c $0\n", "")
    assert await world.exec(container, "sh", stdin=b"echo $0 $#\n") == (0, "sh 0\n", "")


async def test_id_of_somebody_else(world: World) -> None:
    busybox = await world.start("busybox:1.36", "sleep", "infinity")
    code, told, _ = await world.exec(busybox, "id", "nobody")
    assert (code, told.partition(" gid")[0]) == (0, "uid=65534(nobody)")
    assert await world.exec(busybox, "id", "eve") == (1, "", "id: unknown user eve\n")
    debian = await world.start("nginx:1.27", "sleep", "infinity")
    assert (await world.exec(debian, "id", "-u", "nginx"))[1] == "101\n"
    assert await world.exec(debian, "id", "eve") == (1, "", "id: 'eve': no such user\n")


@pytest.mark.parametrize(
    "script",
    [
        "mkdir -p /tmp/in; cat > /tmp/in/f; cat /tmp/in/f",
        "mkdir -p /tmp/in && cat",
        "if true; then sleep 0.1; fi; cat",
        "(ls /tmp > /dev/null); touch /tmp/x\nrm /tmp/x\ncat",
        "echo 'a; mkdir b' && cat",
        "mkdir -p /tmp/in\ntee /tmp/in/f",
    ],
)
async def test_commands_that_read_nothing_leave_the_input_to_others(world: World, script: str) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    code, out, err = await world.sh(container, script, stdin=b"for others\n")
    assert (code, out.removeprefix("a; mkdir b\n"), err) == (0, "for others\n", "")


@pytest.mark.parametrize(
    "script",
    [
        "wc -l /etc/os",
        "sort -k 1 /etc/os | uniq",
        "sed -n -e '/a/p' /etc/os",
        "sed '/b/d' /etc/os",
        "awk -F = '{print $1}' /etc/os",
        "cut -d / -f 1 /etc/os",
        "md5sum /etc/os",
        "diff /etc/os /etc/os",
        "dd if=/etc/os of=/tmp/x",
        "gzip -c /etc/os",
        "expr 1 + 1",
        "yes | head -1",
    ],
)
async def test_commands_that_are_given_files_do_not_wait_for_the_end_of_an_open_input(
    world: World, script: str
) -> None:
    async def silence() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    container = await world.start("busybox:1.36", "sh", "-c", "printf 'a=1\\nb=2\\n' > /etc/os; sleep 1000")
    await world.clock.settle()
    capture = Capture()
    async with asyncio.timeout(10):
        assert await container.exec(["sh", "-c", script], ExecIO(capture.write, capture.write, silence())) == 0
    assert capture.text or script.startswith("diff")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("wc -l", "2"),
        ("sort -k 1 | uniq", "a/1\nb/2"),
        ("sed -n -e 's/a/c/p'", "c/1"),
        ("sed '/b/d' -", "a/1"),
        ("awk -F / '{print $2}'", "1\n2"),
        ("cut -d / -f 1", "a\nb"),
        ("cat | sort -r", "b/2\na/1"),
    ],
)
async def test_commands_that_are_given_no_files_read_the_input(world: World, script: str, said: str) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    assert (await world.sh(container, script, stdin=b"a/1\nb/2\n"))[1].strip() == said


async def test_what_is_typed_goes_to_the_command_that_reads_it(world: World) -> None:
    session = Session(world)
    await session.open("busybox:1.36", "sh")
    for line in ("cat > /tmp/f", "one", "two"):
        await session.type(line + "\r")
    await session.type("\x04")
    await session.type("wc -l /tmp/f; echo over\r")
    assert "2 /tmp/f\r\nover\r\n" in session.screen.text
    await session.type("cat\r")
    await session.type("lost\r")
    await session.type("\x03")
    await session.type("echo $? back\r")
    assert session.screen.text.count("lost") == 2
    assert "130 back\r\n" in session.screen.text
    await session.type("sh\r")
    await session.type("X=inner\r")
    await session.type("echo $X\r")
    assert "inner\r\n" in session.screen.text.rpartition("echo $X")[2]
    await session.type("exit\r")
    await session.type("exit\r")
    assert session.task is not None
    assert await session.task == 0


async def test_bash_counts_no_lines_at_a_terminal(world: World) -> None:
    session = Session(world)
    await session.open("debian:12", "bash")
    await session.type("false\r")
    await session.type("nosuch x\r")
    assert "\r\nbash: nosuch: command not found\r\n" in session.screen.text
    await session.type("cat < /nope\r")
    assert "\r\nbash: /nope: No such file or directory\r\n" in session.screen.text
    await session.type("echo )\r")
    assert "\r\nbash: syntax error near unexpected token `)'\r\n" in session.screen.text
    await session.type("exit\r")
    assert session.task is not None
    await session.task
