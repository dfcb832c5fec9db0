"""Handing a request on to an endpoint: what every router does once it knows where to."""

from __future__ import annotations

from msgspec import Struct, field

from kuartui.embedded.network.http import Client, Header, Headers, ProtocolError, Request, Response, reply
from kuartui.embedded.network.objects import SERVICES, Obj
from kuartui.embedded.network.services import Endpoint
from kuartui.embedded.network.table import Network

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
HOP_BY_HOP = frozenset(
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length"]
)


class NoBackend(Exception):
    """There is nobody to send a request to; `status` is what the router answers."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Forward(Struct):
    """A request on its way: where to, and what is changed."""

    path: str
    host: str = ""
    headers: list[Header] = field(default_factory=list)  # set on the request; an empty value removes


def backend_endpoint(network: Network, source_ip: str, namespace: str, name: str, port: int | str) -> Endpoint:
    """An endpoint of a Service's port (number or name). Routers pick endpoints themselves. Raises NoBackend."""
    service = network.objects.get(SERVICES, namespace, name)
    if service is None:
        raise NoBackend(503, f"service {namespace}/{name} not found")
    found = _port(service, port)
    if found is None:
        raise NoBackend(503, f"service {namespace}/{name} has no port {port}")
    if service["spec"].get("type") == "ExternalName":
        return Endpoint(service["spec"]["externalName"], found["port"])
    try:
        return network.choose_endpoint(service, found, source_ip)
    except OSError:
        raise NoBackend(503, f"service {namespace}/{name} has no endpoints") from None


def _port(service: Obj, wanted: int | str) -> Obj | None:
    ports = service["spec"].get("ports") or ()
    return next((p for p in ports if wanted in (p.get("port"), p.get("name"))), None)


class Unanswered(Exception):
    """An endpoint gave no answer: the `status` that a router gives instead, and whether another one may be tried."""

    def __init__(self, status: int, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.status = status
        self.again = again


async def forward(network: Network, source_ip: str, endpoint: Endpoint, request: Request, change: Forward) -> Response:
    """Send a request on and give the answer back: 502 or 504 if nobody answers."""
    try:
        return await ask(network, source_ip, endpoint, request, change)
    except Unanswered as error:
        return reply(error.status, "Bad Gateway\n" if error.status == 502 else "Gateway Timeout\n")


async def ask(network: Network, source_ip: str, endpoint: Endpoint, request: Request, change: Forward) -> Response:
    """What an endpoint answers. Raises Unanswered, in nginx' words."""
    headers = Headers((name, value) for name, value in request.headers if name.lower() not in HOP_BY_HOP)
    if change.host:
        headers.replace("Host", change.host)
    forwarded = headers.find("x-forwarded-for")
    headers.replace("X-Forwarded-For", f"{forwarded}, {request.peer[0]}" if forwarded else request.peer[0])
    headers.replace("X-Forwarded-Proto", request.scheme)
    for name, value in change.headers:
        headers.replace(name, value or None)
    headers.append(("Connection", "close"))
    query = request.target.partition("?")[2]
    target = change.path + (f"?{query}" if query else "")
    try:
        async with network.clock.timeout(CONNECT_SECONDS):
            stream = await network.connect(source_ip, endpoint.ip, endpoint.port, seconds=CONNECT_SECONDS + 1)
    except ConnectionRefusedError:
        why = "connect() failed (111: Connection refused) while connecting to upstream"
        raise Unanswered(502, why, again=True) from None
    except OSError:
        why = "upstream timed out (110: Operation timed out) while connecting to upstream"
        raise Unanswered(504, why, again=True) from None
    client = Client(stream)
    try:
        async with network.clock.timeout(ANSWER_SECONDS):
            response = await client.send(request.method, target, headers, request.body)
            await response.read()
    except TimeoutError:
        why = "upstream timed out (110: Operation timed out) while reading response header from upstream"
        raise Unanswered(504, why) from None
    except (OSError, ProtocolError):
        why = "upstream prematurely closed connection while reading response header from upstream"
        raise Unanswered(502, why) from None
    finally:
        client.close()
    response.headers[:] = [(n, v) for n, v in response.headers if n.lower() not in HOP_BY_HOP]
    return response


__all__ = ["Forward", "NoBackend", "Unanswered", "ask", "backend_endpoint", "forward"]
