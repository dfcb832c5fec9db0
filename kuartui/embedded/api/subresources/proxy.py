"""pods/proxy, services/proxy and nodes/proxy: HTTP through the API server.

kubernetes/pkg/registry/core/{pod,service,node}: a name may be `scheme:name:port`.
"""

from __future__ import annotations

import ssl
from typing import Any, Protocol

from kuartui.embedded.api.request import Request, Response, text_response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest
from kuartui.embedded.api.subresources.proxied_html import led_back, rewritten
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.metrics.kubelet import KubeletPages
from kuartui.embedded.metrics.usage import UsageSource
from kuartui.embedded.network import NameNotResolved, Network
from kuartui.embedded.network import http as network_http
from kuartui.embedded.network.tls import connect_tls

Obj = dict[str, Any]

SECONDS = 30.0  # until an address that does not answer is given up
_DROPPED = ("host", "connection", "authorization", "content-length", "accept-encoding", "transfer-encoding", "upgrade")
_NOT_COPIED = ("content-length", "transfer-encoding", "connection", "content-type", "keep-alive")


class Kubelets(UsageSource, Protocol):
    """The kubelets; `node.fleet.Fleet`."""

    def reach(self, node: str) -> object:
        """Raises NodeUnreachable."""


class Proxies:
    """Serves the proxy subresources. `source` is the address from which the API server connects."""

    def __init__(self, rest: Rest, network: Network, source: str, kubelets: Kubelets) -> None:
        self._rest, self._network, self._source = rest, network, source
        self._kubelets, self._pages = kubelets, KubeletPages(kubelets, rest.clock)

    async def pod(self, request: Request, endpoint: Endpoint) -> Response:
        """To a port of a pod, its first one unless named."""
        scheme, name, port = split_name(request.info.name)
        pod = self._rest.get(endpoint, request.info.namespace, name).data
        address = pod.get("status", {}).get("podIP", "")
        if not address:
            raise errors.bad_request("address not allowed")
        if not port:
            ports = [p for one in pod["spec"].get("containers") or () for p in one.get("ports") or ()]
            port = str(ports[0]["containerPort"]) if ports else "80"
        if not port.isdigit():
            raise errors.bad_request(f'no port {port} found for pod "{name}"')
        return await self._forward(request, scheme, address, int(port))

    async def service(self, request: Request, endpoint: Endpoint) -> Response:
        """To one of a service's endpoints."""
        scheme, name, port = split_name(request.info.name)
        namespace = request.info.namespace
        service = self._rest.get(endpoint, namespace, name).data
        chosen = _service_port(service, port)
        if chosen is None:
            raise errors.unavailable(f'no service port "{port}" found for service "{name}"')
        for stored in self._rest.store.list("endpoints", namespace):
            if stored.key.name == name:
                for subset in stored.data.get("subsets") or ():
                    found = next((p for p in subset.get("ports") or () if p.get("name", "") == chosen), None)
                    if found and subset.get("addresses"):
                        return await self._forward(request, scheme, subset["addresses"][0]["ip"], found["port"])
        raise errors.unavailable(f'no endpoints available for service "{request.info.name}"')

    async def node(self, request: Request, endpoint: Endpoint) -> Response:
        """The kubelet's own pages, as far as people look at them."""
        _, name, _ = split_name(request.info.name)
        from kuartui.embedded.node.fleet import NodeUnreachable

        node = self._rest.get(endpoint, "", name).data
        try:
            self._kubelets.reach(name)
        except NodeUnreachable as error:
            raise StatusError(503, "ServiceUnavailable", f"error trying to reach service: {error}") from error
        pods = (s.data for s in self._rest.store.list("pods") if s.data["spec"].get("nodeName") == name)
        page = self._pages.page(node, "/".join(request.info.parts), pods)
        if page is None:
            return text_response("404 page not found\n", 404)
        return Response(200, page[1], page[0])

    async def _forward(self, request: Request, scheme: str, address: str, port: int) -> Response:
        if moved := _moved(request):
            return moved
        target = "/" + "/".join(request.info.parts)
        if request.path.endswith("/") and not target.endswith("/"):
            target += "/"
        if request.raw_query:
            target += f"?{request.raw_query}"
        headers = [(key, value) for key, value in request.headers.items() if key not in _DROPPED]
        where = f"{address}:{port}"
        try:
            stream = await self._network.connect(self._source, address, port, seconds=SECONDS)
            if scheme == "https":
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                stream = await connect_tls(stream, context, None)
            got = await network_http.exchange(stream, request.method, target, where, headers, request.body)
        except (OSError, NameNotResolved, network_http.ProtocolError) as error:
            why = "i/o timeout" if isinstance(error, TimeoutError) else f"connect: {_words(error)}"
            text = f"error trying to reach service: dial tcp {where}: {why}"
            raise StatusError(503, "ServiceUnavailable", text) from error
        kept = [(key, value) for key, value in got.headers if key.lower() not in _NOT_COPIED]
        kind = got.headers.find("content-type") or "text/plain"
        hosts = where, request.headers.get("host", "")
        prefix = request.path.removesuffix(target.partition("?")[0])
        kept = [(key, led_back(value, prefix, hosts) if key.lower() == "location" else value) for key, value in kept]
        if not isinstance(got.body, bytes):
            return Response(got.status, content_type=kind, headers=kept, stream=got.body)
        body = got.body
        if kind.startswith("text/html") and not got.headers.find("content-encoding"):
            text = body.decode(errors="surrogateescape")
            body = rewritten(text, prefix, hosts).encode(errors="surrogateescape")
        return Response(got.status, body, kind, kept)


def _moved(request: Request) -> Response | None:
    """Where a page without a path is: relative links would lead elsewhere."""
    if request.info.parts or request.path.endswith("/") or request.method not in ("GET", "HEAD"):
        return None
    query = f"?{request.raw_query}" if request.raw_query else ""
    return Response(301, headers=[("location", f"{request.path}/{query}")])


def _words(error: Exception) -> str:
    """An error as Go prints it: "connection refused"."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def split_name(name: str) -> tuple[str, str, str]:
    """Scheme, name and port of `[scheme:]name[:port]`."""
    parts = name.split(":")
    if len(parts) == 1:
        return "http", parts[0], ""
    if len(parts) == 2:
        return "http", parts[0], parts[1]
    return parts[0] or "http", parts[1], parts[2]


def _service_port(service: Obj, wanted: str) -> str | None:
    """The name of the port that is meant; None if there is none."""
    ports = service["spec"].get("ports") or []
    if not wanted:
        return str(ports[0].get("name", "")) if len(ports) == 1 else None
    for port in ports:
        if wanted in (port.get("name", ""), str(port["port"])):
            return str(port.get("name", ""))
    return None
