"""One cluster, wired: store, API, controllers, scheduler, nodes, network. `host.py` runs several of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from msgspec import Struct

from kuartui.embedded import control_plane
from kuartui.embedded.admission.base import Chain
from kuartui.embedded.api.dispatch import Dispatcher
from kuartui.embedded.api.events import EventRecorder
from kuartui.embedded.api.http import App
from kuartui.embedded.api.local import OWNER_INDEX, LocalClient, owner_uids
from kuartui.embedded.api.request import SYSTEM, Request, Response, User, json_response
from kuartui.embedded.api.resources import Endpoint, Resources
from kuartui.embedded.api.rest import Rest
from kuartui.embedded.auth import issuer
from kuartui.embedded.auth.authentication import AUTHENTICATED, Authenticator
from kuartui.embedded.auth.rbac import MASTERS, Authorizer
from kuartui.embedded.auth.reviews import Reviews
from kuartui.embedded.auth.tokens import TokenSigner
from kuartui.embedded.bootstrap import API_ADDRESS, API_PORT, bootstrap
from kuartui.embedded.clock import Clock, FastClock, HeadStartClock, RealClock
from kuartui.embedded.identity import Identity, context, write_private
from kuartui.embedded.meta.errors import StatusError, bad_request
from kuartui.embedded.meta.time import format_micro
from kuartui.embedded.network import Network, outside
from kuartui.embedded.network.objects import RESOURCES
from kuartui.embedded.store import Event, Store
from kuartui.embedded.store.sqlite import SqliteJournal

Obj = dict[str, Any]

log = logging.getLogger(__name__)

API_ENDPOINT = f"{API_ADDRESS}:{API_PORT}"
LOCAL_SOCKET = "api.sock"
GRACE = 1.0  # seconds for answers that are under way when a cluster ends
IDLE_SECONDS = 90  # as upstream; clients let go sooner, so none writes into a connection that we just closed
LONGEST_SOCKET = 104  # bytes, sun_path of the narrowest system; see unix(7)
SOCKET_EXTENSION = "kuartui.dev/socket"  # read by kuartui/cluster/access.py
ADMIN = User("kubernetes-admin", (MASTERS, "kubeadm:cluster-admins", AUTHENTICATED))


class Spec(Struct, frozen=True):
    """What a cluster is like; kept in its state directory."""

    name: str
    nodes: int = 3
    bare: bool = False
    fast: bool = False
    head: float = 0.0  # seconds that lie in the past when it starts; they pass as fast as on a fast clock
    durable: bool = True
    keeper: str = ""  # the user who alone may work the machines and the clock; without, any administrator
    port: int = 0

    @property
    def kubeadm(self) -> bool:
        """Whether its control plane and kube-proxy show as pods: on clusters to play with, not in levels."""
        return not (self.bare or self.fast or self.head)


class Cluster:
    """A running cluster. `state` is its directory; nothing outside of it is written."""

    def __init__(self, spec: Spec, state: Path, identity: Identity, port: socket.socket) -> None:
        self.spec, self.state, self.identity = spec, state, identity
        self._socket = port
        self.port: int = port.getsockname()[1]
        self.clock = clock_of(spec)
        self.store = Store(SqliteJournal(state / "objects.db") if spec.durable else None)
        self.resources = Resources()
        self.admission = Chain()
        self.rest = Rest(self.store, self.resources, self.clock, self.admission)
        self.client = LocalClient(self.rest, EventRecorder(self.store, self.clock), SYSTEM, "kube-apiserver")
        self.signer = TokenSigner(identity.signing_key)
        self.authenticator = Authenticator(self.store, self.signer, self.clock, {identity.token: ADMIN})
        self.authorizer = Authorizer(self.store)
        self.network = Network(self.clock)
        self._tasks: list[asyncio.Task[Any]] = []
        self._server: Any = None
        self._local: asyncio.Server | None = None
        self.dispatcher = Dispatcher(
            self.rest, self.authenticator, self.authorizer, f"127.0.0.1:{self.port}", self._special
        )
        self.dispatcher.keeper = spec.keeper
        self.dispatcher.paths.update(issuer.pages(self.signer, f"https://{API_ENDPOINT}"))
        self._reviews = Reviews(self.authenticator, self.authorizer, self.clock)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def local(self) -> str:
        """The path of a socket that serves the same without TLS, for our own clients on this machine.

        Empty where the path of the state directory is too long for one."""
        path = str(self.state.absolute() / LOCAL_SOCKET)
        return path if len(os.fsencode(path)) < LONGEST_SOCKET else ""

    # Life

    async def start(self) -> None:
        """Serve, then bring everything up. Returns when the API answers and the nodes are registered."""
        from kuartui.embedded.parts import Parts

        for endpoint in self.resources:
            self.index(endpoint.resource.name)
        self._recall_tokens()
        self.parts = Parts(self)
        self.admission.add(*self.parts.admission())
        self._feed_network()
        if not self.spec.bare:
            outside.settle(self.network)
        with self.store.batch():
            await bootstrap(self.client, bare=self.spec.bare)
            control_plane.install(self.client, self.spec.name, self.identity, API_ENDPOINT, kubeadm=not self.spec.bare)
        if isinstance(self.clock, FastClock):
            self.dispatcher.paths["/kuartui.dev/clock"] = self._clock
            self.dispatcher.paths["/kuartui.dev/clock/advance"] = self._advance
            self.dispatcher.paths["/kuartui.dev/clock/release"] = self._release
        await self.parts.start()
        await self._serve()

    def index(self, resource: str) -> None:
        """Have the store find a resource's objects by their owners."""
        self.store.add_index(resource, OWNER_INDEX, owner_uids)

    def _feed_network(self) -> None:
        def feed(event: Event) -> None:
            self.network.apply(event.obj.key.resource, event.type.value, event.obj.data)

        for resource in RESOURCES:
            self.client.listen(resource, feed)

    async def _serve(self) -> None:
        import uvicorn

        from kuartui.embedded.api.listener import PeerProtocol

        config = uvicorn.Config(
            App(self.dispatcher.handle, self.parts.connect),
            http=PeerProtocol,
            ws=_websocket,  # type: ignore[arg-type]  # called to make a protocol, as the class is
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            date_header=True,
            ws_max_size=4 * 1024 * 1024,
            timeout_keep_alive=IDLE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        config.load()
        config.ssl = context(self.identity.server, self.identity.authority.certificate)
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._socket])
        if self.local:
            self._local = await asyncio.get_running_loop().create_unix_server(
                lambda: PeerProtocol(config=config, server_state=self._server.server_state, app_state={}), self.local
            )
            os.chmod(self.local, 0o600)
        self._tasks.append(asyncio.create_task(_tick(self._server)))

    async def stop(self) -> None:
        """End everything; the state stays. Nobody new comes in, then watches and containers end, and with them what they
        are asked for; whoever waits for anything else has a moment."""
        if self._local is not None:
            self._local.close()
            with contextlib.suppress(OSError):
                os.unlink(self.local)
        if self._server is not None:
            for listening in self._server.servers:
                listening.close()
        self.store.end_all_watches()
        await self.parts.stop()
        if self._server is not None:
            from kuartui.embedded.api.listener import hang_up

            await hang_up(self._server, GRACE)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.store.close()
        self._socket.close()

    def move(self, state: Path) -> None:
        """Its directory is another one, and it listens elsewhere by now."""
        self.state = state
        self.port = self._socket.getsockname()[1]
        self.dispatcher.discovery.address = f"127.0.0.1:{self.port}"

    # What is not plain reading and writing

    async def _special(self, request: Request, endpoint: Endpoint) -> Response | None:
        found = await self._reviews.answer(request, endpoint)
        return found if found is not None else await self.parts.answer(request, endpoint)

    async def _clock(self, request: Request) -> Response:
        clock = self.clock
        return json_response(
            {"now": format_micro(clock.now()), "monotonic": clock.monotonic(), "stepped": clock.stepped}
        )

    async def _advance(self, request: Request) -> Response:
        if not isinstance(self.clock, FastClock):
            raise StatusError(405, "MethodNotAllowed", "this cluster's clock is real")
        try:
            seconds = float(orjson.loads(request.body)["seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise bad_request('the body must be {"seconds": number}') from error
        await self.clock.advance(min(max(seconds, 0.0), 86_400.0))
        return await self._clock(request)

    async def _release(self, request: Request) -> Response:
        if not isinstance(self.clock, HeadStartClock):
            raise StatusError(405, "MethodNotAllowed", "this cluster's clock had no head start")
        await self.clock.release()
        return await self._clock(request)

    # Access

    def remember_token(self, token: str, user: str, groups: Sequence[str]) -> None:
        """Keep an extra identity, so that its kubeconfig outlives this process."""
        if not self.spec.durable:
            return
        path = self.state / "tokens.json"
        known = orjson.loads(path.read_bytes()) if path.is_file() else {}
        known[token] = {"user": user, "groups": list(groups)}
        write_private(path, orjson.dumps(known))

    def _recall_tokens(self) -> None:
        path = self.state / "tokens.json"
        if path.is_file():
            for token, who in orjson.loads(path.read_bytes()).items():
                self.authenticator.add_token(token, User(who["user"], (*who["groups"], AUTHENTICATED)))

    def kubeconfig(self, token: str = "", user: str = "kubernetes-admin", namespace: str = "") -> str:
        """A kubeconfig for a token (the administrator's unless given)."""
        authority = self.identity.authority.certificate
        return kubeconfig(
            self.spec.name, self.url, authority, token or self.identity.token, user, namespace, self.local
        )


def _websocket(**arguments: Any) -> Any:
    """uvicorn's protocol for a WebSocket, loaded when the first one comes: that takes a while."""
    from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

    return WSProtocol(**arguments)


async def _tick(server: Any) -> None:
    """What uvicorn's own loop does ten times a second to see whether it should end, which it is told here by `stop`:
    once a second is enough for the Date of answers, in real time."""
    while True:
        await server.on_tick(0)
        await asyncio.sleep(1.0)


def clock_of(spec: Spec) -> Clock:
    """How time passes on a cluster."""
    if spec.fast:
        return FastClock()
    return HeadStartClock(spec.head) if spec.head else RealClock()


def kubeconfig(name: str, url: str, ca: bytes, token: str, user: str, namespace: str = "", local: str = "") -> str:
    """A kubeconfig as JSON, which is YAML, too. `local` is the path of a socket for our own clients."""
    import base64

    cluster: Obj = {"server": url, "certificate-authority-data": base64.b64encode(ca).decode()}
    if local:
        cluster["extensions"] = [{"name": SOCKET_EXTENSION, "extension": {"path": local}}]
    context: Obj = {"cluster": name, "user": user}
    if namespace:
        context["namespace"] = namespace
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
    return orjson.dumps(config, option=orjson.OPT_INDENT_2).decode() + "\n"
