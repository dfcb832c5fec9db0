"""parse-server, the book's application on top of MongoDB: objects over REST, kept in the replica set that its URI names.

After parse-server 2 to 7: settings from the environment, the primary is looked for among the members, keys are headers.
"""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kuartui.embedded.images.programs.mongo_replicas import call
from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]

MEMORY = 90 << 20
SELECTION_SECONDS = 30.0  # how long a driver looks for a primary


class NoServer(Exception):
    """No member of the database that takes writes; str() is the driver's words."""


async def parse_server(process: Process) -> int:
    """parse-server: serves /parse on port 1337 until it is told to stop."""
    env = process.env
    app = env.get("PARSE_SERVER_APPLICATION_ID") or env.get("PARSE_SERVER_APP_ID") or env.get("APP_ID") or ""
    master = env.get("PARSE_SERVER_MASTER_KEY") or env.get("MASTER_KEY") or ""
    for name, value in (("appId", app), ("masterKey", master)):
        if not value:
            await process.err(f"\nERROR: {name} is required\n\n")
            return 1
    uri = env.get("PARSE_SERVER_DATABASE_URI") or env.get("DATABASE_URI") or "mongodb://localhost:27017/parse"
    parse = ParseServer(process, app, master, uri.replace(" ", ""))
    process.memory = MEMORY
    try:
        await parse.primary()
    except NoServer as error:
        await process.err(f"ERR! Unable to connect to the database: {error}\n")
        return 1
    port = int(env.get("PORT") or "1337")
    process.listen(port, server(parse.answer))
    await process.out(f"appId: {app}\nmasterKey: ***REDACTED***\nport: {port}\n\n")
    await process.out(f"[{process.pid}] parse-server running on http://localhost:{port}/parse\n")
    await process.signals("TERM", "INT").get()
    await process.out("Termination signal received. Shutting down.\n")
    return 0


class ParseServer:
    """One server, which holds nothing itself."""

    def __init__(self, process: Process, app: str, master: str, uri: str) -> None:
        self._process, self._app, self._master = process, app, master
        parts = urlsplit(uri)
        self._hosts = parts.netloc.rpartition("@")[2].split(",")
        self._set = parse_qs(parts.query).get("replicaSet", [""])[0]

    async def primary(self) -> str:
        """The member that takes writes. Raises NoServer after what a driver waits."""
        clock = self._process.clock
        until = clock.monotonic() + SELECTION_SECONDS
        while True:
            why = "no primary found in replicaset"
            for host in self._hosts:
                try:
                    hello = await call(self._process, host, {"do": "hello"})
                except NameNotResolved:
                    why = f"getaddrinfo ENOTFOUND {host.partition(':')[0]}"
                    continue
                except OSError:
                    why = f"connect ECONNREFUSED {host}"
                    continue
                if hello.get("isWritablePrimary") and hello.get("setName", "") == self._set:
                    return host
                if self._set and hello.get("primary"):
                    return str(hello["primary"])
            if clock.monotonic() >= until:
                raise NoServer(f"MongoServerSelectionError: {why}")
            await clock.sleep(2)

    async def answer(self, request: Request) -> Response:
        """One request."""
        words = request.path.strip("/").split("/")
        if words[:1] != ["parse"]:
            return reply(404, f"Cannot {request.method} {request.path}\n")
        if words == ["parse", "health"]:
            return _json(200, {"status": "ok"})
        if request.headers.find("x-parse-application-id") != self._app:
            return _json(403, {"error": "unauthorized"})
        if len(words) not in (3, 4) or words[1] != "classes":
            return _json(404, {"code": 1, "error": "Not Found"})
        try:
            host = await self.primary()
            if request.method == "POST" and len(words) == 3:
                return await self._create(host, words[2], request)
            if request.method == "GET":
                query = {"objectId": words[3]} if len(words) == 4 else {}
                return await self._find(host, words[2], query)
        except (NoServer, OSError) as error:
            await self._process.err(f"error: {error}\n")
            return _json(500, {"code": 1, "error": "Internal server error."})
        return _json(405, {"code": 1, "error": "Method not allowed"})

    async def _create(self, host: str, name: str, request: Request) -> Response:
        try:
            fields = json.loads(request.body or b"{}")
        except ValueError:
            return _json(400, {"code": 107, "error": "Invalid JSON"})
        now = self._process.clock.now()
        created = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"
        object_id = secrets.token_urlsafe(8)[:10]
        document = {**fields, "objectId": object_id, "createdAt": created, "updatedAt": created}
        answer = await call(self._process, host, {"do": "insert", "collection": name, "document": document})
        if not answer.get("ok"):
            raise NoServer(answer.get("errmsg", ""))
        made = {"objectId": object_id, "createdAt": created}
        place = f"http://{request.host}/parse/classes/{name}/{object_id}"
        return _json(201, made, [("Location", place)])

    async def _find(self, host: str, name: str, query: Obj) -> Response:
        answer = await call(self._process, host, {"do": "find", "collection": name, "query": query})
        found = [{key: value for key, value in one.items() if key != "_id"} for one in answer.get("documents", ())]
        if not query:
            return _json(200, {"results": found})
        return _json(200, found[0]) if found else _json(404, {"code": 101, "error": "Object not found."})


def _json(status: int, body: Obj, headers: list[tuple[str, str]] | None = None) -> Response:
    return reply(status, json.dumps(body), "application/json; charset=utf-8", headers or ())
