"""Commands over SPDY, as kubectl before 1.30 runs them."""

from __future__ import annotations

import asyncio

import orjson

from kuartui.embedded.api.streams import remotecommand, spdy
from kuartui.embedded.api.streams.remotecommand import ERROR, STDERR, STDIN, STDOUT
from kuartui.embedded.api.streams.spdy_channels import SpdyChannels
from kuartui.embedded.api.streams.websocket import Disconnected
from kuartui.embedded.node.runtime import ExecIO


class Wire:
    """The client's end of a connection."""

    def __init__(self) -> None:
        self.to_server: asyncio.Queue[bytes] = asyncio.Queue()
        self.from_server: list[bytes] = []

    async def receive(self) -> bytes:
        data = await self.to_server.get()
        if not data:
            raise Disconnected
        return data

    async def send(self, data: bytes) -> None:
        self.from_server.append(data)

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


def opened(client: spdy.Connection, *kinds: str) -> bytes:
    """SYN_STREAMs for these streams, numbered 1, 3, 5, …"""
    return b"".join(client.open(2 * index + 1, {"streamtype": kind}) for index, kind in enumerate(kinds))


async def shout(io: ExecIO) -> int:
    """Echo standard input in capitals until it ends."""
    assert io.stdin is not None
    async for data in io.stdin:
        await io.stdout(data.upper())
    assert io.stderr is not None
    await io.stderr(b"bye")
    return 3


async def test_a_command_with_all_its_streams() -> None:
    wire, client = Wire(), spdy.Connection()
    wire.to_server.put_nowait(opened(client, "error", "stdin", "stdout", "stderr"))
    wire.to_server.put_nowait(spdy.data_frame(3, b"hel") + spdy.data_frame(3, b"lo", fin=True))
    channels = SpdyChannels(wire)
    await channels.open({ERROR, STDIN, STDOUT, STDERR})
    await remotecommand.serve(channels, remotecommand.V5, shout, stdin=True, stderr=True, tty=False)
    frames = list(client.receive(b"".join(wire.from_server)))
    data = dict.fromkeys((1, 5, 7), b"")
    for frame in frames:
        if isinstance(frame, spdy.Data) and frame.stream in data:
            data[frame.stream] += frame.data
    assert (data[5], data[7]) == (b"HELLO", b"bye")
    assert orjson.loads(data[1])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert {frame.stream for frame in frames if isinstance(frame, spdy.Data) and frame.fin} == {1, 3, 5, 7}


async def test_streams_of_no_known_kind_are_reset() -> None:
    wire, client = Wire(), spdy.Connection()
    wire.to_server.put_nowait(opened(client, "telepathy", "error"))
    await SpdyChannels(wire).open({ERROR})
    kinds = [
        (frame.kind, frame.stream)
        for frame in client.receive(b"".join(wire.from_server))
        if isinstance(frame, spdy.Control)
    ]
    assert kinds == [(spdy.RST_STREAM, 1), (spdy.SYN_REPLY, 3)]


async def test_a_client_that_speaks_no_spdy_is_gone() -> None:
    wire = Wire()
    wire.to_server.put_nowait(b"\xff" * 64)
    try:
        await SpdyChannels(wire).open({ERROR})
    except Disconnected:
        return
    raise AssertionError("it was taken for SPDY")
