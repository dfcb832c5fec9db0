"""SPDY/3.1 framing, as far as port-forwarding and remote commands use it. No I/O: bytes in, frames out.

The draft is https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/; the peers (moby/spdystream) use SYN_STREAM,
SYN_REPLY, RST_STREAM, PING, GOAWAY and data, and no flow control.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from msgspec import Struct, field

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 0x01
MAX_FRAME = 1 << 24

_WORDS = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
] + ["200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"]
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset="
    "iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS) + _REST.encode()


class SpdyError(ValueError):
    """The peer does not speak SPDY/3."""


class Data(Struct, frozen=True):
    """Bytes on a stream; `fin` half-closes it."""

    stream: int
    data: bytes
    fin: bool = False


class Control(Struct, frozen=True):
    """A control frame. `headers` for SYN_STREAM, SYN_REPLY and HEADERS; `value` is a ping's id or a reset's status."""

    kind: int
    stream: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    fin: bool = False
    value: int = 0


class Connection:
    """One side of a SPDY connection: header compression has a state per direction."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def receive(self, data: bytes) -> Iterator[Data | Control]:
        """The frames that are complete now. Raises SpdyError."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from(">II", self._buffer)
            if first >> 31 and (first >> 16) & 0x7FFF != VERSION:
                raise SpdyError("unsupported version")
            length = second & 0xFFFFFF
            if len(self._buffer) < 8 + length:
                return
            payload = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            flags = second >> 24
            if first >> 31:
                frame = self._control(first & 0xFFFF, flags, payload)
                if frame is not None:
                    yield frame
            else:
                yield Data(first & 0x7FFFFFFF, payload, bool(flags & FIN))

    def _control(self, kind: int, flags: int, payload: bytes) -> Control | None:
        try:
            if kind == SYN_STREAM:
                (stream,) = struct.unpack_from(">I", payload)
                return Control(kind, stream & 0x7FFFFFFF, self._headers(payload[10:]), bool(flags & FIN))
            if kind in (SYN_REPLY, HEADERS):
                (stream,) = struct.unpack_from(">I", payload)
                return Control(kind, stream & 0x7FFFFFFF, self._headers(payload[4:]), bool(flags & FIN))
            if kind in (RST_STREAM, GOAWAY):
                stream, status = struct.unpack_from(">II", payload)
                return Control(kind, stream & 0x7FFFFFFF, value=status)
            if kind == PING:
                return Control(kind, value=struct.unpack_from(">I", payload)[0])
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise SpdyError(str(error)) from error
        return None

    def _headers(self, block: bytes) -> dict[str, str]:
        raw = self._inflate.decompress(block, 1 << 16)
        (count,) = struct.unpack_from(">I", raw)
        position = 4
        headers = {}
        for _ in range(min(count, 256)):
            parts = []
            for _ in range(2):
                (length,) = struct.unpack_from(">I", raw, position)
                parts.append(raw[position + 4 : position + 4 + length].decode("latin-1"))
                position += 4 + length
            headers[parts[0].lower()] = parts[1]
        return headers

    # Sending

    def open(self, stream: int, headers: dict[str, str]) -> bytes:
        """A SYN_STREAM frame."""
        return _frame(SYN_STREAM, 0, struct.pack(">IIH", stream, 0, 0) + self._block(headers))

    def reply(self, stream: int, headers: dict[str, str] | None = None) -> bytes:
        """A SYN_REPLY frame, which accepts a stream."""
        return _frame(SYN_REPLY, 0, struct.pack(">I", stream) + self._block(headers or {}))

    def _block(self, headers: dict[str, str]) -> bytes:
        raw = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name.encode("latin-1"), value.encode("latin-1")):
                raw += struct.pack(">I", len(text)) + text
        return self._deflate.compress(raw) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def data_frame(stream: int, data: bytes, *, fin: bool = False) -> bytes:
    """A data frame."""
    return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(data)) + data


def reset(stream: int, status: int = 5) -> bytes:
    """A RST_STREAM frame; 5 is CANCEL."""
    return _frame(RST_STREAM, 0, struct.pack(">II", stream, status))


def ping(number: int) -> bytes:
    """A PING frame; an answer repeats the number."""
    return _frame(PING, 0, struct.pack(">I", number))


def go_away(last: int) -> bytes:
    """A GOAWAY frame."""
    return _frame(GOAWAY, 0, struct.pack(">II", last, 0))


def _frame(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8000 | VERSION, kind, flags << 24 | len(payload)) + payload
