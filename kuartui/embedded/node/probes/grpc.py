"""The one gRPC call that a kubelet makes: grpc.health.v1.Health/Check.

HTTP/2 is spoken just as far as this call needs: fixed frames out, and from the answer the grpc-status header and the
first message. Images of ours that offer gRPC health speak the same subset, so no HTTP/2 library is worth its import.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from kuartui.embedded.network import Stream

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4
STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
UNIMPLEMENTED = "12"


class Failed(Exception):
    """The call came back with an error."""


class Unimplemented(Failed):
    """The server has no health service."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def header(name: str, value: str) -> bytes:
    """A literal header field without indexing, plain text (RFC 7541 6.2.2)."""
    return b"\x00" + _text(name) + _text(value)


def _text(text: str) -> bytes:
    raw = text.encode()
    if len(raw) < 127:
        return bytes((len(raw),)) + raw
    rest, out = len(raw) - 127, bytearray((127,))
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    out.append(rest)
    return bytes(out) + raw


def message(payload: bytes) -> bytes:
    """A gRPC message: uncompressed, with its length."""
    return b"\x00" + struct.pack(">I", len(payload)) + payload


async def check(stream: Stream, authority: str, service: str) -> str:
    """The health of a service: SERVING, NOT_SERVING, …. Raises Failed, or OSError if the peer speaks no HTTP/2."""
    name = service.encode()
    request = (b"\x0a" + bytes((len(name),)) + name) if name else b""
    fields = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("user-agent", "kube-probe/1.36"),
        ("te", "trailers"),
    )
    await stream.write(
        PREFACE
        + frame(SETTINGS, 0, 0, b"")
        + frame(HEADERS, END_HEADERS, 1, b"".join(header(*field) for field in fields))
        + frame(DATA, END_STREAM, 1, message(request))
    )
    try:
        return await _answer(stream)
    finally:
        stream.abort()


async def serve(stream: Stream, health: Callable[[str], str | None]) -> None:
    """Answer one Check: `health` maps a service's name to one of STATUSES, None if it knows no such service."""
    await _exactly(stream, len(PREFACE))
    await stream.write(frame(SETTINGS, 0, 0, b""))
    asked = b""
    while True:
        kind, flags, number, payload = await read_frame(stream)
        if number == 1 and kind == DATA:
            asked += payload
        if number == 1 and flags & END_STREAM:
            break
    status = health(asked[7:].decode(errors="replace"))
    body = b"" if status is None else frame(DATA, 0, 1, message(bytes((8, STATUSES.index(status)))))
    trailers = [("grpc-status", "0")] if status else [("grpc-status", "5"), ("grpc-message", "unknown service")]
    await stream.write(
        frame(HEADERS, END_HEADERS, 1, header(":status", "200") + header("content-type", "application/grpc"))
        + body
        + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"".join(header(*field) for field in trailers))
    )
    stream.close()


async def _answer(stream: Stream) -> str:
    body, heads = b"", b""
    while True:
        kind, flags, number, payload = await read_frame(stream)
        if kind == SETTINGS and not flags & ACK:
            await stream.write(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            await stream.write(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            raise ConnectionResetError("server sent GOAWAY")
        elif number == 1 and kind == DATA:
            body += payload
        elif number == 1 and kind == HEADERS:
            heads += payload
        if number == 1 and flags & END_STREAM and kind in (DATA, HEADERS):
            return _verdict(body, heads)


def _verdict(body: bytes, heads: bytes) -> str:
    status = _literal(heads, "grpc-status") or "0"
    if status == UNIMPLEMENTED:
        raise Unimplemented
    if status != "0":
        detail = _literal(heads, "grpc-message")
        raise Failed(f"rpc error: code = {'NotFound' if status == '5' else 'Unknown'} desc = {detail}")
    payload = body[5:]
    return STATUSES[payload[1]] if len(payload) >= 2 and payload[1] < len(STATUSES) else STATUSES[0]


def _literal(heads: bytes, name: str) -> str:
    position = heads.find(_text(name))
    if position < 0:
        return ""
    position += len(_text(name))
    length = heads[position]
    return heads[position + 1 : position + 1 + length].decode(errors="replace")


async def read_frame(stream: Stream) -> tuple[int, int, int, bytes]:
    """Kind, flags, stream and payload of the next frame. Raises ConnectionResetError at the end."""
    head = await _exactly(stream, 9)
    length = int.from_bytes(head[:3], "big")
    if length > 1 << 20:
        raise ConnectionResetError("not HTTP/2")
    number = int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
    return head[3], head[4], number, await _exactly(stream, length)


async def _exactly(stream: Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.read(size - len(data))
        if not more:
            raise ConnectionResetError("unexpected EOF")
        data += more
    return data
