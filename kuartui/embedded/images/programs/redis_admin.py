"""Commands on the server rather than on keys: INFO, CONFIG, AUTH, MULTI, SAVE, REPLICAOF, …"""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from kuartui.embedded.images.programs import redis_config
from kuartui.embedded.images.programs.redis_data import COMMANDS, OK, Entry, Filler, RedisError, size_of
from kuartui.embedded.node.runtime.rootfs import KERNEL_VERSION

if TYPE_CHECKING:
    from kuartui.embedded.images.programs.redis_server import RedisServer, Session

Args = list[bytes]
Admin = Callable[["RedisServer", "Session", Args], Awaitable[Any]]


async def ping(server: RedisServer, session: Session, a: Args) -> Any:
    return a[0] if a else "+PONG"


async def echo(server: RedisServer, session: Session, a: Args) -> Any:
    return a[0]


async def quit_(server: RedisServer, session: Session, a: Args) -> Any:
    session.closing = True
    return OK


async def auth(server: RedisServer, session: Session, a: Args) -> Any:
    password = server.config["requirepass"]
    if not password and len(a) == 1:
        raise RedisError(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
        )
    if a[-1].decode(errors="replace") != password or (len(a) > 1 and a[0] != b"default"):
        raise RedisError("WRONGPASS invalid username-password pair or user is disabled.")
    session.authenticated = True
    return OK


async def hello(server: RedisServer, session: Session, a: Args) -> Any:
    if a and a[0] not in (b"2", b"3"):
        raise RedisError("NOPROTO unsupported protocol version")
    if a and a[0] == b"3":
        raise RedisError("NOPROTO unsupported protocol version")
    words = [word.upper() for word in a]
    if b"AUTH" in words:
        at = words.index(b"AUTH")
        await auth(server, session, a[at + 1 : at + 3])
    if not session.authenticated:
        raise RedisError(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
        )
    role = b"replica" if server.replication.master else b"master"
    return [
        b"server",
        b"redis",
        b"version",
        server.version.encode(),
        b"proto",
        2,
        b"id",
        session.number,
        b"mode",
        b"standalone",
        b"role",
        role,
        b"modules",
        [],
    ]


async def select(server: RedisServer, session: Session, a: Args) -> Any:
    if not a or not a[0].isdigit():
        raise RedisError("ERR value is not an integer or out of range")
    if int(a[0]) >= int(server.config["databases"]):
        raise RedisError("ERR DB index is out of range")
    session.database = int(a[0])
    return OK


async def flushall(server: RedisServer, session: Session, a: Args) -> Any:
    server.databases.clear()
    server.measure_all()
    await server.changed(session.database, [b"FLUSHALL"])
    return OK


async def flushdb(server: RedisServer, session: Session, a: Args) -> Any:
    server.database(session.database).entries.clear()
    server.measure_all()
    await server.changed(session.database, [b"FLUSHDB"])
    return OK


async def config(server: RedisServer, session: Session, a: Args) -> Any:
    action = a[0].upper() if a else b""
    if action == b"GET" and len(a) > 1:
        patterns = [word.decode().lower() for word in a[1:]]
        found = [name for name in sorted(server.config) if any(fnmatch.fnmatchcase(name, p) for p in patterns)]
        values = {**server.config, "dir": server.directory}
        return [item for name in found for item in (name.encode(), values[name].encode())]
    if action == b"SET" and len(a) >= 3:
        for name, value in zip(a[1::2], a[2::2], strict=False):
            key = name.decode().lower()
            if key not in redis_config.DEFAULTS:
                raise RedisError(f"ERR Unknown option or number of arguments for CONFIG SET - '{name.decode()}'")
            if key in redis_config.IMMUTABLE:
                raise RedisError(
                    f"ERR CONFIG SET failed (possibly related to argument '{key}') - can't set immutable config"
                )
            try:
                server.config[key] = redis_config.check(key, value.decode())
            except redis_config.ConfigError as error:
                raise RedisError(f"ERR CONFIG SET failed (possibly related to argument '{key}') - {error}") from None
            if key == "maxmemory" and int(server.config[key]):
                try:
                    server.evict()
                except RedisError:
                    pass  # noeviction only refuses later writes
        return OK
    if action == b"REWRITE":
        if not server.config_file:
            raise RedisError("ERR The server is running without a config file")
        changed = {n: v for n, v in server.config.items() if redis_config.DEFAULTS.get(n) != v}
        text = "".join(f"{name} {value}\n" for name, value in changed.items())
        try:
            server.process.files.write(server.config_file, text.encode(), server.process.user)
        except OSError as error:
            raise RedisError(f"ERR Rewriting config file: {error.strerror}") from None
        return OK
    if action == b"RESETSTAT":
        server.commands = 0
        return OK
    raise RedisError(f"ERR unknown subcommand '{action.decode().lower()}'. Try CONFIG HELP.")


async def info(server: RedisServer, session: Session, a: Args) -> Any:
    wanted = [word.decode().lower() for word in a]
    up = int(server.process.clock.monotonic() - server.started)
    limit = int(server.config["maxmemory"])
    replication = server.replication
    sections: dict[str, dict[str, object]] = {
        "server": {"redis_version": server.version, "redis_mode": "standalone", "os": f"Linux {KERNEL_VERSION} x86_64", "process_id": server.process.pid,
                   "run_id": server.run_id, "tcp_port": server.config["port"], "uptime_in_seconds": up, "uptime_in_days": up // 86400,
                   "executable": "/data/redis-server", "config_file": server.config_file},
        "clients": {"connected_clients": len(server.sessions), "maxclients": server.config["maxclients"], "blocked_clients": 0},
        "memory": {"used_memory": server.used, "used_memory_human": _human(server.used), "used_memory_rss": server.process.memory,
                   "used_memory_rss_human": _human(server.process.memory), "used_memory_dataset": server.used - (1 << 20),
                   "maxmemory": limit, "maxmemory_human": _human(limit), "maxmemory_policy": server.config["maxmemory-policy"],
                   "mem_fragmentation_ratio": "1.05"},
        "persistence": {"loading": 0, "rdb_changes_since_last_save": server.dirty, "rdb_last_save_time": int(server.last_save.timestamp()),
                        "rdb_last_bgsave_status": "err" if server.save_failed else "ok", "aof_enabled": int(server.config["appendonly"] == "yes"),
                        "aof_last_write_status": "ok"},
        "stats": {"total_commands_processed": server.commands, "evicted_keys": server.evicted, "expired_keys": 0},
        "replication": _replication(server),
        "cpu": {"used_cpu_sys": "0.10", "used_cpu_user": "0.10"},
        "keyspace": {f"db{number}": f"keys={len(db.live())},expires={sum(e.expires is not None for e in db.entries.values())},avg_ttl=0"
                     for number, db in sorted(server.databases.items()) if db.live()},
    }  # fmt: skip
    del replication
    shown = {
        n: rows
        for n, rows in sections.items()
        if not wanted or n in wanted or wanted[0] in ("all", "everything", "default")
    }
    text = "\r\n".join(
        f"# {name.capitalize() if name != 'cpu' else 'CPU'}\r\n"
        + "".join(f"{key}:{value}\r\n" for key, value in rows.items())
        for name, rows in shown.items()
    )
    return text.encode()


def _replication(server: RedisServer) -> dict[str, object]:
    state = server.replication
    if state.master:
        rows: dict[str, object] = {
            "role": "slave", "master_host": state.master[0], "master_port": state.master[1],
            "master_link_status": "up" if state.linked else "down", "slave_priority": server.config["replica-priority"], "slave_read_only": int(server.config["replica-read-only"] == "yes"),
        }  # fmt: skip
    else:
        rows = {"role": "master"}
    rows["connected_slaves"] = len(state.replicas)
    for number, replica in enumerate(state.replicas):
        rows[f"slave{number}"] = f"ip={replica.stream.remote[0]},port=6379,state=online,offset={state.offset},lag=0"
    rows |= {"master_replid": server.run_id, "master_repl_offset": state.offset}
    return rows


def _human(size: float) -> str:
    for unit in ("B", "K", "M", "G"):
        if size < 1024 or unit == "G":
            return f"{size:.2f}{unit}"
        size /= 1024
    return ""


async def save(server: RedisServer, session: Session, a: Args) -> Any:
    if not await server.save():
        raise RedisError("ERR Failed to save the RDB file")
    return OK


async def bgsave(server: RedisServer, session: Session, a: Args) -> Any:
    await server.log("Background saving started by pid 21")
    done = await server.save()
    await server.log(
        "Background saving terminated with success" if done else "Background saving error", "*" if done else "#"
    )
    return "+Background saving started"


async def bgrewriteaof(server: RedisServer, session: Session, a: Args) -> Any:
    if server.config["appendonly"] == "yes":
        await server.rewrite_aof()
    return "+Background append only file rewriting started"


async def lastsave(server: RedisServer, session: Session, a: Args) -> Any:
    return int(server.last_save.timestamp())


async def shutdown(server: RedisServer, session: Session, a: Args) -> Any:
    from kuartui.embedded.images.programs.redis_server import shut_down

    words = [word.upper() for word in a]
    if not await shut_down(server, save=True if b"SAVE" in words else False if b"NOSAVE" in words else None):
        raise RedisError("ERR Errors trying to SHUTDOWN. Check logs.")
    server.ended.set_result(0)
    session.closing = True
    return NotImplemented


async def replicaof(server: RedisServer, session: Session, a: Args) -> Any:
    if len(a) != 2:
        raise RedisError("ERR wrong number of arguments for 'replicaof' command")
    if a[0].upper() == b"NO" and a[1].upper() == b"ONE":
        server.replication.stop()
        await server.log("MASTER MODE enabled (user request)")
    else:
        server.replication.follow(a[0].decode(), int(a[1]))
    return OK


async def psync(server: RedisServer, session: Session, a: Args) -> Any:
    await server.replication.add(session)
    return NotImplemented


async def role(server: RedisServer, session: Session, a: Args) -> Any:
    state = server.replication
    if state.master:
        return [
            b"slave",
            state.master[0].encode(),
            state.master[1],
            b"connected" if state.linked else b"connect",
            state.offset,
        ]
    return [b"master", state.offset, [[r.stream.remote[0].encode(), b"6379", b"0"] for r in state.replicas]]


async def multi(server: RedisServer, session: Session, a: Args) -> Any:
    if session.queue is not None:
        raise RedisError("ERR MULTI calls can not be nested")
    session.queue = []
    return OK


async def exec_(server: RedisServer, session: Session, a: Args) -> Any:
    if session.queue is None:
        raise RedisError("ERR EXEC without MULTI")
    queued, session.queue = session.queue, None
    results: list[Any] = []
    for words in queued:
        try:
            results.append(await server.execute(session, words))
        except RedisError as error:
            results.append(f"-{error}")
    return results


async def discard(server: RedisServer, session: Session, a: Args) -> Any:
    if session.queue is None:
        raise RedisError("ERR DISCARD without MULTI")
    session.queue = None
    return OK


async def ok(server: RedisServer, session: Session, a: Args) -> Any:
    return OK


async def client(server: RedisServer, session: Session, a: Args) -> Any:
    action = a[0].upper() if a else b""
    if action == b"LIST":
        rows = [
            f"id={s.number} addr={s.stream.remote[0]}:{s.stream.remote[1]} name={s.name.decode()} db={s.database}\n"
            for s in server.sessions.values()
        ]
        return "".join(rows).encode()
    if action == b"ID":
        return session.number
    if action == b"GETNAME":
        return session.name or None
    if action == b"SETNAME" and len(a) > 1:
        session.name = a[1]
    return OK


async def command(server: RedisServer, session: Session, a: Args) -> Any:
    if a and a[0].upper() == b"COUNT":
        return len(COMMANDS) + len(ADMIN)
    return []


async def debug(server: RedisServer, session: Session, a: Args) -> Any:
    action = a[0].upper() if a else b""
    if action == b"SLEEP" and len(a) > 1:
        await server.process.clock.sleep(float(a[1]))
        return OK
    if action == b"POPULATE" and len(a) > 1:
        prefix = a[2] if len(a) > 2 else b"key"
        size = int(a[3]) if len(a) > 3 else 0
        db = server.database(session.database)
        for number in range(int(a[1])):
            text = b"value:%d" % number
            db.entries[b"%s:%d" % (prefix, number)] = Entry(Filler(text, size) if size > len(text) else text, "string")
        server.measure_all()
        # Redis doesn't write this to its AOF; here a level's data set stays small on disk that way.
        await server.append(session.database, [b"DEBUG", *a])
        return OK
    if action in (b"SEGFAULT", b"PANIC"):
        server.ended.set_result(139)
        return NotImplemented
    return OK


async def memory(server: RedisServer, session: Session, a: Args) -> Any:
    if len(a) > 1 and a[0].upper() == b"USAGE":
        entry = server.database(session.database).find(a[1])
        return size_of(a[1], entry) if entry else None
    return b"Sam, I detected no issues in this instance."


async def object_(server: RedisServer, session: Session, a: Args) -> Any:
    entry = server.database(session.database).find(a[1]) if len(a) > 1 else None
    if entry is None:
        return None
    if a[0].upper() == b"ENCODING":
        return {"string": b"embstr", "list": b"listpack", "set": b"listpack", "hash": b"listpack", "zset": b"listpack"}[
            entry.kind
        ]
    return 0


async def time(server: RedisServer, session: Session, a: Args) -> Any:
    now = server.process.clock.now()
    return [str(int(now.timestamp())).encode(), str(now.microsecond).encode()]


async def publish(server: RedisServer, session: Session, a: Args) -> Any:
    from kuartui.embedded.images.programs.redis_server import encode

    listeners = [other for other in server.sessions.values() if a[0] in other.channels]
    for other in listeners:
        await other.stream.write(encode([b"message", a[0], a[1]]))
    return len(listeners)


async def subscribe(server: RedisServer, session: Session, a: Args) -> Any:
    from kuartui.embedded.images.programs.redis_server import encode

    for channel in a:
        session.channels.add(channel)
        await session.stream.write(encode([b"subscribe", channel, len(session.channels)]))
    return NotImplemented


async def _blocking(server: RedisServer, session: Session, a: Args, *, left: bool) -> Any:
    limit = float(a[-1]) or 3.2e9
    try:
        async with server.process.clock.timeout(limit):
            while True:
                for key in a[:-1]:
                    item = await server.execute(session, [b"LPOP" if left else b"RPOP", key])
                    if item is not None:
                        return [key, item]
                await server.wake_on_change().wait()
    except TimeoutError:
        return None


async def blpop(server: RedisServer, session: Session, a: Args) -> Any:
    return await _blocking(server, session, a, left=True)


async def brpop(server: RedisServer, session: Session, a: Args) -> Any:
    return await _blocking(server, session, a, left=False)


async def wait(server: RedisServer, session: Session, a: Args) -> Any:
    await asyncio.sleep(0)
    return len(server.replication.replicas)


async def slowlog(server: RedisServer, session: Session, a: Args) -> Any:
    action = a[0].upper() if a else b""
    if action == b"LEN":
        return len(server.slow)
    if action == b"RESET":
        server.slow.clear()
        return OK
    if action == b"GET":
        try:
            count = int(a[1]) if len(a) > 1 else 10
        except ValueError:
            raise RedisError("ERR value is not an integer or out of range") from None
        if count < -1:
            raise RedisError("ERR count should be greater than or equal to -1")
        return list(server.slow)[: None if count == -1 else count]
    raise RedisError(f"ERR unknown subcommand '{action.decode(errors='replace').lower()}'. Try SLOWLOG HELP.")


async def empty(server: RedisServer, session: Session, a: Args) -> Any:
    return []


async def acl(server: RedisServer, session: Session, a: Args) -> Any:
    return b"default" if a and a[0].upper() == b"WHOAMI" else [b"user default on nopass ~* &* +@all"]


ADMIN: dict[str, Admin] = {
    "ping": ping, "echo": echo, "quit": quit_, "auth": auth, "hello": hello, "select": select, "flushall": flushall, "flushdb": flushdb,
    "config": config, "info": info, "save": save, "bgsave": bgsave, "bgrewriteaof": bgrewriteaof, "lastsave": lastsave,
    "shutdown": shutdown, "replicaof": replicaof, "slaveof": replicaof, "psync": psync, "replconf": ok, "role": role, "multi": multi,
    "exec": exec_, "discard": discard, "watch": ok, "unwatch": ok, "client": client, "command": command, "debug": debug,
    "memory": memory, "object": object_, "time": time, "publish": publish, "subscribe": subscribe, "blpop": blpop, "brpop": brpop,
    "wait": wait, "reset": ok, "slowlog": slowlog, "latency": empty, "module": empty, "acl": acl,
}  # fmt: skip
