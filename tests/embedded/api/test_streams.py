"""Streams: SPDY frames, port-forwarding, remote commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuartui.embedded.api.streams import portforward, remotecommand, spdy
from kuartui.embedded.api.streams.websocket import Disconnected, WebSocket
from kuartui.embedded.network.stream import Stream, pipe


class Peer:
    """The client's end of a Duplex or WebSocket."""

    def __init__(self) -> None:
        self.to_server: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.from_server: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = False

    async def receive(self) -> bytes:
        data = await self.to_server.get()
        if data is None:
            raise Disconnected
        return data

    async def send(self, data: bytes) -> None:
        await self.from_server.put(data)

    async def close(self) -> None:
        self.closed = True

    def socket(self) -> WebSocket:
        async def receive() -> dict[str, Any]:
            data = await self.to_server.get()
            return {"type": "websocket.disconnect"} if data is None else {"type": "websocket.receive", "bytes": data}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.send":
                await self.from_server.put(message["bytes"])
            elif message["type"] == "websocket.close":
                self.closed = True
                await self.to_server.put(None)

        return WebSocket([], receive, send)


headers = st.dictionaries(st.text("abcdefg-", min_size=1), st.text(st.characters(max_codepoint=255)), max_size=5)


@given(st.lists(st.one_of(headers, st.binary(max_size=200)), max_size=8), st.integers(1, 50))
def test_frames_survive_any_chunking(parts: list[dict[str, str] | bytes], size: int) -> None:
    sender, receiver = spdy.Connection(), spdy.Connection()
    wire = b""
    for number, part in enumerate(parts):
        wire += sender.open(number, part) if isinstance(part, dict) else spdy.data_frame(number, part)
    found: list[spdy.Data | spdy.Control] = []
    for start in range(0, len(wire), size):
        found += receiver.receive(wire[start : start + size])
    assert [f.headers if isinstance(f, spdy.Control) else f.data for f in found] == parts


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_ignored(data: bytes) -> None:
    try:
        list(spdy.Connection().receive(data))
    except spdy.SpdyError:
        return


async def echo_pod(port: int) -> Stream:
    """Port 80 answers in capitals; nothing listens elsewhere."""
    if port != 80:
        raise ConnectionRefusedError("connection refused")
    ours, theirs = pipe()

    async def serve() -> None:
        with contextlib.suppress(ConnectionResetError):
            while data := await theirs.read():
                await theirs.write(data.upper())
        theirs.close()

    echo_pod.task = asyncio.create_task(serve())  # type: ignore[attr-defined]
    return ours


async def collect(peer: Peer, client: spdy.Connection, until: Callable[[list[Any]], bool]) -> list[Any]:
    frames: list[Any] = []
    while not until(frames):
        frames += client.receive(await asyncio.wait_for(peer.from_server.get(), 2))
    return frames


async def open_pair(peer: Peer, client: spdy.Connection, port: str, error: int = 1, data: int = 3) -> None:
    for stream, kind in ((error, "error"), (data, "data")):
        head = {"streamtype": kind, "port": port, "requestid": str(error)}
        await peer.to_server.put(client.open(stream, head))


async def test_port_forward_carries_both_directions() -> None:
    peer, client = Peer(), spdy.Connection()
    session = asyncio.create_task(portforward.SpdySession(peer, echo_pod).run())
    await open_pair(peer, client, "80")
    await peer.to_server.put(spdy.data_frame(3, b"hello"))
    await peer.to_server.put(spdy.data_frame(3, b"", fin=True))
    frames = await collect(peer, client, lambda found: any(isinstance(f, spdy.Data) and f.fin for f in found))
    assert b"".join(f.data for f in frames if isinstance(f, spdy.Data) and f.stream == 3) == b"HELLO"
    await peer.to_server.put(None)
    await asyncio.wait_for(session, 2)
    assert peer.closed


async def test_port_forward_says_on_the_error_stream_what_went_wrong() -> None:
    peer, client = Peer(), spdy.Connection()
    session = asyncio.create_task(portforward.SpdySession(peer, echo_pod).run())
    await open_pair(peer, client, "81")
    frames = await collect(peer, client, lambda found: any(isinstance(f, spdy.Data) and f.data for f in found))
    assert next(f.data for f in frames if isinstance(f, spdy.Data) and f.stream == 1) == b"connection refused"
    session.cancel()


async def test_pings_are_answered() -> None:
    peer, client = Peer(), spdy.Connection()
    session = asyncio.create_task(portforward.SpdySession(peer, echo_pod).run())
    await peer.to_server.put(spdy.ping(7))
    assert (await collect(peer, client, bool))[0] == spdy.Control(spdy.PING, value=7)
    session.cancel()


async def test_channels_forward_as_the_python_client_asks() -> None:
    peer = Peer()
    serving = asyncio.create_task(portforward.serve_channels(peer.socket(), [80], echo_pod))
    assert await peer.from_server.get() == b"\x00\x50\x00"
    assert await peer.from_server.get() == b"\x01\x50\x00"
    await peer.to_server.put(b"\x00hi")
    assert await asyncio.wait_for(peer.from_server.get(), 2) == b"\x00HI"
    await peer.to_server.put(None)
    await asyncio.wait_for(serving, 2)


async def command(run: Callable[[Any], Awaitable[int]], *sent: bytes, protocol: str = remotecommand.V5) -> list[bytes]:
    """Everything that a client hears of a command."""
    peer = Peer()
    for message in sent:
        await peer.to_server.put(message)
    await remotecommand.serve(peer.socket(), protocol, run, stdin=True, stderr=True, tty=False)
    return [peer.from_server.get_nowait() for _ in range(peer.from_server.qsize())]


async def test_output_and_exit_code_come_on_their_channels() -> None:
    async def run(io: Any) -> int:
        await io.stdout(b"out")
        await io.stderr(b"err")
        return 3

    *output, last = await command(run)
    assert output == [b"\x01out", b"\x02err"]
    status = orjson.loads(last[1:])
    assert last[0] == remotecommand.ERROR
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


async def test_a_v5_client_can_close_standard_input() -> None:
    async def run(io: Any) -> int:
        received = b"".join([chunk async for chunk in io.stdin])
        await io.stdout(received)
        return 0

    output, status = await command(run, b"\x00one ", b"\x00two", b"\xff\x00")
    assert output == b"\x01one two"
    assert orjson.loads(status[1:])["status"] == "Success"


async def test_what_cannot_run_is_an_internal_error() -> None:
    async def run(io: Any) -> int:
        raise remotecommand.CommandFailed('container not found ("c")')

    (status,) = await command(run)
    assert orjson.loads(status[1:])["message"] == 'Internal error occurred: container not found ("c")'


@pytest.mark.parametrize("junk", [b"\x09?", b"\x04{bad", b"\x04[]"])
async def test_junk_from_the_client_ends_nothing_but_its_own_command(junk: bytes) -> None:
    async def run(io: Any) -> int:
        await asyncio.sleep(0.01)
        return 0

    await asyncio.wait_for(command(run, junk), 2)
