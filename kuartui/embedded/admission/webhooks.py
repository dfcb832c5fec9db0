"""Admission webhooks, called over the cluster's network as kube-apiserver calls them.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import base64
import binascii
import ssl
from typing import Any
from urllib.parse import urlsplit

import orjson

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.admission.matching import GROUP, exempt, matches, request_of
from kuartui.embedded.api.objects import from_storage, to_storage
from kuartui.embedded.api.rest import Rest
from kuartui.embedded.bootstrap import API_ADDRESS
from kuartui.embedded.cel import CelError, compile_cel
from kuartui.embedded.meta import errors, patch_json, random
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.network import NameNotResolved, Network
from kuartui.embedded.network import http as network_http
from kuartui.embedded.network.tls import connect_tls

Obj = dict[str, Any]

MUTATING, VALIDATING = f"mutatingwebhookconfigurations.{GROUP}", f"validatingwebhookconfigurations.{GROUP}"
CONDITION_VARIABLES = ("object", "oldObject", "request", "authorizer")
API = "admission.k8s.io/v1"


class _CallError(Exception):
    """A webhook that did not answer, or not sensibly."""


class _Webhooks(Plugin):
    configurations = ""

    def __init__(self, rest: Rest, network: Network) -> None:
        self._rest, self._network = rest, network

    async def _call_all(self, attributes: Attributes) -> None:
        found = self._rest.store.list(self.configurations)
        if not found or exempt(attributes):
            return
        for stored in found:
            for webhook in stored.data.get("webhooks") or ():
                if matches(webhook, attributes, self._rest.store) and self._wanted(webhook, attributes):
                    await self._ask(webhook, attributes)

    def _wanted(self, webhook: Obj, attributes: Attributes) -> bool:
        """matchConditions: all must be true."""
        values = {**self._objects(attributes), "request": request_of(attributes), "authorizer": {}}
        for condition in webhook.get("matchConditions") or ():
            try:
                if compile_cel(condition["expression"], CONDITION_VARIABLES).evaluate(values) is not True:
                    return False
            except CelError as error:
                if webhook.get("failurePolicy") == "Ignore":
                    return False
                why = f"failed to evaluate match conditions of webhook {webhook['name']}: {error}"
                raise errors.forbidden(attributes.resource, attributes.name, why) from error
        return True

    async def _ask(self, webhook: Obj, attributes: Attributes) -> None:
        name = webhook["name"]
        if attributes.dry_run and webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise errors.bad_request(f'admission webhook "{name}" does not support dry run')
        try:
            response = await self._call(webhook, attributes)
        except _CallError as error:
            if webhook.get("failurePolicy", "Fail") == "Ignore":
                return
            message = f'Internal error occurred: failed calling webhook "{name}": failed to call webhook: {error}'
            cause = {"message": message.partition(": ")[2]}
            raise StatusError(500, "InternalError", message, causes=[cause]) from error
        attributes.warnings += [str(text) for text in response.get("warnings") or ()]
        if not response.get("allowed"):
            raise _rejection(name, response.get("status") or {})
        self._accept(webhook, response, attributes)

    def _accept(self, webhook: Obj, response: Obj, attributes: Attributes) -> None:
        """What an allowing answer changes."""

    def _objects(self, attributes: Attributes) -> Obj:
        endpoint = attributes.endpoint
        return {
            "object": from_storage(endpoint, attributes.obj) if attributes.obj is not None else None,
            "oldObject": from_storage(endpoint, attributes.old) if attributes.old is not None else None,
        }

    # --- the call

    async def _call(self, webhook: Obj, attributes: Attributes) -> Obj:
        uid = random.uid()
        request = {"uid": uid, **request_of(attributes), **self._objects(attributes)}
        review = {"kind": "AdmissionReview", "apiVersion": API, "request": request}
        seconds = int(webhook.get("timeoutSeconds") or 10)
        target = _target(webhook.get("clientConfig") or {}, seconds)
        try:
            async with self._rest.clock.timeout(seconds):
                answer = await self._post(webhook, target, orjson.dumps(review), seconds)
        except TimeoutError as error:
            raise _CallError(f'Post "{target}": context deadline exceeded') from error
        response = answer.get("response")
        if not isinstance(response, dict):
            raise _CallError("expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got no response")
        if response.get("uid") != uid:
            raise _CallError(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
        return response

    async def _post(self, webhook: Obj, target: str, body: bytes, seconds: int) -> Obj:
        parts = urlsplit(target)
        server, port = parts.hostname or "", parts.port or 443
        address = self._address(webhook["clientConfig"], target) or server
        authority = (webhook["clientConfig"]).get("caBundle")
        try:
            stream = await self._network.connect(API_ADDRESS, address, port, seconds=seconds + 1)
            stream = await connect_tls(stream, _context(authority), server)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            headers = [("Content-Type", "application/json"), ("Accept", "application/json")]
            got = await network_http.exchange(stream, "POST", path, f"{server}:{port}", headers, body)
        except NameNotResolved as error:
            raise _CallError(f'Post "{target}": dial tcp: lookup {server}: no such host') from error
        except ssl.SSLCertVerificationError as error:
            raise _CallError(f'Post "{target}": tls: failed to verify certificate: {_x509(error, server)}') from error
        except (ConnectionRefusedError, TimeoutError) as error:
            words = "connection refused" if isinstance(error, ConnectionRefusedError) else "i/o timeout"
            verb = "connect: " if isinstance(error, ConnectionRefusedError) else ""
            raise _CallError(f'Post "{target}": dial tcp {address}:{port}: {verb}{words}') from error
        except (OSError, network_http.ProtocolError) as error:
            raise _CallError(f'Post "{target}": {str(error) or "EOF"}') from error
        content = got.body if isinstance(got.body, bytes) else b""
        if got.status == 404:
            raise _CallError("the server could not find the requested resource")
        if got.status != 200:
            said = content.decode(errors="replace")
            raise _CallError(f'an error on the server ("{said}") has prevented the request from succeeding')
        try:
            value = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise _CallError("couldn't get version/kind; json parse error: invalid character") from error
        return value if isinstance(value, dict) else {}

    def _address(self, config: Obj, target: str) -> str:
        """The cluster IP of the webhook's service; "" for a webhook with a URL."""
        service = config.get("service")
        if service is None:
            return ""
        stored = self._rest.store.get("services", service["namespace"], service["name"])
        if stored is None:
            raise _CallError(f'Post "{target}": service "{service["name"]}" not found')
        spec, port = stored.data["spec"], service.get("port", 443)
        if spec.get("type") == "ExternalName":
            return str(spec.get("externalName", ""))
        if not any(item["port"] == port for item in spec.get("ports") or ()):
            raise _CallError(f'Post "{target}": no service port {port} found for service "{service["name"]}"')
        return str(spec.get("clusterIP", ""))


class MutatingWebhooks(_Webhooks):
    configurations = MUTATING

    async def mutate(self, attributes: Attributes) -> None:
        await self._call_all(attributes)

    def _accept(self, webhook: Obj, response: Obj, attributes: Attributes) -> None:
        if not response.get("patch") or attributes.obj is None:
            return
        name = webhook["name"]
        try:
            patch = orjson.loads(base64.b64decode(response["patch"], validate=True))
            endpoint = attributes.endpoint
            changed = patch_json.apply(orjson.loads(orjson.dumps(from_storage(endpoint, attributes.obj))), patch)
        except (ValueError, binascii.Error, StatusError) as error:
            message = (
                f'Internal error occurred: failed calling webhook "{name}": received invalid webhook patch: {error}'
            )
            raise StatusError(500, "InternalError", message) from error
        attributes.obj.clear()
        attributes.obj.update(to_storage(endpoint, changed))


class ValidatingWebhooks(_Webhooks):
    configurations = VALIDATING

    async def validate(self, attributes: Attributes) -> None:
        await self._call_all(attributes)


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
            raise _CallError("unable to load root certificates: unable to parse bytes as PEM block") from error
    return context


def _x509(error: ssl.SSLCertVerificationError, server: str) -> str:
    text = str(error).lower()
    if "hostname mismatch" in text or "doesn't match" in text:
        return f"x509: certificate is not valid for any names, but wanted to match {server}"
    if "expired" in text:
        return "x509: certificate has expired or is not yet valid"
    return "x509: certificate signed by unknown authority"


def _rejection(name: str, status: Obj) -> StatusError:
    """k8s.io/apiserver/pkg/admission/plugin/webhook/errors/statuserror.go."""
    denied = f'admission webhook "{name}" denied the request'
    why = status.get("message") or status.get("reason")
    message = f"{denied}: {why}" if why else f"{denied} without explanation"
    return StatusError(int(status.get("code") or 400), str(status.get("reason") or ""), message)
