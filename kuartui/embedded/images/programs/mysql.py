"""MySQL and MariaDB: initialisation, the lock on the data files, no way back to an older version; mysql, mysqladmin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kuartui.embedded.images.programs.databases import chown_tree, secret_env
from kuartui.embedded.network import Stream
from kuartui.embedded.node.runtime.files import User
from kuartui.embedded.node.runtime.process import Process

MEMORY = 380 << 20


def mysql(version: str, *, maria: bool = False) -> Callable[[Process], Awaitable[int]]:
    """docker-entrypoint.sh mysqld."""
    brand = "MariaDB" if maria else "MySQL"
    prefix = "MARIADB" if maria else "MYSQL"

    async def say(process: Process, level: str, text: str) -> None:
        now = process.clock.now()
        await process.out(f"{now:%Y-%m-%d %H:%M:%S}+00:00 [{level}] [Entrypoint]: {text}\n")

    async def log(process: Process, level: str, code: str, where: str, text: str) -> None:
        now = process.clock.now()
        await process.err(f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06d}Z 0 [{level}] [{code}] [{where}] {text}\n")

    async def run(process: Process) -> int:
        argv = process.argv[1:] or ["mysqld"]
        if not argv[0].startswith(("mysqld", "mariadbd", "-")):
            program, process.argv = process.container.find(argv, process)
            return await program(process)
        files, data = process.files, "/var/lib/mysql"
        await say(process, "Note", f"Entrypoint script for {brand} Server {version} started.")
        if process.user.uid == 0:
            files.mkdir(data, parents=True)
            complaint = chown_tree(process, data, 999, 999)
            if complaint:
                await process.err(f"chown: {complaint}\n")
                return 1
            await say(process, "Note", "Switching to dedicated user 'mysql'")
            process.user = User(999, 999, (999,), "mysql", "/var/lib/mysql")
        fresh = not files.exists(f"{data}/mysql")
        root = secret_env(process, f"{prefix}_ROOT_PASSWORD") or (
            secret_env(process, "MYSQL_ROOT_PASSWORD") if maria else ""
        )
        free = any(
            process.env.get(f"{p}_{w}")
            for p in {prefix, "MYSQL"}
            for w in ("ALLOW_EMPTY_PASSWORD", "RANDOM_ROOT_PASSWORD", "ALLOW_EMPTY_ROOT_PASSWORD")
        )
        if fresh and not root and not free:
            await say(
                process,
                "ERROR",
                "Database is uninitialized and password option is not specified\n    You need to specify one of the following as an environment variable:\n    - MYSQL_ROOT_PASSWORD\n    - MYSQL_ALLOW_EMPTY_PASSWORD\n    - MYSQL_RANDOM_ROOT_PASSWORD".replace(
                    "MYSQL", prefix
                ),
            )
            return 1
        user = process.user
        if fresh:
            await say(process, "Note", "Initializing database files")
            if [name for name in files.listdir(data) if name != "lost+found" or not maria]:
                await log(
                    process,
                    "ERROR",
                    "MY-010457",
                    "Server",
                    "--initialize specified but the data directory has files in it. Aborting.",
                )
                await log(process, "ERROR", "MY-010119", "Server", "Aborting")
                return 1
            try:
                files.mkdir(f"{data}/mysql", user)
                files.write(f"{data}/ibdata1", b"\0" * 64, user)
                files.write(f"{data}/kuartui.version", version.encode(), user)
                files.write(f"{data}/kuartui.password", root.encode(), user)
            except OSError as error:
                await log(
                    process,
                    "ERROR",
                    "MY-010187",
                    "Server",
                    f"Could not open file '{data}' for error logging: {error.strerror}",
                )
                await log(process, "ERROR", "MY-010119", "Server", "Aborting")
                return 1
            await process.compute(3.0)
            await say(process, "Note", "Database files initialized")
            await say(process, "Note", f"{brand} init process done. Ready for start up.")
        return await _mysql_serve(process, version, data, log)

    return run


async def _mysql_serve(process: Process, version: str, data: str, log: Callable[..., Awaitable[None]]) -> int:
    files, user = process.files, process.user
    lock = f"{data}/ibdata1.lock"
    found = files.read(f"{data}/kuartui.version").decode() if files.exists(f"{data}/kuartui.version") else version
    if _release(found) > _release(version):
        await log(
            process,
            "ERROR",
            "MY-013171",
            "InnoDB",
            f"Cannot boot server version {version} on data directory built by version {found}. Downgrade is not supported",
        )
        await log(process, "ERROR", "MY-010334", "Server", "Failed to initialize DD Storage Engine")
        await log(process, "ERROR", "MY-010119", "Server", "Aborting")
        return 1
    for attempt in range(100):
        if not files.exists(lock):
            break
        # Two servers on one volume: the second cannot lock the files, retries, and gives up.
        await log(process, "ERROR", "MY-012574", "InnoDB", "Unable to lock ./ibdata1 error: 11")
        if attempt == 99:
            await log(process, "ERROR", "MY-010119", "Server", "Aborting")
            return 1
        await process.clock.sleep(1.0)
    files.write(lock, process.container.id.encode(), user)
    try:
        files.write(f"{data}/kuartui.version", version.encode(), user)
        process.memory = MEMORY
        await log(
            process,
            "System",
            "MY-010116",
            "Server",
            f"/usr/sbin/mysqld (mysqld {version}) starting as process {process.pid}",
        )
        await log(process, "System", "MY-013576", "InnoDB", "InnoDB initialization has started.")
        await process.compute(1.0)
        await log(process, "System", "MY-013577", "InnoDB", "InnoDB initialization has ended.")

        async def serve(stream: Stream) -> None:
            await stream.write(version.encode() + b"\n")
            await _mysql_session(process, stream, data)

        process.listen(3306, serve)
        await log(
            process,
            "System",
            "MY-010931",
            "Server",
            f"/usr/sbin/mysqld: ready for connections. Version: '{version}'  socket: '/var/run/mysqld/mysqld.sock'  port: 3306  MySQL Community Server - GPL.",
        )
        await process.signals("TERM", "QUIT").get()
        await log(
            process,
            "System",
            "MY-013172",
            "Server",
            "Received SHUTDOWN from user <via user signal>. Shutting down mysqld.",
        )
        await log(
            process,
            "System",
            "MY-010910",
            "Server",
            f"/usr/sbin/mysqld: Shutdown complete (mysqld {version})  MySQL Community Server - GPL.",
        )
        return 0
    finally:
        if files.exists(lock):
            files.remove(lock)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


async def _mysql_session(process: Process, stream: Stream, data: str) -> None:
    line = (await stream.read_until(b"\n")).decode(errors="replace").rstrip("\n").split(" ")
    password = (
        process.files.read(f"{data}/kuartui.password").decode()
        if process.files.exists(f"{data}/kuartui.password")
        else ""
    )
    if line[:1] == ["AUTH"]:
        given = line[2] if len(line) > 2 else ""
        granted = line[1] == "root" and given == password
        other = process.env.get("MYSQL_USER") or process.env.get("MARIADB_USER")
        if other and line[1] == other:
            granted = given == (process.env.get("MYSQL_PASSWORD") or process.env.get("MARIADB_PASSWORD") or "")
        used = "YES" if given else "NO"
        await stream.write(
            b"OK\n"
            if granted
            else f"ERROR 1045 (28000): Access denied for user '{line[1]}'@'{stream.remote[0]}' (using password: {used})\n".encode()
        )
    stream.close()


def _mysql_options(process: Process) -> tuple[str, int, str, str, list[str]]:
    host, port, user, password, rest = (
        "localhost",
        3306,
        process.user.name or "root",
        process.env.get("MYSQL_PWD", ""),
        [],
    )
    words = process.argv[1:]
    while words:
        word = words.pop(0)
        if word.startswith("--host=") or word.startswith("-h"):
            host = word.partition("=")[2] or word[2:] or (words.pop(0) if words else host)
        elif word.startswith("--port=") or word.startswith("-P"):
            port = int(word.partition("=")[2] or word[2:] or (words.pop(0) if words else port))
        elif word.startswith("--user=") or word.startswith("-u"):
            user = word.partition("=")[2] or word[2:] or (words.pop(0) if words else user)
        elif word.startswith("--password=") or (word.startswith("-p") and word[2:]):
            password = word.partition("=")[2] or word[2:]
        elif word == "-e" and words:
            rest.append(words.pop(0))
        else:
            rest.append(word)
    return host, port, user, password, rest


async def _mysql_login(process: Process) -> str:
    host, port, user, password, _ = _mysql_options(process)
    try:
        stream = await process.connect(host, port, seconds=10)
    except OSError as error:
        where = (
            f"'{host}:{port}'"
            if host != "localhost"
            else "local MySQL server through socket '/var/run/mysqld/mysqld.sock'"
        )
        return f"ERROR 2002 (HY000): Can't connect to {'MySQL server on ' if host != 'localhost' else ''}{where} ({error.errno or 2})"
    await stream.read_until(b"\n")
    await stream.write(f"AUTH {user} {password}\n".encode())
    answer = (await stream.read_until(b"\n")).decode().strip()
    stream.close()
    return "" if answer == "OK" else answer


async def mysql_client(process: Process) -> int:
    """mysql [-h host] [-u user] [-pPASSWORD] [-e QUERY]."""
    failure = await _mysql_login(process)
    if failure:
        await process.err(failure + "\n")
        return 1
    queries = " ".join(_mysql_options(process)[4]).lower()
    if "select 1" in queries:
        await process.out("1\n1\n")
    return 0


async def mysqladmin(process: Process) -> int:
    """mysqladmin ping: alive even if access is denied."""
    failure = await _mysql_login(process)
    if failure and "1045" not in failure:
        await process.err(
            f"mysqladmin: connect to server at '{_mysql_options(process)[0]}' failed\nerror: '{failure.partition(': ')[2]}'\n"
        )
        return 1
    await process.out("mysqld is alive\n")
    return 0
