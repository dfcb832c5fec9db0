"""The HTTP server under the API: uvicorn's, which tells who is at the other end of a TLS connection."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER = "peer"
"""Key in the ASGI scope's state: the client's certificate, as `ssl.SSLObject.getpeercert` gives it."""


class PeerProtocol(HttpToolsProtocol):
    """HTTP/1.1 with the verified client certificate in the scope, WebSockets included."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate: Any = connection.getpeercert() if connection is not None else None
        if certificate:
            self.app_state = {**self.app_state, PEER: certificate}
