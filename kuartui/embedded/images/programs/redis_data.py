"""Redis' keys and values, and the commands on them: a table of small functions."""

from __future__ import annotations

import fnmatch
import random
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

KEY_OVERHEAD = 90  # bytes per key beside key and value, about what Redis needs
ELEMENT_OVERHEAD = 24
EMBEDDED = 44  # so many bytes of a string lie in its object itself
STRING_HEADER = 9  # of a long string
FILL_ABOVE = 4096  # bytes of zeros that are only described

OK = "+OK"  # simple strings start with +; bytes are bulk strings, None is nil


class RedisError(Exception):
    """`-ERR …`; the text includes its first word."""


WRONG_TYPE = RedisError("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_INTEGER = RedisError("ERR value is not an integer or out of range")
NOT_FLOAT = RedisError("ERR value is not a valid float")
SYNTAX = RedisError("ERR syntax error")


class Filler:
    """A long value that is only described, zeros between a start and an end: DEBUG POPULATE and SETRANGE make them."""

    __slots__ = ("end", "size", "text")

    def __init__(self, text: bytes, size: int, end: bytes = b"") -> None:
        self.text = text
        self.size = size  # without `end`
        self.end = end

    def __len__(self) -> int:
        return self.size + len(self.end)

    def __bytes__(self) -> bytes:
        return self.text.ljust(self.size, b"\0") + self.end


Value = bytes | Filler | list[bytes] | set[bytes] | dict[bytes, bytes] | dict[bytes, float]


class Entry(Struct):
    """A value with what Redis keeps beside it."""

    value: Any
    kind: str  # string list set hash zset
    expires: float | None = None
    used: int = 0


class Database(Struct):
    """One numbered database."""

    now: Callable[[], float]
    entries: dict[bytes, Entry] = field(default_factory=dict)
    ticks: int = 0

    def find(self, key: bytes, kind: str | None = None) -> Entry | None:
        """A live entry; expired ones go away when touched."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        if entry.expires is not None and entry.expires <= self.now():
            del self.entries[key]
            return None
        if kind is not None and entry.kind != kind:
            raise WRONG_TYPE
        self.ticks += 1
        entry.used = self.ticks
        return entry

    def make(self, key: bytes, kind: str, empty: Callable[[], Any]) -> Any:
        """The value of a kind at a key, made if there is none."""
        entry = self.find(key, kind)
        if entry is None:
            entry = self.entries[key] = Entry(empty(), kind, used=self.ticks)
        return entry.value

    def drop_empty(self, key: bytes) -> None:
        """Empty collections do not exist."""
        entry = self.entries.get(key)
        if entry is not None and entry.kind != "string" and not entry.value:
            del self.entries[key]

    def live(self) -> list[bytes]:
        """All keys that have not expired."""
        return [key for key in list(self.entries) if self.find(key)]


def size_of(key: bytes, entry: Entry) -> int:
    """Bytes that a key takes in memory."""
    value = entry.value
    if isinstance(value, bytes | Filler):
        inner = len(value) if len(value) <= EMBEDDED else _allocated(STRING_HEADER + len(value) + 1)
    elif isinstance(value, dict):
        inner = sum(len(k) + (len(v) if isinstance(v, bytes) else 8) + 2 * ELEMENT_OVERHEAD for k, v in value.items())
    else:
        inner = sum(len(item) + ELEMENT_OVERHEAD for item in value)
    return len(key) + inner + KEY_OVERHEAD


def _allocated(size: int) -> int:
    """What jemalloc hands out for so many bytes: of sizes above 128 there are four to each doubling, so that 8 MiB and
    one byte take 10 MiB."""
    step = 1 << max(4, (size - 1).bit_length() - 3)
    return -(-size // step) * step


Args = list[bytes]
Command = Callable[[Database, Args], Any]


def _integer(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise NOT_INTEGER from None


def _float(text: bytes) -> float:
    try:
        return float(text.decode().replace("(", ""))
    except ValueError:
        raise NOT_FLOAT from None


def _number(value: float) -> bytes:
    return (str(int(value)) if value == int(value) else repr(value)).encode()


# --- strings ---


def get(db: Database, a: Args) -> Any:
    entry = db.find(a[0], "string")
    return bytes(entry.value) if entry else None


def set_(db: Database, a: Args) -> Any:
    key, value, words = a[0], a[1], [word.upper() for word in a[2:]]
    takes_number = (b"EX", b"PX", b"EXAT", b"PXAT")
    for place, word in enumerate(words):
        known = word in takes_number or word in (b"NX", b"XX", b"GET", b"KEEPTTL")
        if not known and (place == 0 or words[place - 1] not in takes_number):
            raise SYNTAX
    old = db.find(key)
    if (b"NX" in words and old) or (b"XX" in words and not old):
        return None
    expires: float | None = old.expires if old and b"KEEPTTL" in words else None
    for word, unit in ((b"EX", 1.0), (b"PX", 0.001), (b"EXAT", None), (b"PXAT", None)):
        if word in words:
            at = words.index(word) + 3
            if at >= len(a):
                raise SYNTAX
            amount = _integer(a[at])
            if amount <= 0:
                raise RedisError("ERR invalid expire time in 'set' command")
            expires = db.now() + amount * unit if unit else amount * (1.0 if word == b"EXAT" else 0.001)
    db.entries[key] = Entry(value, "string", expires, db.ticks)
    if b"GET" in words:
        return bytes(old.value) if old else None
    return OK


def setnx(db: Database, a: Args) -> int:
    return 1 if set_(db, [a[0], a[1], b"NX"]) else 0


def setex(db: Database, a: Args) -> Any:
    return set_(db, [a[0], a[2], b"EX", a[1]])


def psetex(db: Database, a: Args) -> Any:
    return set_(db, [a[0], a[2], b"PX", a[1]])


def getset(db: Database, a: Args) -> Any:
    old = get(db, a)
    db.entries[a[0]] = Entry(a[1], "string")
    return old


def getdel(db: Database, a: Args) -> Any:
    old = get(db, a)
    db.entries.pop(a[0], None)
    return old


def mget(db: Database, a: Args) -> list[Any]:
    return [bytes(e.value) if (e := db.find(key)) and e.kind == "string" else None for key in a]


def mset(db: Database, a: Args) -> str:
    if len(a) % 2:
        raise RedisError("ERR wrong number of arguments for 'mset' command")
    for key, value in zip(a[::2], a[1::2], strict=True):
        db.entries[key] = Entry(value, "string")
    return OK


def incrby(db: Database, a: Args) -> int:
    entry = db.find(a[0], "string")
    value = (_integer(bytes(entry.value)) if entry else 0) + _integer(a[1])
    db.entries[a[0]] = Entry(str(value).encode(), "string", entry.expires if entry else None)
    return value


def append(db: Database, a: Args) -> int:
    value = bytes(db.make(a[0], "string", bytes)) + a[1]
    db.entries[a[0]].value = value
    return len(value)


def setrange(db: Database, a: Args) -> int:
    at = _integer(a[1])
    if at < 0:
        raise RedisError("ERR offset is out of range")
    entry = db.find(a[0], "string")
    old = entry.value if entry else b""
    if not a[2]:
        return len(old)
    if isinstance(old, bytes) and len(old) <= FILL_ABOVE and at > FILL_ABOVE:
        # A long run of zeros and a short end: only the end is worth keeping as it is.
        value: bytes | Filler = Filler(old, at, a[2])
    else:
        data = bytes(old).ljust(at, b"\0")
        value = data[:at] + a[2] + data[at + len(a[2]) :]
    db.entries[a[0]] = Entry(value, "string", entry.expires if entry else None)
    return len(value)


def getrange(db: Database, a: Args) -> bytes:
    entry = db.find(a[0], "string")
    value = bytes(entry.value) if entry else b""
    start, stop = _integer(a[1]), _integer(a[2])
    start = max(0, start + len(value) if start < 0 else start)
    return value[start : (stop + len(value) if stop < 0 else stop) + 1]


def strlen(db: Database, a: Args) -> int:
    entry = db.find(a[0], "string")
    return len(entry.value) if entry else 0


# --- keys ---


def delete(db: Database, a: Args) -> int:
    return sum(1 for key in a if db.find(key) is not None and db.entries.pop(key) is not None)


def exists(db: Database, a: Args) -> int:
    return sum(1 for key in a if db.find(key))


def expire(db: Database, a: Args, unit: float = 1.0, *, absolute: bool = False) -> int:
    entry = db.find(a[0])
    if entry is None:
        return 0
    entry.expires = (0 if absolute else db.now()) + _integer(a[1]) * unit
    return 1


def ttl(db: Database, a: Args, unit: float = 1.0) -> int:
    entry = db.find(a[0])
    if entry is None:
        return -2
    return -1 if entry.expires is None else round((entry.expires - db.now()) / unit)


def persist(db: Database, a: Args) -> int:
    entry = db.find(a[0])
    if entry is None or entry.expires is None:
        return 0
    entry.expires = None
    return 1


def keys(db: Database, a: Args) -> list[bytes]:
    pattern = a[0].decode(errors="replace")
    return [key for key in db.live() if fnmatch.fnmatchcase(key.decode(errors="replace"), pattern)]


def scan(db: Database, a: Args) -> list[Any]:
    words = [word.upper() for word in a]
    pattern = a[words.index(b"MATCH") + 1] if b"MATCH" in words else b"*"
    return [b"0", keys(db, [pattern])]


def type_(db: Database, a: Args) -> str:
    entry = db.find(a[0])
    return "+" + (entry.kind if entry else "none")


def rename(db: Database, a: Args) -> str:
    entry = db.find(a[0])
    if entry is None:
        raise RedisError("ERR no such key")
    del db.entries[a[0]]
    db.entries[a[1]] = entry
    return OK


def randomkey(db: Database, a: Args) -> Any:
    live = db.live()
    return random.choice(live) if live else None


# --- lists ---


def push(db: Database, a: Args, *, left: bool) -> int:
    items: list[bytes] = db.make(a[0], "list", list)
    for item in a[1:]:
        items.insert(0, item) if left else items.append(item)
    return len(items)


def pop(db: Database, a: Args, *, left: bool) -> Any:
    entry = db.find(a[0], "list")
    if entry is None:
        return None
    count = _integer(a[1]) if len(a) > 1 else 1
    taken = [entry.value.pop(0 if left else -1) for _ in range(min(count, len(entry.value)))]
    db.drop_empty(a[0])
    return taken if len(a) > 1 else taken[0] if taken else None


def llen(db: Database, a: Args) -> int:
    entry = db.find(a[0], "list")
    return len(entry.value) if entry else 0


def _slice(items: list[Any], start: int, stop: int) -> list[Any]:
    size = len(items)
    start = max(0, start + size if start < 0 else start)
    stop = stop + size if stop < 0 else stop
    return items[start : stop + 1]


def lrange(db: Database, a: Args) -> list[bytes]:
    entry = db.find(a[0], "list")
    return _slice(entry.value, _integer(a[1]), _integer(a[2])) if entry else []


def lindex(db: Database, a: Args) -> Any:
    entry = db.find(a[0], "list")
    at = _integer(a[1])
    return entry.value[at] if entry and -len(entry.value) <= at < len(entry.value) else None


def lrem(db: Database, a: Args) -> int:
    entry = db.find(a[0], "list")
    if entry is None:
        return 0
    before = len(entry.value)
    limit = abs(_integer(a[1])) or before
    for _ in range(limit):
        if a[2] not in entry.value:
            break
        entry.value.remove(a[2])
    removed = before - len(entry.value)
    db.drop_empty(a[0])
    return removed


def lmove(db: Database, a: Args) -> Any:
    ends = [end.lower() for end in a[2:]]
    if not {*ends} <= {b"left", b"right"}:
        raise SYNTAX
    return move(db, a, take_left=ends[0] == b"left", put_left=ends[1] == b"left")


def move(db: Database, a: Args, *, take_left: bool, put_left: bool) -> Any:
    if db.find(a[0], "list") is None:
        return None
    db.find(a[1], "list")  # of the wrong kind: nothing is taken
    item = pop(db, [a[0]], left=take_left)
    push(db, [a[1], item], left=put_left)
    return item


# --- sets ---


def sadd(db: Database, a: Args) -> int:
    members: set[bytes] = db.make(a[0], "set", set)
    before = len(members)
    members.update(a[1:])
    return len(members) - before


def srem(db: Database, a: Args) -> int:
    entry = db.find(a[0], "set")
    if entry is None:
        return 0
    before = len(entry.value)
    entry.value.difference_update(a[1:])
    removed = before - len(entry.value)
    db.drop_empty(a[0])
    return removed


def smembers(db: Database, a: Args) -> list[bytes]:
    entry = db.find(a[0], "set")
    return sorted(entry.value) if entry else []


def sismember(db: Database, a: Args) -> int:
    entry = db.find(a[0], "set")
    return int(bool(entry and a[1] in entry.value))


def scard(db: Database, a: Args) -> int:
    return len(smembers(db, a))


# --- hashes ---


def hset(db: Database, a: Args) -> int:
    if len(a) % 2 == 0:
        raise RedisError("ERR wrong number of arguments for 'hset' command")
    fields: dict[bytes, bytes] = db.make(a[0], "hash", dict)
    before = len(fields)
    fields.update(zip(a[1::2], a[2::2], strict=True))
    return len(fields) - before


def _hash(db: Database, key: bytes) -> dict[bytes, bytes]:
    entry = db.find(key, "hash")
    return entry.value if entry else {}


def hgetall(db: Database, a: Args) -> list[bytes]:
    return [item for pair in _hash(db, a[0]).items() for item in pair]


def hdel(db: Database, a: Args) -> int:
    fields = _hash(db, a[0])
    removed = sum(1 for name in a[1:] if fields.pop(name, None) is not None)
    db.drop_empty(a[0])
    return removed


def hincrby(db: Database, a: Args) -> int:
    fields: dict[bytes, bytes] = db.make(a[0], "hash", dict)
    value = _integer(fields.get(a[1], b"0")) + _integer(a[2])
    fields[a[1]] = str(value).encode()
    return value


# --- sorted sets ---


def _scores(db: Database, key: bytes) -> dict[bytes, float]:
    entry = db.find(key, "zset")
    return entry.value if entry else {}


def _ranked(db: Database, key: bytes) -> list[tuple[bytes, float]]:
    return sorted(_scores(db, key).items(), key=lambda pair: (pair[1], pair[0]))


def zadd(db: Database, a: Args) -> int:
    rest = [word for word in a[1:] if word.upper() not in (b"NX", b"XX", b"CH", b"GT", b"LT")]
    if len(rest) % 2:
        raise SYNTAX
    scores: dict[bytes, float] = db.make(a[0], "zset", dict)
    before = len(scores)
    for score, member in zip(rest[::2], rest[1::2], strict=True):
        scores[member] = _float(score)
    return len(scores) - before


def _shown(pairs: list[tuple[bytes, float]], *, scores: bool) -> list[bytes]:
    return [item for m, s in pairs for item in ((m, _number(s)) if scores else (m,))]


def zrange(db: Database, a: Args, *, reverse: bool = False) -> list[bytes]:
    words = [word.upper() for word in a[3:]]
    pairs = _ranked(db, a[0])
    if reverse or b"REV" in words:
        pairs.reverse()
    return _shown(_slice(pairs, _integer(a[1]), _integer(a[2])), scores=b"WITHSCORES" in words)


def zrangebyscore(db: Database, a: Args) -> list[bytes]:
    low, high = _float(a[1]), _float(a[2])
    pairs = [pair for pair in _ranked(db, a[0]) if low <= pair[1] <= high]
    return _shown(pairs, scores=any(word.upper() == b"WITHSCORES" for word in a[3:]))


def zscore(db: Database, a: Args) -> Any:
    score = _scores(db, a[0]).get(a[1])
    return None if score is None else _number(score)


def zrank(db: Database, a: Args) -> Any:
    members = [member for member, _ in _ranked(db, a[0])]
    return members.index(a[1]) if a[1] in members else None


def zincrby(db: Database, a: Args) -> bytes:
    scores: dict[bytes, float] = db.make(a[0], "zset", dict)
    scores[a[2]] = scores.get(a[2], 0.0) + _float(a[1])
    return _number(scores[a[2]])


def zrem(db: Database, a: Args) -> int:
    scores = _scores(db, a[0])
    removed = sum(1 for member in a[1:] if scores.pop(member, None) is not None)
    db.drop_empty(a[0])
    return removed


# name: (function, least arguments, most or None, whether it writes)
COMMANDS: dict[str, tuple[Command, int, int | None, bool]] = {
    "get": (get, 1, 1, False), "set": (set_, 2, None, True), "setnx": (setnx, 2, 2, True), "setex": (setex, 3, 3, True),
    "psetex": (psetex, 3, 3, True), "getset": (getset, 2, 2, True), "getdel": (getdel, 1, 1, True),
    "mget": (mget, 1, None, False), "mset": (mset, 2, None, True), "append": (append, 2, 2, True),
    "strlen": (strlen, 1, 1, False), "setrange": (setrange, 3, 3, True), "getrange": (getrange, 3, 3, False), "incr": (lambda db, a: incrby(db, [a[0], b"1"]), 1, 1, True),
    "decr": (lambda db, a: incrby(db, [a[0], b"-1"]), 1, 1, True), "incrby": (incrby, 2, 2, True),
    "decrby": (lambda db, a: incrby(db, [a[0], str(-_integer(a[1])).encode()]), 2, 2, True),
    "del": (delete, 1, None, True), "unlink": (delete, 1, None, True), "exists": (exists, 1, None, False),
    "touch": (exists, 1, None, False), "expire": (expire, 2, 3, True),
    "pexpire": (lambda db, a: expire(db, a, 0.001), 2, 3, True),
    "expireat": (lambda db, a: expire(db, a, absolute=True), 2, 3, True),
    "pexpireat": (lambda db, a: expire(db, a, 0.001, absolute=True), 2, 3, True),
    "ttl": (ttl, 1, 1, False), "pttl": (lambda db, a: ttl(db, a, 0.001), 1, 1, False), "persist": (persist, 1, 1, True),
    "keys": (keys, 1, 1, False), "scan": (scan, 1, None, False), "type": (type_, 1, 1, False), "rename": (rename, 2, 2, True),
    "randomkey": (randomkey, 0, 0, False), "dbsize": (lambda db, a: len(db.live()), 0, 0, False),
    "lpush": (lambda db, a: push(db, a, left=True), 2, None, True), "rpush": (lambda db, a: push(db, a, left=False), 2, None, True),
    "lpop": (lambda db, a: pop(db, a, left=True), 1, 2, True), "rpop": (lambda db, a: pop(db, a, left=False), 1, 2, True),
    "llen": (llen, 1, 1, False), "lrange": (lrange, 3, 3, False), "lindex": (lindex, 2, 2, False), "lrem": (lrem, 3, 3, True),
    "lmove": (lmove, 4, 4, True), "rpoplpush": (lambda db, a: move(db, a, take_left=False, put_left=True), 2, 2, True), "sadd": (sadd, 2, None, True), "srem": (srem, 2, None, True),
    "smembers": (smembers, 1, 1, False), "sismember": (sismember, 2, 2, False), "scard": (scard, 1, 1, False),
    "hset": (hset, 3, None, True), "hmset": (lambda db, a: (hset(db, a), OK)[1], 3, None, True),
    "hget": (lambda db, a: _hash(db, a[0]).get(a[1]), 2, 2, False), "hgetall": (hgetall, 1, 1, False),
    "hmget": (lambda db, a: [_hash(db, a[0]).get(name) for name in a[1:]], 2, None, False), "hdel": (hdel, 2, None, True),
    "hlen": (lambda db, a: len(_hash(db, a[0])), 1, 1, False), "hkeys": (lambda db, a: list(_hash(db, a[0])), 1, 1, False),
    "hvals": (lambda db, a: list(_hash(db, a[0]).values()), 1, 1, False), "hincrby": (hincrby, 3, 3, True),
    "hexists": (lambda db, a: int(a[1] in _hash(db, a[0])), 2, 2, False), "zadd": (zadd, 3, None, True),
    "zrange": (zrange, 3, None, False), "zrevrange": (lambda db, a: zrange(db, a, reverse=True), 3, 4, False),
    "zrangebyscore": (zrangebyscore, 3, None, False), "zscore": (zscore, 2, 2, False), "zrank": (zrank, 2, 2, False),
    "zcard": (lambda db, a: len(_scores(db, a[0])), 1, 1, False), "zincrby": (zincrby, 3, 3, True), "zrem": (zrem, 2, None, True),
}  # fmt: skip
