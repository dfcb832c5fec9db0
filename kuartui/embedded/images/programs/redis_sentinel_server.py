"""redis-sentinel as a program: start-up, the SENTINEL commands, shutdown."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from kuartui.embedded.images.programs.redis_data import RedisError
from kuartui.embedded.images.programs.redis_sentinel import Sentinel
from kuartui.embedded.images.programs.redis_sentinel_state import Instance, Master, SentinelConfigError, Settings
from kuartui.embedded.network import NameNotResolved, Stream
from kuartui.embedded.node.runtime.process import Process

NO_MASTER = "ERR No such master with that name"


async def run_sentinel(process: Process, version: str, path: str) -> int:
    """redis-server FILE --sentinel, until told to stop."""
    try:
        settings = Settings.read(path, process.read(path).decode(errors="replace"))
    except OSError as error:
        await process.out(f"Fatal error, can't open config file '{path}': {error.strerror}\n")
        return 1
    except SentinelConfigError as error:
        await _fatal(process, version, error)
        return 1
    sentinel = Sentinel(process, settings, settings.my_id or secrets.token_hex(20))
    await sentinel.log("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo", "*")
    await sentinel.log(
        f"Redis version={version}, bits=64, commit=00000000, modified=0, pid={process.pid}, just started", "*"
    )
    try:
        masters = await _masters(process, settings)
    except SentinelConfigError as error:
        await _fatal(process, version, error)
        return 1
    if not await _writable(process, path):
        return 1
    try:
        process.listen(settings.port, lambda stream: _serve(sentinel, version, stream))
    except OSError as error:
        await sentinel.log(
            f"Warning: Could not create server TCP listening socket *:{settings.port}: bind: {error.strerror}"
        )
        return 1
    await sentinel.log(f"Running mode=sentinel, port={settings.port}.", "*")
    await sentinel.log(f"Sentinel ID is {sentinel.my_id}", "*")
    for master in masters:
        await sentinel.log(f"+monitor master {master.label} quorum {master.quorum}")
    sentinel.begin(masters)
    await sentinel.save()
    await process.signals("TERM", "INT").get()
    await sentinel.log("Sentinel is now ready to exit, bye bye...")
    return 0


async def _fatal(process: Process, version: str, error: SentinelConfigError) -> None:
    await process.err(
        f"\n*** FATAL CONFIG FILE ERROR (Redis {version}) ***\nReading the configuration file, at line {error.line}\n"
        f">>> '{error.text}'\n{error.why}\n"
    )


async def _writable(process: Process, path: str) -> bool:
    try:
        process.files.write(path, process.read(path), process.user)
    except OSError as error:
        await process.err(f"Sentinel config file {path} is not writable: {error.strerror}. Exiting...\n")
        return False
    return True


async def _masters(process: Process, settings: Settings) -> list[Master]:
    """Resolve names once, as Sentinel does unless told to keep them. Raises SentinelConfigError."""
    found = []
    for monitor in settings.monitors.values():
        host = monitor.host
        is_address = host.replace(".", "").isdigit() or ":" in host
        text = f"sentinel monitor {monitor.name} {host} {monitor.port} {monitor.quorum}"
        refusal = SentinelConfigError(monitor.line, text, "Can't resolve instance hostname.")
        if not is_address:
            if not settings.resolve:
                raise refusal
            try:
                host = (await process.resolve(host))[0]
            except (NameNotResolved, OSError):
                raise refusal from None
        now = process.clock.monotonic()
        master = Master(monitor.name, Instance(host, monitor.port, now), monitor.quorum, epoch=monitor.epoch)
        master.replicas = {(ip, port): Instance(ip, port, now) for ip, port in monitor.replicas}
        master.sentinels = {who: Instance(ip, port, now) for ip, port, who in monitor.sentinels}
        for option, value in monitor.options:
            try:
                master.set(option, value)
            except KeyError:
                continue
        found.append(master)
    return found


async def _serve(sentinel: Sentinel, version: str, stream: Stream) -> None:
    from kuartui.embedded.images.programs.redis_server import encode, read_request

    try:
        while words := await read_request(stream):
            try:
                answer = await _execute(sentinel, version, [word.decode(errors="replace") for word in words])
                await stream.write(encode(answer))
            except RedisError as error:
                await stream.write(f"-{error}\r\n".encode())
    finally:
        if not stream.closed:
            stream.close()


async def _execute(sentinel: Sentinel, version: str, words: list[str]) -> Any:
    match words[0].lower():
        case "ping":
            return "+PONG"
        case "sentinel" if len(words) > 1:
            return await _sentinel(sentinel, words[1].lower(), words[2:])
        case "info":
            return _info(sentinel, version)
        case "role":
            return [b"sentinel", [name.encode() for name in sentinel.masters]]
        case "auth" | "client" | "command" | "publish":
            return "+OK"
    raise RedisError(f"ERR unknown command '{words[0]}', with args beginning with: ")


def _master(sentinel: Sentinel, words: list[str]) -> Master:
    if not words or words[0] not in sentinel.masters:
        raise RedisError(NO_MASTER)
    return sentinel.masters[words[0]]


async def _sentinel(sentinel: Sentinel, word: str, rest: list[str]) -> Any:
    match word:
        case "masters":
            return [_rows(_master_rows(master)) for master in sentinel.masters.values()]
        case "myid":
            return sentinel.my_id.encode()
        case "is-master-down-by-addr" if len(rest) == 4:
            return await _is_down(sentinel, rest)
        case "get-master-addr-by-name":
            found = sentinel.masters.get(rest[0]) if rest else None
            return [found.instance.host.encode(), str(found.instance.port).encode()] if found else []
    master = _master(sentinel, rest)
    match word:
        case "master":
            return _rows(_master_rows(master))
        case "replicas" | "slaves":
            return [
                _rows(_instance_rows(one, f"{one.host}:{one.port}", "slave", master))
                for one in master.replicas.values()
            ]
        case "sentinels":
            return [_rows(_instance_rows(one, who, "sentinel", master)) for who, one in master.sentinels.items()]
        case "set":
            return await _set(sentinel, master, rest[1:])
        case "ckquorum":
            return _check_quorum(master)
        case "failover":
            if master.best_replica() is None:
                raise RedisError("NOGOODSLAVE No suitable replica to promote")
            master.forced = True
            return "+OK"
        case "reset":
            master.replicas.clear()
            master.sentinels.clear()
            await sentinel.log(f"+reset-master master {master.label}")
            return 1
        case "remove":
            del sentinel.masters[master.name]
            await sentinel.save()
            return "+OK"
        case "flushconfig":
            return "+OK" if await sentinel.save() else "-ERR Failed to save config file"
    raise RedisError(f"ERR Unknown sentinel subcommand '{word}'")


async def _is_down(sentinel: Sentinel, rest: list[str]) -> list[Any]:
    host, port, epoch, candidate = rest
    for master in sentinel.masters.values():
        if (master.instance.host, str(master.instance.port)) == (host, port):
            voted, at = ("*", 0) if candidate == "*" else await sentinel.vote(master, int(epoch), candidate)
            return [int(master.instance.down), voted.encode(), at]
    return [0, b"*", 0]


async def _set(sentinel: Sentinel, master: Master, words: list[str]) -> str:
    for option, value in zip(words[::2], words[1::2], strict=False):
        try:
            master.set(option, value)
        except KeyError:
            raise RedisError(f"ERR Unknown option or number of arguments for SENTINEL SET '{option}'") from None
        except ValueError:
            raise RedisError(f"ERR Invalid argument '{value}' for SENTINEL SET '{option}'") from None
        await sentinel.log(f"+set master {master.label} {option} {value}")
    await sentinel.save()
    return "+OK"


def _check_quorum(master: Master) -> str:
    known = len(master.sentinels) + 1
    usable = 1 + sum(not one.down for one in master.sentinels.values())
    if usable < master.quorum:
        raise RedisError(
            f"NOQUORUM {usable} usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master"
        )
    if usable < known // 2 + 1:
        raise RedisError(f"NOQUORUM {usable} usable Sentinels. Not enough available Sentinels to reach the majority and authorize a failover")  # fmt: skip
    return f"+OK {usable} usable Sentinels. Quorum and failover authorization can be reached"


def _master_rows(master: Master) -> dict[str, object]:
    one = master.instance
    flags = "master" + ",s_down" * one.down + ",o_down" * master.objective
    return {
        "name": master.name, "ip": one.host, "port": one.port, "runid": one.run_id, "flags": flags,
        "role-reported": one.role or "master", "config-epoch": master.epoch, "num-slaves": len(master.replicas),
        "num-other-sentinels": len(master.sentinels), "quorum": master.quorum,
        "down-after-milliseconds": int(master.down_after * 1000), "failover-timeout": int(master.failover_timeout * 1000),
        "parallel-syncs": master.parallel_syncs,
    }  # fmt: skip


def _instance_rows(one: Instance, name: str, kind: str, master: Master) -> dict[str, object]:
    rows: dict[str, object] = {"name": name, "ip": one.host, "port": one.port, "runid": one.run_id or name,
                               "flags": kind + ",s_down" * one.down,
                               "down-after-milliseconds": int(master.down_after * 1000)}  # fmt: skip
    if kind == "slave":
        rows |= {"role-reported": one.role, "master-link-status": "ok" if one.link_up else "err",
                 "master-host": one.follows[0], "master-port": one.follows[1], "slave-priority": one.priority,
                 "slave-repl-offset": one.offset}  # fmt: skip
    return rows


def _rows(rows: dict[str, object]) -> list[bytes]:
    return [str(word).encode() for pair in rows.items() for word in pair]


def _info(sentinel: Sentinel, version: str) -> bytes:
    rows = [f"# Server\r\nredis_version:{version}\r\nredis_mode:sentinel\r\nrun_id:{hashlib.sha1(sentinel.my_id.encode(), usedforsecurity=False).hexdigest()}\r\n",
            f"# Sentinel\r\nsentinel_masters:{len(sentinel.masters)}"]  # fmt: skip
    for number, master in enumerate(sentinel.masters.values()):
        status = "odown" if master.objective else "sdown" if master.instance.down else "ok"
        rows.append(f"master{number}:name={master.name},status={status},address={master.instance.host}:{master.instance.port},"
                    f"slaves={len(master.replicas)},sentinels={len(master.sentinels) + 1}")  # fmt: skip
    return ("\r\n".join(rows) + "\r\n").encode()
