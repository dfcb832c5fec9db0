"""The aggregation layer: requests that another API server answers, behind a Service of the cluster.

After k8s.io/kube-aggregator/pkg/apiserver/handler_proxy.go and client-go's auth proxy round tripper. The API server says
by its front proxy certificate who it is, and in headers who asks.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson

from kuartui.embedded.api.request import Request, Response, User
from kuartui.embedded.auth.pki import KeyPair
from kuartui.embedded.network import NameNotResolved, Network, not_found_on_node
from kuartui.embedded.network import http as network_http
from kuartui.embedded.network.tls import connect_tls, go_complaint, load_pem, shown_certificate
from kuartui.embedded.store import Store

Obj = dict[str, Any]

API_SERVICES = "apiservices.apiregistration.k8s.io"
SECONDS = 30.0  # until an address that does not answer is given up
_DROPPED = ("host", "connection", "authorization", "content-length", "accept-encoding", "transfer-encoding", "upgrade")
_SAID_BY_US = ("x-remote-", "x-forwarded-", "impersonate-")
_NOT_COPIED = ("content-length", "transfer-encoding", "connection", "content-type", "keep-alive")


class _Unreachable(Exception):
    """No answer; the text says why."""


class Aggregator:
    """Hands requests on. `source` is the address from which the API server connects."""

    def __init__(self, store: Store, network: Network, source: str, front_proxy: Callable[[], KeyPair]) -> None:
        self._store, self._network, self._source = store, network, source
        self._front_proxy = front_proxy
        self._pair: KeyPair | None = None

    async def forward(self, request: Request, group: str, version: str) -> Response:
        """What the server of a group version answers; 503 if it cannot be reached."""
        stored = self._store.get(API_SERVICES, "", f"{version}.{group}")
        if stored is None or not _available(stored.data):
            return Response(503, b"service unavailable\n", "text/plain; charset=utf-8")
        target = quote(request.path) + (f"?{request.raw_query}" if request.raw_query else "")
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name not in _DROPPED and not name.startswith(_SAID_BY_US)
        ]
        try:
            got = await self._send(
                stored.data["spec"], request.method, target, [*headers, *identity(request.user)], request.body
            )
        except _Unreachable as error:
            text = f"error trying to reach service: {error}\n"
            return Response(503, text.encode(), "text/plain; charset=utf-8")
        kept = [(key, value) for key, value in got.headers if key.lower() not in _NOT_COPIED]
        kind = got.headers.find("content-type") or "application/json"
        if isinstance(got.body, bytes):
            return Response(got.status, got.body, kind, kept)
        return Response(got.status, b"", kind, kept, got.body)

    async def resources(self, group: str, version: str) -> list[Obj]:
        """What the server of a group version says that it has, as aggregated discovery tells it; empty if nothing."""
        stored = self._store.get(API_SERVICES, "", f"{version}.{group}")
        if stored is None:
            return []
        aggregator = User("system:kube-aggregator", ("system:masters",))
        headers = [("Accept", "application/json"), *identity(aggregator)]
        try:
            got = await self._send(stored.data["spec"], "GET", f"/apis/{group}/{version}", headers, b"")
            await got.read()
            told = orjson.loads(got.body if isinstance(got.body, bytes) else b"")
        except (_Unreachable, OSError, ValueError, network_http.ProtocolError):
            return []
        entries = told.get("resources") if isinstance(told, dict) else None
        return _aggregated(group, version, [one for one in entries or () if isinstance(one, dict)])

    async def _send(
        self, spec: Obj, method: str, target: str, headers: list[tuple[str, str]], body: bytes
    ) -> network_http.Response:
        reference = spec["service"]
        namespace, name, port = reference["namespace"], reference["name"], reference.get("port", 443)
        service = self._store.get("services", namespace, name)
        if service is None:
            raise _Unreachable(f'service "{name}" not found')
        found = service.data["spec"]
        address = found.get("externalName") if found.get("type") == "ExternalName" else found.get("clusterIP")
        server = f"{name}.{namespace}.svc"
        where = f"{address}:{port}"
        try:
            stream = await self._network.connect(self._source, str(address), port, seconds=SECONDS)
            stream = await connect_tls(stream, self._context(spec), server)
            client = network_http.Client(stream)
            return await client.send(method, target, [("Host", server), *headers, ("Connection", "close")], body)
        except ssl.SSLCertVerificationError as error:
            again = await self._network.connect(self._source, str(address), port, seconds=SECONDS)
            why = go_complaint(error, server, await shown_certificate(again, server), self._network.clock.now())
            raise _Unreachable(f"tls: failed to verify certificate: {why}") from error
        except ssl.SSLError as error:
            raise _Unreachable("http: server gave HTTP response to HTTPS client") from error
        except NameNotResolved as error:
            raise _Unreachable(not_found_on_node(str(address))) from error
        except TimeoutError as error:
            raise _Unreachable(f"dial tcp {where}: i/o timeout") from error
        except ConnectionRefusedError as error:
            raise _Unreachable(f"dial tcp {where}: connect: connection refused") from error
        except (OSError, network_http.ProtocolError) as error:
            raise _Unreachable(str(error) or "EOF") from error

    def _context(self, spec: Obj) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if spec.get("insecureSkipTLSVerify"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        elif spec.get("caBundle"):
            try:
                context.load_verify_locations(cadata=base64.b64decode(spec["caBundle"]).decode())
            except (ValueError, binascii.Error, ssl.SSLError) as error:
                raise _Unreachable("unable to load root certificates: unable to parse bytes as PEM block") from error
        if self._pair is None:
            self._pair = self._front_proxy()
        load_pem(context, self._pair.certificate, self._pair.key)
        return context


def identity(user: User) -> list[tuple[str, str]]:
    """The headers that tell an aggregated server who asks."""
    extra = [(f"X-Remote-Extra-{quote(key, safe='')}", value) for key, values in user.extra.items() for value in values]
    uid = [("X-Remote-Uid", user.uid)] if user.uid else []
    return [("X-Remote-User", user.name), *uid, *(("X-Remote-Group", group) for group in user.groups), *extra]


def _available(api_service: Obj) -> bool:
    conditions = (api_service.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)


def _aggregated(group: str, version: str, listed: list[Obj]) -> list[Obj]:
    """Entries of an APIResourceList, with subresources below what they belong to."""
    found: dict[str, Obj] = {}
    for one in sorted(listed, key=lambda one: str(one.get("name", "")).count("/")):
        name, _, sub = str(one.get("name", "")).partition("/")
        kind = {
            "group": one.get("group") or group,
            "version": one.get("version") or version,
            "kind": one.get("kind", ""),
        }
        entry: Obj = {"responseKind": kind, "verbs": one.get("verbs") or []}
        if not sub:
            found[name] = {
                "resource": name,
                "scope": "Namespaced" if one.get("namespaced") else "Cluster",
                "singularResource": one.get("singularName") or "",
                **entry,
                **{key: one[key] for key in ("shortNames", "categories") if one.get(key)},
            }
        elif name in found:
            found[name].setdefault("subresources", []).append({"subresource": sub, **entry})
    return list(found.values())
