"""Ingress controllers: ingress-nginx, Contour with Envoy, Traefik. All route alike; log lines and ports differ."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from itertools import count

from msgspec import Struct

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.ingress import IngressProxy, Trace, nginx_plain
from kuartui.embedded.network.objects import INGRESS_CLASSES, INGRESSES, SECRETS, SERVICES, SLICES
from kuartui.embedded.network.tls import refuse_plainly, tls_handler
from kuartui.embedded.node.runtime.process import Process

WATCHED = (INGRESSES, INGRESS_CLASSES, SERVICES, SLICES, SECRETS)
SYNC_SECONDS = 1.0
CONNECTIONS = count(1)


class Controller(Struct, frozen=True):
    """What a product calls itself and where it listens."""

    name: str  # IngressClass.spec.controller
    flavour: str
    http: int
    https: int
    health: int
    started: str


NGINX = Controller(
    "k8s.io/ingress-nginx", "nginx", 80, 443, 10254, "NGINX Ingress controller\n  Release:       v1.13.3\n"
)
CONTOUR = Controller("projectcontour.io/contour", "contour", 8080, 8443, 8002, "starting main dispatch loop")
TRAEFIK = Controller(
    "traefik.io/ingress-controller", "traefik", 8000, 8443, 9000, "Traefik version 3.5.3 built on 2025-09-26"
)


def ingress(controller: Controller) -> Callable[[Process], Awaitable[int]]:
    """The program of a controller's data plane."""

    async def run(process: Process) -> int:
        name = next((w.partition("=")[2] for w in process.argv if w.startswith("--controller-class=")), controller.name)
        proxy = IngressProxy(process.network, process.ip, name, flavour=controller.flavour)

        async def app(request: Request) -> Response:
            began, trace = process.clock.monotonic(), Trace()
            response = await proxy.handle(request, trace)
            if controller is NGINX:
                await _logged(process, request, response, trace, process.clock.monotonic() - began)
                return response
            now = process.clock.now()
            size = len(response.body) if isinstance(response.body, bytes) else 0
            await process.out(
                f'{request.peer[0]} - - [{now:%d/%b/%Y:%H:%M:%S} +0000] "{request.method} {request.target} HTTP/{request.version}" '
                f'{response.status} {size} "-" "{request.headers.find("user-agent")}" "{request.headers.find("host")}"\n'
            )
            return response

        async def health(request: Request) -> Response:
            return reply(200, "OK" if request.path in ("/healthz", "/ready", "/ping", "/health") else "")

        try:
            process.listen(controller.http, server(app))
            plain = {"nginx": nginx_plain(), "traefik": refuse_plainly}.get(controller.flavour)
            https = tls_handler(proxy.tls_context(), server(app, scheme="https"), plain_http=plain)
            process.listen(controller.https, https)
            process.listen(controller.health, server(health))
        except OSError as error:
            await process.err(f"listen: {error.strerror}\n")
            return 1
        await process.out(controller.started + "\n")
        if controller is NGINX:
            process.background(_complaining(process, proxy))
        await process.signals("TERM", "INT", "QUIT").get()
        return 0

    return run


async def _logged(process: Process, request: Request, response: Response, trace: Trace, seconds: float) -> None:
    """A request in ingress-nginx' log, behind nginx' own lines about endpoints that gave no answer."""
    now, line = process.clock.now(), f'"{request.method} {request.target} HTTP/{request.version}"'
    client, host = request.peer[0], request.headers.find("host") or ""
    for one in trace.tries:
        if one.why:
            upstream = f'"http://{one.endpoint.ip}:{one.endpoint.port}{one.path}"'
            await process.err(
                f"{now:%Y/%m/%d %H:%M:%S} [error] 29#29: *{next(CONNECTIONS)} {one.why}, client: {client}, "
                f'server: {trace.server}, request: {line}, upstream: {upstream}, host: "{host}"\n'
            )
    size = len(response.body) if isinstance(response.body, bytes) else 0
    asked = len(line) + sum(len(name) + len(value) + 4 for name, value in request.headers) + len(request.body)
    columns = [
        [f"{one.endpoint.ip}:{one.endpoint.port}" for one in trace.tries],
        ["0" if one.why else str(size) for one in trace.tries],
        [f"{one.seconds:.3f}" for one in trace.tries],
        [str(one.status) for one in trace.tries],
    ]
    upstreams = " ".join(", ".join(column) or "-" for column in columns)
    await process.out(
        f'{client} - - [{now:%d/%b/%Y:%H:%M:%S} +0000] {line} {response.status} {size} "-" '
        f'"{request.headers.find("user-agent") or "-"}" {asked} {seconds:.3f} [{trace.upstream}] [] {upstreams} '
        f"{secrets.token_hex(16)}\n"
    )


async def _complaining(process: Process, proxy: IngressProxy) -> None:
    """Log what is wrong with Ingresses, each thing when it becomes so."""
    changed = asyncio.Event()
    changed.set()
    ends = [process.network.observe(resource, lambda *_: changed.set()) for resource in WATCHED]
    told: set[str] = set()
    try:
        while True:
            await changed.wait()
            await process.clock.sleep(SYNC_SECONDS)
            changed.clear()
            said = proxy.complaints()
            new = [text for text in said if text not in told]
            told = set(said)
            for text in new:
                await _klog(process, text)
            if any("Found valid" in text for text in new):
                await _klog(process, 'I controller.go:190] "Configuration changes detected, backend reload required"')
                await _klog(process, 'I controller.go:210] "Backend successfully reloaded"')
    finally:
        for end in ends:
            end()


async def _klog(process: Process, text: str) -> None:
    level, _, rest = text.partition(" ")
    await process.err(f"{level}{process.clock.now():%m%d %H:%M:%S.%f} {process.pid + 6:7d} {rest}\n")


async def contour(process: Process) -> int:
    """contour serve: the control plane; it has nothing to do here but be well."""

    async def health(request: Request) -> Response:
        return reply(200, "OK")

    process.listen(8000, server(health))
    await process.err('level=info msg="started xDS server type" address="0.0.0.0:8001" type=contour\n')
    await process.signals("TERM", "INT").get()
    return 0
