"""The HTTP server under the API: uvicorn's, which tells who is at the other end of a TLS connection, and SPDY upgrades.

kubectl before 1.31 asks for SPDY/3.1 instead of WebSockets when it forwards ports, and before 1.30 for commands, too.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from http import HTTPStatus
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kuartui.embedded.api.request import FINGERPRINT, Response
from kuartui.embedded.api.streams.websocket import NORMAL, Disconnected

PEER = "peer"
"""Key in the ASGI scope's state: the client's certificate, as `ssl.SSLObject.getpeercert` gives it, and its FINGERPRINT."""
SPDY = "spdy"
"""Scope type of an upgrade to SPDY; the scope's "connection" is an `UpgradedConnection`."""


async def hang_up(server: uvicorn.Server, grace: float) -> None:
    """End a server's connections: idle ones now, others with the answer that they wait for, at most `grace` seconds later.

    As `Server.shutdown`, which takes a tenth of a second where nothing is left to wait for, and looks again only after
    another one.
    """
    for listening in server.servers:
        listening.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    loop = asyncio.get_running_loop()
    until = loop.time() + grace
    while (state.connections or state.tasks) and loop.time() < until:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.002)
    for task in list(state.tasks):
        task.cancel()
    for connection in list(state.connections):
        connection.transport.abort()


class PeerProtocol(HttpToolsProtocol):
    """HTTP/1.1 with the verified client certificate in the scope, WebSockets and SPDY included."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(CorkedTransport(transport, self.loop))  # type: ignore[arg-type]
        connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate: Any = connection.getpeercert() if connection is not None else None
        if connection is not None and certificate:
            fingerprint = hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
            self.app_state = {**self.app_state, PEER: {**certificate, FINGERPRINT: fingerprint}}

    def _wants_spdy(self) -> bool:
        return (self._get_upgrade() or b"").startswith(b"spdy/")

    def _should_upgrade(self) -> bool:
        return self._wants_spdy() or super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over."""
        if not self._wants_spdy():
            super().handle_websocket_upgrade()
            return
        self.connections.discard(self)
        offered = [value.decode("latin-1") for name, value in self.headers if name == b"x-stream-protocol-version"]
        protocols = [part.strip() for value in offered for part in value.split(",")]
        connection = UpgradedConnection(self.transport, protocols)
        url = httptools.parse_url(self.url)
        scope: Any = {
            **self.scope,
            "type": SPDY,
            "path": url.path.decode("latin-1"),
            "raw_path": url.path,
            "query_string": url.query or b"",
            "connection": connection,
        }
        self.transport.set_protocol(connection)
        task = self.loop.create_task(connection.serve(self.app, scope))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class CorkedTransport:
    """A transport that writes once per turn of the event loop: head and body of an answer, or a burst of watch events,
    are one record of TLS and one system call."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._waiting: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """As a transport does, a moment later."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        """Write what waits, then close."""
        self._flush()
        self._transport.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Write what waits before somebody else takes over."""
        self._flush()
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        if self._waiting:
            data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
            self._waiting.clear()
            self._transport.write(data)


class UpgradedConnection(asyncio.Protocol):
    """A connection that is no longer HTTP: bytes in both directions, with the face of a `WebSocket`."""

    upgraded = True

    def __init__(self, transport: asyncio.Transport, protocols: list[str]) -> None:
        self.protocols = protocols
        self._transport = transport
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._ready = asyncio.Event()
        self._ready.set()

    async def serve(self, app: Any, scope: Any) -> None:
        """Have the application talk, then hang up."""

        async def nothing(*_: Any) -> Any:
            raise Disconnected

        try:
            await app(scope, nothing, nothing)
        finally:
            await self.close()

    # asyncio

    def data_received(self, data: bytes) -> None:
        self._incoming.put_nowait(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._incoming.put_nowait(b"")
        self._ready.set()

    def pause_writing(self) -> None:
        self._ready.clear()

    def resume_writing(self) -> None:
        self._ready.set()

    # what WebSockets have

    async def accept(self, protocol: str) -> None:
        """Complete the upgrade."""
        head = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1"]
        if protocol:
            head.append(f"X-Stream-Protocol-Version: {protocol}")
        await self.send("\r\n".join([*head, "", ""]).encode())

    async def refuse(self, response: Response) -> None:
        """Answer with an ordinary response instead."""
        status = HTTPStatus(response.status)
        head = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(response.body)}",
            "Connection: close",
        ]
        await self.send("\r\n".join([*head, "", ""]).encode() + response.body)

    async def receive(self) -> bytes:
        """The next bytes. Raises Disconnected."""
        data = await self._incoming.get()
        if not data:
            raise Disconnected
        return data

    async def send(self, data: bytes) -> None:
        """Raises Disconnected."""
        await self._ready.wait()
        if self._transport.is_closing():
            raise Disconnected
        self._transport.write(data)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        self._transport.close()
