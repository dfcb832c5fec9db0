"""port-forward: many connections to the ports of one pod, in one connection of the client.

kubectl speaks SPDY/3.1, inside of a WebSocket since 1.30 and on an upgraded connection before; each forwarded
connection is a pair of streams, one for errors and one for data (k8s.io/kubelet/pkg/cri/streaming/portforward).
Older WebSocket clients, the Python one among them, name the ports in the query and get two channels for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kuartui.embedded.api.streams import spdy
from kuartui.embedded.api.streams.websocket import Disconnected, Duplex
from kuartui.embedded.network.stream import Stream

TUNNEL = "SPDY/3.1+portforward.k8s.io"
V4 = "v4.channel.k8s.io"
SPDY_PROTOCOL = "portforward.k8s.io"
PROTOCOLS = (TUNNEL, V4, SPDY_PROTOCOL)

Connect = Callable[[int], Awaitable[Stream]]
"""Opens a connection to a port of the pod. Raises OSError with the text for the client."""


class _Forwarded:
    """One forwarded connection: its two streams, and the way into the pod once both are there."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.error = self.data = 0
        self.input: asyncio.Queue[bytes | None] = asyncio.Queue()


class SpdySession:
    """A client's SPDY connection."""

    def __init__(self, duplex: Duplex, connect: Connect) -> None:
        self._duplex, self._connect = duplex, connect
        self._spdy = spdy.Connection()
        self._pairs: dict[str, _Forwarded] = {}
        self._by_stream: dict[int, _Forwarded] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the client hangs up."""
        try:
            while True:
                data = await self._duplex.receive()
                for frame in self._spdy.receive(data):
                    if isinstance(frame, spdy.Data):
                        self._data(frame)
                    elif frame.kind == spdy.GOAWAY:
                        return
                    else:
                        await self._control(frame)
        except (Disconnected, spdy.SpdyError):
            return
        finally:
            for task in list(self._tasks):
                task.cancel()
            await self._duplex.close()

    def _data(self, frame: spdy.Data) -> None:
        forwarded = self._by_stream.get(frame.stream)
        if forwarded is None or frame.stream != forwarded.data:
            return
        if frame.data:
            forwarded.input.put_nowait(frame.data)
        if frame.fin:
            forwarded.input.put_nowait(None)

    async def _control(self, frame: spdy.Control) -> None:
        if frame.kind == spdy.PING:
            await self._duplex.send(spdy.ping(frame.value))
        elif frame.kind == spdy.SYN_STREAM:
            await self._opened(frame)
        elif frame.kind == spdy.RST_STREAM:
            forwarded = self._by_stream.pop(frame.stream, None)
            if forwarded is not None and frame.stream == forwarded.data:
                forwarded.input.put_nowait(None)

    async def _opened(self, frame: spdy.Control) -> None:
        headers = frame.headers
        port = headers.get("port", "")
        if not port.isdigit() or not 0 < int(port) < 65536:
            await self._duplex.send(spdy.reset(frame.stream))
            return
        key = headers.get("requestid") or str(frame.stream - frame.stream % 4)
        forwarded = self._pairs.setdefault(key, _Forwarded(int(port)))
        if headers.get("streamtype") == "error":
            forwarded.error = frame.stream
        else:
            forwarded.data = frame.stream
        self._by_stream[frame.stream] = forwarded
        await self._duplex.send(self._spdy.reply(frame.stream))
        if forwarded.error and forwarded.data:
            task = asyncio.get_running_loop().create_task(self._forward(key, forwarded))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, key: str, forwarded: _Forwarded) -> None:
        try:
            await self._carry(forwarded)
        except OSError as error:
            await self._duplex.send(spdy.data_frame(forwarded.error, str(error).encode()))
        except Disconnected:
            return
        finally:
            self._pairs.pop(key, None)
            self._by_stream.pop(forwarded.data, None)
            self._by_stream.pop(forwarded.error, None)
        try:
            await self._duplex.send(spdy.data_frame(forwarded.data, b"", fin=True))
            await self._duplex.send(spdy.data_frame(forwarded.error, b"", fin=True))
        except Disconnected:
            return

    async def _carry(self, forwarded: _Forwarded) -> None:
        stream = await self._connect(forwarded.port)

        async def into_pod() -> None:
            while (data := await forwarded.input.get()) is not None:
                await stream.write(data)
            stream.close()

        inward = asyncio.ensure_future(into_pod())
        try:
            while data := await stream.read():
                await self._duplex.send(spdy.data_frame(forwarded.data, data))
            stream.close()
        except ConnectionResetError:
            return  # the program hung up; the client sees the end of the data
        finally:
            inward.cancel()
            if not stream.closed:
                stream.abort()


async def serve_channels(socket: Duplex, ports: list[int], connect: Connect) -> None:
    """The older form: channel 2n carries the data of the n-th port, 2n+1 its errors."""
    for index, port in enumerate(ports):
        number = port.to_bytes(2, "little")
        await socket.send(bytes((2 * index,)) + number)
        await socket.send(bytes((2 * index + 1,)) + number)
    inputs: list[asyncio.Queue[bytes | None]] = [asyncio.Queue() for _ in ports]
    tasks = [
        asyncio.ensure_future(_channel(socket, index, port, inputs[index], connect)) for index, port in enumerate(ports)
    ]
    try:
        while True:
            message = await socket.receive()
            channel, data = (message[0], message[1:]) if message else (255, b"")
            if channel % 2 == 0 and channel // 2 < len(inputs) and data:
                inputs[channel // 2].put_nowait(data)
    except Disconnected:
        return
    finally:
        for task in tasks:
            task.cancel()


async def _channel(
    socket: Duplex, index: int, port: int, incoming: asyncio.Queue[bytes | None], connect: Connect
) -> None:
    try:
        stream = await connect(port)
    except OSError as error:
        await socket.send(bytes((2 * index + 1,)) + str(error).encode())
        await socket.close()
        return

    async def into_pod() -> None:
        while (data := await incoming.get()) is not None:
            await stream.write(data)

    inward = asyncio.ensure_future(into_pod())
    try:
        while data := await stream.read():
            await socket.send(bytes((2 * index,)) + data)
        stream.close()
        await socket.close()
    except (ConnectionResetError, Disconnected):
        return
    finally:
        inward.cancel()
        if not stream.closed:
            stream.abort()
