"""Subresources that are more than a part of the object: logs, exec, eviction, tokens, scale, proxies.

Those that only restrict which fields an update may change (status, finalize, ephemeralcontainers, approval, resize)
need nothing here: strategies name those fields in `parts`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from kuartui.embedded.api.request import Request, Response, json_response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest
from kuartui.embedded.api.streams.websocket import Disconnected, StreamSocket, WebSocket
from kuartui.embedded.api.subresources.connections import Connections
from kuartui.embedded.api.subresources.eviction import Evictions
from kuartui.embedded.api.subresources.pods import PodSubresources
from kuartui.embedded.api.subresources.proxy import Proxies
from kuartui.embedded.api.subresources.scale import Scales
from kuartui.embedded.api.subresources.tokens import TokenRequests
from kuartui.embedded.auth.tokens import TokenSigner
from kuartui.embedded.bootstrap import API_ADDRESS
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.metrics.usage import UsageSource
from kuartui.embedded.network import Network, Stream

if TYPE_CHECKING:
    from kuartui.embedded.api.dispatch import Dispatcher
    from kuartui.embedded.api.http import Receive, Scope, Send
    from kuartui.embedded.node.logs import LogOptions
    from kuartui.embedded.node.runtime import ExecIO

Obj = dict[str, Any]


class KubeletApi(UsageSource, Protocol):
    """The way from the API server to containers; `node.fleet.Fleet` is one.

    Raises `node.fleet.NodeUnreachable` and `node.fleet.NoSuchContainer`.
    """

    def reach(self, node: str) -> object: ...

    async def logs(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]: ...

    async def exec(self, pod: Obj, container: str, argv: list[str], io: ExecIO) -> int: ...

    async def attach(self, pod: Obj, container: str, io: ExecIO) -> None: ...

    async def port_forward(self, pod: Obj, port: int) -> Stream: ...


class Surroundings(Protocol):
    """What is needed of the cluster."""

    rest: Rest
    network: Network
    signer: TokenSigner
    dispatcher: Dispatcher


Serve = Callable[[Request, Endpoint], Awaitable[Response | None]]


class Subresources:
    """Answers requests for subresources; each is served by a module of this package."""

    def __init__(self, cluster: Surroundings, kubelets: KubeletApi) -> None:
        rest, write = cluster.rest, cluster.dispatcher.write
        self._dispatcher = cluster.dispatcher
        self._pods = pods = PodSubresources(rest, kubelets, write)
        self._scales = Scales(rest, write)
        self._connections = Connections(rest, write)
        proxies = Proxies(rest, cluster.network, API_ADDRESS, kubelets)
        self._routes: dict[tuple[str, str], Serve] = {
            ("pods", "log"): pods.log,
            ("pods", "exec"): pods.needs_upgrade,
            ("pods", "attach"): pods.needs_upgrade,
            ("pods", "portforward"): pods.needs_upgrade,
            ("pods", "binding"): pods.bind,
            ("bindings", ""): pods.bind,
            ("pods", "eviction"): Evictions(rest, write).evict,
            ("serviceaccounts", "token"): TokenRequests(rest, cluster.signer, write).request,
            ("pods", "proxy"): proxies.pod,
            ("services", "proxy"): proxies.service,
            ("nodes", "proxy"): proxies.node,
        }

    async def answer(self, request: Request, endpoint: Endpoint) -> Response | None:
        """The answer; None if this is nothing special."""
        info = request.info
        if info.subresource and endpoint.subresource(info.subresource) is None:
            return None
        if info.subresource == "scale":
            return await self._scales.answer(request, endpoint)
        serve = self._routes.get((endpoint.resource.name, info.subresource))
        if serve is None:
            return None
        await self._connections.admit(request, endpoint)
        if endpoint.resource.name == "pods" and info.subresource in UPGRADED:
            self._dispatcher.require_create(request)
        return await serve(request, endpoint)

    async def connect(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket or a SPDY connection: exec, attach, port-forward or a log."""
        socket: StreamSocket = scope.get("connection") or WebSocket(
            list(scope.get("subprotocols") or ()), receive, send
        )
        try:
            self._dispatcher.admit(request)
            info = request.info
            endpoint = self._dispatcher.endpoint(info) if info.is_resource else None
            if endpoint is None or endpoint.resource.name != "pods" or info.subresource not in STREAMS:
                raise errors.path_not_found()
            await self._connections.admit(request, endpoint)
            if info.subresource == "log":
                await self._send_log(request, endpoint, socket)
            else:
                self._dispatcher.require_create(request)
                await self._pods.stream(request, endpoint, socket)
        except StatusError as error:
            await socket.refuse(json_response(error.status(), error.code))

    async def _send_log(self, request: Request, endpoint: Endpoint, socket: StreamSocket) -> None:
        """A log as binary messages (wsstream.Reader)."""
        asked = socket.protocols
        if socket.upgraded or (asked and BINARY not in asked):
            raise errors.bad_request(f"unable to upgrade: a log is sent as {BINARY} over a WebSocket only")
        response = await self._pods.log(request, endpoint)
        await socket.accept(BINARY if asked else "")
        try:
            if response.stream is None:
                await socket.send(response.body)
            else:
                async for chunk in response.stream:
                    await socket.send(chunk)
        except Disconnected:
            return
        await socket.close()


BINARY = "binary.k8s.io"
UPGRADED = ("exec", "attach", "portforward")
STREAMS = (*UPGRADED, "log")
