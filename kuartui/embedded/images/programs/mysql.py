"""MySQL and MariaDB: initialisation, the lock on the data files, no way back to an older version; mysqladmin."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from kuartui.embedded.images.programs.databases import chown_tree, secret_env
from kuartui.embedded.images.programs.mysql_client import LoginError, Options, login
from kuartui.embedded.images.programs.mysql_data import Session, SqlError, Tables, Value
from kuartui.embedded.images.programs.mysql_replica import Replica
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
    tablespace = f"{data}/ibdata1"
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
        if files.lock(tablespace):
            break
        # Two servers on one volume: the second cannot lock the files, retries, and gives up.
        await log(process, "ERROR", "MY-012574", "InnoDB", "Unable to lock ./ibdata1 error: 11")
        if attempt == 99:
            await log(process, "ERROR", "MY-010119", "Server", "Aborting")
            return 1
        await process.clock.sleep(1.0)
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

        running = Server(process, version, data)
        process.listen(3306, running.serve)
        running.replica.resume()
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
        files.unlock(tablespace)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


class Server:
    """A mysqld that runs: its data, its configuration, whom it follows."""

    def __init__(self, process: Process, version: str, data: str) -> None:
        self._process, self._version, self._data = process, version, data
        self._options = _configuration(process)
        self.tables = Tables(process, data)
        self.replica = Replica(process, self.tables, data)
        database = process.env.get("MYSQL_DATABASE") or process.env.get("MARIADB_DATABASE")
        if database and database not in self.tables.kept["databases"]:
            self.tables.kept["databases"][database] = {}
            self.tables.written()

    async def serve(self, stream: Stream) -> None:
        """One client: who it is, then its statements."""
        await stream.write(self._version.encode() + b"\n")
        line = (await stream.read_until(b"\n")).decode(errors="replace").rstrip("\n").split(" ")
        if line[:1] == ["AUTH"]:
            refusal = self._refusal(line[1], line[2] if len(line) > 2 else "", stream.remote[0])
            await stream.write(refusal.encode() + b"\n" if refusal else b"OK\n")
            if not refusal:
                await self._statements(stream, line[1])
        stream.close()

    def _refusal(self, user: str, given: str, address: str) -> str:
        """Why somebody may not log in, "" if they may."""
        files, env, path = self._process.files, self._process.env, f"{self._data}/kuartui.password"
        granted = user == "root" and given == (files.read(path).decode() if files.exists(path) else "")
        other = env.get("MYSQL_USER") or env.get("MARIADB_USER")
        if other and user == other:
            granted = given == (env.get("MYSQL_PASSWORD") or env.get("MARIADB_PASSWORD") or "")
        used = "YES" if given else "NO"
        return (
            ""
            if granted
            else f"ERROR 1045 (28000): Access denied for user '{user}'@'{address}' (using password: {used})"
        )

    async def _statements(self, stream: Stream, user: str) -> None:
        clock = self._process.clock
        variables: dict[str, Callable[[], Value]] = {
            "@@server_id": lambda: int(self._options.get("server-id", "1")),
            "@@hostname": lambda: self._process.container.sandbox.hostname,
            "@@version": lambda: self._version,
            "@@super_read_only": lambda: int(self._read_only),
            "version()": lambda: self._version,
            "now()": lambda: f"{clock.now():%Y-%m-%d %H:%M:%S}",
            "user()": lambda: f"{user}@{stream.remote[0]}",
            "current_user()": lambda: f"{user}@%",
        }
        session = Session(self.tables, variables, read_only=self._read_only)
        while line := await stream.read_until(b"\n", 1 << 20):
            try:
                answer = self._answer(session, json.loads(line))
            except SqlError as error:
                answer = {"error": [error.code, error.state, error.text]}
            except (ValueError, KeyError, TypeError):
                break
            await stream.write(json.dumps(answer).encode() + b"\n")

    @property
    def _read_only(self) -> bool:
        return self._options.get("super-read-only", "0").lower() not in ("0", "off")

    def _answer(self, session: Session, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "everything":
                return {"kept": self.tables.kept if self.tables.version > int(request["version"]) else None}
            case "master":
                return {"host": self.replica.host}
        statement = str(request["statement"])
        told = self.replica.told(statement)
        return session.execute(statement) if told is None else told


def _configuration(process: Process) -> dict[str, str]:
    """The options for mysqld in /etc/mysql/conf.d and on the command line."""
    found: dict[str, str] = {}
    lines: list[str] = []
    for path in sorted(process.files.walk("/etc/mysql/conf.d")) if process.files.is_dir("/etc/mysql/conf.d") else ():
        if path.endswith(".cnf"):
            try:
                lines += process.read(path).decode(errors="replace").splitlines()
            except OSError:
                continue
    for word in [*lines, *(word[2:] for word in process.argv if word.startswith("--"))]:
        name, _, value = word.partition("#")[0].partition("=")
        if name.strip() and not name.startswith("["):
            found[name.strip().replace("_", "-")] = value.strip() or "1"
    return found


async def mysqladmin(process: Process) -> int:
    """mysqladmin ping: alive even if access is denied."""
    options = Options(process)
    try:
        stream, _ = await login(process, options)
        stream.close()
    except LoginError as error:
        if "1045" not in str(error):
            why = str(error).partition(": ")[2]
            await process.err(f"mysqladmin: connect to server at '{options.host}' failed\nerror: '{why}'\n")
            return 1
    await process.out("mysqld is alive\n")
    return 0
