"""One HTTP request from the kubelet to a pod: for httpGet probes and hooks.

The outcome's words are Go's net/http's, because they end up in events.
"""

from __future__ import annotations

from dataclasses import dataclass

import h11

from kuartui.embedded.clock import Clock
from kuartui.embedded.network import NameNotResolved, Network, Stream, Unreachable
from kuartui.embedded.node.wording import quoted

MAX_BODY = 10 << 10  # bytes of the answer that a probe reads
MAX_REDIRECTS = 10


class RequestError(Exception):
    """No answer came; the text is Go's, without the URL in front."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    scheme: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme.lower()}://{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status code, body and where it redirects to."""

    status: int
    body: bytes
    location: str = ""


async def get(network: Network, clock: Clock, source: str | None, target: Target, seconds: float) -> Answer:
    """GET `target` from the address `source`. Raises RequestError."""
    connected = False
    stream: Stream | None = None
    try:
        async with clock.timeout(seconds):
            stream = await network.connect(source, target.host, target.port, seconds=seconds + 1)
            connected = True
            return await _exchange(stream, target)
    except NameNotResolved:
        raise RequestError(f"dial tcp: lookup {target.host}: no such host") from None
    except ConnectionRefusedError:
        raise RequestError(f"{_dial(target)}: connect: connection refused") from None
    except Unreachable:
        raise RequestError(f"{_dial(target)}: connect: no route to host") from None
    except TimeoutError:
        raise RequestError(_late(target, connected)) from None
    except ConnectionError:
        raise RequestError(_reset(stream)) from None
    finally:
        if stream is not None:
            stream.abort()


async def _exchange(stream: Stream, target: Target) -> Answer:
    if target.scheme.upper() == "HTTPS":
        raise RequestError("http: server gave HTTP response to HTTPS client")
    connection = h11.Connection(h11.CLIENT)
    given = {name.lower() for name, _ in target.headers}
    host = f"{target.host}:{target.port}"
    defaults = [("Host", host), ("User-Agent", "kube-probe/1.36"), ("Accept", "*/*"), ("Connection", "close")]
    headers = [(name, value) for name, value in defaults if name.lower() not in given] + list(target.headers)
    request = h11.Request(method="GET", target=target.path, headers=headers)
    data = connection.send(request)
    end = connection.send(h11.EndOfMessage())
    await stream.write((data or b"") + (end or b""))
    status, location, body = 0, "", bytearray()
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise RequestError(_broken(status, error)) from None
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.read())
        elif isinstance(event, h11.Response):
            status = event.status_code
            location = next((value.decode("latin-1") for name, value in event.headers if name == b"location"), "")
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, bytes(body[:MAX_BODY]), location)
        elif isinstance(event, h11.ConnectionClosed):
            raise RequestError("EOF")


def _dial(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"dial tcp {host}:{target.port}"


def _late(target: Target, connected: bool) -> str:
    if connected:
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    return f"{_dial(target)}: i/o timeout (Client.Timeout exceeded while awaiting headers)"


def _reset(stream: Stream | None) -> str:
    if stream is None:
        return "EOF"
    (local, local_port), (remote, remote_port) = stream.local, stream.remote
    return f"read tcp {local}:{local_port}->{remote}:{remote_port}: read: connection reset by peer"


def _broken(status: int, error: h11.RemoteProtocolError) -> str:
    text = str(error)
    if not status and "without sending" in text:
        return "EOF"
    return f"net/http: HTTP/1.x transport connection broken: malformed HTTP response {quoted(text)}"
