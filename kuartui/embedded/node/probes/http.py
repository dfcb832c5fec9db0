"""One HTTP request from the kubelet to a pod: for httpGet probes and hooks.

The words of failures are Go's net/http's, because they end up in events.
"""

from __future__ import annotations

import ssl
from functools import cache

from msgspec import Struct

from kuartui.embedded.clock import Clock
from kuartui.embedded.network import NameNotResolved, Network, Stream, Unreachable, not_found_on_node
from kuartui.embedded.network.http import Client, ProtocolError
from kuartui.embedded.network.tls import connect_tls

MAX_BODY = 10 << 10  # bytes of the answer that a probe reads
MAX_REDIRECTS = 10
AGENT = "kube-probe/1.36"
HTTPS_EXPECTED = "http: server gave HTTP response to HTTPS client"


class RequestError(Exception):
    """No answer came; the text is Go's, without the URL in front."""


class Target(Struct, frozen=True):
    """Where a request goes."""

    scheme: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    agent: str = AGENT

    @property
    def address(self) -> str:
        """Host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """As Go prints it."""
        return f"{self.scheme.lower()}://{self.address}{self.path}"

    def all_headers(self) -> list[tuple[str, str]]:
        """The given ones, and those that a kubelet always sends."""
        given = {name.lower() for name, _ in self.headers}
        own = (("Host", self.address), ("User-Agent", self.agent), ("Accept", "*/*"), ("Connection", "close"))
        return [(name, value) for name, value in own if name.lower() not in given] + list(self.headers)


class Answer(Struct, frozen=True):
    """Status code, body and where it redirects to."""

    status: int
    body: bytes
    location: str = ""


async def get(network: Network, clock: Clock, source: str | None, target: Target, seconds: float) -> Answer:
    """GET `target` from the address `source`. Raises RequestError."""
    stream: Stream | None = None
    try:
        async with clock.timeout(seconds):
            stream = await network.connect(source, target.host, target.port, seconds=seconds + 1)
            return await _exchange(stream, target)
    except NameNotResolved:
        raise RequestError(not_found_on_node(target.host)) from None
    except ConnectionRefusedError:
        raise RequestError(f"dial tcp {target.address}: connect: connection refused") from None
    except Unreachable:
        raise RequestError(f"dial tcp {target.address}: connect: no route to host") from None
    except TimeoutError:
        raise RequestError(_late(target, connected=stream is not None)) from None
    except OSError as error:
        raise RequestError(_broken(stream, error)) from None
    finally:
        if stream is not None:
            stream.abort()


@cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # probes do not look at certificates
    return context


async def _exchange(stream: Stream, target: Target) -> Answer:
    if target.scheme.lower() == "https":
        stream = await connect_tls(stream, _context(), None)
    try:
        response = await Client(stream).send("GET", target.path, target.all_headers())
        body = b""
        if not isinstance(response.body, bytes):
            async for chunk in response.body:
                body += chunk
                if len(body) >= MAX_BODY:
                    break
        return Answer(response.status, body[:MAX_BODY], response.headers.find("Location"))
    except ProtocolError:
        raise RequestError("EOF") from None


def _late(target: Target, *, connected: bool) -> str:
    if connected:
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    return f"dial tcp {target.address}: i/o timeout (Client.Timeout exceeded while awaiting headers)"


def _broken(stream: Stream | None, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return HTTPS_EXPECTED
    if stream is None or not isinstance(error, ConnectionResetError):
        return "EOF"
    (local, local_port), (remote, remote_port) = stream.local, stream.remote
    return f"read tcp {local}:{local_port}->{remote}:{remote_port}: read: connection reset by peer"
