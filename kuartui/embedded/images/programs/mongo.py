"""MongoDB: mongod. Its replica sets are in `mongo_replicas`, its shell in `mongo_shell`."""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable

from kuartui.embedded.images.programs.databases import chown_tree
from kuartui.embedded.images.programs.mongo_replicas import Member
from kuartui.embedded.node.runtime.files import User
from kuartui.embedded.node.runtime.process import Process

MEMORY = 160 << 20


def mongo(version: str) -> Callable[[Process], Awaitable[int]]:
    """docker-entrypoint.sh mongod."""

    async def run(process: Process) -> int:
        argv = process.argv[1:] or ["mongod"]
        if argv[0].startswith("-"):
            argv = ["mongod", *argv]
        if argv[0] not in ("mongod", "mongos"):
            program, process.argv = process.container.find(argv, process)
            return await program(process)
        if bool(process.env.get("MONGO_INITDB_ROOT_USERNAME")) != bool(process.env.get("MONGO_INITDB_ROOT_PASSWORD")):
            await process.err(
                "error: missing 'MONGO_INITDB_ROOT_USERNAME' or 'MONGO_INITDB_ROOT_PASSWORD'\n       both must be specified for a user to be created\n"
            )
            return 1
        process.argv = argv
        return await mongod(process)

    async def mongod(process: Process) -> int:
        words = process.argv[1:]
        data, port, replica = "/data/db", 27017, ""
        while words:
            name, equals, value = words.pop(0).partition("=")
            if name in ("--dbpath", "--port", "--replSet", "--bind_ip", "-f", "--config") and not equals:
                value = words.pop(0) if words else ""
            if name == "--dbpath":
                data = value
            elif name == "--port":
                port = int(value)
            elif name == "--replSet":
                replica = value
        user = process.user
        if user.uid == 0:
            chown_tree(process, data, 999, 999) if process.files.is_dir(data) else None
            user = process.user = User(999, 999, (999,), "mongodb", "/data/db")
        await _mongo_log(
            process,
            "CONTROL",
            4615611,
            f'MongoDB starting","attr":{{"pid":{process.pid},"port":{port},"dbPath":"{data}","architecture":"64-bit","host":"{process.container.sandbox.hostname}"}}',
            raw=True,
        )
        if not process.files.is_dir(data):
            await _mongo_log(
                process,
                "STORAGE",
                20557,
                f"NonExistentPath: Data directory {data} not found. Create the missing directory or specify another path using (1) the --dbpath command line option, or (2) by adding the 'storage.dbPath' option in the configuration file.",
                "E",
            )
            return 100
        try:
            process.files.write(posixpath.join(data, "mongod.lock"), b"1\n", user)
        except OSError as error:
            await _mongo_log(
                process,
                "STORAGE",
                20557,
                f"IllegalOperation: Attempted to create a lock file on a read-only directory: {data} ({error.strerror})",
                "E",
            )
            return 100
        process.memory = MEMORY

        member = Member(process, version, data, replica, user)
        process.listen(port, member.serve)
        process.background(member.beat())
        if replica and member.config is None:
            await _mongo_log(
                process, "REPL", 21405, "Locally stored replica set configuration not found; run rs.initiate"
            )
        await _mongo_log(process, "NETWORK", 23016, "Waiting for connections")
        await process.signals("TERM", "INT").get()
        await _mongo_log(process, "CONTROL", 23377, "Received signal, shutting down")
        return 0

    return run


async def _mongo_log(
    process: Process, component: str, number: int, text: str, level: str = "I", *, raw: bool = False
) -> None:
    now = process.clock.now()
    message = text if raw else text.replace('"', "'") + '"'
    await process.out(
        f'{{"t":{{"$date":"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}+00:00"}},"s":"{level}", "c":"{component}", "id":{number},"ctx":"main","msg":"{message}}}\n'
    )
