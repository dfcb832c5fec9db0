"""What wget, curl and load generators share: URLs, connections with or without TLS, requests that may time out."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from msgspec import Struct, field

from kuartui.embedded.network import Stream
from kuartui.embedded.network.http import Client, Header, Response
from kuartui.embedded.network.tls import connect_tls
from kuartui.embedded.node.runtime.process import Process

TLS_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
PORTS = {"https": 443, "telnet": 23}


class Url(Struct, frozen=True):
    """A URL as clients take it; the scheme may be missing."""

    scheme: str
    host: str
    port: int
    target: str
    userinfo: str = ""

    @property
    def authority(self) -> str:
        """For the Host header."""
        standard = 443 if self.scheme == "https" else 80
        return self.host if self.port == standard else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str) -> Url:
    """Raises ValueError."""
    parts = urlsplit(text if "://" in text else "http://" + text)
    if not parts.hostname:
        raise ValueError(text)
    target = parts.path or "/"
    if parts.query:
        target += "?" + parts.query
    userinfo = parts.netloc.rpartition("@")[0]
    port = parts.port or PORTS.get(parts.scheme.lower(), 80)
    return Url(parts.scheme.lower(), parts.hostname, port, target.replace(" ", "%20"), userinfo)


class Fetch(Struct):
    """One request to make."""

    url: Url
    method: str = "GET"
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""
    verify: bool = True
    tls_min: str = ""  # "1.2", say
    tls_max: str = ""
    ca: bytes = b""
    certificate: tuple[str, str] | None = None
    connect_to: str = ""  # another address than the URL's host (curl --resolve, --connect-to)
    connect_port: int = 0  # and another port than its own
    connect_seconds: float = 127.0


def tls_context(fetch: Fetch) -> ssl.SSLContext:
    """A client context for a request. Nobody trusts the machine's own authorities: they are not the cluster's."""
    return _context(fetch.ca, fetch.verify, fetch.tls_min, fetch.tls_max)


@lru_cache(64)  # one is as good as another, and dear
def _context(ca: bytes, verify: bool, tls_min: str, tls_max: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls_min:
        context.minimum_version = TLS_VERSIONS[tls_min]
    if tls_max:
        context.maximum_version = TLS_VERSIONS[tls_max]
    if ca:
        context.load_verify_locations(cadata=ca.decode())
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def open_client(process: Process, fetch: Fetch) -> Client:
    """Connect. Raises OSError or ssl.SSLError."""
    url = fetch.url
    stream = await process.connect(
        fetch.connect_to or url.host, fetch.connect_port or url.port, seconds=fetch.connect_seconds
    )
    return Client(await secured(stream, fetch))


async def secured(stream: Stream, fetch: Fetch) -> Stream:
    """A connection as the URL's scheme wants it. Raises OSError or ssl.SSLError."""
    return await connect_tls(stream, tls_context(fetch), fetch.url.host) if fetch.url.scheme == "https" else stream


async def send(client: Client, fetch: Fetch, extra: Iterable[Header] = ()) -> Response:
    """Send the request on a connection. Raises OSError or ProtocolError."""
    names = {name.lower() for name, _ in fetch.headers}
    own = [("Host", fetch.url.authority), *extra]
    headers = [(name, value) for name, value in own if name.lower() not in names] + fetch.headers
    return await client.send(fetch.method, fetch.url.target, [(n, v) for n, v in headers if v], fetch.body)
