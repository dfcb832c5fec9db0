"""A program whose behaviour is data: log lines, what it needs, a small HTTP server, and when it ends."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
SIZES = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


class DescriptionError(ValueError):
    """A description that makes no sense: where, and why."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}" if where else why)
        self.where = where


def seconds(value: Any, where: str) -> float:
    """`100ms`, `5s`, `1h`, or a number of seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", str(value))
    if found is None:
        raise DescriptionError(where, f"{value!r} is no duration")
    return float(found[1]) * UNITS[found[2] or "s"]


class Route(Struct, frozen=True):
    """How one path answers. `fail_after` answers later requests with 500; 0 never."""

    path: str
    status: int = 200
    body: str = ""
    cpu: float = 0.0
    delay: float = 0.0
    memory: int = 0
    fail_after: int = 0

    @classmethod
    def read(cls, value: Any, where: str) -> Route:
        """From data. Raises DescriptionError."""
        if not isinstance(value, Mapping) or not str(value.get("path", "")).startswith("/"):
            raise DescriptionError(where, "needs a path")
        status = value.get("status", 200)
        if not isinstance(status, int) or not 100 <= status <= 599:
            raise DescriptionError(f"{where}.status", f"{status!r} is no HTTP status")
        return cls(
            str(value["path"]),
            status,
            str(value.get("body", "")),
            seconds(value.get("cpu", 0), f"{where}.cpu"),
            seconds(value.get("delay", 0), f"{where}.delay"),
            _bytes(value.get("memory", 0), f"{where}.memory"),
            int(value.get("failAfter", 0)),
        )


class Behaviour(Struct, frozen=True):
    """Everything that a scripted program does."""

    path: str
    port: int = 0
    memory: int = 4 << 20
    start_after: float = 0.0
    log: tuple[str, ...] = ()
    log_every: float = 0.0
    needs: tuple[tuple[str, str], ...] = ()
    routes: tuple[Route, ...] = ()
    exit_after: float | None = None
    exit_code: int = 0
    ignore_term: bool = False

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Behaviour:
        """From data. Raises DescriptionError."""
        where = "spec.program"
        path = str(value.get("path", ""))
        if not re.fullmatch(r"(/[\w.-]+)+", path):
            raise DescriptionError(f"{where}.path", "must be an absolute path")
        port = value.get("port", 0)
        if not isinstance(port, int) or not 0 <= port < 65536:
            raise DescriptionError(f"{where}.port", f"{port!r} is no port")
        needs = tuple((kind, str(name)) for need in value.get("needs", ()) for kind, name in need.items())
        if any(kind not in ("env", "file") for kind, _ in needs):
            raise DescriptionError(f"{where}.needs", "must be env or file")
        exit_ = value.get("exit") or {}
        return cls(
            path,
            port,
            _bytes(value.get("memory", "4Mi"), f"{where}.memory"),
            seconds(value.get("startAfter", 0), f"{where}.startAfter"),
            tuple(str(line) for line in value.get("log", ())),
            seconds(value.get("logEvery", 0), f"{where}.logEvery"),
            needs,
            tuple(Route.read(route, f"{where}.routes[{n}]") for n, route in enumerate(value.get("routes", ()))),
            seconds(exit_["after"], f"{where}.exit.after") if "after" in exit_ else None,
            int(exit_.get("code", 0)),
            bool(value.get("ignoreTerm", False)),
        )


def _bytes(value: Any, where: str) -> int:
    found = re.fullmatch(r"(\d+)(Ki|Mi|Gi)?", str(value))
    if found is None:
        raise DescriptionError(where, f"{value!r} is no size")
    return int(found[1]) * SIZES[found[2] or ""]


def scripted(behaviour: Behaviour) -> Callable[[Process], Awaitable[int]]:
    """The program for a behaviour."""

    async def run(process: Process) -> int:
        for kind, name in behaviour.needs:
            if kind == "env" and not process.env.get(name):
                await process.err(f"{behaviour.path}: environment variable {name} is not set\n")
                return 1
            if kind == "file" and not process.files.is_file(name):
                await process.err(f"{behaviour.path}: open {name}: no such file or directory\n")
                return 1
        process.memory = behaviour.memory
        for line in behaviour.log:
            await process.out(_filled(process, line) + "\n")
        await process.clock.sleep(behaviour.start_after)
        if behaviour.port:
            try:
                process.listen(behaviour.port, server(_app(process, behaviour)))
            except OSError as error:
                await process.err(f"listen tcp :{behaviour.port}: bind: {(error.strerror or '').lower()}\n")
                return 1
        if behaviour.log_every and behaviour.log:
            process.background(_chatter(process, behaviour))
        stop = process.signals("INT") if behaviour.ignore_term else process.signals("TERM", "INT")
        try:
            async with process.clock.timeout(behaviour.exit_after if behaviour.exit_after is not None else 3.2e9):
                await stop.get()
        except TimeoutError:
            return behaviour.exit_code
        return 0

    return run


async def _chatter(process: Process, behaviour: Behaviour) -> None:
    while True:
        await process.clock.sleep(behaviour.log_every)
        await process.out(_filled(process, behaviour.log[-1]) + "\n")


def _app(process: Process, behaviour: Behaviour) -> Callable[[Request], Awaitable[Response]]:
    served: dict[str, int] = {}

    async def app(request: Request) -> Response:
        route = next((route for route in behaviour.routes if route.path == request.path), None)
        if route is None:
            return reply(404, "not found\n")
        served[route.path] = served.get(route.path, 0) + 1
        process.memory += route.memory
        if route.cpu:
            await process.compute(route.cpu)
        await process.clock.sleep(route.delay)
        if route.fail_after and served[route.path] > route.fail_after:
            return reply(500, "internal error\n")
        return reply(route.status, _filled(process, route.body) + "\n")

    return app


def _filled(process: Process, text: str) -> str:
    return re.sub(r"\$(\w+)", lambda m: process.env.get(m[1], m[0]), text)
