"""How the API server calls webhooks, those of admission and those that convert: by HTTPS over the cluster's network.

k8s.io/apiserver/pkg/util/webhook/client.go; errors read as those of Go's HTTP client.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from typing import Any
from urllib.parse import urlsplit

import orjson

from kuartui.embedded.bootstrap import API_ADDRESS
from kuartui.embedded.clock import Clock
from kuartui.embedded.network import NameNotResolved, Network, not_found_on_node
from kuartui.embedded.network import http as network_http
from kuartui.embedded.network.tls import connect_tls, go_complaint, shown_certificate
from kuartui.embedded.store import Store

Obj = dict[str, Any]


class CallError(Exception):
    """A webhook that did not answer, or not sensibly."""


class WebhookCaller:
    """Calls webhooks by their clientConfig."""

    def __init__(self, store: Store, clock: Clock, network: Network) -> None:
        self._store, self._clock, self._network = store, clock, network

    async def call(self, config: Obj, review: Obj, seconds: int) -> Obj:
        """What a webhook answers within so many seconds. Raises CallError."""
        target = _target(config, seconds)
        try:
            async with self._clock.timeout(seconds):
                return await self._post(config, target, orjson.dumps(review), seconds)
        except TimeoutError as error:
            raise CallError(f'Post "{target}": context deadline exceeded') from error

    async def _post(self, config: Obj, target: str, body: bytes, seconds: int) -> Obj:
        parts = urlsplit(target)
        server, port = parts.hostname or "", parts.port or 443
        address = self._address(config, target) or server
        authority = config.get("caBundle")
        try:
            stream = await self._network.connect(API_ADDRESS, address, port, seconds=seconds + 1)
            stream = await connect_tls(stream, _context(authority), server)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            headers = [("Content-Type", "application/json"), ("Accept", "application/json")]
            got = await network_http.exchange(stream, "POST", path, f"{server}:{port}", headers, body)
        except NameNotResolved as error:
            raise CallError(f'Post "{target}": {not_found_on_node(server)}') from error
        except ssl.SSLCertVerificationError as error:
            shown = await shown_certificate(
                await self._network.connect(API_ADDRESS, address, port, seconds=seconds + 1), server
            )
            why = go_complaint(error, server, shown, self._clock.now())
            raise CallError(f'Post "{target}": tls: failed to verify certificate: {why}') from error
        except ssl.SSLError as error:
            raise CallError(f'Post "{target}": http: server gave HTTP response to HTTPS client') from error
        except (ConnectionRefusedError, TimeoutError) as error:
            words = "connection refused" if isinstance(error, ConnectionRefusedError) else "i/o timeout"
            verb = "connect: " if isinstance(error, ConnectionRefusedError) else ""
            raise CallError(f'Post "{target}": dial tcp {address}:{port}: {verb}{words}') from error
        except (OSError, network_http.ProtocolError) as error:
            raise CallError(f'Post "{target}": {str(error) or "EOF"}') from error
        content = got.body if isinstance(got.body, bytes) else b""
        if got.status == 404:
            raise CallError("the server could not find the requested resource")
        if got.status != 200:
            said = content.decode(errors="replace")
            raise CallError(f'an error on the server ("{said}") has prevented the request from succeeding')
        try:
            value = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise CallError("couldn't get version/kind; json parse error: invalid character") from error
        return value if isinstance(value, dict) else {}

    def _address(self, config: Obj, target: str) -> str:
        """The cluster IP of the webhook's service; "" for a webhook with a URL."""
        service = config.get("service")
        if service is None:
            return ""
        stored = self._store.get("services", service["namespace"], service["name"])
        if stored is None:
            raise CallError(f'Post "{target}": service "{service["name"]}" not found')
        spec, port = stored.data["spec"], service.get("port", 443)
        if spec.get("type") == "ExternalName":
            return str(spec.get("externalName", ""))
        if not any(item["port"] == port for item in spec.get("ports") or ()):
            raise CallError(f'Post "{target}": no service port {port} found for service "{service["name"]}"')
        return str(spec.get("clusterIP", ""))


def _target(config: Obj, seconds: int) -> str:
    service = config.get("service")
    if service is None:
        return f"{config.get('url', '')}?timeout={seconds}s"
    path = "/" + str(service.get("path") or "").lstrip("/")
    host = f"{service['name']}.{service['namespace']}.svc:{service.get('port', 443)}"
    return f"https://{host}{path}?timeout={seconds}s"


def _context(authority: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority:
        try:
            context.load_verify_locations(cadata=base64.b64decode(authority).decode())
        except (ValueError, ssl.SSLError, binascii.Error) as error:
            raise CallError("unable to load root certificates: unable to parse bytes as PEM block") from error
    return context
