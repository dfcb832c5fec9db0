"""Shells in containers: they speak like the image's, keep the cluster's time, and lack what the image lacks."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from kuartui.embedded.node.runtime import ExecError, StartError, strands
from kuartui.embedded.node.runtime.rootfs import KERNEL_VERSION
from tests.embedded.containers import World


async def test_output_exit_code_and_times_come_from_the_script(world: World) -> None:
    exit_, log = await world.run("busybox:1.36", "sh", "-c", "echo starting; sleep 5; echo oops >&2; exit 7")
    assert (exit_.code, exit_.reason) == (7, "Error")
    assert log == "starting\noops\n"
    assert (exit_.finished_at - exit_.started_at).total_seconds() == 5


async def test_sleep_takes_no_real_time(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "while true; do date +%s; sleep 60; done")
    await world.clock.advance(3600)
    stamps = [int(line) for line in world.log(container).split()]
    assert len(stamps) == 61
    assert {later - earlier for earlier, later in zip(stamps, stamps[1:], strict=False)} == {60}


@pytest.mark.parametrize("script", ["/bin/sleep 30", "sleep 30 | cat", "sleep 30 & wait", "timeout 60 sleep 30", "(sleep 30)",
                                    "sh -c 'sleep 30'", "x=$(sleep 30)", "usleep 30000000", "sleep 0.5m"])  # fmt: skip
async def test_every_way_to_wait_keeps_the_clusters_time(world: World, script: str) -> None:
    exit_, _ = await world.run("busybox:1.36", "sh", "-c", script)
    assert exit_.code == 0
    assert (exit_.finished_at - exit_.started_at).total_seconds() == pytest.approx(30, abs=0.1)


async def test_timeout_ends_a_command(world: World) -> None:
    exit_, _ = await world.run("busybox:1.36", "timeout", "5", "sleep", "60")
    assert exit_.code == 143
    exit_, _ = await world.run("nginx:1.27", "timeout", "5", "sleep", "60")
    assert exit_.code == 124


@pytest.mark.parametrize(
    ("image", "script", "complaint"),
    [
        ("busybox:1.36", "nosuch", "sh: nosuch: not found"),
        ("busybox:1.36", "curl x", "sh: curl: not found"),
        ("nginx:1.27", "nosuch", "sh: 1: nosuch: not found"),
        ("nginx:1.27", "true\nps", "sh: 1: ps: not found"),
        ("busybox:1.36", "cat /nope", "cat: can't open '/nope': No such file or directory"),
        ("nginx:1.27", "cat /nope", "cat: /nope: No such file or directory"),
        ("busybox:1.36", "ls /nope", "ls: /nope: No such file or directory"),
        ("busybox:1.36", "rm /nope", "rm: can't remove '/nope': No such file or directory"),
        ("busybox:1.36", "cd /nope", "sh: cd: can't cd to /nope: No such file or directory"),
        ("busybox:1.36", "echo x > /nope/x", "sh: can't create /nope/x: nonexistent directory"),
        ("busybox:1.36", "cat < /nope", "sh: can't open /nope: no such file"),
        ("busybox:1.36", "/nope", "sh: /nope: not found"),
        ("busybox:1.36", "set -u; echo $NOPE", "sh: NOPE: parameter not set"),
        ("busybox:1.36", "echo x > /proc/new", "sh: can't create /proc/new: Read-only file system"),
        ("busybox:1.36", "if true; then", "sh: syntax error: unexpected end of file"),
        ("nginx:1.27", "echo 'open", "sh: 1: Syntax error: Unterminated quoted string"),
    ],
)
async def test_complaints_are_the_images_own(world: World, image: str, script: str, complaint: str) -> None:
    container = await world.start(image, "sleep", "infinity")
    code, _, err = await world.sh(container, script)
    assert code != 0
    assert err == complaint + "\n"


async def test_suggestions_never_show(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    _, out, _ = await world.sh(container, "gerp x 2>&1 | cat; slep 1 2>&1")
    assert "Did you mean" not in out
    assert out == "sh: gerp: not found\nsh: slep: not found\n"


async def test_a_script_file_runs_by_its_path(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    await world.sh(container, "printf '#!/bin/sh\\necho ran $0 $1 $#; nosuch\\n' > /run.sh; chmod +x /run.sh")
    code, out, err = await world.exec(container, "/run.sh", "a", "b c")
    assert (code, out) == (127, "ran /run.sh a 2\n")
    assert err == "/run.sh: line 2: nosuch: not found\n"


async def test_what_is_no_program_fails_in_the_runtimes_words(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    await world.sh(container, "echo x > /plain")
    for name, why in (
        ("foo", "executable file not found in $PATH"),
        ("/no/such", "stat /no/such: no such file or directory"),
        ("/tmp", "is a directory"),
        ("/plain", "permission denied"),
    ):
        with pytest.raises(ExecError) as error:
            await world.exec(container, name)
        assert str(error.value).endswith(f'unable to start container process: exec: "{name}": {why}')


async def test_a_container_without_its_program_never_starts(world: World) -> None:
    container = world.create("gcr.io/kuar-demo/kuard-amd64:blue", args=("--keygen-enable",))
    with pytest.raises(
        StartError, match=r'error during container init: exec: "--keygen-enable": executable file not found'
    ):
        await container.start()
    assert container.exit is not None
    assert (container.exit.code, container.exit.reason) == (128, "StartError")


async def test_a_busy_loop_uses_cpu_and_no_real_time(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "while true; do :; done")
    await world.clock.advance(60)
    assert container.usage().cpu_nanocores == pytest.approx(1e9, rel=0.01)


async def test_a_shell_that_gets_no_core_is_not_taken_for_a_busy_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = time.process_time()
    monkeypatch.setattr(strands, "STUCK_SECONDS", 0.02)
    monkeypatch.setattr(time, "process_time", lambda: computed)
    starting = asyncio.ensure_future(world.start("busybox:1.36", "sh", "-c", "true; while x=1; do x=2; done"))
    await asyncio.sleep(0.2)  # ten times as long as a shell may call nothing
    assert not starting.done()
    computed += 2
    container = await starting
    await world.clock.advance(60)
    assert container.usage().cpu_nanocores == pytest.approx(1e9, rel=0.01)


async def test_a_loop_of_commands_runs_no_faster_than_its_cpu(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "while true; do date > /dev/null; done")
    await world.clock.advance(1)
    assert container.usage().cpu_seconds == pytest.approx(1, rel=0.6)


async def test_endless_output_is_slowed_down(world: World) -> None:
    container = await world.start("busybox:1.36", "sh", "-c", "while true; do echo 0123456789abcdef; done")
    await world.clock.advance(2)
    assert container.exit is None
    assert 100_000 < container.log.size < 3_000_000


async def test_the_environment_is_the_images_and_the_specs(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity", env={"COLOR": "blue"})
    code, out, _ = await world.exec(container, "env")
    variables = dict(line.split("=", 1) for line in out.splitlines())
    assert code == 0
    assert variables["COLOR"] == "blue"
    assert variables["HOSTNAME"] == container.sandbox.hostname
    assert variables["HOME"] == "/root"
    assert "USER" not in variables


async def test_base64_decodes_what_it_can(world: World) -> None:
    busybox = await world.start("busybox:1.36", "sleep", "infinity")
    debian = await world.start("nginx:1.27", "sleep", "infinity")
    assert (await world.sh(busybox, "echo -n hello | base64; echo aGVsbG8= | base64 -d"))[1] == "aGVsbG8=\nhello"
    assert await world.sh(busybox, "echo eyJhIjoxfQ | base64 -d") == (1, '{"a":1}', "base64: truncated input\n")
    assert await world.sh(debian, "echo eyJhIjoxfQ | base64 -d") == (1, '{"a":1}', "base64: invalid input\n")
    assert (await world.sh(debian, "head -c 60 /dev/null; printf '%060d' 0 | base64 -w 0"))[1] == "MDAw" * 20
    assert len((await world.sh(debian, "printf '%060d' 0 | base64"))[1].splitlines()) == 2


async def test_the_name_of_a_shell_may_be_any_text(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    script = "echo \"$0\"; echo $(echo ${0} | wc -c); echo '$0'"
    assert await world.exec(container, "sh", "-c", script, "a;;b $(nope)") == (0, "a;;b $(nope)\n13\n$0\n", "")


async def test_sysctl_knows_its_keys_and_changes_none(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    assert await world.exec(container, "sysctl", "net.nope") == (1, "", "sysctl: error: 'net.nope' is an unknown key\n")
    assert (await world.exec(container, "sysctl", "-w", "kernel.hostname=x"))[0] == 1


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("busybox:1.36", r"\s*real\t0m 0\.\d\ds\nuser\t0m 0\.00s\nsys\t0m 0\.00s\n"),
        ("debian:12", r"\s*real\t0m0\.\d{3}s\nuser\t0m0\.000s\nsys\t0m0\.000s\n"),
    ],
)
async def test_time_is_told_as_the_shell_does(world: World, image: str, said: str) -> None:
    container = await world.start(image, "sleep", "infinity")
    shell = "sh" if image.startswith("busybox") else "bash"
    _, _, err = await world.exec(container, shell, "-c", "time true")
    assert re.fullmatch(said, err), err


async def test_what_is_missing_is_told_in_the_shells_own_words_beside_xargs_too(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "1000")
    code, out, _ = await world.exec(container, "sh", "-c", "nothing 2>&1 | cat; echo a b | xargs echo")
    assert (code, out) == (0, "sh: nothing: not found\na b\n")
    code, out, _ = await world.exec(container, "sh", "-c", "eval 'later() { echo here; }'; later; echo x | xargs echo")
    assert out == "here\nx\n"


async def test_the_kernel_is_the_nodes(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "1000")
    assert (await world.exec(container, "uname", "-r"))[1] == KERNEL_VERSION + "\n"
    words = (await world.exec(container, "uname", "-a"))[1].split()
    assert (words[0], words[2], words[-2:]) == ("Linux", KERNEL_VERSION, ["x86_64", "GNU/Linux"])
    assert KERNEL_VERSION in (await world.exec(container, "cat", "/proc/version"))[1]


async def test_netstat_shows_what_it_is_asked_for(world: World) -> None:
    container = await world.start("busybox:1.36", "httpd", "-f", "-p", "8080")
    await world.clock.settle()
    heading, columns, line = (await world.exec(container, "netstat", "-tln"))[1].splitlines()
    assert heading == "Active Internet connections (only servers)"
    assert (columns.split()[-1], line.split()[3:]) == ("State", ["0.0.0.0:8080", "0.0.0.0:*", "LISTEN"])
    assert "PID/Program name" in (await world.exec(container, "netstat", "-tlnp"))[1]
    assert len((await world.exec(container, "netstat", "-uln"))[1].splitlines()) == 2
    assert "(w/o servers)" in (await world.exec(container, "netstat", "-tn"))[1]


async def test_busybox_runs_its_applets_by_name(world: World) -> None:
    container = await world.start("busybox:1.36", "busybox", "sleep", "1000")
    assert (await world.exec(container, "busybox", "echo", "a", "b")) == (0, "a b\n", "")
    assert (await world.exec(container, "sh", "-c", "busybox head -1 /etc/passwd | busybox cut -d: -f1"))[1] == "root\n"
    assert (await world.exec(container, "busybox", "nothing")) == (127, "", "nothing: applet not found\n")
    listed = (await world.exec(container, "busybox", "--list"))[1].split()
    assert {"wget", "sh", "nslookup", "grep"} <= set(listed)
    assert (await world.exec(container, "busybox"))[1].startswith("BusyBox v1.36.1 (")
    with pytest.raises(ExecError):
        await world.exec(await world.start("debian:12", "sleep", "1000"), "busybox", "true")


@pytest.mark.parametrize(
    ("script", "code", "out", "err"),
    [
        ("a=(1 2)", 2, "", 'sh: syntax error: unexpected "("\n'),
        ("cat <<< hi", 2, "", "sh: syntax error: unexpected redirection\n"),
        ("echo {1..3} {a,b} '{a,b}'", 0, "{1..3} {a,b} {a,b}\n", ""),
        ("echo 'a=(1) <<<' # b=(2)", 0, "a=(1) <<<\n", ""),
        ("cat <<X\na=(1) {a,b} <<<\nX", 0, "a=(1) {a,b} <<<\n", ""),
        ("# it isn't\necho 'a <<< {1,2}' {1,2} # isn't it", 0, "a <<< {1,2} {1,2}\n", ""),
        ("n=$#; x=$(echo ${#n}); echo $x", 0, "1\n", ""),
        ("bash -c 'echo a'; echo $?", 0, "127\n", "sh: bash: not found\n"),
        ("ash -c 'echo a'; dash -c 'echo b'", 127, "a\n", "sh: dash: not found\n"),
    ],
)
async def test_ash_is_not_bash(world: World, script: str, code: int, out: str, err: str) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    assert await world.sh(container, script) == (code, out, err)


async def test_dash_is_not_bash_but_debian_has_both(world: World) -> None:
    container = await world.start("nginx:1.27", "sleep", "infinity")
    said = "sh: 2: Syntax error: redirection unexpected\n"
    assert await world.sh(container, "true\ncat <<< hi") == (2, "", said)
    assert await world.sh(container, "bash -c 'a=(1 2); echo ${a[1]} {1..2}'") == (0, "2 1 2\n", "")


async def test_tail_tells_of_a_file_that_comes_and_goes(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity")
    script = "(sleep 2; echo one > /tmp/log; sleep 2; rm /tmp/log) & timeout 6 tail -n +1 -F /tmp/log"
    _, out, err = await world.sh(container, script)
    assert out == "one\n"
    assert err == (
        "tail: can't open '/tmp/log': No such file or directory\n"
        "tail: /tmp/log has appeared; following end of new file\n"
        + "tail: /tmp/log has been renamed or deleted: No such file or directory\n"
        * 2
    )
    assert (await world.sh(container, "tail -n 1 /nope"))[2].endswith("\ntail: no files\n")


@pytest.mark.parametrize(
    ("image", "script", "said"),
    [
        ("debian", r'echo "a\tb\n\101\\"', "a\tb\nA\\\n"),
        ("debian", r"echo -n 'a\c'; echo 'b\cd'; echo -e e", "ab-e e\n"),
        ("debian", r'bash -c "echo \"a\\tb\"; echo -e c"', "a\\tb\nc\n"),
        ("busybox:1.36", r"echo 'a\tb'; echo -e 'c\td'", "a\\tb\nc\td\n"),
    ],
)
async def test_echo_is_the_shells(world: World, image: str, script: str, said: str) -> None:
    container = await world.start(image, "sleep", "infinity")
    assert await world.sh(container, script) == (0, said, "")


async def test_tee_passes_on_what_comes_as_it_comes(world: World) -> None:
    script = "while true; do echo Hello; sleep 5; done | tee -a /tmp/one /tmp/two"
    container = await world.start("busybox:1.36", "sh", "-c", script)
    await world.clock.advance(11)
    assert world.log(container) == "Hello\n" * 3
    assert (await world.sh(container, "cat /tmp/one"))[1] == "Hello\n" * 3
    assert await world.sh(container, "echo x | tee /nope/x") == (1, "x\n", "tee: /nope/x: No such file or directory\n")
    assert await world.sh(container, "echo x | tee /dev/stderr") == (0, "x\n", "x\n")
