"""A WebSocket of an ASGI server, and what else can carry a stream of byte messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from kuartui.embedded.api.request import Response

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

NORMAL, INTERNAL_ERROR = 1000, 1011


class Disconnected(Exception):
    """The peer is gone."""


class Duplex(Protocol):
    """Bytes in both directions."""

    async def receive(self) -> bytes:
        """The next bytes. Raises Disconnected at the end."""
        ...

    async def send(self, data: bytes) -> None:
        """Raises Disconnected when the peer is gone."""
        ...

    async def close(self, code: int = NORMAL, reason: str = "") -> None: ...


class StreamSocket(Duplex, Protocol):
    """A client's wish for a stream, to be accepted or refused."""

    @property
    def protocols(self) -> list[str]:
        """What the client speaks, what it likes best first."""
        ...

    @property
    def upgraded(self) -> bool:
        """Whether this is a bare connection that speaks SPDY, not a WebSocket."""
        ...

    async def accept(self, protocol: str) -> None: ...

    async def refuse(self, response: Response) -> None: ...


class WebSocket:
    """The server's side of one WebSocket; its messages are bytes."""

    upgraded = False

    def __init__(self, protocols: list[str], receive: Receive, send: Send) -> None:
        self.protocols = protocols
        self._receive, self._send = receive, send
        self._closed = False

    async def accept(self, protocol: str) -> None:
        """Complete the handshake; "" names no subprotocol."""
        await self._receive()  # websocket.connect
        await self._send({"type": "websocket.accept", "subprotocol": protocol or None})

    async def refuse(self, response: Response) -> None:
        """Answer the handshake with an ordinary response."""
        await self._receive()
        headers = [(b"content-type", response.content_type.encode())]
        headers.append((b"content-length", str(len(response.body)).encode()))
        await self._send({"type": "websocket.http.response.start", "status": response.status, "headers": headers})
        await self._send({"type": "websocket.http.response.body", "body": response.body})

    async def receive(self) -> bytes:
        """The next message. Raises Disconnected."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._closed = True
            raise Disconnected
        data = message.get("bytes")
        return data if data is not None else (message.get("text") or "").encode()

    async def send(self, data: bytes) -> None:
        """Send a binary message. Raises Disconnected."""
        if self._closed:
            raise Disconnected
        try:
            await self._send({"type": "websocket.send", "bytes": data})
        except (OSError, RuntimeError) as error:  # uvicorn's word for a peer that went away
            self._closed = True
            raise Disconnected from error

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except (OSError, RuntimeError):
            return
