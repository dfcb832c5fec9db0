"""exec and attach over SPDY, for kubectl before 1.30: each channel is a stream of its own.

k8s.io/kubelet/pkg/cri/streaming/remotecommand/httpstream.go. To `remotecommand.serve` it looks like a WebSocket with
numbered channels.
"""

from __future__ import annotations

import asyncio
from collections import deque

from kuartui.embedded.api.streams import spdy
from kuartui.embedded.api.streams.remotecommand import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT
from kuartui.embedded.api.streams.websocket import NORMAL, Disconnected, Duplex

PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io")
SECONDS = 30.0  # real time until all streams must be there
_CHANNELS = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}


class SpdyChannels:
    """Messages that begin with a channel's number, over a SPDY connection."""

    def __init__(self, duplex: Duplex) -> None:
        self._duplex = duplex
        self._spdy = spdy.Connection()
        self._channels: dict[int, int] = {}
        self._streams: dict[int, int] = {}
        self._messages: deque[bytes] = deque()

    async def open(self, wanted: set[int]) -> None:
        """Wait until the client has opened these channels. Raises Disconnected, TimeoutError."""
        async with asyncio.timeout(SECONDS):
            while not wanted <= set(self._streams):
                await self._take()

    async def receive(self) -> bytes:
        """The next message. Raises Disconnected."""
        while not self._messages:
            await self._take()
        return self._messages.popleft()

    async def _take(self) -> None:
        try:
            frames = list(self._spdy.receive(await self._duplex.receive()))
        except spdy.SpdyError as error:
            raise Disconnected from error
        for frame in frames:
            if isinstance(frame, spdy.Data):
                channel = self._channels.get(frame.stream)
                if channel is not None and frame.data:
                    self._messages.append(bytes((channel,)) + frame.data)
                if channel is not None and frame.fin:
                    self._messages.append(bytes((CLOSE, channel)))
            elif frame.kind == spdy.PING:
                await self._duplex.send(spdy.ping(frame.value))
            elif frame.kind == spdy.GOAWAY:
                raise Disconnected
            elif frame.kind == spdy.SYN_STREAM:
                channel = _CHANNELS.get(frame.headers.get("streamtype", ""))
                if channel is None:
                    await self._duplex.send(spdy.reset(frame.stream))
                    continue
                self._channels[frame.stream], self._streams[channel] = channel, frame.stream
                await self._duplex.send(self._spdy.reply(frame.stream))

    async def send(self, data: bytes) -> None:
        """Send a message. Raises Disconnected."""
        stream = self._streams.get(data[0])
        if stream is not None:
            await self._duplex.send(spdy.data_frame(stream, data[1:]))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """End every stream, then the connection."""
        try:
            for stream in self._streams.values():
                await self._duplex.send(spdy.data_frame(stream, b"", fin=True))
        except Disconnected:
            return
