"""In-memory byte streams: what two programs on the cluster's network, or a port-forward and a pod, talk over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Stream:
    """One end of a duplex byte connection. Close is half-close, as with TCP's FIN; `abort` is its RST."""

    def __init__(self, limit: int = 1 << 16) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._eof = False
        self._reset = False
        self._wake: asyncio.Event | None = None  # once somebody waits: most of the time nobody has to
        self._room: asyncio.Event | None = None
        self._peer: Stream = self
        self.local: tuple[str, int] = ("", 0)
        self.remote: tuple[str, int] = ("", 0)
        self.certificate = b""  # the server's, in DER, and how it is spoken to, where TLS is spoken underneath
        self.cipher = ""
        self._closed = False
        self._on_close: list[Callable[[Stream], object]] = []

    async def read(self, size: int = 1 << 16) -> bytes:
        """Up to `size` bytes; b"" at the end. Raises ConnectionResetError after an abort."""
        while not self._buffer:
            if self._reset:
                raise ConnectionResetError("connection reset by peer")
            if self._eof:
                return b""
            await self._woken()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        if self._room is not None and len(self._buffer) < self._limit:
            self._room.set()
        return data

    async def read_until(self, separator: bytes = b"\n", limit: int = 1 << 16) -> bytes:
        """Bytes up to and with `separator`; what there is if the stream ends first, or `limit` is reached."""
        while True:
            at = self._buffer.find(separator)
            if at >= 0 or len(self._buffer) >= limit or self._eof or self._reset:
                return await self.read(min(at + len(separator) if at >= 0 else limit, limit))
            await self._woken()

    async def read_exactly(self, size: int) -> bytes:
        """Just `size` bytes, fewer only at the end."""
        data = b""
        while len(data) < size:
            chunk = await self.read(size - len(data))
            if not chunk:
                break
            data += chunk
        return data

    def unread(self, data: bytes) -> None:
        """Put bytes back to be read next: a protocol was switched and its parser had read ahead."""
        self._buffer[:0] = data

    async def write(self, data: bytes) -> None:
        """Send, waiting while the peer's buffer is full. Raises BrokenPipeError if the peer is gone."""
        peer = self._peer
        while True:
            if self._reset or peer._reset or peer._eof:
                raise BrokenPipeError("broken pipe")
            if len(peer._buffer) < peer._limit:
                break
            await peer._emptier()
        peer._buffer += data
        if peer._wake is not None:
            peer._wake.set()

    async def _woken(self) -> None:
        """Until there may be something to read."""
        if self._wake is None:
            self._wake = asyncio.Event()
        self._wake.clear()
        await self._wake.wait()

    async def _emptier(self) -> None:
        """Until there may be room for more."""
        if self._room is None:
            self._room = asyncio.Event()
        self._room.clear()
        await self._room.wait()

    def _stir(self) -> None:
        for event in (self._wake, self._room):
            if event is not None:
                event.set()

    def close(self) -> None:
        """No more will be written here; the peer reads what is left, then the end."""
        peer = self._peer
        peer._eof = True
        peer._stir()
        self._end()

    def abort(self) -> None:
        """Reset both directions."""
        for end in (self, self._peer):
            end._reset = True
            end._stir()
            end._end()

    def on_close(self, callback: Callable[[Stream], object]) -> None:
        """Have `callback` called once, when this end is closed or the connection is reset."""
        self._on_close.append(callback)

    def _end(self) -> None:
        self._closed = True
        callbacks, self._on_close = self._on_close, []
        for callback in callbacks:
            callback(self)

    @property
    def closed(self) -> bool:
        """Whether this end was closed, or the connection reset."""
        return self._closed

    @property
    def at_end(self) -> bool:
        """Whether nothing more can be read."""
        return (self._eof or self._reset) and not self._buffer


def pipe() -> tuple[Stream, Stream]:
    """Two connected ends."""
    one, two = Stream(), Stream()
    one._peer, two._peer = two, one
    return one, two


Handler = Callable[[Stream], Awaitable[None]]
"""Serves one accepted connection; it owns the stream and closes it."""
