"""What the runtime relies on bashkit for. A new version of bashkit must pass this before we move to it."""

from __future__ import annotations

import asyncio

import pytest
from bashkit import Bash, BashError, CommandContext, ExecutionProfile, FileSystem


class Shell:
    def __init__(self, **options: object) -> None:
        self.bash = Bash(profile=ExecutionProfile.Interactive, timeout_seconds=1e9, max_commands=10**12,
                         max_loop_iterations=10**12, cwd="/", **options)  # type: ignore[arg-type]  # fmt: skip
        self.out = bytearray()
        self.err = bytearray()

    async def run(self, script: str) -> tuple[int, str | None]:
        self.out.clear()
        self.err.clear()

        async def out(data: bytes) -> None:
            self.out.extend(data)

        async def err(data: bytes) -> None:
            self.err.extend(data)

        result = await asyncio.wait_for(self.bash.execute(script, stdout=out, stderr=err, capture=0), 5)
        return result.exit_code, result.error


@pytest.fixture
def shell() -> Shell:
    return Shell()


async def test_a_filesystem_mounts_at_the_root_and_is_shared(shell: Shell) -> None:
    root, other = FileSystem(), Shell()
    shell.bash.mount("/", root)
    other.bash.mount("/", root)
    await shell.run("echo one > /tmp/file")
    await other.run("cat /tmp/file")
    assert bytes(other.out) == b"one\n"
    assert root.read_file("/tmp/file") == b"one\n"


async def test_mounts_nest_and_links_cross_them(shell: Shell) -> None:
    root, volume = FileSystem(), FileSystem()
    root.mkdir("/data")
    root.write_file("/target", b"found")
    volume.symlink("/target", "/link")
    shell.bash.mount("/", root)
    shell.bash.mount("/data", volume)
    await shell.run("cat /data/link; ls /")
    assert bytes(shell.out).startswith(b"found")
    assert b"data" in bytes(shell.out)


async def test_a_read_only_mount_refuses_writes_with_known_words(shell: Shell) -> None:
    root = FileSystem()
    shell.bash.mount("/", root, read_only=True)
    code, _ = await shell.run("echo x > /tmp/new")
    assert code == 1
    assert b"/tmp/new: filesystem is read-only" in bytes(shell.err)


async def test_commands_replace_builtins_by_name_and_by_path(shell: Shell) -> None:
    calls: list[tuple[str, list[str]]] = []

    async def command(context: CommandContext) -> int:
        calls.append((context.name, list(context.argv)))
        return 3

    for name in ("sleep", "timeout", "kill", "/bin/date"):
        shell.bash.add_command(name, command)
    code, _ = await shell.run("sleep 5; timeout 1 x; kill 1; /bin/date +%s")
    assert code == 3
    assert calls == [("sleep", ["5"]), ("timeout", ["1", "x"]), ("kill", ["1"]), ("/bin/date", ["+%s"])]


async def test_a_command_sees_exports_and_the_working_directory(shell: Shell) -> None:
    seen: list[tuple[dict[str, str], str]] = []

    async def command(context: CommandContext) -> int:
        seen.append((dict(context.env), context.cwd))
        return 0

    shell.bash.add_command("look", command)
    await shell.run("hidden=1; export SHOWN=2; cd /tmp; THREE=3 look")
    assert seen[0][0]["SHOWN"] == "2"
    assert seen[0][0]["THREE"] == "3"
    assert "hidden" not in seen[0][0]
    assert seen[0][1] == "/tmp"


async def test_pipes_stream_bytes_between_commands(shell: Shell) -> None:
    got = bytearray()

    async def give(context: CommandContext) -> int:
        await context.stdout.write(bytes(range(256)))
        return 0

    async def take(context: CommandContext) -> int:
        async for chunk in context.stdin:
            got.extend(chunk)
        return 0

    shell.bash.add_command("give", give)
    shell.bash.add_command("take", take)
    await shell.run("give | cat | take")
    assert bytes(got) == bytes(range(256))


async def test_background_jobs_run_beside_and_wait_waits(shell: Shell) -> None:
    running, most = 0, 0

    async def work(context: CommandContext) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return 0

    shell.bash.add_command("work", work)
    await shell.run("work & work & wait; echo done")
    assert most == 2
    assert bytes(shell.out) == b"done\n"


async def test_output_arrives_while_the_script_runs(shell: Shell) -> None:
    release = asyncio.Event()

    async def hold(context: CommandContext) -> int:
        await release.wait()
        return 0

    shell.bash.add_command("hold", hold)
    task = asyncio.ensure_future(shell.run("echo early; hold; echo late"))
    for _ in range(100):
        await asyncio.sleep(0.001)
        if shell.out:
            break
    assert bytes(shell.out) == b"early\n"
    release.set()
    await task
    assert bytes(shell.out) == b"early\nlate\n"


async def test_cancel_stops_a_script_and_its_command_and_keeps_traps(shell: Shell) -> None:
    ended: list[str] = []

    async def hold(context: CommandContext) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return 0

    shell.bash.add_command("hold", hold)
    task = asyncio.ensure_future(shell.run("trap 'echo bye; exit 5' TERM; hold; echo never"))
    await asyncio.sleep(0.05)
    shell.bash.cancel()
    code, error = await task
    assert (code, error) == (1, "execution cancelled")
    assert ended == ["cancelled"]
    traps = dict(shell.bash.shell_state().traps)
    shell.bash.clear_cancel()
    assert await shell.run(traps["TERM"]) == (5, None)
    assert bytes(shell.out) == b"bye\n"


async def test_a_loop_that_calls_nothing_can_be_cancelled(shell: Shell) -> None:
    task = asyncio.ensure_future(shell.run("while true; do :; done"))
    await asyncio.sleep(0.02)
    shell.bash.cancel()
    assert (await task)[1] == "execution cancelled"


async def test_variables_and_directory_survive_between_executions(shell: Shell) -> None:
    await shell.run("x=4; f() { echo $x; }; cd /tmp")
    await shell.run("f; pwd")
    assert bytes(shell.out) == b"4\n/tmp\n"
    assert shell.bash.shell_state().cwd == "/tmp"


async def test_exit_codes(shell: Shell) -> None:
    assert (await shell.run("exit 7"))[0] == 7
    assert (await shell.run("nosuchthing"))[0] == 127
    assert b": nosuchthing: command not found" in bytes(shell.err)
    assert (await shell.run("set -e; false; echo no"))[0] == 1
    assert (await shell.run("echo $((1/0))"))[0] == 1


@pytest.mark.parametrize("script", ["if true; then", "echo 'open", "for i in 1 2; do"])
async def test_an_unfinished_command_is_told_from_a_wrong_one(shell: Shell, script: str) -> None:
    with pytest.raises(BashError, match="unexpected (end of file|EOF)"):
        shell.bash.analyze(script)
    with pytest.raises(BashError, match="unexpected token"):
        shell.bash.analyze("done")


async def test_a_syntax_error_is_an_error_with_a_place(shell: Shell) -> None:
    code, error = await shell.run("echo a; ; echo b")
    assert code == 1
    assert error is not None
    assert error.startswith("parse error at line 1, column")


async def test_analysis_names_the_commands(shell: Shell) -> None:
    analysis = shell.bash.analyze("f() { inner; }; if a; then b | c; fi; x=$(d)")
    assert set(analysis.command_names) >= {"inner", "a", "b", "c", "d"}
    assert list(analysis.functions) == ["f"]


async def test_memory_of_variables_is_limited(shell: Shell) -> None:
    code, error = await shell.run("x=aaaaaaaaaa; while true; do x=$x$x; done")
    assert code == 1
    assert error is not None
    assert "memory limit" in error


async def test_a_new_filesystem_can_be_emptied(shell: Shell) -> None:
    fs = FileSystem()
    for entry in fs.read_dir("/"):
        fs.remove("/" + entry["name"], recursive=True)
    assert fs.read_dir("/") == []
