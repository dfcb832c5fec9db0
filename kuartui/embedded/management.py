"""The management API of the process, as `host.py` describes it: a dozen lines of ASGI."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path
from typing import Any

import orjson

from kuartui.embedded.api.http import Receive, Scope, Send
from kuartui.embedded.cluster import Spec
from kuartui.embedded.host import Host, HostError

Obj = dict[str, Any]

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024


class Management:
    """The ASGI application."""

    def __init__(self, host: Host, token: str) -> None:
        self._host = host
        self._authorization = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            code, value = 200, await self._answer(scope, await _body(receive))
        except HostError as error:
            code, value = error.code, {"error": str(error)}
        except Exception as error:  # the server's edge: one bad request must not end the process
            log.exception("%s", scope["path"])
            code, value = 500, {"error": f"{type(error).__name__}: {error}"}
        body = orjson.dumps(value)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, body: Obj) -> Any:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if not hmac.compare_digest(given, self._authorization):
            raise HostError("the token is wrong", 401)
        host = self._host
        match (scope["method"], *scope["path"].strip("/").split("/")):
            case ("GET", "clusters"):
                return {"clusters": [host.describe(cluster) for cluster in host.clusters.values()]}
            case ("POST", "clusters"):
                return host.describe(await host.create(_spec(body)))
            case ("GET", "clusters", name):
                return host.describe(host.get(name))
            case ("DELETE", "clusters", name):
                await host.delete(name)
                return {}
            case ("POST", "clusters", name, "copy"):
                await host.copy(name, Path(str(body.get("state", ""))))
                return {}
            case ("POST", "clusters", name, "kubeconfig"):
                return {"kubeconfig": host.kubeconfig(name, body)}
            case ("POST", "shutdown"):
                host.stopping.set()
                return {}
        raise HostError("there is nothing here", 404)


def _spec(body: Obj) -> Spec:
    known = set(Spec.__struct_fields__) - {"port"}
    unknown = set(body) - known
    if unknown or not isinstance(body.get("name"), str):
        raise HostError(f"a cluster is described by {', '.join(sorted(known))}")
    return Spec(**body)


async def _body(receive: Receive) -> Obj:
    data = b""
    while True:
        message = await receive()
        data += message.get("body", b"")
        if len(data) > MAX_BODY:
            raise HostError("the body is too large", 413)
        if not message.get("more_body"):
            break
    try:
        value = orjson.loads(data) if data else {}
    except orjson.JSONDecodeError as error:
        raise HostError("the body is no JSON") from error
    if not isinstance(value, dict):
        raise HostError("the body is no JSON object")
    return value
