"""Files belong to someone: shells and their commands heed modes and owners, unless root with its capabilities asks."""

from __future__ import annotations

import pytest

from kuartui.embedded.node.runtime import Container, Credentials, Mount, Projected, Volume, granted
from tests.embedded.containers import World

NOBODY = Credentials(uid=1000, gid=3000)


async def shared(world: World, image: str, user: Credentials = NOBODY) -> Container:
    """A container that sees what a container of root put into a volume."""
    volume = Volume()
    secret = Volume.projection({"key": Projected(b"k\n", 0o400), "open": Projected(b"o\n")}, world.clock.now())
    mounts = (Mount("/d", volume), Mount("/secret", secret))
    root = await world.start("busybox:1.36", "sleep", "infinity", mounts=mounts)
    made = "echo own > /d/mine; chmod 600 /d/mine; mkdir /d/in; echo f > /d/in/f; chmod 700 /d/in; echo all > /d/all"
    assert (await world.sh(root, made))[0] == 0
    return await world.start(image, "sleep", "infinity", mounts=mounts, user=user)


@pytest.mark.parametrize(
    ("image", "script", "complaint"),
    [
        ("busybox:1.36", "cat /d/mine", "cat: can't open '/d/mine': Permission denied"),
        ("nginx:1.27", "cat /d/mine", "cat: /d/mine: Permission denied"),
        ("busybox:1.36", "cat /secret/key", "cat: can't open '/secret/key': Permission denied"),
        ("busybox:1.36", "cat < /d/mine", "sh: can't open /d/mine: Permission denied"),
        ("nginx:1.27", "cat < /d/mine", "sh: 1: cannot open /d/mine: Permission denied"),
        ("busybox:1.36", "echo x >> /d/all", "sh: can't create /d/all: Permission denied"),
        ("busybox:1.36", "grep own /d/mine", "grep: /d/mine: Permission denied"),
        ("busybox:1.36", "cp /d/mine /tmp/", "cp: can't open '/d/mine': Permission denied"),
        ("busybox:1.36", "cd /d/in", "sh: cd: can't cd to /d/in: Permission denied"),
        ("nginx:1.27", "cd /d/in", "sh: 1: cd: can't cd to /d/in"),
        ("busybox:1.36", "cd /d; (cd in/)", "sh: cd: can't cd to in/: Permission denied"),
        ("busybox:1.36", "cat /d/in/f", "cat: can't open '/d/in/f': Permission denied"),
        ("busybox:1.36", "echo x > /etc/hosts", "sh: can't create /etc/hosts: Permission denied"),
        ("busybox:1.36", "rm /etc/hosts", "rm: can't remove '/etc/hosts': Permission denied"),
    ],
)
async def test_a_script_of_another_user_is_refused(world: World, image: str, script: str, complaint: str) -> None:
    container = await shared(world, image)
    code, out, err = await world.sh(container, script)
    assert (out, err.splitlines()) == ("", [complaint])
    assert code != 0


async def test_a_directory_that_is_open_is_entered_as_ever(world: World) -> None:
    container = await shared(world, "busybox:1.36")
    script = "cd /d && pwd; cd / && cd - && cd; pwd; set -e; cd /d/in; echo not reached"
    code, out, err = await world.sh(container, script)
    assert (code != 0, out) == (True, "/d\n/d\n/\n")
    assert err.endswith("can't cd to /d/in: Permission denied\n")


async def test_a_command_without_a_shell_is_refused_too(world: World) -> None:
    container = await shared(world, "busybox:1.36")
    assert await world.exec(container, "cat", "/d/mine") == (1, "", "cat: can't open '/d/mine': Permission denied\n")


async def test_what_others_may_read_is_read_and_what_a_script_makes_is_its_users(world: World) -> None:
    container = await shared(world, "busybox:1.36")
    assert (await world.sh(container, "cat /d/all /secret/open | tr a-z A-Z"))[1] == "ALL\nO\n"
    script = "echo n > /d/new; mkdir -p /d/x/y; cp /d/all /tmp/copy; date | tee /tmp/t > /dev/null; chmod 600 /d/new"
    assert await world.sh(container, script) == (0, "", "")
    for path in ("/d/new", "/d/x", "/d/x/y", "/tmp/copy", "/tmp/t"):
        stat = container.files.stat(path)
        assert (stat.uid, stat.gid) == (1000, 3000), path
    assert await world.sh(container, "cat /d/new; echo more >> /d/new; cat /d/new | wc -l") == (0, "n\n2\n", "")


async def test_a_mode_that_changes_while_a_script_runs_counts(world: World) -> None:
    volume = Volume()
    mounts = (Mount("/d", volume),)
    root = await world.start(
        "busybox:1.36", "sh", "-c", "echo a > /d/f; sleep 10; chmod 600 /d/f; sleep 60", mounts=mounts
    )
    reader = await world.start("busybox:1.36", "sh", "-c", "cat /d/f; sleep 20; cat /d/f", mounts=mounts, user=NOBODY)
    await world.clock.advance(30)
    assert world.log(reader) == "a\ncat: can't open '/d/f': Permission denied\n"
    assert root.exit is None


async def test_root_without_its_capabilities_is_like_anyone(world: World) -> None:
    bare = Credentials(capabilities=granted((), ("ALL",)))
    volume = Volume(mode=0o700, uid=1000, gid=1000)
    container = await world.start("busybox:1.36", "sleep", "infinity", mounts=(Mount("/d", volume),), user=bare)
    assert await world.exec(container, "ls", "/d") == (1, "", "ls: can't open '/d': Permission denied\n")
    assert (await world.exec(container, "chown", "7", "/tmp"))[2] == "chown: /tmp: Operation not permitted\n"
    free = await world.start("busybox:1.36", "sleep", "infinity", mounts=(Mount("/d", volume),))
    assert await world.exec(free, "chown", "7", "/d") == (0, "", "")


@pytest.mark.parametrize(
    ("user", "effective", "bounding"),
    [
        (Credentials(), "00000000a80425fb", "00000000a80425fb"),
        (NOBODY, "0000000000000000", "00000000a80425fb"),
        (Credentials(capabilities=granted((), ("ALL",))), "0000000000000000", "0000000000000000"),
        (Credentials(capabilities=granted(("NET_BIND_SERVICE",), ("ALL",))), "0000000000000400", "0000000000000400"),
        (Credentials(capabilities=granted(("SYS_TIME",), ())), "00000000aa0425fb", "00000000aa0425fb"),
        (Credentials(capabilities=granted((), (), privileged=True)), "000001ffffffffff", "000001ffffffffff"),
    ],
)
async def test_proc_shows_capabilities(world: World, user: Credentials, effective: str, bounding: str) -> None:
    container = await world.start("busybox:1.36", "sleep", "infinity", user=user)
    _, out, _ = await world.sh(container, "grep Cap /proc/1/status")
    shown = dict(line.split(":\t") for line in out.splitlines())
    assert (shown["CapEff"], shown["CapPrm"], shown["CapBnd"]) == (effective, effective, bounding)


async def test_proc_shows_the_environment_to_its_owner_and_what_is_mounted(world: World) -> None:
    mounts = (
        Mount("/data", Volume(kind="persistentVolumeClaim")),
        Mount("/keys", Volume(read_only=True, kind="secret"), read_only=True),
    )
    owner = await world.start("busybox:1.36", "sleep", "infinity", env={"KEY": "a\nb"}, mounts=mounts, user=NOBODY)
    _, out, _ = await world.sh(owner, "cat /proc/1/environ")
    assert "KEY=a\nb" in out.split("\0")
    assert (await world.sh(owner, "tr '\\0' ';' < /proc/self/environ | grep -o 'HOME=/;'"))[1] == "HOME=/;\n"
    _, listed, _ = await world.sh(owner, "cat /proc/mounts")
    assert listed.splitlines() == [
        "overlay / overlay rw,relatime 0 0",
        "proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0",
        "/dev/vda1 /data ext4 rw,relatime 0 0",
        "tmpfs /keys tmpfs ro,relatime,size=8388608k 0 0",
    ]


@pytest.mark.parametrize(
    ("image", "user", "shown"),
    [
        ("busybox:1.36", Credentials(), "uid=0(root) gid=0(root) groups=0(root),10(wheel)"),
        ("busybox:1.36", Credentials(uid=65534, gid=65534), "uid=65534(nobody) gid=65534(nobody) groups=65534(nobody)"),
        ("busybox:1.36", Credentials(uid=1000), "uid=1000 gid=0(root) groups=0(root)"),
        ("nginx:1.27", Credentials(), "uid=0(root) gid=0(root) groups=0(root)"),
        (
            "nginx:1.27-alpine",
            Credentials(),
            "uid=0(root) gid=0(root) groups=0(root),1(bin),2(daemon),3(sys),4(adm),6(disk),10(wheel),11(floppy),"
            "20(dialout),26(tape),27(video)",
        ),
    ],
)
async def test_id_shows_the_groups_of_the_image(world: World, image: str, user: Credentials, shown: str) -> None:
    container = await world.start(image, "sleep", "infinity", user=user)
    assert (await world.exec(container, "id"))[1] == shown + "\n"


async def test_nginx_that_may_not_give_files_away_does_not_start(world: World) -> None:
    user = Credentials(capabilities=granted((), ("ALL",)))
    exit_, log = await world.run("nginx:1.27", user=user)
    assert exit_.code == 1
    assert 'chown("/var/cache/nginx/client_temp", 101) failed (1: Operation not permitted)' in log


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ("[ -r /etc/passwd ]", True),
        ("[ -w /etc/passwd ]", False),
        ("[ ! -w /etc ]", True),
        ("test -r /root -o -w /root", False),
        ("[ -x /bin/sh -a -r /bin/sh ]", True),
        ("[ -w /tmp ] && [ 3 -gt 2 ]", True),
    ],
)
async def test_tests_of_rights_ask_who_asks(world: World, test: str, holds: bool) -> None:
    exit_, log = await world.run(
        "busybox:1.36", "sh", "-c", f"if {test}; then echo yes; else echo no; fi", user=Credentials(uid=1000)
    )
    assert (exit_.code, log) == (0, "yes\n" if holds else "no\n")
