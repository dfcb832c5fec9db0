"""The screens in a browser: textual-serve, on this machine only.

The app holds a shell, so whoever reaches the page can run commands as the player. Three things keep others out: it
listens on a loopback address and nowhere else; the first visit needs a secret from the printed address, which becomes
a cookie, so that other people on the machine are strangers; and a page of another site cannot open the socket
(SameSite cookie, Origin and Host are checked, the latter against DNS rebinding).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import secrets
import shlex
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from kuartui import paths
from kuartui.errors import MissingError, UsageError
from kuartui.message import later

try:
    from textual_serve.app_service import AppService
    from textual_serve.server import Server
except ImportError as error:
    raise MissingError(
        later("playing in a browser needs textual-serve"), hint=later("pip install 'kuartui[web]'")
    ) from error

HTTP = 80  # the port that an address does not name
PATIENCE = 0.5  # seconds for requests to come to their end once the server ends; a page's socket never does by itself
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws://{host}; "
    "frame-ancestors 'none'; form-action 'none'"
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Game(Server):
    """One app process for each browser tab. `secret` opens the door; `url` has it."""

    def __init__(self, command: str, host: str, port: int) -> None:
        where = bracketed(host) if port == HTTP else f"{bracketed(host)}:{port}"  # as browsers say it
        super().__init__(command, host=bracketed(host), port=port, title="kuartui", public_url=f"http://{where}")
        self._listen, self._where = host, where
        self._cookie = f"kuartui-{port}"  # cookies know no ports: another server's must not take the place of ours
        self.secret = secrets.token_urlsafe(24)
        self._ending: set[asyncio.Future[bool]] = set()

    @property
    def url(self) -> str:
        return f"{self.public_url}/?key={self.secret}"

    def initialize_logging(self) -> None:
        """No banner, no log of what players do."""

    async def on_startup(self, app: web.Application) -> None:
        """What to open is printed by the command."""

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: AppService) -> None:
        """A page whose app was killed, or never began, says that it ended: textual-serve waits for the app's word."""
        if app_service._task is not None:
            app_service._task.add_done_callback(lambda _: self._hang_up(websocket))
        await super()._process_messages(websocket, app_service)

    def _hang_up(self, websocket: web.WebSocketResponse) -> None:
        ending = asyncio.ensure_future(websocket.close())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def application(self) -> web.Application:
        """The web application, its door guarded."""
        app = await self._make_app()
        app.middlewares.append(self._door)
        return app

    @web.middleware
    async def _door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host != self._where:
            raise web.HTTPForbidden(text=f"this is kuartui on {self._where}, not on {request.host}")
        if request.headers.get("Origin", self.public_url) != self.public_url:
            raise web.HTTPForbidden(text="another site asked")
        given = request.query.get("key", "")
        if request.path == "/" and given and self._fits(given):
            answer = web.HTTPFound("/")
            answer.set_cookie(self._cookie, self.secret, httponly=True, samesite="Strict")
            raise answer
        if not self._fits(request.cookies.get(self._cookie, "")):
            raise web.HTTPForbidden(text="open the address that `kuartui serve` printed, with its key")
        response = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = POLICY.format(host=self._where)
            response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def _fits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.secret.encode())

    def run(self) -> None:
        """Serve until Ctrl-C."""
        web.run_app(
            self.application(),
            host=self._listen,
            port=self.port,
            print=lambda *_: None,
            shutdown_timeout=PATIENCE,
        )


def game(host: str, port: int, cluster: str) -> Game:
    """A server on a loopback address; port 0 takes a free one. UsageError for any other address."""
    address = loopback(host)
    command = shlex.join([*paths.process("kuartui"), "--cluster", cluster])
    return Game(command, address, port or free_port(address))


def loopback(host: str) -> str:
    """The address, if it is one of this machine only."""
    name = "127.0.0.1" if host == "localhost" else host.strip("[]")
    with suppress(ValueError):
        address = ipaddress.ip_address(name)
        if address.is_loopback:
            return str(address)  # as browsers say it
    raise UsageError(
        later(
            "kuartui serves on this machine only, not on {host}: who reaches the page gets a shell as you", host=host
        ),
        hint=later("leave --host out; from elsewhere: ssh -L 8000:127.0.0.1:8000 THIS-MACHINE"),
    )


def bracketed(address: str) -> str:
    """As it stands in a URL."""
    return f"[{address}]" if ":" in address else address


def free_port(address: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
