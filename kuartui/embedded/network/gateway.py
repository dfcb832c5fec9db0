"""Gateway API: listeners, HTTPRoute matching with its precedence, filters, weights and ReferenceGrants.

The rules are those of the v1 specification: routes attach by parentRef, section name and allowed namespaces; host names
must intersect; exact paths beat longer prefixes, then methods, headers, query parameters, age. A backend that does not
exist, or may not be referenced, answers 500; one without endpoints 503.
"""

from __future__ import annotations

import random
import re
import ssl
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from kuartui.embedded.network.forward import Forward, NoBackend, backend_endpoint, forward
from kuartui.embedded.network.http import Request, Response, reply
from kuartui.embedded.network.ingress import prefix_matches, secret_context
from kuartui.embedded.network.objects import GATEWAYS, HTTP_ROUTES, NAMESPACES, REFERENCE_GRANTS, SERVICES, Obj
from kuartui.embedded.network.selectors import matches
from kuartui.embedded.network.table import Network

GROUP = "gateway.networking.k8s.io"


class Match(Struct, frozen=True):
    """A rule that a request may take, with what decides between several."""

    route: Obj
    rule: Obj
    wanted: Obj
    rank: tuple[object, ...]

    @property
    def namespace(self) -> str:
        """The route's namespace."""
        return str(self.route["metadata"]["namespace"])


class GatewayProxy:
    """Serves the listeners of one Gateway."""

    def __init__(self, network: Network, source_ip: str, namespace: str, name: str, chance: random.Random) -> None:
        self._network = network
        self._source_ip = source_ip
        self._namespace = namespace
        self._name = name
        self._chance = chance

    @property
    def gateway(self) -> Obj:
        """The Gateway as it is now; empty after it is gone."""
        return self._network.objects.get(GATEWAYS, self._namespace, self._name) or {"spec": {"listeners": []}}

    def listeners(self, port: int) -> list[Obj]:
        """The listeners of a port."""
        return [listener for listener in self.gateway["spec"].get("listeners") or () if listener["port"] == port]

    async def handle(self, port: int, request: Request) -> Response:
        """Route one request that came in on a port."""
        host = request.host.lower()
        listener = _most_specific(self.listeners(port), host)
        if listener is None:
            return reply(404)
        found = max(self._matches(listener, host, request), key=lambda match: match.rank, default=None)
        if found is None:
            return reply(404)
        return await self._take(found, request)

    def _matches(self, listener: Obj, host: str, request: Request) -> Iterator[Match]:
        for route in self._network.objects.list(HTTP_ROUTES):
            if not self.attached(route, listener):
                continue
            hostname = _hostname(route, listener, host)
            if hostname is None:
                continue
            for number, rule in enumerate(route["spec"].get("rules") or [{}]):
                for wanted in rule.get("matches") or [{"path": {"type": "PathPrefix", "value": "/"}}]:
                    rank = _rank(wanted, request)
                    if rank is not None:
                        age = _reversed(route["metadata"].get("creationTimestamp") or "")
                        name = _reversed(f"{route['metadata']['namespace']}/{route['metadata']['name']}")
                        yield Match(route, rule, wanted, (len(hostname.lstrip("*")), *rank, age, name, -number))

    def attached(self, route: Obj, listener: Obj) -> bool:
        """Whether a route belongs to a listener of this Gateway."""
        namespace = route["metadata"]["namespace"]
        for parent in route["spec"].get("parentRefs") or ():
            if parent.get("name") != self._name or parent.get("namespace", namespace) != self._namespace:
                continue
            if parent.get("kind", "Gateway") != "Gateway" or parent.get("group", GROUP) != GROUP:
                continue
            if parent.get("sectionName") not in (None, listener["name"]) or parent.get("port") not in (
                None,
                listener["port"],
            ):
                continue
            if self._allowed(namespace, listener):
                return True
        return False

    def _allowed(self, namespace: str, listener: Obj) -> bool:
        allowed = (listener.get("allowedRoutes") or {}).get("namespaces") or {}
        source = allowed.get("from", "Same")
        if source == "All":
            return True
        if source == "Selector":
            found = self._network.objects.get(NAMESPACES, "", namespace) or {"metadata": {}}
            return matches(allowed.get("selector") or {}, found["metadata"].get("labels") or {})
        return namespace == self._namespace

    # --- what a rule does ---

    async def _take(self, match: Match, request: Request) -> Response:
        change = Forward(request.target.partition("?")[0] or "/")
        answer_headers: list[tuple[str, str, str]] = []
        filters = list(match.rule.get("filters") or ())
        backend = self._weighted(match.rule.get("backendRefs") or [])
        filters += (backend or {}).get("filters") or ()
        for step in filters:
            kind = step["type"]
            if kind == "RequestRedirect":
                return _redirect(step["requestRedirect"], match, request)
            if kind == "URLRewrite":
                rewrite = step["urlRewrite"]
                change.host = rewrite.get("hostname", "")
                change.path = _new_path(rewrite.get("path"), match, change.path)
            elif kind == "RequestHeaderModifier":
                change.headers += _header_changes(step["requestHeaderModifier"], request)
            elif kind == "ResponseHeaderModifier":
                modifier = step["responseHeaderModifier"]
                for action in ("set", "add"):
                    answer_headers += [(action, entry["name"], entry["value"]) for entry in modifier.get(action) or ()]
                answer_headers += [("remove", name, "") for name in modifier.get("remove") or ()]
            elif kind == "RequestMirror":
                await self._mirror(step["requestMirror"]["backendRef"], match, request, change)
        if backend is None:
            return reply(500)
        response = await self._send(backend, match, request, change)
        for action, name, value in answer_headers:
            if action == "add":
                response.headers.append((name, value))
            else:
                response.headers.replace(name, value if action == "set" else None)
        return response

    def _weighted(self, backends: list[Obj]) -> Obj | None:
        weights = [backend.get("weight", 1) for backend in backends]
        if not sum(weights):
            return None
        return self._chance.choices(backends, weights)[0]

    async def _send(self, backend: Obj, match: Match, request: Request, change: Forward) -> Response:
        namespace = backend.get("namespace", match.namespace)
        known = backend.get("kind", "Service") == "Service" and self._network.objects.get(
            SERVICES, namespace, backend["name"]
        )
        if not known or not self.may_refer(match.namespace, "HTTPRoute", namespace, "", "Service", backend["name"]):
            return reply(500)
        try:
            endpoint = backend_endpoint(
                self._network, self._source_ip, namespace, backend["name"], backend.get("port", 0)
            )
        except NoBackend as error:
            return reply(503 if "endpoints" in str(error) else 500)
        return await forward(self._network, self._source_ip, endpoint, request, change)

    async def _mirror(self, backend: Obj, match: Match, request: Request, change: Forward) -> None:
        await self._send(backend, match, replace(request), Forward(change.path, change.host, list(change.headers)))

    def may_refer(self, source: str, kind: str, target: str, group: str, to_kind: str, name: str) -> bool:
        """Whether a reference across namespaces is granted."""
        if source == target:
            return True
        for grant in self._network.objects.list(REFERENCE_GRANTS, target):
            spec = grant["spec"]
            from_ = any(f.get("namespace") == source and f.get("kind") == kind for f in spec.get("from") or ())
            to = any(
                t.get("kind") == to_kind and t.get("group", "") == group and t.get("name") in (None, "", name)
                for t in spec.get("to") or ()
            )
            if from_ and to:
                return True
        return False

    # --- TLS ---

    def tls_context(self, port: int, fallback: ssl.SSLContext) -> ssl.SSLContext:
        """A server context that picks the listener's certificate by SNI."""

        def choose(tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
            listener = _most_specific(self.listeners(port), (name or "").lower())
            found = self._certificate(listener) if listener else None
            if found is not None:
                tls.context = found

        fallback.sni_callback = choose
        return fallback

    def _certificate(self, listener: Obj) -> ssl.SSLContext | None:
        for ref in (listener.get("tls") or {}).get("certificateRefs") or ():
            namespace = ref.get("namespace", self._namespace)
            if self.may_refer(self._namespace, "Gateway", namespace, "", "Secret", ref["name"]):
                return secret_context(self._network, namespace, ref["name"])
        return None


def _most_specific(listeners: list[Obj], host: str) -> Obj | None:
    fitting = [listener for listener in listeners if host_matches(listener.get("hostname") or "", host)]
    return max(fitting, key=lambda listener: len((listener.get("hostname") or "").lstrip("*")), default=None)


def host_matches(pattern: str, host: str) -> bool:
    """`*.example.com` takes any number of labels below; the empty pattern takes everything."""
    pattern = pattern.lower()
    return not pattern or pattern == host or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _hostname(route: Obj, listener: Obj, host: str) -> str | None:
    names = route["spec"].get("hostnames")
    if not names:
        return listener.get("hostname") or ""
    fitting = [name for name in names if host_matches(name, host)]
    return max(fitting, key=lambda name: len(name.lstrip("*")), default=None)


def _rank(wanted: Obj, request: Request) -> tuple[int, int, int, int, int] | None:
    """How well a match fits (more is better), None if it does not."""
    path = wanted.get("path") or {"type": "PathPrefix", "value": "/"}
    kind, value = path.get("type", "PathPrefix"), path.get("value", "/")
    if kind == "Exact":
        fits = request.path == value
    elif kind == "RegularExpression":
        fits = re.fullmatch(value, request.path) is not None
    else:
        fits = prefix_matches(value, request.path)
    method = wanted.get("method")
    headers, queries = wanted.get("headers") or [], wanted.get("queryParams") or []
    if not fits or (method and method != request.method):
        return None
    if not all(_value_matches(h, request.headers.find(h["name"])) for h in headers):
        return None
    if not all(_value_matches(q, (request.query.get(q["name"]) or [""])[0]) for q in queries):
        return None
    return int(kind == "Exact"), len(value), int(bool(method)), len(headers), len(queries)


def _value_matches(wanted: Obj, value: str) -> bool:
    if wanted.get("type", "Exact") == "RegularExpression":
        return re.fullmatch(wanted["value"], value) is not None
    return value == str(wanted["value"])


def _reversed(text: str) -> tuple[int, ...]:
    """Sorts the other way round: older and alphabetically first wins."""
    return tuple(-ord(char) for char in text)


def _new_path(path: Obj | None, match: Match, current: str) -> str:
    if not path:
        return current
    if path["type"] == "ReplaceFullPath":
        return str(path["replaceFullPath"])
    prefix = (match.wanted.get("path") or {}).get("value", "/").rstrip("/")
    rest = current[len(prefix) :].lstrip("/")
    new = str(path.get("replacePrefixMatch") or "").rstrip("/")
    return f"{new}/{rest}" if rest else new or "/"


def _redirect(redirect: Obj, match: Match, request: Request) -> Response:
    scheme = redirect.get("scheme", request.scheme)
    host = redirect.get("hostname") or request.host
    port = redirect.get("port")
    path = _new_path(redirect.get("path"), match, request.target.partition("?")[0])
    standard = {"http": 80, "https": 443}.get(scheme)
    where = f"{scheme}://{host}{f':{port}' if port and port != standard else ''}{path}"
    return reply(redirect.get("statusCode", 302), headers=[("Location", where)])


def _header_changes(modifier: Obj, request: Request) -> list[tuple[str, str]]:
    changes = [(entry["name"], entry["value"]) for entry in modifier.get("set") or ()]
    for entry in modifier.get("add") or ():
        old = request.headers.find(entry["name"])
        changes.append((entry["name"], f"{old},{entry['value']}" if old else entry["value"]))
    return changes + [(name, "") for name in modifier.get("remove") or ()]
