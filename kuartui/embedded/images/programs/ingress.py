"""Ingress controllers: ingress-nginx, Contour with Envoy, Traefik. All route alike; log lines and ports differ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.ingress import IngressProxy
from kuartui.embedded.network.tls import tls_handler
from kuartui.embedded.node.runtime.process import Process


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
            response = await proxy.handle(request)
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
            process.listen(controller.https, tls_handler(proxy.tls_context(), server(app, scheme="https")))
            process.listen(controller.health, server(health))
        except OSError as error:
            await process.err(f"listen: {error.strerror}\n")
            return 1
        await process.out(controller.started + "\n")
        await process.signals("TERM", "INT", "QUIT").get()
        return 0

    return run


async def contour(process: Process) -> int:
    """contour serve: the control plane; it has nothing to do here but be well."""

    async def health(request: Request) -> Response:
        return reply(200, "OK")

    process.listen(8000, server(health))
    await process.err('level=info msg="started xDS server type" address="0.0.0.0:8001" type=contour\n')
    await process.signals("TERM", "INT").get()
    return 0
