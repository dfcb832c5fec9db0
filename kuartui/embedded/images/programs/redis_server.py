"""redis-server: protocol, persistence, limits, replication, and its log."""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
from collections import deque
from collections.abc import Callable
from typing import Any

from kuartui.embedded.images.programs import redis_config, redis_files
from kuartui.embedded.images.programs.redis_admin import ADMIN
from kuartui.embedded.images.programs.redis_config import FatalConfig
from kuartui.embedded.images.programs.redis_data import COMMANDS, OK, Database, RedisError, size_of
from kuartui.embedded.images.programs.redis_files import BadFile, Truncated, command_bytes
from kuartui.embedded.images.programs.redis_replica import Replication
from kuartui.embedded.network import Stream
from kuartui.embedded.node.runtime.process import Process, ProcessExit

BASE_MEMORY = 1 << 20  # used_memory of an empty server
RSS_BASE = 6 << 20
UNAUTHENTICATED = frozenset(["auth", "hello", "quit", "reset"])
NOT_TIMED = frozenset(["auth", "hello", "exec", "blpop", "brpop", "subscribe", "psync"])
"""What SLOWLOG leaves out: secrets, what is counted command by command, and waiting."""
SLOW_WORDS, SLOW_WORD = 32, 128  # what SLOWLOG keeps of a command


class Session:
    """A client connection."""

    def __init__(self, stream: Stream, number: int, *, authenticated: bool) -> None:
        self.stream = stream
        self.number = number
        self.authenticated = authenticated
        self.database = 0
        self.queue: list[list[bytes]] | None = None
        self.channels: set[bytes] = set()
        self.name = b""
        self.replica = False
        self.closing = False


class RedisServer:
    """One server process."""

    def __init__(self, process: Process, version: str, settings: dict[str, str], config_file: str) -> None:
        self.process = process
        self.version = version
        self.config = {**redis_config.DEFAULTS, **settings}
        self.config_file = config_file
        self.databases: dict[int, Database] = {}
        self.sessions: dict[int, Session] = {}
        self.started = process.clock.monotonic()
        self.last_save = process.clock.now()
        self.dirty = 0
        self.commands = 0
        self.evicted = 0
        self.save_failed = False
        self.sizes: dict[tuple[int, bytes], int] = {}
        self.used = BASE_MEMORY
        self.replication = Replication(self)
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.run_id = hashlib.sha1(process.container.id.encode(), usedforsecurity=False).hexdigest()
        self.slow: deque[list[Any]] = deque()  # newest first, as SLOWLOG GET shows them
        self._slow_number = 0
        self._number = 0
        self._waiters: list[asyncio.Event] = []

    # --- log ---

    async def log(self, text: str, level: str = "*", role: str = "") -> None:
        """A line of Redis' log."""
        now = self.process.clock.now()
        role = role or ("S" if self.replication.master else "M")
        await self.process.out(
            f"{self.process.pid}:{role} {now:%d %b %Y %H:%M:%S}.{now.microsecond // 1000:03d} {level} {text}\n"
        )

    # --- data ---

    def database(self, number: int) -> Database:
        """A database by number."""
        if number not in self.databases:
            self.databases[number] = Database(lambda: self.process.clock.now().timestamp())
        return self.databases[number]

    def measure(self, number: int, keys: list[bytes]) -> None:
        """Account the memory of keys that a command may have changed."""
        db = self.database(number)
        for key in keys:
            entry = db.entries.get(key)
            old = self.sizes.pop((number, key), 0)
            new = size_of(key, entry) if entry is not None else 0
            if entry is not None:
                self.sizes[number, key] = new
            self.used += new - old
        self.process.memory = RSS_BASE + int((self.used - BASE_MEMORY) * 1.05)

    def measure_all(self) -> None:
        """Account everything, after loading."""
        self.sizes.clear()
        self.used = BASE_MEMORY
        for number, db in self.databases.items():
            for key, entry in db.entries.items():
                self.sizes[number, key] = size = size_of(key, entry)
                self.used += size
        self.process.memory = RSS_BASE + int((self.used - BASE_MEMORY) * 1.05)

    def evict(self) -> None:
        """Make room under maxmemory. Raises RedisError when the policy finds nothing to evict."""
        limit = int(self.config["maxmemory"])
        policy = self.config["maxmemory-policy"]
        while limit and self.used > limit:
            pool = [
                (number, key)
                for number, key in self.sizes
                if policy.startswith("allkeys") or self.databases[number].entries[key].expires is not None
            ]
            if policy == "noeviction" or not pool:
                raise RedisError("OOM command not allowed when used memory > 'maxmemory'.")
            chosen = min(pool, key=lambda item: self._worth(policy, *item))
            del self.databases[chosen[0]].entries[chosen[1]]
            self.measure(chosen[0], [chosen[1]])
            self.evicted += 1

    def _worth(self, policy: str, number: int, key: bytes) -> float:
        entry = self.databases[number].entries[key]
        return (entry.expires or 0.0) if policy == "volatile-ttl" else float(entry.used)

    # --- commands ---

    async def execute(self, session: Session, words: list[bytes]) -> Any:
        """Run one command for a client. Raises RedisError."""
        name = words[0].decode(errors="replace").lower()
        self.commands += 1
        if not session.authenticated and name not in UNAUTHENTICATED:
            raise RedisError("NOAUTH Authentication required.")
        if session.queue is not None and name not in ("exec", "discard", "multi", "watch"):
            self._lookup(name, words)
            session.queue.append(words)
            return "+QUEUED"
        if name not in ADMIN:
            self._lookup(name, words)  # what is refused is in no log of commands
        begun = self.process.clock.monotonic()
        try:
            return await self._call(session, name, words)
        finally:
            if name not in NOT_TIMED:
                self._note_slow(session, words, int((self.process.clock.monotonic() - begun) * 1e6) + 1)

    def _note_slow(self, session: Session, words: list[bytes], micros: int) -> None:
        """SLOWLOG's entry (slowlog.c), if the command took long enough for one; a threshold of 0 takes all."""
        threshold = int(self.config["slowlog-log-slower-than"])
        if threshold < 0 or micros < threshold:
            return
        address = ":".join(str(part) for part in session.stream.remote).encode()
        moment = int(self.process.clock.now().timestamp())
        self.slow.appendleft([self._slow_number, moment, micros, slow_words(words), address, session.name])
        self._slow_number += 1
        while len(self.slow) > int(self.config["slowlog-max-len"]):
            self.slow.pop()

    async def _call(self, session: Session, name: str, words: list[bytes]) -> Any:
        admin = ADMIN.get(name)
        if admin is not None:
            return await admin(self, session, words[1:])
        function, writes = self._lookup(name, words)
        if writes:
            self._may_write(session, name)
        db = self.database(session.database)
        result = function(db, words[1:])
        if writes:
            await self.changed(session.database, words)
        return result

    def _lookup(self, name: str, words: list[bytes]) -> tuple[Callable[[Database, list[bytes]], Any], bool]:
        found = COMMANDS.get(name)
        if found is None:
            if name in ADMIN:
                return lambda db, a: None, False
            shown = " ".join(f"'{word.decode(errors='replace')}'" for word in words[1:])
            raise RedisError(
                f"ERR unknown command '{words[0].decode(errors='replace')}', with args beginning with: {shown}{' ' if shown else ''}"
            )
        function, least, most, writes = found
        count = len(words) - 1
        if count < least or (most is not None and count > most):
            raise RedisError(f"ERR wrong number of arguments for '{name}' command")
        return function, writes

    def _may_write(self, session: Session, name: str) -> None:
        if self.replication.master and not session.replica and self.config["replica-read-only"] == "yes":
            raise RedisError("READONLY You can't write against a read only replica.")
        if self.save_failed and self.config["stop-writes-on-bgsave-error"] == "yes":
            raise RedisError(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that "
                "may modify the data set are disabled, because this instance is configured to report errors during writes if RDB "
                "snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
            )
        if name not in ("del", "unlink", "getdel", "lpop", "rpop", "srem", "hdel", "zrem", "lrem", "expire", "pexpire"):
            self.evict()

    async def changed(self, number: int, words: list[bytes]) -> None:
        """After a write: memory, append-only file, replicas, blocked clients."""
        self.dirty += 1
        keys = (
            words[1:]
            if words[0].lower() in (b"del", b"unlink", b"mset", b"rename", b"rpoplpush", b"lmove")
            else words[1:2]
        )
        self.measure(number, keys)
        await self.append(number, words)
        self.replication.send(number, words)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set()

    def wake_on_change(self) -> asyncio.Event:
        """An event that the next write sets: for blocking pops."""
        event = asyncio.Event()
        self._waiters.append(event)
        return event

    # --- disk ---

    @property
    def directory(self) -> str:
        """Where files go."""
        return self.process.path(self.config["dir"])

    def _aof(self, name: str) -> str:
        base = self.config["appendfilename"]
        return posixpath.join(self.directory, self.config["appenddirname"], f"{base}.{name}")

    async def append(self, number: int, words: list[bytes]) -> None:
        """Write a command to the append-only file."""
        if self.config["appendonly"] != "yes":
            return
        data = command_bytes(words)
        if number:
            data = command_bytes([b"SELECT", str(number).encode()]) + data + command_bytes([b"SELECT", b"0"])
        try:
            self.process.files.write(self._aof("1.incr.aof"), data, self.process.user, append=True)
        except OSError as error:
            await self.log(f"Error writing to the AOF file: {error.strerror}", "#")
            raise RedisError("MISCONF Errors writing to the AOF file: " + (error.strerror or "")) from None

    async def load(self) -> None:
        """Read what is on disk. Raises ProcessExit after a fatal error."""
        if self.config["appendonly"] == "yes":
            await self._load_aof()
        else:
            await self._load_rdb(posixpath.join(self.directory, self.config["dbfilename"]))
        self.measure_all()

    async def _load_rdb(self, path: str) -> None:
        files = self.process.files
        if not files.exists(path):
            return
        try:
            data = files.read(path, self.process.user)
            redis_files.load(data, self.database)
        except OSError as error:
            await self.log(f"Fatal error: can't open the RDB file {path} for reading: {error.strerror}", "#")
            raise ProcessExit(1) from None
        except BadFile as error:
            await self.log(
                f"{error}"
                if "signature" in str(error)
                else "Short read or OOM loading DB. Unrecoverable error, aborting now.",
                "#",
            )
            await self.log("Fatal error loading the DB, check server logs. Exiting.", "#")
            raise ProcessExit(1) from None
        count = sum(len(db.entries) for db in self.databases.values())
        await self.log(f"Loading RDB produced by version {self.version}")
        await self.log(f"Done loading RDB, keys loaded: {count}, keys expired: 0.")
        await self.log("DB loaded from disk: 0.000 seconds")

    async def _load_aof(self) -> None:
        files, user = self.process.files, self.process.user
        directory = posixpath.dirname(self._aof("manifest"))
        try:
            files.mkdir(directory, user, parents=True)
        except OSError as error:
            await self.log(
                f"Can't open or create append-only dir {self.config['appenddirname']}: {error.strerror}", "#"
            )
            raise ProcessExit(1) from None
        base, incr = self._aof("1.base.rdb"), self._aof("1.incr.aof")
        name = posixpath.basename
        if not files.exists(self._aof("manifest")):
            try:
                files.write(base, redis_files.dump(self.databases, self.version, 0), user)
                files.write(incr, b"", user)
                manifest = f"file {name(base)} seq 1 type b\nfile {name(incr)} seq 1 type i\n"
                files.write(self._aof("manifest"), manifest.encode(), user)
            except OSError as error:
                await self.log(f"Can't open the append-only file {name(base)}: {error.strerror}", "#")
                raise ProcessExit(1) from None
            await self.log(f"Creating AOF base file {name(base)} on server start")
            await self.log(f"Creating AOF incr file {name(incr)} on server start")
            return
        try:
            if files.exists(base):
                await self.log("Reading RDB base file on AOF loading...")
                redis_files.load(files.read(base, user), self.database)
                await self.log(f"DB loaded from base file {name(base)}: 0.000 seconds")
            await self._replay(incr)
        except OSError as error:
            await self.log(
                f"Fatal error: can't open the append log file {name(incr)} for reading: {error.strerror}", "#"
            )
            raise ProcessExit(1) from None
        await self.log("DB loaded from append only file: 0.000 seconds")
        await self.log(f"Opening AOF incr file {name(incr)} on server start")

    async def _replay(self, path: str) -> None:
        if not self.process.files.exists(path):
            return
        data = self.process.files.read(path, self.process.user)
        name = posixpath.basename(path)
        session = Session(Stream(), 0, authenticated=True)
        kept, self.config["appendonly"] = self.config["appendonly"], "no"
        try:
            for words in redis_files.read_commands(data):
                await self.execute(session, words)
        except Truncated as error:
            if self.config["aof-load-truncated"] != "yes":
                await self.log(
                    f"Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server.",
                    "#",
                )
                raise ProcessExit(1) from None
            await self.log("!!! Warning: short read while loading the AOF file {name}!!!".replace("{name}", name), "#")
            await self.log(f"Truncating the AOF {name} at offset {error.valid}", "#")
            await self.log(f"AOF {name} loaded anyway because aof-load-truncated is enabled", "#")
            self.process.files.write(path, data[: error.valid], self.process.user)
        except (BadFile, RedisError):
            await self.log(
                f"Bad file format reading the append only file {name}: make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>",
                "#",
            )
            raise ProcessExit(1) from None
        finally:
            self.config["appendonly"] = kept
        await self.log(f"DB loaded from incr file {name}: 0.000 seconds")

    async def save(self) -> bool:
        """Write a snapshot; False (and a line in the log) if the disk refuses."""
        path = posixpath.join(self.directory, self.config["dbfilename"])
        try:
            data = redis_files.dump(self.databases, self.version, self.process.clock.now().timestamp())
            self.process.files.write(path, data, self.process.user)
        except OSError as error:
            await self.log(
                f"Failed opening the temp RDB file temp-{self.process.pid}.rdb (in server root dir {self.directory}) "
                f"for saving: {error.strerror}", "#",
            )  # fmt: skip
            self.save_failed = True
            return False
        self.save_failed = False
        self.dirty = 0
        self.last_save = self.process.clock.now()
        await self.log("DB saved on disk")
        return True

    async def rewrite_aof(self) -> None:
        """BGREWRITEAOF: the data set becomes the base file."""
        files, user = self.process.files, self.process.user
        files.write(self._aof("1.base.rdb"), redis_files.dump(self.databases, self.version, 0), user)
        files.write(self._aof("1.incr.aof"), b"", user)
        await self.log("Background AOF rewrite finished successfully")

    async def save_as_configured(self) -> None:
        """`save 60 1000`: snapshots after enough changes."""
        rules = self.config["save"].split()
        pairs = [(int(a), int(b)) for a, b in zip(rules[::2], rules[1::2], strict=False)]
        while pairs:
            await self.process.clock.sleep(min(seconds for seconds, _ in pairs))
            age = (self.process.clock.now() - self.last_save).total_seconds()
            for seconds, changes in pairs:
                if self.dirty >= changes and age >= seconds:
                    await self.log(f"{changes} changes in {seconds} seconds. Saving...")
                    await self.log("Background saving started by pid 21")
                    if await self.save():
                        await self.log("Background saving terminated with success")
                    else:
                        await self.log("Background saving error", "#")
                    break

    # --- connections ---

    async def serve(self, stream: Stream) -> None:
        """One client, until it leaves."""
        self._number += 1
        session = Session(stream, self._number, authenticated=not self.config["requirepass"])
        self.sessions[session.number] = session
        try:
            while not session.closing:
                words = await read_request(stream)
                if words is None:
                    break
                if words:
                    await self._answer(session, words)
        except ValueError as error:
            await stream.write(f"-ERR Protocol error: {error}\r\n".encode())
        finally:
            self.sessions.pop(session.number, None)
            self.replication.forget(session)
            if not stream.closed:
                stream.close()

    async def _answer(self, session: Session, words: list[bytes]) -> None:
        try:
            result = await self.execute(session, words)
        except RedisError as error:
            await session.stream.write(f"-{error}\r\n".encode())
            return
        if result is not NotImplemented:  # the command wrote its own answer
            await session.stream.write(encode(result))


def slow_words(words: list[bytes]) -> list[bytes]:
    """A command as SLOWLOG keeps it."""
    kept = words if len(words) <= SLOW_WORDS else words[: SLOW_WORDS - 1]
    shown = [
        word if len(word) <= SLOW_WORD else word[:SLOW_WORD] + b"... (%d more bytes)" % (len(word) - SLOW_WORD)
        for word in kept
    ]
    return shown if kept is words else [*shown, b"... (%d more arguments)" % (len(words) - SLOW_WORDS + 1)]


def encode(value: Any) -> bytes:
    """A value in RESP2."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, bool | int):
        return b":%d\r\n" % value
    if isinstance(value, str):
        return (value if value.startswith(("+", "-")) else "+" + value).encode() + b"\r\n"
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(encode(item) for item in value)
    data = bytes(value)
    return b"$%d\r\n" % len(data) + data + b"\r\n"


async def read_request(stream: Stream) -> list[bytes] | None:
    """One command, in RESP or as a plain line; None at the end. Raises ValueError."""
    line = await stream.read_until(b"\n")
    if not line:
        return None
    if not line.startswith(b"*"):
        return line.split()
    words = []
    for _ in range(int(line[1:])):
        head = await stream.read_until(b"\n")
        if not head.startswith(b"$"):
            raise ValueError(f"expected '$', got '{head[:1].decode(errors='replace')}'")
        words.append((await stream.read_exactly(int(head[1:]) + 2))[:-2])
    return words


def redis_server(version: str):  # type: ignore[no-untyped-def]
    """The program for a version."""

    async def run(process: Process) -> int:
        if process.argv[1:2] in (["--version"], ["-v"]):
            await process.out(f"Redis server v={version} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0\n")
            return 0
        config_file, text = "", ""
        words = process.argv[1:]
        if "--sentinel" in words or process.argv[0].endswith("redis-sentinel"):
            from kuartui.embedded.images.programs.redis_sentinel_server import run_sentinel

            named = [word for word in words if not word.startswith("--")]
            if not named:
                await process.err("Sentinel needs config file on disk to save state.  Exiting...\n")
                return 1
            return await run_sentinel(process, version, process.path(named[0]))
        if words and not words[0].startswith("-"):
            config_file = process.path(words.pop(0))
            try:
                text = process.read(config_file).decode(errors="replace")
            except OSError as error:
                now = process.clock.now()
                await process.out(
                    f"{process.pid}:C {now:%d %b %Y %H:%M:%S}.000 # Fatal error, can't open config file '{config_file}': {error.strerror}\n"
                )
                return 1
        lines, current = [], ""
        for word in words:
            if word.startswith("--"):
                lines.append(current)
                current = word[2:]
            else:
                current += f' "{word}"' if not word or " " in word else f" {word}"
        text += "\n" + "\n".join([*lines, current])
        try:
            settings = redis_config.read(text, version)
        except FatalConfig as error:
            await process.err(str(error))
            return 1
        server = RedisServer(process, version, settings, config_file)
        return await _run(server)

    return run


async def _run(server: RedisServer) -> int:
    process = server.process
    await server.log("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo", role="C")
    await server.log(
        f"Redis version={server.version}, bits=64, commit=00000000, modified=0, pid={process.pid}, just started",
        role="C",
    )
    if server.config_file:
        await server.log("Configuration loaded", role="C")
    else:
        await server.log(
            "Warning: no config file specified, using the default config. In order to specify a config file use redis-server /path/to/redis.conf",
            "#",
            "C",
        )
    if not process.files.is_dir(server.directory):
        await process.err(
            f"\n*** FATAL CONFIG FILE ERROR (Redis {server.version}) ***\nReading the configuration file, at line 1\n>>> 'dir {server.config['dir']}'\nNo such file or directory\n"
        )
        return 1
    port = int(server.config["port"])
    await server.log("monotonic clock: POSIX clock_gettime")
    await server.log(f"Running mode=standalone, port={port}.")
    binds = server.config["bind"].split()
    local = all(word.lstrip("-") in ("127.0.0.1", "::1", "localhost") for word in binds)
    try:
        listener = process.listen(port, server.serve, bind="127.0.0.1" if local else "0.0.0.0")
    except OSError as error:
        await server.log(f"Warning: Could not create server TCP listening socket *:{port}: bind: {error.strerror}", "#")
        await server.log(f"Failed listening on port {port} (tcp), aborting.", "#")
        return 1
    listener.close(connections=False)  # the port is free; clients are let in once the data is there
    await server.log("Server initialized")
    await server.load()
    process.listen(port, server.serve, bind="127.0.0.1" if local else "0.0.0.0")
    if server.config["replicaof"]:
        host, _, number = server.config["replicaof"].partition(" ")
        server.replication.follow(host, int(number or 6379))
    await server.log("Ready to accept connections tcp")
    process.background(server.save_as_configured())
    signalled = ""

    def stop(name: str) -> None:
        nonlocal signalled
        signalled = signalled or name
        if not server.ended.done():
            server.ended.set_result(0)

    process.on_signal("TERM", lambda: stop("TERM"))
    process.on_signal("INT", lambda: stop("INT"))
    code = await server.ended
    name = signalled
    if not name:
        return code
    await process.out(
        f"{process.pid}:signal-handler ({int(process.clock.now().timestamp())}) Received SIG{name} scheduling shutdown...\n"
    )
    return 0 if await shut_down(server) else 1


async def shut_down(server: RedisServer, *, save: bool | None = None) -> bool:
    """Save if configured, say goodbye. False if saving failed."""
    await server.log("User requested shutdown...")
    if server.config["appendonly"] == "yes":
        await server.log("Calling fsync() on the AOF file.")
    if save or (save is None and server.config["save"]):
        await server.log("Saving the final RDB snapshot before exiting.")
        if not await server.save():
            await server.log("Error trying to save the DB, can't exit.", "#")
            await server.log("Errors trying to shut down the server. Check the logs for more information.", "#")
            return False
    await server.log("Redis is now ready to exit, bye bye...", "#")
    return True


__all__ = ["OK", "RedisServer", "redis_server", "shut_down"]
