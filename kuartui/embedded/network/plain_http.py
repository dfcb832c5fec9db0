"""The plain messages of HTTP/1.1: a head in its usual form, a body of known length, all of it there.

Nearly everything that programs say to each other is plain, and is read and written here at once. h11 takes each step of
the protocol by itself, at ten times the cost; whatever is not plain is left to it, mistakes included. So all functions
give None where h11 would have anything to add.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

Header = tuple[str, str]
_Fields = tuple[tuple[Header, ...], Mapping[str, str] | None]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FIELDS = rb"((?:" + _TOKEN + rb":[\t -~]*\r\n)*)\r\n"
_REQUEST = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/1\.1\r\n" + _FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) ([!-~ ]*)\r\n" + _FIELDS)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
_TARGET = re.compile(r"[!-~]+")
_LENGTH = re.compile(r"\d{1,9}")
_INVOLVED = frozenset({"transfer-encoding", "expect", "upgrade"})
SHORT = 1024  # bytes of headers that are worth remembering
BODILESS = (204, 304)
CLOSE = ("Connection", "close")
KEEP_ALIVE = ("Connection", "keep-alive")  # of a server that tells it: sent as `CLOSE` where it does not hold


class Message(Struct, frozen=True):
    """A request or a response. `first` and `second` are method and target, or status and reason."""

    first: str
    second: str
    headers: tuple[Header, ...]
    body: bytes
    keep: bool  # whether its sender lets the connection live on
    rest: bytes  # what came behind it


def read_request(data: bytes) -> Message | None:
    """The request at the beginning of `data`."""
    match = _REQUEST.match(data)
    if match is None or match[1] == b"CONNECT":
        return None
    headers, known = _fields(match[3])
    if known is None or not known.get("host"):
        return None
    length = known.get("content-length", "0")
    return _message(match, headers, known, length, data)


def read_response(data: bytes, method: str) -> Message | None:
    """The response to a request with this method, at the beginning of `data`; a final one, with a length."""
    match = _RESPONSE.match(data)
    if match is None:
        return None
    headers, known = _fields(match[3])
    if known is None:
        return None
    status = int(match[1])
    bodiless = status in BODILESS
    length = known.get("content-length", "0" if bodiless else "")
    return _message(match, headers, known, length, data, bodiless=bodiless or method == "HEAD")


def _message(
    match: re.Match[bytes],
    headers: tuple[Header, ...],
    known: Mapping[str, str],
    length: str,
    data: bytes,
    *,
    bodiless: bool = False,
) -> Message | None:
    if not _LENGTH.fullmatch(length):
        return None
    start = match.end()
    end = start if bodiless else start + int(length)
    if end > len(data):
        return None
    keep = not closes(known.get("connection", ""))
    return Message(match[1].decode(), match[2].decode(), headers, data[start:end], keep, data[end:])


def _fields(raw: bytes) -> _Fields:
    """The headers, and those that steer the connection by lower-case name; None if those are no plain ones."""
    return _known_fields(raw) if len(raw) <= SHORT else _read_fields(raw)


@lru_cache(512)  # probes and clients ask the same again and again
def _known_fields(raw: bytes) -> _Fields:
    return _read_fields(raw)


def _read_fields(raw: bytes) -> _Fields:
    headers: list[Header] = []
    known: dict[str, str] = {}
    for line in raw.decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        value = value.strip(" \t")
        headers.append((name, value))
        lower = name.lower()
        if lower in _INVOLVED:
            return tuple(headers), None
        if lower in ("host", "content-length", "connection"):
            if lower in known:
                return tuple(headers), None
            known[lower] = value
    return tuple(headers), known


def closes(connection: str) -> bool:
    """Whether a Connection header says that it is the last message."""
    return bool(connection) and "close" in [part.strip() for part in connection.lower().split(",")]


def write_request(method: str, target: str, headers: Sequence[Header], body: bytes) -> bytes | None:
    """A request, its length among the headers if it has a body."""
    names = [name.lower() for name, _ in headers]
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    if names.count("host") != 1 or not _INVOLVED.isdisjoint(names) or method == "CONNECT":
        return None
    if lengths != ([str(len(body))] if body else lengths[:1] and ["0"]):
        return None
    if not _NAME.fullmatch(method) or not _TARGET.fullmatch(target):
        return None
    ordered = sorted(headers, key=lambda header: header[0].lower() != "host")  # the host comes first, as from h11
    return _written(f"{method} {target} HTTP/1.1\r\n", ordered, body)


def write_response(
    status: int, reason: str, headers: Sequence[Header], body: bytes, method: str, *, keep: bool
) -> bytes | None:
    """A final response to a plain request, its length among the headers unless there can't be a body."""
    names = [name.lower() for name, _ in headers]
    if not 200 <= status <= 599 or not _INVOLVED.isdisjoint(names) or "host" in names:
        return None
    told = [header for header in headers if header[0].lower() == "connection"]
    if told and told != [KEEP_ALIVE] and (keep or told != [CLOSE]):
        return None
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    bodiless = method == "HEAD" or status in BODILESS
    if len(lengths) > 1 or (lengths != [str(len(body))] and not bodiless) or (method == "HEAD" and not lengths):
        return None
    if not _VALUE.fullmatch(reason) or not all(map(_LENGTH.fullmatch, lengths)):
        return None
    shown = headers
    if not keep:
        shown = [CLOSE if header == KEEP_ALIVE else header for header in headers] if told else [*headers, CLOSE]
    return _written(f"HTTP/1.1 {status} {reason}\r\n", shown, b"" if bodiless else body)


def _written(first: str, headers: Sequence[Header], body: bytes) -> bytes | None:
    lines = [_line(name, value) for name, value in headers]
    if not all(lines):
        return None
    return f"{first}{''.join(lines)}\r\n".encode("ascii") + body


@lru_cache(4096)  # most headers are said again and again
def _line(name: str, value: str) -> str:
    """A header as it is sent; nothing if it cannot be."""
    return f"{name}: {value}\r\n" if _NAME.fullmatch(name) and _VALUE.fullmatch(value) else ""
