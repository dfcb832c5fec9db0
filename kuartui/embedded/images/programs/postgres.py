"""PostgreSQL: initdb, version and ownership of its data directory, passwords; psql and pg_isready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kuartui.embedded.images.programs.databases import chown_tree, secret_env
from kuartui.embedded.network import Stream
from kuartui.embedded.node.runtime.files import User
from kuartui.embedded.node.runtime.process import Process

MEMORY = 40 << 20

POSTGRES_HELP = """Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".

       You may also use "POSTGRES_HOST_AUTH_METHOD=trust" to allow all
       connections without a password. This is *not* recommended.

       See PostgreSQL documentation about "trust":
       https://www.postgresql.org/docs/current/auth-trust.html
"""


def postgres(version: str) -> Callable[[Process], Awaitable[int]]:
    """docker-entrypoint.sh postgres."""
    major = version.partition(".")[0]

    async def run(process: Process) -> int:
        argv = process.argv[1:] or ["postgres"]
        if argv[0] != "postgres" and not argv[0].startswith("-"):
            program, process.argv = process.container.find(argv, process)
            return await program(process)
        data = process.env.get("PGDATA", "/var/lib/postgresql/data")
        files, user = process.files, process.user
        if user.uid == 0:
            files.mkdir(data, parents=True)
            complaint = chown_tree(process, data, 999, 999)
            if complaint:
                await process.err(f"chown: {complaint}\n")
                return 1
            user = process.user = User(999, 999, (999,), "postgres", "/var/lib/postgresql")
        if not files.exists(data):
            try:
                files.mkdir(data, user, parents=True, mode=0o700)
            except OSError as error:
                await process.err(f"mkdir: cannot create directory '{data}': {error.strerror}\n")
                return 1
        if not files.exists(f"{data}/PG_VERSION"):
            code = await _initdb(process, data, version)
            if code:
                return code
        else:
            await process.out(
                "\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n"
            )
            found = files.read(f"{data}/PG_VERSION").decode().strip()
            if found != major:
                await _pg_log(process, "FATAL", "database files are incompatible with server")
                await _pg_log(
                    process,
                    "DETAIL",
                    f"The data directory was initialized by PostgreSQL version {found}, which is not compatible with this version {version} (Debian {version}-1.pgdg12+1).",
                )
                return 1
        if files.stat(data).uid != user.uid and user.uid != 0:
            await _pg_log(process, "FATAL", f'data directory "{data}" has wrong ownership')
            await _pg_log(process, "HINT", "The server must be started by the user that owns the data directory.")
            return 1
        return await _postgres_serve(process, version, data)

    return run


async def _pg_log(process: Process, level: str, text: str) -> None:
    now = process.clock.now()
    await process.err(f"{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03d} UTC [{process.pid}] {level}:  {text}\n")


async def _initdb(process: Process, data: str, version: str) -> int:
    password = secret_env(process, "POSTGRES_PASSWORD")
    if not password and process.env.get("POSTGRES_HOST_AUTH_METHOD") != "trust":
        await process.err(POSTGRES_HELP)
        return 1
    owner = "postgres"
    await process.out(
        f'The files belonging to this database system will be owned by user "{owner}".\nThis user must also own the server process.\n\n'
    )
    inside = process.files.listdir(data)
    if inside:
        await process.err(f'initdb: error: directory "{data}" exists but is not empty\n')
        if "lost+found" in inside:
            await process.err(
                "initdb: detail: It contains a lost+found directory, perhaps due to it being a mount point.\ninitdb: hint: Using a mount point directly as the data directory is not recommended.\nCreate a subdirectory under the mount point.\n"
            )
        else:
            await process.err(
                f'initdb: hint: If you want to create a new database system, either remove or empty the directory "{data}" or run initdb with an argument other than "{data}".\n'
            )
        return 1
    await process.out(f"fixing permissions on existing directory {data} ... ")
    try:
        process.files.chmod(data, 0o700, process.user)
        process.files.write(f"{data}/PG_VERSION", version.partition(".")[0].encode() + b"\n", process.user)
        for name in ("base", "global", "pg_wal"):
            process.files.mkdir(f"{data}/{name}", process.user)
        process.files.write(f"{data}/kuartui.password", password.encode(), process.user)
    except OSError as error:
        await process.err(f'initdb: error: could not change permissions of directory "{data}": {error.strerror}\n')
        return 1
    await process.out(
        "ok\ncreating subdirectories ... ok\nrunning bootstrap script ... ok\nsyncing data to disk ... ok\n\n"
    )
    await process.compute(1.0)
    for name in (
        process.files.listdir("/docker-entrypoint-initdb.d")
        if process.files.is_dir("/docker-entrypoint-initdb.d")
        else ()
    ):
        await process.out(f"/usr/local/bin/docker-entrypoint.sh: running /docker-entrypoint-initdb.d/{name}\n")
    await process.out("\nPostgreSQL init process complete; ready for start up.\n\n")
    return 0


async def _postgres_serve(process: Process, version: str, data: str) -> int:
    process.memory = MEMORY
    password = b""
    if process.files.exists(f"{data}/kuartui.password"):
        password = process.files.read(f"{data}/kuartui.password")
    await _pg_log(process, "LOG", f"starting PostgreSQL {version} on x86_64-pc-linux-gnu, compiled by gcc, 64-bit")

    async def serve(stream: Stream) -> None:
        await _postgres_session(process, stream, password)

    try:
        process.listen(5432, serve)
    except OSError as error:
        await _pg_log(process, "LOG", f'could not bind IPv4 address "0.0.0.0": {error.strerror}')
        await _pg_log(process, "FATAL", "could not create any TCP/IP sockets")
        return 1
    await _pg_log(process, "LOG", 'listening on IPv4 address "0.0.0.0", port 5432')
    await _pg_log(process, "LOG", 'listening on Unix socket "/var/run/postgresql/.s.PGSQL.5432"')
    await _pg_log(process, "LOG", "database system is ready to accept connections")
    name = await process.signals("TERM", "INT", "QUIT").get()
    doing = {"TERM": "smart", "INT": "fast", "QUIT": "immediate"}[name]
    await _pg_log(process, "LOG", f"received {doing} shutdown request")
    await _pg_log(process, "LOG", "database system is shut down")
    return 0


async def _postgres_session(process: Process, stream: Stream, password: bytes) -> None:
    """Our own line protocol (AUTH user password, then anything): psql below is its only client."""
    line = (await stream.read_until(b"\n")).decode(errors="replace").split()
    user, given = (line[1:3] + ["", ""])[:2] if line[:1] == ["AUTH"] else ("", "")
    expected = process.env.get("POSTGRES_USER") or "postgres"
    if user != expected:
        await stream.write(f'FATAL:  role "{user}" does not exist\n'.encode())
        await _pg_log(process, "FATAL", f'role "{user}" does not exist')
    elif password and stream.remote[0] != process.ip and given.encode() != password:
        await stream.write(f'FATAL:  password authentication failed for user "{user}"\n'.encode())
        await _pg_log(process, "FATAL", f'password authentication failed for user "{user}"')
    else:
        await stream.write(b"OK\n")
        while await stream.read_until(b"\n"):
            await stream.write(b"OK\n")
    stream.close()


async def _pg_target(process: Process, words: list[str]) -> tuple[str, int, str, str]:
    values = {"h": process.env.get("PGHOST", "localhost"), "p": process.env.get("PGPORT", "5432")}
    values["U"] = process.env.get("PGUSER") or process.user.name or "root"
    query = ""
    while words:
        word = words.pop(0)
        name = {"--host": "h", "--port": "p", "--username": "U"}.get(word.partition("=")[0], word[1:2])
        if name in ("h", "p", "U", "d", "c", "t"):
            value = (
                word.partition("=")[2]
                if word.startswith("--") and "=" in word
                else word[2:] or (words.pop(0) if words else "")
            )
            if name == "c":
                query = value
            values[name] = value
    return values["h"], int(values["p"]), values["U"], query


async def pg_isready(process: Process) -> int:
    """pg_isready [-h host] [-p port] [-U user]."""
    host, port, _, _ = await _pg_target(process, process.argv[1:])
    shown = "/var/run/postgresql" if host == "localhost" and "-h" not in process.argv else host
    try:
        stream = await process.connect(host, port, seconds=3)
        stream.close()
    except OSError:
        await process.out(f"{shown}:{port} - no response\n")
        return 2
    await process.out(f"{shown}:{port} - accepting connections\n")
    return 0


async def psql(process: Process) -> int:
    """psql -c QUERY: connects and logs in; queries get an empty answer."""
    host, port, user, query = await _pg_target(process, process.argv[1:])
    try:
        stream = await process.connect(host, port, seconds=30)
    except OSError as error:
        why = error.strerror or "could not translate host name"
        await process.err(
            f'psql: error: connection to server at "{host}", port {port} failed: {why}\n\tIs the server running on that host and accepting TCP/IP connections?\n'
        )
        return 2
    await stream.write(f"AUTH {user} {process.env.get('PGPASSWORD', '')}\n".encode())
    answer = (await stream.read_until(b"\n")).decode().strip()
    if answer != "OK":
        await process.err(f'psql: error: connection to server at "{host}", port {port} failed: {answer}\n')
        return 2
    if query.strip().rstrip(";").lower() == "select 1":
        await process.out(" ?column? \n----------\n        1\n(1 row)\n\n")
    stream.close()
    return 0
