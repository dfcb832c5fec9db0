"""Volumes: shared, live, read-only, by subPath; users that may not write; what outlives a container."""

from __future__ import annotations

import pytest

from kuartui.embedded.node.runtime import Container, Credentials, Mount, Projected, StartError, Volume
from tests.embedded.containers import World


async def test_containers_share_a_volume(world: World) -> None:
    volume = Volume()
    await world.run("busybox:1.36", "sh", "-c", "echo from-init > /v/f", mounts=(Mount("/v", volume),))
    other = await world.start("busybox:1.36", "sleep", "infinity", mounts=(Mount("/w", volume),))
    assert await world.exec(other, "cat", "/w/f") == (0, "from-init\n", "")


async def test_a_projection_changes_as_a_whole_under_a_running_container(world: World) -> None:
    volume = Volume.projection({"a": Projected(b"1"), "dir/b": Projected(b"2", 0o400)}, world.clock.now())
    container = await world.start(
        "busybox:1.36", "sh", "-c", "while sleep 10; do cat /c/a; echo; done", mounts=(Mount("/c", volume),)
    )
    await world.clock.advance(11)
    assert volume.project({"a": Projected(b"2"), "new": Projected(b"3")}, world.clock.now())
    await world.clock.advance(10)
    assert world.log(container) == "1\n2\n"
    assert (await world.exec(container, "ls", "/c"))[1] == "a\nnew\n"
    assert (await world.exec(container, "ls", "/home", "/c"))[1] == "/c:\na\nnew\n\n/home:\n"
    assert not volume.project({"a": Projected(b"2"), "new": Projected(b"3")}, world.clock.now())


async def test_a_projection_is_read_only(world: World) -> None:
    volume = Volume.projection({"key": Projected(b"v")}, world.clock.now())
    container = await world.start("busybox:1.36", "sleep", "infinity", mounts=(Mount("/k", volume),))
    assert await world.sh(container, "echo x > /k/new") == (1, "", "sh: can't create /k/new: Read-only file system\n")
    assert await world.exec(container, "touch", "/k/new") == (1, "", "touch: /k/new: Read-only file system\n")


async def test_an_fs_group_may_read_what_is_mounted_for_root_alone(world: World) -> None:
    ours, roots = (Volume.projection({"k": Projected(b"v", 0o400)}, world.clock.now(), gid=gid) for gid in (2000, 0))
    container = await world.start(
        "busybox:1.36", "sleep", "infinity", mounts=(Mount("/a", ours), Mount("/b", roots)),
        user=Credentials(1000, None, (2000,)),
    )  # fmt: skip
    assert (await world.exec(container, "stat", "-L", "-c", "%a", "/a/k"))[1] == "440\n"
    assert await world.exec(container, "cat", "/a/k") == (0, "v", "")
    assert (await world.exec(container, "cat", "/b/k"))[0] == 1


async def test_a_sub_path_file_is_a_copy_that_stays(world: World) -> None:
    volume = Volume.projection({"key": Projected(b"old")}, world.clock.now())
    mounts = (Mount("/etc/app/key", volume, "key"),)
    container = await world.start("busybox:1.36", "sleep", "infinity", mounts=mounts)
    volume.project({"key": Projected(b"new")}, world.clock.now())
    assert (await world.exec(container, "cat", "/etc/app/key"))[1] == "old"


async def test_a_sub_path_directory_is_shared_with_the_whole(world: World) -> None:
    volume = Volume()
    await world.run("busybox:1.36", "sh", "-c", "echo 1 > /d/f", mounts=(Mount("/d", volume, "data"),))
    other = await world.start("busybox:1.36", "sleep", "infinity", mounts=(Mount("/all", volume),))
    assert (await world.exec(other, "cat", "/all/data/f"))[1] == "1\n"


async def test_a_directory_cannot_be_mounted_on_a_file(world: World) -> None:
    container = world.create("nginx:1.27", mounts=(Mount("/etc/nginx/nginx.conf", Volume()),))
    with pytest.raises(StartError, match="not a directory"):
        await container.start()


async def test_a_volume_hides_what_the_image_has_there(world: World) -> None:
    container = world.create("redis:7", mounts=(Mount("/usr/local/bin", Volume()),))
    with pytest.raises(StartError, match="executable file not found"):
        await container.start()


async def test_a_read_only_root(world: World) -> None:
    container = await world.start(
        "busybox:1.36", "sleep", "infinity", read_only_root=True, mounts=(Mount("/v", Volume()),)
    )
    assert await world.exec(container, "touch", "/x") == (1, "", "touch: /x: Read-only file system\n")
    assert await world.sh(container, "echo a > /tmp/x") == (1, "", "sh: can't create /tmp/x: Read-only file system\n")
    assert (await world.sh(container, "echo a > /v/x; echo b > /dev/termination-log"))[0] == 0
    assert container.read_file("/dev/termination-log") == b"b\n"


async def test_a_user_may_write_where_it_may(world: World) -> None:
    user = Credentials(uid=1000, gid=3000, groups=(2000,))
    owned = Volume(mode=0o2775, gid=2000)
    private = Volume(mode=0o755)
    container = await world.start(
        "busybox:1.36", "sleep", "infinity", user=user, mounts=(Mount("/own", owned), Mount("/not", private))
    )
    assert (await world.exec(container, "id"))[1] == "uid=1000 gid=3000 groups=2000,3000\n"
    assert await world.sh(container, "echo a > /etc/x") == (1, "", "sh: can't create /etc/x: Permission denied\n")
    assert await world.exec(container, "touch", "/not/x") == (1, "", "touch: /not/x: Permission denied\n")
    assert (await world.sh(container, "echo a > /tmp/x && echo b > /own/x && cat /tmp/x /own/x"))[1] == "a\nb\n"
    assert (await world.exec(container, "touch", "/own/y"))[0] == 0
    assert container.files.stat("/own/y").gid == 2000


async def test_a_volume_outlives_its_containers_and_this_process(world: World) -> None:
    volume = Volume()
    await world.run(
        "busybox:1.36", "sh", "-c", "mkdir -p /v/a; echo 1 > /v/a/f; ln -s a/f /v/l", mounts=(Mount("/v", volume),)
    )
    again = Volume()
    again.restore(volume.export())
    container = await world.start("busybox:1.36", "sleep", "infinity", mounts=(Mount("/v", again),))
    assert (await world.exec(container, "cat", "/v/l"))[1] == "1\n"


async def test_an_ephemeral_container_sees_its_target(world: World) -> None:
    target = await world.start("gcr.io/kuar-demo/kuard-amd64:blue")
    target.files.write("/etc/seal", b"code\n")
    debug = await world.start("busybox:1.36", "sleep", "infinity", sandbox=target.sandbox, target=target)
    assert (await world.exec(debug, "cat", "/proc/1/root/etc/seal"))[1] == "code\n"
    assert "/kuard" in (await world.exec(debug, "ps"))[1]


async def test_ls_shows_owners_links_and_modes(world: World) -> None:
    volume = Volume.projection({"key": Projected(b"v", 0o400)}, world.clock.now())
    container = await world.start("busybox:1.36", "sleep", "infinity", mounts=(Mount("/k", volume),))
    _, out, _ = await world.exec(container, "ls", "-l", "/k")
    assert out.splitlines()[1].startswith("lrwxrwxrwx    1 root     root")
    assert out.splitlines()[1].endswith("key -> ..data/key")
    _, out, _ = await world.exec(container, "ls", "-lL", "/k/..data/key")
    assert out.startswith("-r--------")


async def test_what_is_mounted_is_told_alike_by_mount_df_stat_and_the_kernel(world: World) -> None:
    scratch, memory = Volume(), Volume(kind="tmpfs")
    memory.limit = 16 << 20
    secret = Volume.projection({"k": Projected(b"v", 0o400)}, world.clock.now(), kind="secret")
    mounts = (Mount("/scratch", scratch), Mount("/memory", memory), Mount("/secret", secret))
    user = Credentials(uid=1000)
    container = await world.start("busybox:1.36", "sleep", "infinity", mounts=mounts, user=user)
    told = (await world.sh(container, "mount; cat /proc/mounts"))[1]
    for path, line in {
        "/scratch": "/dev/vda1 {} ext4 rw,relatime",
        "/memory": "tmpfs {} tmpfs rw,relatime,size=16384k",
        "/secret": "tmpfs {} tmpfs ro,relatime,size=",
    }.items():
        device, _, kind, rights = line.split(" ")
        assert line.format(path) in told
        assert f"{device} on {path} type {kind} ({rights}" in told
    assert (await world.sh(container, "df -k /memory/ | tail -1 | awk '{print $1, $2, $6}'"))[
        1
    ] == "tmpfs 16384 /memory\n"
    assert (await world.sh(container, "stat -f -c %T /memory /scratch"))[1] == "tmpfs\next2/ext3\n"


async def test_stat_tells_the_mode_that_a_file_has_whoever_asks(world: World) -> None:
    config = Volume.projection({"k": Projected(b"value")}, world.clock.now())
    mounts = (Mount("/c", config),)
    container = await world.start("busybox:1.36", "sleep", "infinity", mounts=mounts, user=Credentials(uid=1000))
    assert (await world.sh(container, "stat -L -c '%a %A %s %U %F' /c/k; stat -c '%F %N' /c/k"))[1] == (
        "644 -rw-r--r-- 5 root regular file\nsymbolic link '/c/k' -> '..data/k'\n"
    )
    assert (await world.sh(container, "stat /nope"))[::2] == (
        1,
        "stat: can't stat '/nope': No such file or directory\n",
    )
    whole = (await world.sh(container, "stat /c/..data/k"))[1]
    assert "Access: (0644/-rw-r--r--)  Uid: (    0/    root)   Gid: (    0/    root)" in whole


async def test_directories_of_a_volume_that_are_mounted_lie_in_each_other(world: World) -> None:
    disk = Volume()

    async def mounting(path: str) -> Container:
        return await world.start("busybox:1.36", "sleep", "infinity", mounts=(Mount("/m", disk, path),))

    inner = await mounting("a/b")
    await world.sh(inner, "echo one > /m/f")
    outer = await mounting("a")
    assert (await world.sh(outer, "cat /m/b/f; echo two > /m/b/g"))[1] == "one\n"
    assert (await world.sh(inner, "cat /m/g"))[1] == "two\n"
    deeper = await mounting("a/b/c")
    await world.sh(deeper, "echo three > /m/h")
    assert (await world.sh(await mounting("a"), "cat /m/b/f /m/b/c/h"))[1] == "one\nthree\n"


async def test_what_is_mounted_later_at_the_same_place_covers_it(world: World) -> None:
    one, two = (Volume.projection({"k": Projected(text)}, world.clock.now()) for text in (b"one", b"two"))
    for path in ("/c", "/c/"):
        mounts = (Mount("/c/" if path == "/c" else "/c", one), Mount(path, two))
        container = await world.start("busybox:1.36", "sleep", "infinity", mounts=mounts)
        assert (await world.exec(container, "cat", "/c/k"))[1] == "two"


async def test_who_sees_a_volume_goes_on_seeing_what_others_mount_of_it_later(world: World) -> None:
    disk, user = Volume(), Credentials(uid=1000)
    script = "mkdir /v/x; echo one > /v/x/f; while sleep 10; do cat /v/x/*; done"
    looping = await world.start("busybox:1.36", "sh", "-c", script, mounts=(Mount("/v", disk),), user=user)
    await world.clock.advance(5)
    other = await world.start("busybox:1.36", "sleep", "infinity", mounts=(Mount("/m", disk, "x"),), user=user)
    await world.sh(other, "echo two > /m/g")
    assert (await world.sh(looping, "cat /v/x/f /v/x/g; stat -c %u /v/x/f"))[1] == "one\ntwo\n1000\n"
    await world.clock.advance(10)
    assert world.log(looping).endswith("one\ntwo\n")


async def test_ls_tells_of_what_links_lead_to(world: World) -> None:
    container = await world.start("busybox:1.36", "sleep", "1000")
    _, out, error = await world.sh(container, "cd /tmp; echo four > f; ln -s f l; ln -s no b; ls -lL l; ls -lL b")
    assert out.startswith("-rw-r--r--")
    assert out.split()[4] == "5"
    assert "->" not in out
    assert error == "ls: b: No such file or directory\n"


async def test_ls_of_gnu_makes_its_columns_as_wide_as_they_need_to_be(world: World) -> None:
    script = "mkdir /k; cd /k; echo hi > a; seq 1000 > b; chown 1000:1000 b; ls -l"
    for image, first, second in (
        ("debian:12", "-rw-r--r-- 1 root root    3 ", "-rw-r--r-- 1 1000 1000 3893 "),
        (
            "busybox:1.36",
            "-rw-r--r--    1 root     root             3 ",
            "-rw-r--r--    1 1000     1000          3893 ",
        ),
    ):
        container = await world.start(image, "sleep", "infinity")
        lines = (await world.sh(container, script))[1].splitlines()
        assert [line[: len(start)] for line, start in zip(lines[1:], (first, second), strict=True)] == [first, second]
