"""Ingress: which backend a request belongs to, and a proxy that sends it there.

Hosts: the exact one, then a wildcard (one label), then rules without host. Paths: exact, then the longest prefix, by
path elements; ImplementationSpecific by characters, as nginx and Contour do. A default backend serves hosts that no rule
names; ingress-nginx takes one of an Ingress that has rules for what these rules' hosts leave over. Annotations are those
of ingress-nginx (rewrite-target, use-regex, ssl-redirect) and the common ones.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from kuartui.embedded.network.forward import Forward, NoBackend, Unanswered, ask, backend_endpoint, forward
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.objects import INGRESS_CLASSES, INGRESSES, SECRETS, SERVICES, Obj
from kuartui.embedded.network.services import Endpoint
from kuartui.embedded.network.stream import Handler
from kuartui.embedded.network.table import Network
from kuartui.embedded.network.tls import load_pem, self_signed

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
NGINX = "nginx.ingress.kubernetes.io/"
NGINX_TRIES = 3  # proxy-next-upstream-tries
IGNORED = '"Ignoring ingress because of error while validating ingress class"'
NO_CLASS = "ingress does not contain a valid IngressClass"


class Route(Struct, frozen=True):
    """One path of one Ingress."""

    ingress: Obj
    host: str
    path: str
    path_type: str
    backend: Obj

    @property
    def namespace(self) -> str:
        """Where its Service lives."""
        return str(self.ingress["metadata"]["namespace"])

    def annotation(self, name: str) -> str:
        """An annotation, with ingress-nginx' prefix or the common one."""
        found = self.ingress["metadata"].get("annotations") or {}
        return str(found.get(NGINX + name) or found.get("ingress.kubernetes.io/" + name) or "")


class Try(Struct, frozen=True):
    """One endpoint that was asked: its answer's status, and nginx' words if there was none."""

    endpoint: Endpoint
    status: int
    seconds: float
    why: str
    path: str


class Trace(Struct):
    """What became of a request, for the log: the upstream that its route has, and who was asked."""

    upstream: str = "upstream-default-backend"
    server: str = "_"
    tries: list[Try] = field(default_factory=list)


class IngressProxy:
    """Serves the Ingresses of a controller, from an address in the cluster."""

    def __init__(self, network: Network, source_ip: str, controller: str, *, flavour: str = "contour") -> None:
        self._network = network
        self._source_ip = source_ip
        self._controller = controller
        self._flavour = flavour
        self._fake: ssl.SSLContext | None = None

    # --- which Ingresses ---

    def ingresses(self) -> Iterator[Obj]:
        """Those whose class is this controller's, oldest first."""
        mine = self._classes()
        found = [ingress for ingress in self._network.objects.list(INGRESSES) if self._is_mine(ingress, mine)]
        yield from sorted(found, key=lambda i: (i["metadata"].get("creationTimestamp") or "", i["metadata"]["name"]))

    def _classes(self) -> dict[str, bool]:
        classes = {}
        for entry in self._network.objects.list(INGRESS_CLASSES):
            if entry.get("spec", {}).get("controller") == self._controller:
                annotations = entry["metadata"].get("annotations") or {}
                classes[entry["metadata"]["name"]] = annotations.get(DEFAULT_CLASS) == "true"
        return classes

    @staticmethod
    def _is_mine(ingress: Obj, classes: dict[str, bool]) -> bool:
        annotations = ingress["metadata"].get("annotations") or {}
        name = ingress.get("spec", {}).get("ingressClassName") or annotations.get(CLASS_ANNOTATION)
        return name in classes if name else any(classes.values())

    def routes(self) -> Iterator[Route]:
        """Every path of every Ingress."""
        for ingress in self.ingresses():
            for rule in ingress["spec"].get("rules") or ():
                for path in (rule.get("http") or {}).get("paths") or ():
                    host = (rule.get("host") or "").lower()
                    yield Route(ingress, host, path.get("path") or "/", path.get("pathType", "Prefix"), path["backend"])

    def find(self, host: str, path: str) -> Route | None:
        """The route for a request."""
        routes = list(self.routes())
        host = host.lower()
        parent = "*." + host.partition(".")[2]
        for wanted in (host, parent, ""):
            mine = [route for route in routes if route.host == wanted]
            chosen = _best(mine, path)
            if chosen is not None:
                return chosen
            if wanted and mine:
                return self._left_over(mine[0].ingress)
        return next(filter(None, (self._catch_all(ingress) for ingress in self.ingresses())), None)

    def _left_over(self, ingress: Obj) -> Route | None:
        """What serves the paths of a known host that no rule has; `ingress` is the first with that host."""
        return _default(ingress) if self._flavour == "nginx" else None

    def _catch_all(self, ingress: Obj) -> Route | None:
        if self._flavour == "nginx" and ingress["spec"].get("rules"):
            return None
        return _default(ingress)

    # --- requests ---

    async def handle(self, request: Request, trace: Trace | None = None) -> Response:
        """Route one request, and keep what became of it."""
        trace = trace or Trace()
        path = request.target.partition("?")[0] or "/"
        route = self.find(request.host, request.path)
        if route is None:
            return self._not_found()
        if request.scheme == "http" and self._redirects(route, request.host):
            location = f"https://{request.host}{request.target}"
            status = 308 if self._flavour == "nginx" else 301
            return reply(status, "", headers=[("Location", location)])
        service = route.backend.get("service")
        if service is None:
            return reply(503, "Service Unavailable\n")
        change = Forward(_rewritten(route, path))
        trace.server = route.host or "_"
        trace.upstream = f"{route.namespace}-{service['name']}-{_port_of(service)}"
        try:
            if self._flavour == "nginx":
                return await self._tried(route, request, change, trace)
            return await forward(self._network, self._source_ip, self._endpoint(route), request, change)
        except NoBackend as error:
            return self._unavailable(error)

    def _endpoint(self, route: Route) -> Endpoint:
        service = route.backend["service"]
        return backend_endpoint(self._network, self._source_ip, route.namespace, service["name"], _port_of(service))

    async def _tried(self, route: Route, request: Request, change: Forward, trace: Trace) -> Response:
        """As ingress-nginx does: another endpoint where one cannot be reached, three in all."""
        while True:
            endpoint = self._endpoint(route)
            began = self._network.clock.monotonic()
            why, again = "", False
            try:
                response = await ask(self._network, self._source_ip, endpoint, request, change)
            except Unanswered as error:
                why, again = str(error), error.again
                title = "502 Bad Gateway" if error.status == 502 else "504 Gateway Time-out"
                response = reply(error.status, nginx_page(title), "text/html")
            seconds = self._network.clock.monotonic() - began
            trace.tries.append(Try(endpoint, response.status, seconds, why, change.path))
            if not again or len(trace.tries) == NGINX_TRIES:
                return response

    def complaints(self) -> list[str]:
        """What ingress-nginx logs of the Ingresses as they are now, in klog's form without the time."""
        said = []
        mine = self._classes()
        for ingress in self._network.objects.list(INGRESSES):
            meta, spec = ingress["metadata"], ingress.get("spec") or {}
            where = f"{meta['namespace']}/{meta['name']}"
            name = spec.get("ingressClassName") or (meta.get("annotations") or {}).get(CLASS_ANNOTATION)
            if not self._is_mine(ingress, mine):
                why = f'no object matching key \\"{name}\\" in local store' if name else NO_CLASS
                said.append(f'I store.go:436] {IGNORED} ingress="{where}" error="{why}"')
                continue
            shown = name or next(known for known, default in mine.items() if default)
            said.append(f'I store.go:440] "Found valid IngressClass" ingress="{where}" ingressclass="{shown}"')
            for tls in spec.get("tls") or ():
                secret = tls.get("secretName")
                if secret and secret_context(self._network, meta["namespace"], secret) is None:
                    key = f"{meta['namespace']}/{secret}"
                    why = f"local SSL certificate {key} was not found. Using default certificate"
                    said.append(f'W controller.go:1543] Error getting SSL certificate "{key}": {why}')
        for route in self.routes():
            if service := route.backend.get("service"):
                said += self._complaint(route, f"{route.namespace}/{service['name']}")
        return list(dict.fromkeys(said))

    def _complaint(self, route: Route, service: str) -> list[str]:
        try:
            self._endpoint(route)
        except NoBackend:
            if self._network.objects.get(SERVICES, *service.split("/")) is not None:
                return [f'W controller.go:1214] Service "{service}" does not have any active Endpoint.']
            why = f'no object matching key "{service}" in local store'
            return [f'W controller.go:1114] Error obtaining Endpoints for Service "{service}": {why}']
        return []

    def _redirects(self, route: Route, host: str) -> bool:
        if route.annotation("force-ssl-redirect") == "true":
            return True
        has_tls = any(host in (tls.get("hosts") or [host]) for tls in route.ingress["spec"].get("tls") or ())
        return self._flavour == "nginx" and has_tls and route.annotation("ssl-redirect") != "false"

    def _not_found(self) -> Response:
        if self._flavour == "nginx":
            return reply(404, nginx_page("404 Not Found"), "text/html")
        return reply(404)

    def _unavailable(self, error: NoBackend) -> Response:
        if self._flavour == "nginx":
            return reply(error.status, nginx_page("503 Service Temporarily Unavailable"), "text/html")
        return reply(error.status, "no healthy upstream")

    # --- TLS ---

    def tls_context(self) -> ssl.SSLContext:
        """A server context that picks the certificate by SNI; unknown names get a self-signed one."""
        context = self._fake_context()

        def choose(tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
            found = self.certificate_for(name or "")
            if found is not None:
                tls.context = found

        context.sni_callback = choose
        return context

    def certificate_for(self, name: str) -> ssl.SSLContext | None:
        """The certificate that some Ingress gives for a host."""
        name = name.lower()
        for ingress in self.ingresses():
            for tls in ingress["spec"].get("tls") or ():
                hosts = [host.lower() for host in tls.get("hosts") or ()]
                if not hosts or name in hosts or "*." + name.partition(".")[2] in hosts:
                    secret = tls.get("secretName", "")
                    context = secret_context(self._network, ingress["metadata"]["namespace"], secret)
                    if context is not None:
                        return context
        return None

    def _fake_context(self) -> ssl.SSLContext:
        if self._fake is None:
            self._fake = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            load_pem(self._fake, *self_signed("Kubernetes Ingress Controller Fake Certificate", "ingress.local"))
        return self._fake


def _port_of(service: Obj) -> int | str:
    port = service.get("port") or {}
    found: int | str = port.get("number") or port.get("name") or 0
    return found


def nginx_page(title: str, name: str = "nginx", heading: str = "", text: str = "") -> str:
    """nginx' own page for a status; `name` is nginx, which may tell its version, `heading` the title where empty."""
    said = f"<center>{text}</center>\r\n" if text else ""
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{heading or title}</h1></center>\r\n"
        f"{said}<hr><center>{name}</center>\r\n</body>\r\n</html>\r\n"
    )


def nginx_plain(name: str = "nginx") -> Handler:
    """What nginx answers to plain HTTP on a port of HTTPS."""
    why = "The plain HTTP request was sent to HTTPS port"
    page = nginx_page(f"400 {why}", name, "400 Bad Request", why)

    async def refuse(_: Request) -> Response:
        refusal = reply(400, page, "text/html")
        refusal.headers.append(("Connection", "close"))
        return refusal

    return server(refuse, name=name)


def secret_context(network: Network, namespace: str, name: str) -> ssl.SSLContext | None:
    """A server context from a kubernetes.io/tls Secret; None if there is none that works."""
    import base64
    import binascii

    secret = network.objects.get(SECRETS, namespace, name)
    data = (secret or {}).get("data") or {}
    try:
        certificate, key = (base64.b64decode(data.get(field, "")) for field in ("tls.crt", "tls.key"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_pem(context, certificate, key)
    except (ssl.SSLError, binascii.Error, ValueError):
        return None
    return context


def _default(ingress: Obj) -> Route | None:
    backend = ingress["spec"].get("defaultBackend")
    return Route(ingress, "", "/", "Prefix", backend) if backend else None


def _best(routes: Iterable[Route], path: str) -> Route | None:
    best: Route | None = None
    for route in routes:
        if route.path_type == "Exact":
            if path == route.path:
                return route
        elif route.annotation("use-regex") == "true":
            if re.match(route.path, path, re.IGNORECASE) and (best is None or len(route.path) > len(best.path)):
                best = route
        elif _covers(route, path) and (best is None or len(route.path) > len(best.path)):
            best = route
    return best


def _covers(route: Route, path: str) -> bool:
    if route.path_type == "ImplementationSpecific":
        return path.startswith(route.path)
    return prefix_matches(route.path, path)


def prefix_matches(prefix: str, path: str) -> bool:
    """Prefix by path element: /foo takes /foo and /foo/bar, not /foobar."""
    wanted = [part for part in prefix.split("/") if part]
    got = [part for part in path.split("/") if part]
    return got[: len(wanted)] == wanted


def _rewritten(route: Route, path: str) -> str:
    target = route.annotation("rewrite-target")
    if not target:
        return path
    found = re.match(route.path, path, re.IGNORECASE) if route.path_type != "Exact" else None
    groups = found.groups() if found else ()
    return re.sub(r"\$(\d)", lambda m: (groups[int(m[1]) - 1] or "") if int(m[1]) <= len(groups) else "", target) or "/"
