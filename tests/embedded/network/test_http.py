"""HTTP and TLS over streams."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest

from kuartui.embedded.network import Stream, pipe
from kuartui.embedded.network.http import Client, Headers, ProtocolError, Request, Response, exchange, reply, server
from kuartui.embedded.network.tls import connect_tls, tls_handler
from tests.embedded.certificates import Authority


def serve(app: object) -> Stream:
    near, far = pipe()
    asyncio.ensure_future(server(app)(far))  # type: ignore[arg-type] # noqa: RUF006
    return near


async def hello(request: Request) -> Response:
    return reply(200, f"{request.method} {request.path} {request.host} {request.body.decode()}")


async def test_a_request_and_its_answer() -> None:
    response = await exchange(serve(hello), "POST", "/a%20b?x=1", "web:8080", body=b"data")
    assert response.status == 200
    assert await response.read() == b"POST /a b web data"


async def test_connections_are_kept_alive() -> None:
    client = Client(serve(hello))
    for _ in range(3):
        response = await client.send("GET", "/", [("Host", "web")])
        assert await response.read() == b"GET / web "
    client.close()


async def test_bodies_stream() -> None:
    gate = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await gate.wait()
        yield b"two"

    async def app(request: Request) -> Response:
        return Response(200, Headers(), chunks())

    client = Client(serve(app))
    response = await client.send("GET", "/", [("Host", "x")])
    assert not isinstance(response.body, bytes)
    body = aiter(response.body)
    assert await anext(body) == b"one"
    gate.set()
    assert await anext(body) == b"two"


async def test_head_has_no_body() -> None:
    response = await exchange(serve(hello), "HEAD", "/", "web")
    assert response.headers.find("content-length") == "11"
    assert await response.read() == b""


async def test_an_upgrade_hands_over_the_stream() -> None:
    async def echo(stream: Stream) -> None:
        await stream.write(await stream.read())
        stream.close()

    async def app(request: Request) -> Response:
        return Response(101, Headers([("Upgrade", "echo"), ("Connection", "Upgrade")]), upgrade=echo)

    stream = serve(app)
    client = Client(stream)
    response = await client.send("GET", "/", [("Host", "x"), ("Connection", "Upgrade"), ("Upgrade", "echo")])
    assert response.status == 101
    await stream.write(b"raw")
    assert await stream.read() == b"raw"


async def test_nonsense_is_answered_with_400_and_silence_is_an_error() -> None:
    stream = serve(hello)
    await stream.write(b"what is this\r\n\r\n")
    assert (await stream.read()).startswith(b"HTTP/1.1 400")
    near, far = pipe()
    far.close()
    with pytest.raises(ProtocolError):
        await exchange(near, "GET", "/", "x")


async def test_tls_with_a_trusted_certificate() -> None:
    authority = Authority()
    near, far = pipe()
    task = asyncio.ensure_future(tls_handler(authority.server("web.default.svc"), server(hello, scheme="https"))(far))
    plain = await connect_tls(near, authority.client(), "web.default.svc")
    assert await (await exchange(plain, "GET", "/", "web")).read() == b"GET / web "
    await task


@pytest.mark.parametrize("name", ["other.example", "web"])
async def test_tls_refuses_the_wrong_name(name: str) -> None:
    authority = Authority()
    near, far = pipe()
    task = asyncio.ensure_future(tls_handler(authority.server("web.default.svc"), server(hello))(far))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await connect_tls(near, authority.client(), name)
    near.abort()
    await task


async def test_tls_refuses_an_unknown_authority() -> None:
    near, far = pipe()
    task = asyncio.ensure_future(tls_handler(Authority().server("web"), server(hello))(far))
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect_tls(near, Authority().client(), "web")
    near.abort()
    await task
