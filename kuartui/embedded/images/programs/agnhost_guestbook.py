"""agnhost guestbook: the guestbook of Kubernetes' tutorials, one program for its front end, its primary and its replicas.

After test/images/agnhost/guestbook. A primary keeps keys and values and tells its replicas; a front end asks the Services
agnhost-primary and agnhost-replica.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.network.http import ProtocolError, Request, Response, exchange, reply, server
from kuartui.embedded.node.runtime.process import Process

PRIMARY, REPLICA = "agnhost-primary", "agnhost-replica"
UPDATED = {"message": "Updated"}
REGISTER_SECONDS = 30.0  # for which a replica looks for its primary
PATIENCE = 5.0  # seconds for a connection


class _Unreachable(Exception):
    """The other one does not answer; the text says why."""


class _Guestbook:
    def __init__(self, process: Process, backend_port: int) -> None:
        self._process, self._backend_port = process, backend_port
        self.store: dict[str, str] = {}
        self._replicas: list[tuple[str, int]] = []

    async def __call__(self, request: Request) -> Response:
        """One HTTP request."""

        def first(name: str) -> str:
            return (request.query.get(name) or [""])[0]

        match request.path:
            case "/register":
                host, _, port = first("host").rpartition(":")
                self._replicas.append((host, int(port or 80)))
                return _json(self.store)
            case "/get":
                return _json({"data": self.store.get(first("key"), "")} if first("key") else self.store)
            case "/set":
                return await self._set(first("key"), first("value"))
            case "/guestbook":
                return await self._proxy(first("cmd"), first("key"), first("value"))
        return reply(404, "404 page not found\n")

    async def _set(self, key: str, value: str) -> Response:
        self.store[key] = value
        for host, port in list(self._replicas):
            try:
                await self.ask(host, port, "set", key=key, value=value)
            except _Unreachable as error:
                self._replicas.remove((host, port))
                await self._process.err(f"Got an error while updating {host}:{port}: {error}\n")
        return _json(UPDATED)

    async def _proxy(self, command: str, key: str, value: str) -> Response:
        try:
            if command == "set":
                return reply(200, await self.ask(PRIMARY, self._backend_port, "set", key=key, value=value))
            return reply(200, await self.ask(REPLICA, self._backend_port, "get", key=key))
        except _Unreachable as error:
            return reply(424, str(error))

    async def ask(self, host: str, port: int, path: str, /, **query: str) -> str:
        """What another one answers. Raises _Unreachable."""
        try:
            stream = await self._process.connect(host, port, seconds=PATIENCE)
            response = await exchange(stream, "GET", f"/{path}?{urlencode(query)}", f"{host}:{port}")
            body = (await response.read()).decode(errors="replace")
        except NameNotResolved as error:
            raise _Unreachable(f"lookup {host}: no such host") from error
        except (OSError, ProtocolError) as error:
            raise _Unreachable((getattr(error, "strerror", None) or str(error)).lower()) from error
        if response.status != 200:
            raise _Unreachable(body)
        return body

    async def register(self, primary: str, own: str) -> bool:
        """Have a primary tell us what is set, and take over what it has."""
        clock = self._process.clock
        ends = clock.monotonic() + REGISTER_SECONDS
        while clock.monotonic() < ends:
            try:
                self.store.update(json.loads(await self.ask(primary, self._backend_port, "register", host=own)))
            except (_Unreachable, ValueError):
                await clock.sleep(1)
                continue
            return True
        return False


def _json(value: dict[str, str]) -> Response:
    return reply(200, json.dumps(value, separators=(",", ":"), ensure_ascii=False))


async def guestbook(process: Process) -> int:
    """agnhost guestbook [--http-port=80] [--backend-port=6379] [--replicaof=HOST]."""
    options, _ = await parse(process, "", ("http-port=", "backend-port=", "replicaof="))
    port = int(options.get("http-port", "80"))
    app = _Guestbook(process, int(options.get("backend-port", "6379")))
    try:
        process.listen(port, server(app))
    except OSError as error:
        await process.err(f"panic: listen tcp :{port}: bind: {(error.strerror or '').lower()}\n")
        return 2
    primary = options.get("replicaof", "")
    if primary and not await app.register(primary, f"{process.ip}:{port}"):
        await process.err(f"panic: Could not register to {primary}\n")
        return 2
    await process.signals("TERM", "INT").get()
    return 0
