"""The server's edge: an ASGI application that turns connections into Requests and Responses into bytes.

One uvicorn per cluster runs it. WebSockets (exec, attach, port-forward) go to `api.streams`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from kuartui.embedded.api import negotiate
from kuartui.embedded.api.bodies import MAX_BODY
from kuartui.embedded.api.request import SEVERAL, Request, Response, json_response, parse_query, text_response
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.random import uid

log = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Handle = Callable[[Request], Awaitable[Response]]
Connect = Callable[[Request, Scope, Receive, Send], Awaitable[None]]

AUDIT_ID = "audit-id"
"""Header that names a request: the client's own word, or one made up here; answers repeat it."""


class App:
    """`handle` answers requests, `connect` serves WebSockets."""

    def __init__(self, handle: Handle, connect: Connect) -> None:
        self._handle, self._connect = handle, connect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] in ("websocket", "spdy"):
            await self._connect(_request(scope, b""), scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(scope, b"")

        async def handle(request: Request) -> Response:
            request.body = await _read(receive)
            return await self._handle(request)

        response = await answered(request, handle)
        await _send(response, receive, send, head=request.method == "HEAD")


async def answered(request: Request, handle: Handle) -> Response:
    """The answer to a request as every client gets it, wherever it comes from: in the form that it wants, refusals
    and failures as a Status, with warnings and the request's name."""
    try:
        response = negotiate.finished(request, await handle(request))
    except StatusError as error:
        response = negotiate.finished(request, failure(error), refused=True)
    except Exception as error:
        log.exception("%s %s", request.method, request.path)
        response = failure(errors.internal(str(error) or type(error).__name__))
    for warning in dict.fromkeys(request.warnings):
        response.headers.append(("Warning", f'299 - "{_quoted(warning)}"'))
    if not any(name.lower() == AUDIT_ID for name, _ in response.headers):  # an aggregated server told its own
        response.headers.append((AUDIT_ID, request.headers.get(AUDIT_ID) or uid()))
    return response


def failure(error: StatusError) -> Response:
    """A Status as an answer."""
    if error.plain:
        return text_response(error.plain, error.code)
    response = json_response(error.status(), error.code)
    if error.retry_after:
        response.headers.append(("Retry-After", str(error.retry_after)))
    return response


def _request(scope: Scope, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joint = SEVERAL if name.startswith("impersonate-") else ","  # a group's name may have commas
        headers[name] = f"{headers[name]}{joint}{value}" if name in headers else value
    raw_query = scope["query_string"].decode("latin-1")
    raw_path = scope.get("raw_path") or scope["path"].encode()
    request = Request(
        method=scope.get("method", "GET"),
        path=raw_path.decode("latin-1").partition("?")[0] if b"%" in raw_path else scope["path"],
        query=parse_query(raw_query),
        headers=headers,
        body=body,
        raw_query=raw_query,
        certificate=scope.get("state", {}).get("peer"),
    )
    request.path = decoded(request.path)
    return request


def decoded(path: str) -> str:
    """A path without its escapes; one that hides a slash in them stays as it is."""
    return unquote(path) if "%" in path and "%2F" not in path.upper() else path


def _quoted(text: str) -> str:
    """Inside a quoted string of an HTTP header."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean.replace("\\", "\\\\").replace('"', '\\"')


async def _read(receive: Receive) -> bytes:
    """The whole body. Raises 413 for one that is too large."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise errors.bad_request("the client went away")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            raise errors.too_large(f"limit is {MAX_BODY}")
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def _send(response: Response, receive: Receive, send: Send, head: bool) -> None:
    headers = [(b"content-type", response.content_type.encode()), (b"cache-control", b"no-cache, private")]
    headers += [(name.lower().encode(), value.encode("utf-8")) for name, value in response.headers]
    if any(name.lower() == "cache-control" for name, _ in response.headers):
        headers = [h for i, h in enumerate(headers) if i != 1]
    if response.stream is None:
        headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else response.body})
        return
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    await _stream(response, receive, send)


async def _stream(response: Response, receive: Receive, send: Send) -> None:
    """Send chunks until they end or the client goes away."""
    stream = response.stream

    async def pump() -> None:
        if stream is not None:
            async for chunk in stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    pumping, leaving = asyncio.create_task(pump()), asyncio.create_task(gone())
    try:
        await asyncio.wait({pumping, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (pumping, leaving):
            task.cancel()
        await asyncio.gather(pumping, leaving, return_exceptions=True)
