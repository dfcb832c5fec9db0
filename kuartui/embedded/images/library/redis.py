"""Redis, from its official images."""

from __future__ import annotations

import re

from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import directory, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import Image, ImageConfig
from kuartui.embedded.images.programs.redis_cli import redis_cli
from kuartui.embedded.images.programs.redis_server import redis_server
from kuartui.embedded.images.reference import Reference
from kuartui.embedded.node.runtime.files import User
from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.runtime.programs import NotExecutable

VERSIONS = {"latest": "8.2.2", "8": "8.2.2", "8.2": "8.2.2", "8.0": "8.0.4", "7": "7.4.5", "7.4": "7.4.5", "7.2": "7.2.10",
            "7.0": "7.0.15", "6": "6.2.19", "6.2": "6.2.19", "6.0": "6.0.20", "5": "5.0.14", "5.0": "5.0.14",
            "4": "4.0.14", "4.0": "4.0.14", "3": "3.2.12", "3.2": "3.2.12"}  # fmt: skip
UID = {"debian": 999, "alpine": 999}


async def entrypoint(process: Process) -> int:
    """docker-entrypoint.sh: redis-server as user redis, who gets the data directory."""
    argv = process.argv[1:]
    if argv and (argv[0].startswith("-") or argv[0].endswith(".conf")):
        argv = ["redis-server", *argv]
    if argv[:1] in (["redis-server"], ["redis-sentinel"]) and process.user.uid == 0:
        gid = 1000 if process.container.spec.image.distribution == "alpine" else 999
        user = User(999, gid, (gid,), "redis", "/home/redis")
        for path in (process.cwd, *process.files.walk(process.cwd)):
            try:
                process.files.chown(path, user.uid, user.gid)
            except OSError as error:
                await process.err(f"chown: {path}: {error.strerror}\n")
        process.user = user
    try:
        program, process.argv = process.container.find(argv, process)
    except NotExecutable as error:
        await process.err(f"/usr/local/bin/docker-entrypoint.sh: exec: line 48: {argv[0]}: not found\n")
        return error.code
    return await program(process)


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    tag = reference.tag or "latest"
    found = re.match(r"^(latest|alpine|bookworm|\d+(?:\.\d+){0,2})(-alpine(?:3\.\d+)?|-bookworm|-bullseye)?$", tag)
    if found is None:
        return None
    name = "latest" if found[1] in ("alpine", "bookworm") else found[1]
    version = VERSIONS.get(name, name)
    if not re.fullmatch(r"[3-8]\.[0-9]\.\d{1,2}", version):
        return None
    is_alpine = "alpine" in tag
    programs, direct, commands, shells = userland("alpine" if is_alpine else "debian")
    server, cli = redis_server(version), redis_cli
    place = "/usr/local/bin"
    users = f"redis:x:999:{1000 if is_alpine else 999}:redis:/home/redis:/bin/sh\n"
    groups = f"redis:x:{1000 if is_alpine else 999}:\n"
    base = base_files(users, groups) if is_alpine else debian_files(users, groups)
    config = ImageConfig(
        entrypoint=("docker-entrypoint.sh",),
        cmd=("redis-server",),
        env=(*ImageConfig().env, ("REDIS_VERSION", version)),
        working_dir="/data",
        ports=(6379,),
        volumes=("/data",),
    )
    return Image(
        reference.repository,
        tag,
        config,
        {**base, "/data": directory(0o755, 999, 1000 if is_alpine else 999)},
        {
            **programs,
            f"{place}/redis-server": server,
            f"{place}/redis-sentinel": server,
            f"{place}/redis-cli": cli,
            f"{place}/docker-entrypoint.sh": entrypoint,
        },
        direct,
        commands,
        shells,
        size=17_400_000 if is_alpine else 45_000_000,
        memory=6 << 20,
        distribution="alpine" if is_alpine else "debian",
    )
