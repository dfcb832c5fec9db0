"""redis-cli: one command, many from standard input, or a prompt."""

from __future__ import annotations

import os
import shlex
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct, field

from kuartui.embedded.images.programs.redis_files import command_bytes
from kuartui.embedded.network import NameNotResolved, Stream
from kuartui.embedded.node.runtime.process import Process, ProcessExit

WARNING = "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.\n"
WITH_VALUE = {"-h": "host", "-p": "port", "-a": "password", "--pass": "password", "--user": "user", "-n": "db", "-r": "repeat",
              "-i": "interval", "-u": "uri", "--pattern": "pattern", "-t": "timeout", "--count": "count", "-s": "socket", "-d": "delimiter"}  # fmt: skip
FLAGS = frozenset(["--raw", "--no-raw", "-x", "--scan", "--stat", "--no-auth-warning", "-e", "--csv", "--json", "--latency",
                   "--bigkeys", "--pipe", "-2", "-3", "--tls", "--insecure", "-c", "--verbose", "--quoted-input"])  # fmt: skip
QUOTING = frozenset("'\"\\")
BLOCKING = frozenset(
    [b"blmove", b"blmpop", b"blpop", b"brpop", b"bzpopmax", b"bzpopmin", b"monitor", b"psubscribe", b"subscribe", b"wait",
     b"xread", b"xreadgroup"])  # fmt: skip


class ErrorReply(str):
    """`-ERR …`"""


class Options(Struct):
    """The command line."""

    values: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    command: list[str] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect."""
        return self.values.get("host", "127.0.0.1"), int(self.values.get("port", "6379"))


def _parse(words: list[str]) -> Options:
    options = Options()
    while words:
        word = words[0]
        if word in WITH_VALUE and len(words) > 1:
            options.values[WITH_VALUE[word]] = words[1]
            words = words[2:]
        elif word in FLAGS:
            options.flags.add(word)
            words = words[1:]
        else:
            break
    options.command = words
    uri = options.values.get("uri")
    if uri:
        parts = urlsplit(uri)
        options.values["host"] = parts.hostname or "127.0.0.1"
        options.values["port"] = str(parts.port or 6379)
        if parts.password:
            options.values["password"] = unquote(parts.password)
        if parts.path.strip("/"):
            options.values["db"] = parts.path.strip("/")
    return options


class Connection:
    """A connection that knows how to ask."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def ask(self, words: list[bytes]) -> Any:
        """Send a command, get its answer."""
        await self._stream.write(command_bytes(words))
        return await self.reply()

    async def reply(self) -> Any:
        """The next answer. Raises ConnectionResetError if the server is gone."""
        line = await self._stream.read_until(b"\n")
        if not line:
            raise ConnectionResetError(104, "Server closed the connection")
        kind, rest = line[:1], line[1:].rstrip(b"\r\n")
        match kind:
            case b"+":
                return rest.decode(errors="replace")
            case b"-":
                return ErrorReply(rest.decode(errors="replace"))
            case b":":
                return int(rest)
            case b"$":
                size = int(rest)
                return None if size < 0 else (await self._stream.read_exactly(size + 2))[:-2]
            case b"*":
                count = int(rest)
                return None if count < 0 else [await self.reply() for _ in range(count)]
        raise ConnectionResetError(71, "Protocol error")

    def close(self) -> None:
        """Hang up."""
        self._stream.close()


async def redis_cli(process: Process) -> int:
    """redis-cli [options] [command…]"""
    if process.argv[1:2] in (["--version"], ["-v"]):
        await process.out("redis-cli 7.4.5\n")
        return 0
    options = _parse(process.argv[1:])
    password = options.values.get("password") or process.env.get("REDISCLI_AUTH", "")
    if options.values.get("password") and "--no-auth-warning" not in options.flags:
        await process.err(WARNING)
    connection = await _connect(process, options, password)
    try:
        if "--scan" in options.flags:
            options.command = ["KEYS", options.values.get("pattern", "*")]
        if options.command:
            return await _commands(process, options, connection)
        if process.terminal is not None:
            return await _prompt(process, options, connection)
        return await _from_input(process, options, connection)
    except (ConnectionResetError, BrokenPipeError):
        await process.err("Error: Server closed the connection\n")
        return 1
    finally:
        connection.close()


async def _connect(process: Process, options: Options, password: str) -> Connection:
    host, port = options.address
    try:
        stream = await process.connect(host, port)
    except NameNotResolved:
        name = (
            "Name does not resolve"
            if process.container.spec.image.distribution == "alpine"
            else "Name or service not known"
        )
        await process.err(f"Could not connect to Redis at {host}:{port}: {name}\n")
        raise ProcessExit(1) from None
    except OSError as error:
        await process.err(f"Could not connect to Redis at {host}:{port}: {error.strerror}\n")
        raise ProcessExit(1) from None
    connection = Connection(stream)
    if password:
        user = options.values.get("user")
        answer = await connection.ask([b"AUTH", *([user.encode()] if user else []), password.encode()])
        if isinstance(answer, ErrorReply):
            await process.err(f"AUTH failed: {answer}\n")
    if "db" in options.values:
        await connection.ask([b"SELECT", options.values["db"].encode()])
    return connection


async def _commands(process: Process, options: Options, connection: Connection) -> int:
    words = [word.encode(errors="surrogateescape") for word in options.command]
    if "-x" in options.flags:
        data = b""
        while chunk := await process.stdin.read():
            data += chunk
        words.append(data)
    code = 0
    repeat = int(options.values.get("repeat", "1"))
    number = 0
    while repeat < 0 or number < repeat:
        if number:
            await process.clock.sleep(float(options.values.get("interval", "0")))
        number += 1
        answer = await connection.ask(words)
        await process.out(_shown(process, options, answer))
        if isinstance(answer, ErrorReply) and "-e" in options.flags:
            code = 1
        while words[0].upper() in (b"SUBSCRIBE", b"MONITOR"):
            await process.out(_shown(process, options, await connection.reply()))
    return code


def _shown(process: Process, options: Options, answer: Any) -> str:
    pretty = (process.terminal is not None or "--no-raw" in options.flags) and "--raw" not in options.flags
    if pretty:
        return formatted(answer) + "\n"
    text = raw(answer)
    return text if text.endswith("\n\n") else text + "\n"


async def _from_input(process: Process, options: Options, connection: Connection) -> int:
    rest = b""
    while chunk := await process.stdin.read():
        *lines, rest = (rest + chunk).split(b"\n")
        await _each(process, options, connection, lines)
    await _each(process, options, connection, [rest])
    return 0


async def _each(process: Process, options: Options, connection: Connection, lines: list[bytes]) -> None:
    """Ask one after another. Answers that come at once are told at once, together."""
    told = ""
    try:
        for line in lines:
            words = _split(line.decode(errors="replace"))
            if words and words[0].lower() in BLOCKING and told:
                await process.out(told)
                told = ""
            if words:
                told += _shown(process, options, await connection.ask(words))
    finally:
        if told:
            await process.out(told)


def _split(line: str) -> list[bytes]:
    if line.isascii() and QUOTING.isdisjoint(line):
        return line.encode().split()
    try:
        return [word.encode() for word in shlex.split(line)]
    except ValueError:
        return []


async def _prompt(process: Process, options: Options, connection: Connection) -> int:
    terminal = process.terminal
    assert terminal is not None
    host, port = options.address
    database = options.values.get("db", "0")
    while True:
        where = f"{host}:{port}" + (f"[{database}]" if database != "0" else "")
        try:
            line = await terminal.line(f"{where}> ")
        except KeyboardInterrupt:
            return 0
        words = _split(line or "")
        if line is None or (words and words[0].lower() in (b"quit", b"exit")):
            return 0
        if not words:
            if line.strip():
                await process.out("Invalid argument(s)\n")
            continue
        if words[0].lower() == b"clear":
            await process.out("\x1b[H\x1b[J")
            continue
        answer = await connection.ask(words)
        if words[0].lower() == b"select" and answer == "OK":
            database = words[1].decode()
        await process.out(_shown(process, options, answer))


def raw(answer: Any) -> str:
    """As redis-cli prints into a pipe."""
    if answer is None:
        return ""
    if isinstance(answer, bytes):
        return answer.decode(errors="surrogateescape")
    if isinstance(answer, list):
        return "\n".join(raw(item) for item in answer)
    if isinstance(answer, ErrorReply):
        return str(answer) + "\n"
    return str(answer)


def formatted(answer: Any, indent: str = "") -> str:
    """As redis-cli prints on a terminal."""
    if answer is None:
        return "(nil)"
    if isinstance(answer, bytes):
        text = answer.decode("latin-1")
        inner = "".join(
            c
            if c.isprintable() and c not in '"\\'
            else {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}.get(c, f"\\x{ord(c):02x}")
            for c in text
        )
        return f'"{inner}"'
    if isinstance(answer, ErrorReply):
        return f"(error) {answer}"
    if isinstance(answer, int):
        return f"(integer) {answer}"
    if isinstance(answer, list):
        if not answer:
            return "(empty array)"
        width = len(str(len(answer)))
        lines = []
        for number, item in enumerate(answer, 1):
            head = f"{number:>{width}}) "
            lines.append(("" if number == 1 else indent) + head + formatted(item, indent + " " * len(head)))
        return os.linesep.join(lines)
    return str(answer)
