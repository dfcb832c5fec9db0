"""HTTP/1.1 over the network's streams: for image programs, probes, routers and the API server's proxy.

h11 does the protocol, `plain_http` the messages that need none of its care; this adds a server loop and a client. Header
names are kept as written and compared without case.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct, field

from kuartui.embedded.late import late
from kuartui.embedded.network import plain_http
from kuartui.embedded.network.stream import Handler, Stream

if TYPE_CHECKING:
    import h11
else:
    h11 = late("h11")

Header = tuple[str, str]
MAX_HEADERS = 64 << 10
MAX_BODY = 32 << 20


class ProtocolError(Exception):
    """The peer does not speak HTTP, or stopped in the middle."""


class Headers(list[Header]):
    """Headers in order."""

    def find(self, name: str, default: str = "") -> str:
        """The first value of a header."""
        name = name.lower()
        for key, value in self:
            if key.lower() == name:
                return value
        return default

    def replace(self, name: str, value: str | None) -> None:
        """Set a header once, or remove it."""
        lower = name.lower()
        self[:] = [(key, old) for key, old in self if key.lower() != lower]
        if value is not None:
            self.append((name, value))


class Request(Struct):
    """A request as a server sees it."""

    method: str
    target: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    peer: tuple[str, int] = ("", 0)
    scheme: str = "http"
    version: str = "1.1"
    stream: Stream | None = None

    def gone(self) -> bool:
        """Whether the client has hung up meanwhile."""
        return self.stream is not None and self.stream.at_end

    @property
    def path(self) -> str:
        """The decoded path."""
        return unquote(urlsplit(self.target).path) or "/"

    @property
    def query(self) -> dict[str, list[str]]:
        """Decoded query parameters."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def host(self) -> str:
        """The Host header without port."""
        value = self.headers.find("host")
        return value.rpartition(":")[0] if value.rpartition(":")[2].isdigit() and ":" in value else value


class Response(Struct):
    """A response. A streamed body is sent in chunks as it comes."""

    status: int = 200
    headers: Headers = field(default_factory=Headers)
    body: bytes | AsyncIterator[bytes] = b""
    reason: str = ""
    upgrade: Handler | None = None  # after status 101: who goes on with the raw stream

    async def read(self) -> bytes:
        """The whole body."""
        if not isinstance(self.body, bytes):
            self.body = b"".join([chunk async for chunk in self.body])
        return self.body


def reply(
    status: int,
    body: str | bytes = b"",
    content_type: str = "text/plain; charset=utf-8",
    headers: Iterable[Header] = (),
) -> Response:
    """A response with a body of known size."""
    data = body.encode() if isinstance(body, str) else body
    return Response(status, Headers([("Content-Type", content_type), *headers]), data)


App = Callable[[Request], Awaitable[Response]]


def phrase(status: int) -> str:
    """The reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def server(app: App, *, scheme: str = "http", name: str = "") -> Handler:
    """A connection handler that serves an app, with keep-alive. `name` is the Server header."""

    async def serve(stream: Stream) -> None:
        while data := await stream.read():
            plain = plain_http.read_request(data)
            if plain is None:
                connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADERS)
                connection.receive_data(data)
                try:
                    request = await _read_request(connection, stream, scheme)
                except h11.RemoteProtocolError as error:
                    if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                        refusal = reply(error.error_status_hint or 400, "Bad Request")
                        await _send(connection, stream, refusal, name, "GET")
                    break
                if request is None:
                    break
                response = await app(request)
            else:
                stream.unread(plain.rest)
                request = Request(
                    plain.first, plain.second, Headers(plain.headers), plain.body, stream.remote, scheme, "1.1", stream
                )
                response = await app(request)
                keep = plain.keep and plain_http.CLOSE not in response.headers
                answer = _plain_response(response, name, plain, keep=keep)
                if answer is not None:
                    await stream.write(answer)
                    if not keep:
                        break
                    continue
                connection = h11.Connection(h11.SERVER)  # the answer takes more: have h11 see the request, too
                connection.receive_data(data[: len(data) - len(plain.rest)])
                while not isinstance(connection.next_event(), h11.EndOfMessage):
                    pass
            if response.upgrade is not None:
                await _switch(connection, stream, response)
                return
            await _send(connection, stream, response, name, request.method)
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                break
            stream.unread(connection.trailing_data[0])
        stream.close()

    return serve


def _plain_response(response: Response, name: str, request: plain_http.Message, *, keep: bool) -> bytes | None:
    if response.upgrade is not None or not isinstance(response.body, bytes):
        return None
    headers = _response_headers(response, name)
    reason = response.reason or phrase(response.status)
    return plain_http.write_response(response.status, reason, headers, response.body, request.first, keep=keep)


def _response_headers(response: Response, name: str) -> Headers:
    """The headers as they are sent: with the server's name, and how long the body is."""
    headers = Headers(response.headers)
    if name and not headers.find("server"):
        headers.insert(0, ("Server", name))
    if not headers.find("content-length"):
        if not isinstance(response.body, bytes):
            headers.replace("Transfer-Encoding", "chunked")
        elif response.status not in plain_http.BODILESS:
            headers.append(("Content-Length", str(len(response.body))))
    return headers


async def _read_request(connection: h11.Connection, stream: Stream, scheme: str) -> Request | None:
    request: Request | None = None
    body: list[bytes] = []
    size = 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await stream.read()
            connection.receive_data(data)
        elif isinstance(event, h11.Request):
            headers = Headers((k.decode("latin-1"), v.decode("latin-1")) for k, v in event.headers.raw_items())
            request = Request(
                event.method.decode(),
                event.target.decode("latin-1"),
                headers,
                b"",
                stream.remote,
                scheme,
                event.http_version.decode(),
                stream,
            )
            if headers.find("expect").lower() == "100-continue":
                await stream.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        elif isinstance(event, h11.Data):
            size += len(event.data)
            if size > MAX_BODY:
                raise h11.RemoteProtocolError("body too large", error_status_hint=413)
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            if request is not None:
                request.body = b"".join(body)
            return request
        else:  # ConnectionClosed, PAUSED
            return None


async def _send(connection: h11.Connection, stream: Stream, response: Response, name: str, method: str) -> None:
    headers = _response_headers(response, name)
    bodyless = method == "HEAD" or response.status in plain_http.BODILESS or response.status < 200
    start = h11.Response(
        status_code=response.status, headers=list(headers), reason=(response.reason or phrase(response.status)).encode()
    )
    data = connection.send(start) or b""
    if isinstance(response.body, bytes):
        if not bodyless and response.body:
            data += connection.send(h11.Data(data=response.body)) or b""
        data += connection.send(h11.EndOfMessage()) or b""
        await stream.write(data)
        return
    await stream.write(data)
    async for chunk in response.body:
        if chunk and not bodyless:
            await stream.write(connection.send(h11.Data(data=chunk)) or b"")
    await stream.write(connection.send(h11.EndOfMessage()) or b"")


async def _switch(connection: h11.Connection, stream: Stream, response: Response) -> None:
    event = h11.InformationalResponse(status_code=101, headers=list(response.headers), reason=b"Switching Protocols")
    await stream.write(connection.send(event) or b"")
    stream.unread(connection.trailing_data[0])
    if response.upgrade is not None:
        await response.upgrade(stream)


class Client:
    """One client connection; requests go out one after the other."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._connection: h11.Connection | None = None  # as long as a message takes it

    async def send(self, method: str, target: str, headers: Iterable[Header] = (), body: bytes = b"") -> Response:
        """Send a request and read the response's head; its body may stream. Raises ProtocolError or OSError."""
        if self._connection is not None:
            raise ProtocolError("the last response was not read to its end")
        out = Headers(headers)
        if body or method in ("POST", "PUT", "PATCH"):
            out.replace("Content-Length", str(len(body)))
        data = plain_http.write_request(method, target, out, body)
        if data is None:
            self._connection, data = _begin(method, target, out, body)
        await self.stream.write(data)
        if self._connection is None:
            data = await self.stream.read()
            plain = plain_http.read_response(data, method)
            if plain is not None:
                self.stream.unread(plain.rest)
                if not plain.keep or plain_http.closes(out.find("connection")):
                    self.stream.close()
                return Response(int(plain.first), Headers(plain.headers), plain.body, plain.second)
            self._connection, _ = _begin(method, target, out, body)
            self._connection.receive_data(data)
        return await self._response(self._connection)

    async def _response(self, connection: h11.Connection) -> Response:
        event = await self._next(connection)
        while isinstance(event, h11.InformationalResponse) and event.status_code != 101:
            event = await self._next(connection)
        if not isinstance(event, h11.Response | h11.InformationalResponse):
            raise ProtocolError("no response")
        got = Headers((k.decode("latin-1"), v.decode("latin-1")) for k, v in event.headers.raw_items())
        if event.status_code == 101:
            self.stream.unread(connection.trailing_data[0])
            return Response(101, got, b"", bytes(event.reason).decode("latin-1"))
        return Response(event.status_code, got, self._body(connection), bytes(event.reason).decode("latin-1"))

    async def _body(self, connection: h11.Connection) -> AsyncIterator[bytes]:
        while True:
            event = await self._next(connection)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
                    self.stream.unread(connection.trailing_data[0])
                    self._connection = None
                else:
                    self.stream.close()
                return
            else:
                raise ProtocolError("connection closed in the middle of a body")

    async def _next(self, connection: h11.Connection) -> object:
        while True:
            try:
                event = connection.next_event()
                if event is not h11.NEED_DATA:
                    return event
                connection.receive_data(await self.stream.read())
            except h11.RemoteProtocolError as error:
                raise ProtocolError(str(error)) from None

    def close(self) -> None:
        """Let go of the connection."""
        self.stream.close()


def _begin(method: str, target: str, headers: Headers, body: bytes) -> tuple[h11.Connection, bytes]:
    """A request that h11 writes, and what goes on from there. Raises ProtocolError."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADERS)
    try:
        data = connection.send(h11.Request(method=method, target=target, headers=list(headers))) or b""
        if body:
            data += connection.send(h11.Data(data=body)) or b""
        data += connection.send(h11.EndOfMessage()) or b""
    except h11.LocalProtocolError as error:
        raise ProtocolError(str(error)) from None
    return connection, data


async def exchange(
    stream: Stream, method: str, target: str, host: str, headers: Iterable[Header] = (), body: bytes = b""
) -> Response:
    """One request on a connection of its own, its response read as a whole."""
    client = Client(stream)
    try:
        names = {name.lower() for name, _ in headers}
        own = [] if "host" in names else [("Host", host)]
        response = await client.send(method, target, [*own, *headers, ("Connection", "close")], body)
        await response.read()
        return response
    finally:
        client.close()
