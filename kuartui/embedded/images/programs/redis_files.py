"""Redis on disk: RDB snapshots (strings, lists, sets, hashes, sorted sets in their plain encodings) and the AOF."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kuartui.embedded.images.programs.redis_data import Database, Entry, Filler

MAGIC = b"REDIS0011"
KINDS = {"string": 0, "list": 1, "set": 2, "hash": 4, "zset": 5}
FILLER = 0xF0  # our own: a value that is only described
NAMES = {number: name for name, number in KINDS.items()}


class BadFile(ValueError):
    """Not what Redis writes."""


def _length(number: int) -> bytes:
    if number < 1 << 6:
        return bytes([number])
    if number < 1 << 14:
        return struct.pack(">H", number | 0x4000)
    return b"\x80" + struct.pack(">I", number)


def _text(data: bytes) -> bytes:
    return _length(len(data)) + data


def dump(databases: dict[int, Database], version: str, now: float) -> bytes:
    """An RDB file."""
    out = bytearray(MAGIC)
    for name, value in (("redis-ver", version), ("redis-bits", "64"), ("ctime", str(int(now)))):
        out += b"\xfa" + _text(name.encode()) + _text(value.encode())
    for number, db in sorted(databases.items()):
        if not db.live():
            continue
        out += b"\xfe" + _length(number) + b"\xfb" + _length(len(db.entries)) + _length(0)
        for key, entry in db.entries.items():
            if entry.expires is not None:
                out += b"\xfc" + struct.pack("<Q", int(entry.expires * 1000))
            out += _value(key, entry)
    return bytes(out) + b"\xff" + bytes(8)  # checksum 0: disabled


def _value(key: bytes, entry: Entry) -> bytes:
    value = entry.value
    if isinstance(value, Filler):
        return bytes([FILLER]) + _text(key) + _text(value.text) + _length(value.size) + _text(value.end)
    head = bytes([KINDS[entry.kind]]) + _text(key)
    if entry.kind == "string":
        return head + _text(value)
    body = _length(len(value))
    if entry.kind == "hash":
        return head + body + b"".join(_text(k) + _text(v) for k, v in value.items())
    if entry.kind == "zset":
        return head + body + b"".join(_text(member) + struct.pack("<d", score) for member, score in value.items())
    return head + body + b"".join(_text(item) for item in value)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise BadFile("Short read or OOM loading DB. Unrecoverable error, aborting now.")
        self.at += size
        return self.data[self.at - size : self.at]

    def length(self) -> int:
        first = self.take(1)[0]
        if first >> 6 == 0:
            return first
        if first >> 6 == 1:
            return ((first & 0x3F) << 8) | self.take(1)[0]
        if first == 0x80:
            return int(struct.unpack(">I", self.take(4))[0])
        raise BadFile("Unknown RDB encoding type")

    def text(self) -> bytes:
        return self.take(self.length())


def load(data: bytes, database: object) -> None:
    """Fill databases from an RDB file; `database(number)` gives one. Raises BadFile."""
    if not data.startswith(b"REDIS"):
        raise BadFile("Wrong signature trying to load DB from file")
    reader = _Reader(data)
    reader.take(9)
    db: Database = database(0)  # type: ignore[operator]
    expires: float | None = None
    while True:
        kind = reader.take(1)[0]
        if kind == 0xFF:
            return
        if kind == 0xFA:
            reader.text()
            reader.text()
        elif kind == 0xFE:
            db = database(reader.length())  # type: ignore[operator]
        elif kind == 0xFB:
            reader.length()
            reader.length()
        elif kind == 0xFC:
            expires = struct.unpack("<Q", reader.take(8))[0] / 1000
        else:
            key = reader.text()
            db.entries[key] = _entry(reader, kind, expires)
            expires = None


def _entry(reader: _Reader, kind: int, expires: float | None) -> Entry:
    if kind == FILLER:
        return Entry(Filler(reader.text(), reader.length(), reader.text()), "string", expires)
    name = NAMES.get(kind)
    if name is None:
        raise BadFile(f"Unknown RDB encoding type {kind}")
    if name == "string":
        return Entry(reader.text(), name, expires)
    count = reader.length()
    if name == "hash":
        return Entry({reader.text(): reader.text() for _ in range(count)}, name, expires)
    if name == "zset":
        return Entry({reader.text(): struct.unpack("<d", reader.take(8))[0] for _ in range(count)}, name, expires)
    items = [reader.text() for _ in range(count)]
    return Entry(set(items) if name == "set" else items, name, expires)


def command_bytes(words: list[bytes]) -> bytes:
    """A command as the protocol and the AOF write it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Truncated(BadFile):
    """The AOF ends in the middle of a command; `valid` is how much of it is good."""

    def __init__(self, valid: int) -> None:
        super().__init__("Unexpected end of file")
        self.valid = valid


def read_commands(data: bytes) -> Iterator[list[bytes]]:
    """Commands of an AOF. Raises Truncated or BadFile."""
    at = 0
    while at < len(data):
        start = at
        line, at = _line(data, at, start)
        if not line.startswith(b"*") or not line[1:].isdigit():
            raise BadFile("Bad file format")
        words = []
        for _ in range(int(line[1:])):
            head, at = _line(data, at, start)
            if not head.startswith(b"$") or not head[1:].isdigit():
                raise BadFile("Bad file format")
            size = int(head[1:])
            if at + size + 2 > len(data):
                raise Truncated(start)
            words.append(data[at : at + size])
            at += size + 2
        yield words


def _line(data: bytes, at: int, start: int) -> tuple[bytes, int]:
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Truncated(start)
    return data[at:end], end + 2
