"""How containers fail to start, in the words of runc and of the kernel."""

from __future__ import annotations

import pytest

from kuartui.embedded.node.runtime import Mount, Resources, StartError, Volume
from tests.embedded.containers import World

NOT_CREATED = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
)
IN_INIT = f"{NOT_CREATED}unable to start container process: error during container init: "
SOURCE = "/var/lib/kubelet/pods/u/volumes/kubernetes.io~configmap/v"


def volume(**files: str) -> Volume:
    made = Volume(mode=0o755)
    for name, text in files.items():
        made.fs.write_file(f"/{name}", text.encode())
        made.fs.chmod(f"/{name}", 0o755)
    return made


async def refusal(world: World, **spec: object) -> str:
    with pytest.raises(StartError) as failure:
        await world.start("busybox:1.36", *spec.pop("argv", ("sleep", "9")), **spec)  # type: ignore[misc]
    return str(failure.value)


async def test_working_directories_that_cannot_be(world: World) -> None:
    assert await refusal(world, working_dir="src") == f"{NOT_CREATED}Cwd must be an absolute path"
    assert await refusal(world, working_dir="/etc/passwd") == f"{IN_INIT}mkdir /etc/passwd: not a directory"
    assert await refusal(world, working_dir="/etc/passwd/x/y") == f"{IN_INIT}mkdir /etc/passwd: not a directory"
    mounts = (Mount("/conf", Volume(mode=0o755, read_only=True), read_only=True),)
    said = await refusal(world, working_dir="/conf/a/b", mounts=mounts)
    assert said == f"{IN_INIT}mkdir /conf/a: read-only file system"


async def test_working_directories_are_made_where_they_are_missing(world: World) -> None:
    data = Volume(mode=0o755)
    script = "pwd; ls -d /data/x"
    _, log = await world.run("busybox:1.36", "sh", "-c", script, working_dir="/data/x", mounts=(Mount("/data", data),))
    assert log == "/data/x\n/data/x\n"
    assert data.fs.exists("/x")


async def test_mounts_of_another_type_name_their_source(world: World) -> None:
    where = f'error mounting "{SOURCE}" to rootfs at "/etc/passwd"'
    flags = f"mount src={SOURCE}, dst=/etc/passwd, dstFd=/proc/thread-self/fd/11, flags=MS_BIND|MS_REC"
    mounts = (Mount("/etc/passwd", Volume(mode=0o755), source=SOURCE),)
    assert await refusal(world, mounts=mounts) == f"{IN_INIT}{where}: {flags}: not a directory"


async def test_a_mount_below_a_file(world: World) -> None:
    mounts = (Mount("/etc/passwd/x", volume(a="1"), "a", source=SOURCE),)
    said = await refusal(world, mounts=mounts)
    assert said.startswith(
        f'{IN_INIT}error mounting "{SOURCE}" to rootfs at "/etc/passwd/x": create mountpoint for /etc/passwd/x mount: '
        'cannot create subdirectories in "/run/containerd/io.containerd.runtime.v2.task/k8s.io/'
    )
    assert said.endswith('/rootfs/etc/passwd": not a directory')


@pytest.mark.parametrize(("memory", "starts"), [(1, False), (3 << 20, False), (4 << 20, True), (None, True)])
async def test_memory_for_runc_itself(world: World, memory: int | None, starts: bool) -> None:
    container = world.create("busybox:1.36", "sleep", "9", resources=Resources(memory_limit=memory))
    if starts:
        await container.start()
        return
    with pytest.raises(StartError) as failure:
        await container.start()
    assert str(failure.value) == (
        f"{NOT_CREATED}unable to start container process: container init was OOM-killed (memory limit too low?)"
    )


async def test_a_program_is_sought_as_it_was_written(world: World) -> None:
    said = await refusal(world, argv=("./run.sh",), working_dir="/app")
    assert said == f'{IN_INIT}exec: "./run.sh": stat ./run.sh: no such file or directory'


@pytest.mark.parametrize(
    ("image", "text", "code", "log"),
    [
        ("busybox:1.36", "echo hi\n", 255, "exec /v/run: exec format error\n"),
        ("busybox:1.36", "#!/bin/bash\necho hi\n", 255, "exec /v/run: no such file or directory\n"),
        ("busybox:1.36", "#!/bin/sh\r\necho hi\r\n", 255, "exec /v/run: no such file or directory\n"),
        ("busybox:1.36", "#!/usr/bin/env bash\n", 127, "env: can't execute 'bash': No such file or directory\n"),
        ("nginx", "#!/usr/bin/env bash\r\n", 127, "/usr/bin/env: 'bash\\r': No such file or directory\n"),
        ("busybox:1.36", "#! /bin/sh\necho hi\n", 0, "hi\n"),
    ],
)
async def test_what_the_kernel_cannot_run_has_started(world: World, image: str, text: str, code: int, log: str) -> None:
    mounts = (Mount("/v", volume(run=text)),)
    ended, said = await world.run(image, "/v/run", mounts=mounts)
    assert (ended.code, said) == (code, log)
    living = await world.start(image, "sleep", "999", mounts=mounts)
    if code:
        assert await world.exec(living, "/v/run") == (code, "", log)


@pytest.mark.parametrize(
    ("script", "ash", "dash"),
    [
        ("/etc/passwd", "sh: /etc/passwd: Permission denied", "sh: 1: /etc/passwd: Permission denied"),
        ("true; /etc/passwd x", "sh: /etc/passwd: Permission denied", "sh: 1: /etc/passwd: Permission denied"),
        ("kill -9 abc", "sh: invalid number 'abc'", "sh: 1: kill: Illegal number: abc"),
        ("[ 1 -eq a ]", "sh: a: bad number", "sh: 1: [: Illegal number: a"),
        ("exit abc", "sh: exit: Illegal number: abc", "sh: 1: exit: Illegal number: abc"),
        ("export 1a=b", "sh: export: 1a: bad variable name", "sh: 1: export: 1a: bad variable name"),
        (". /no", "sh: .: can't open '/no': No such file or directory", "sh: 1: .: cannot open /no: No such file"),
        ("find /no", "find: /no: No such file or directory", "find: '/no': No such file or directory"),
        ("du /no", "du: /no: No such file or directory", "du: cannot access '/no': No such file or directory"),
        ("sed s/a/b/ /no", "sed: /no: No such file or directory", "sed: can't read /no: No such file or directory"),
        (
            "dd if=/no",
            "dd: can't open '/no': No such file or directory",
            "dd: failed to open '/no': No such file or directory",
        ),
        (
            "sha256sum /no",
            "sha256sum: can't open '/no': No such file or directory",
            "sha256sum: /no: No such file or directory",
        ),
        (
            "head /no",
            "head: /no: No such file or directory",
            "head: cannot open '/no' for reading: No such file or directory",
        ),
        ("sort /no", "sort: /no: No such file or directory", "sort: cannot read: /no: No such file or directory"),
        (
            "dd if=/dev/zero of=/tmp/x bs=1M count=30",
            "dd: error writing '/tmp/x': File too large",
            "dd: error writing '/tmp/x': File too large",
        ),
    ],
)
async def test_what_shells_and_commands_say(world: World, script: str, ash: str, dash: str) -> None:
    for image, said in (("busybox:1.36", ash), ("nginx", dash)):
        _, log = await world.run(image, "sh", "-c", script)
        assert log == f"{said}\n"
