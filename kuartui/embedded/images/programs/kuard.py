"""kuard, the demo application of "Kubernetes: Up and Running": a page about its pod, and switches to break it.

Routes and log lines follow github.com/kubernetes-up-and-running/kuard; the page is plain HTML instead of a React app.
"""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec import Struct, field

from kuartui.embedded.images.programs.kuard_memq import Broker
from kuartui.embedded.images.programs.kuard_work import KeyGen, KeyGenConfig
from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

BASE_MEMORY = 6 << 20
LIVENESS, READINESS = "liveness", "readiness"
VERSIONS = {"blue": "v0.10.0-blue", "green": "v0.10.0-green", "purple": "v0.10.0-purple"}


class Probe(Struct):
    """/healthy or /ready, with a counter of failures to come: -1 fails forever."""

    fail_next: int = 0
    history: list[dict[str, object]] = field(default_factory=list)
    count: int = 0

    def answer(self, now: datetime) -> tuple[int, str]:
        """What to say now."""
        code = 200
        if self.fail_next:
            code = 500
            if self.fail_next > 0:
                self.fail_next -= 1
        self.count += 1
        entry = {"id": self.count, "when": now.isoformat(), "relWhen": "just now", "code": code}
        self.history = [entry, *self.history[:19]]
        return code, "ok" if code == 200 else "fail"


class Kuard:
    """One running kuard."""

    def __init__(self, process: Process, colour: str) -> None:
        self.process = process
        self.colour = colour
        self.version = VERSIONS[colour]
        self.liveness, self.readiness = Probe(), Probe()
        self.broker = Broker(process.clock)
        self.work = KeyGen(process, KeyGenConfig())
        self.leaks: list[int] = []

    async def log(self, text: str) -> None:
        """A line as Go's log package prints it."""
        await self.process.err(f"{self.process.clock.now():%Y/%m/%d %H:%M:%S} {text}\n")

    async def handle(self, request: Request) -> Response:
        """Serve one request."""
        await self.log(f"{request.peer[0]}:{request.peer[1]} {request.method} {request.target}")
        path = request.path
        for prefix in ("/a", "/b", "/c"):
            if path == prefix or path.startswith(prefix + "/"):
                path = path[len(prefix) :] or "/"
                break
        for start, handler in self._routes():
            if path == start or path.startswith(start + "/"):
                return await handler(request, path[len(start) :].strip("/"))
        if path == "/":
            return reply(200, await self._page(request), "text/html")
        return reply(404, "404 page not found\n", headers=[("X-Content-Type-Options", "nosniff")])

    def _routes(self) -> list[tuple[str, Callable[[Request, str], Awaitable[Response]]]]:
        return [
            ("/healthy", self._probe(self.liveness)),
            ("/ready", self._probe(self.readiness)),
            ("/env", self._env),
            ("/mem", self._memory),
            ("/dns", self._dns),
            ("/keygen", self._keygen),
            ("/memq/server", self.broker.handle),
            ("/fs", self._files),
            ("/metrics", self._metrics),
        ]

    def _probe(self, probe: Probe) -> Callable[[Request, str], Awaitable[Response]]:
        async def handler(request: Request, rest: str) -> Response:
            if rest != "api":
                code, text = probe.answer(self.process.clock.now())
                return reply(code, text)
            if request.method in ("PUT", "POST"):
                try:
                    probe.fail_next = int(json.loads(request.body or b"{}").get("failNext", 0))
                except (ValueError, TypeError, AttributeError) as error:
                    return reply(400, f"{error}\n")
            status = {"probePath": "", "failNext": probe.fail_next, "history": probe.history}
            return _json(status)

        return handler

    async def _env(self, request: Request, rest: str) -> Response:
        return _json({"commandLine": self.process.argv, "env": self.process.env})

    async def _memory(self, request: Request, rest: str) -> Response:
        if rest == "api/alloc" and request.method == "POST":
            size = int((request.query.get("size") or ["0"])[0])
            self.leaks.append(size)
            self.process.memory += size
        elif rest == "api/clear" and request.method == "POST":
            self.leaks.clear()
            self.process.memory = BASE_MEMORY
        stats = {"Alloc": self.process.memory, "HeapAlloc": self.process.memory, "Sys": self.process.memory + (2 << 20)}
        return _json({"memStats": stats, "numLeaks": len(self.leaks), "bytesLeaked": sum(self.leaks)})

    async def _dns(self, request: Request, rest: str) -> Response:
        question = json.loads(request.body or b"{}")
        name, qtype = question.get("name", ""), question.get("type", "A")
        try:
            answer = await self.process.network.search(self.process.ip, name, qtype)
        except NameNotResolved as error:
            return _json({"result": str(error)})
        lines = [f"{r.name}.\t{r.ttl}\tIN\t{r.type}\t{r.data}" for r in answer.records]
        return _json({"result": f";; opcode: QUERY, status: {answer.rcode}\n" + "\n".join(lines)})

    async def _keygen(self, request: Request, rest: str) -> Response:
        if request.method == "PUT":
            try:
                self.work.configure(KeyGenConfig.from_json(json.loads(request.body)))
            except (ValueError, TypeError) as error:
                return reply(400, f"{error}\n")
        return _json({"config": self.work.config.as_json(), "history": self.work.history})

    async def _files(self, request: Request, rest: str) -> Response:
        path = "/" + rest
        files = self.process.files
        try:
            if files.is_dir(path):
                names = "".join(
                    f'<a href="{html.escape(n)}">{html.escape(n)}</a>\n' for n in files.listdir(path, self.process.user)
                )
                return reply(200, f"<pre>\n{names}</pre>\n", "text/html; charset=utf-8")
            return reply(200, self.process.read(path))
        except PermissionError:
            return reply(403, "403 Forbidden\n")
        except OSError:
            return reply(404, "404 page not found\n")

    async def _metrics(self, request: Request, rest: str) -> Response:
        return reply(
            200, f"go_memstats_alloc_bytes {self.process.memory}\nprocess_resident_memory_bytes {self.process.memory}\n"
        )

    async def _page(self, request: Request) -> str:
        sandbox = self.process.container.sandbox
        rows = {
            "hostname": sandbox.hostname, "version": self.version, "addrs": sandbox.ip, "requestPath": request.path,
            "requestDump": f"{request.method} {request.target} HTTP/{request.version}",
        }  # fmt: skip
        context = {**rows, "addrs": [sandbox.ip], "urlBase": "", "probePath": "probe/liveness"}
        shown = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>\n" for name, value in rows.items())
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<title>KUAR Demo</title>\n<style>body{{background:{self.colour}}}</style>\n'
            f"<script>\nvar pageContext = {json.dumps(context)}\n</script>\n</head>\n<body>\n"
            f"<h1>Demo application version <i>{self.version}</i></h1>\n<table>\n{shown}</table>\n"
            "<p><b>WARNING:</b> This server may expose sensitive and secret information. Be careful.</p>\n</body>\n</html>\n"
        )


def _json(value: object) -> Response:
    return reply(200, json.dumps(value), "application/json")


def kuard(colour: str) -> Callable[[Process], Awaitable[int]]:
    """The program for one colour of the image."""

    async def run(process: Process) -> int:
        app = Kuard(process, colour)
        flags = await _flags(app)
        if flags is None:
            return 2
        process.memory = BASE_MEMORY
        await app.log(f"Starting kuard version: {app.version}")
        await app.log("*" * 70)
        await app.log("* WARNING: This server may expose sensitive")
        await app.log("* and secret information. Be careful.")
        await app.log("*" * 70)
        await app.log(f"Config: \n{json.dumps(flags, indent=2)}")
        config = KeyGenConfig.from_flags(flags)
        address = str(flags.get("address") or ":8080")
        try:
            process.listen(int(address.rpartition(":")[2]), server(app.handle))
        except OSError as error:
            await app.log(f"listen tcp {address}: bind: {error.strerror.lower() if error.strerror else error}")
            return 1
        await app.log(f"Serving on {address}")
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def end(code: int) -> None:
            if not ended.done():
                ended.set_result(code)

        app.work.on_exit = end
        app.work.configure(config)
        for name in ("TERM", "INT"):  # Go's default action
            process.on_signal(name, lambda: end(2))
        return await ended

    return run


async def _flags(app: Kuard) -> dict[str, object] | None:
    """pflag's parsing of `--name=value`, `--name value` and boolean `--name`."""
    known: dict[str, object] = {"address": ":8080", "tls-address": ":8443", "tls-dir": "/tls", "debug": False,
                                "debug-sitedata-dir": "./sitedata", **KeyGenConfig.flag_defaults()}  # fmt: skip
    found = dict(known)
    words = app.process.argv[1:]
    while words:
        word = words.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in known:
            flag = (
                f"unknown flag: --{name}"
                if word.startswith("--")
                else f"unknown shorthand flag: {word[1:2]!r} in {word}"
            )
            if not word.startswith("-"):
                continue
            await app.process.err(f"{flag}\nUsage of /kuard:\n")
            return None
        if isinstance(known[name], bool):
            found[name] = value != "false" if equals else True
            continue
        if not equals:
            value = words.pop(0) if words else ""
        try:
            found[name] = int(value) if isinstance(known[name], int) else value
        except ValueError:
            await app.process.err(
                f'invalid argument "{value}" for "--{name}" flag: strconv.ParseInt: parsing "{value}": invalid syntax\n'
            )
            return None
    return found
