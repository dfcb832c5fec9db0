"""Admission webhooks, called over the cluster's network as kube-apiserver calls them.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.admission.matching import GROUP, all_true, exempt, matches, request_of, version_for
from kuartui.embedded.api.rest import Rest
from kuartui.embedded.cel import CelError
from kuartui.embedded.meta import errors, patch_json, random
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.network import Network
from kuartui.embedded.webhooks import CallError, WebhookCaller

Obj = dict[str, Any]

MUTATING, VALIDATING = f"mutatingwebhookconfigurations.{GROUP}", f"validatingwebhookconfigurations.{GROUP}"
CONDITION_VARIABLES = ("object", "oldObject", "request", "authorizer")
API = "admission.k8s.io/v1"


class _Webhooks(Plugin):
    configurations = ""
    mutates = False

    def __init__(self, rest: Rest, network: Network) -> None:
        self._rest = rest
        self._caller = WebhookCaller(rest.store, rest.clock, network)

    async def _call_all(self, attributes: Attributes) -> None:
        found = self._rest.store.list(self.configurations)
        if not found or exempt(attributes):
            return
        for stored in found:
            for webhook in stored.data.get("webhooks") or ():
                who = f"webhook {stored.key.name}/{webhook['name']}"
                if attributes.again and self.mutates and not attributes.wants_again(who):
                    continue
                if not webhook.get("rules") or not matches(webhook, attributes, self._rest.store):
                    continue
                request = await self._request(webhook, attributes)
                if self._wanted(webhook, request, attributes):
                    await self._ask(webhook, request, attributes)
                    if webhook.get("reinvocationPolicy") == "IfNeeded":
                        attributes.leave(who)

    async def _request(self, webhook: Obj, attributes: Attributes) -> Obj:
        """What a webhook is told, objects in the version that it knows."""
        endpoint, version = attributes.endpoint, version_for(webhook, attributes)
        objects = {"object": attributes.obj, "oldObject": attributes.old}
        shown = {
            name: await self._rest.in_version(endpoint, obj, version) if obj is not None else None
            for name, obj in objects.items()
        }
        return {**request_of(attributes, version if version != endpoint.version else ""), **shown}

    def _wanted(self, webhook: Obj, request: Obj, attributes: Attributes) -> bool:
        """matchConditions: all must be true. One that is false settles it, even if another one cannot be told."""
        objects = {name: request[name] for name in ("object", "oldObject")}
        asked = {name: value for name, value in request.items() if name not in objects}
        values = {**objects, "request": asked, "authorizer": {}}
        try:
            return all_true(webhook.get("matchConditions") or (), CONDITION_VARIABLES, values)
        except CelError as error:
            if webhook.get("failurePolicy") == "Ignore":
                return False
            raise errors.forbidden(attributes.resource, attributes.name, str(error)) from error

    async def _ask(self, webhook: Obj, request: Obj, attributes: Attributes) -> None:
        name = webhook["name"]
        if attributes.dry_run and webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise errors.bad_request(f'admission webhook "{name}" does not support dry run')
        try:
            response = await self._call(webhook, request)
        except CallError as error:
            if webhook.get("failurePolicy", "Fail") == "Ignore":
                return
            message = f'Internal error occurred: failed calling webhook "{name}": failed to call webhook: {error}'
            cause = {"message": message.partition(": ")[2]}
            raise StatusError(500, "InternalError", message, causes=[cause]) from error
        attributes.warnings += [str(text) for text in response.get("warnings") or ()]
        if not response.get("allowed"):
            raise _rejection(name, response.get("status") or {})
        await self._accept(webhook, response, request, attributes)

    async def _accept(self, webhook: Obj, response: Obj, request: Obj, attributes: Attributes) -> None:
        """What an allowing answer to a request changes."""

    # --- the call

    async def _call(self, webhook: Obj, request: Obj) -> Obj:
        uid = random.uid()
        review = {"kind": "AdmissionReview", "apiVersion": API, "request": {"uid": uid, **request}}
        seconds = int(webhook.get("timeoutSeconds") or 10)
        answer = await self._caller.call(webhook.get("clientConfig") or {}, review, seconds)
        response = answer.get("response")
        if not isinstance(response, dict):
            raise CallError("expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got no response")
        if response.get("uid") != uid:
            raise CallError(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
        return response


class MutatingWebhooks(_Webhooks):
    configurations = MUTATING
    mutates = True

    async def mutate(self, attributes: Attributes) -> None:
        await self._call_all(attributes)

    async def _accept(self, webhook: Obj, response: Obj, request: Obj, attributes: Attributes) -> None:
        if not response.get("patch") or attributes.obj is None:
            return
        name = webhook["name"]
        try:
            patch = orjson.loads(base64.b64decode(response["patch"], validate=True))
            changed = patch_json.apply(orjson.loads(orjson.dumps(request["object"])), patch)
        except (ValueError, binascii.Error, StatusError) as error:
            message = (
                f'Internal error occurred: failed calling webhook "{name}": received invalid webhook patch: {error}'
            )
            raise StatusError(500, "InternalError", message) from error
        stored = await self._rest.from_version(attributes.endpoint, changed, request["kind"]["version"])
        attributes.changed = attributes.changed or stored != attributes.obj
        attributes.obj.clear()
        attributes.obj.update(stored)


class ValidatingWebhooks(_Webhooks):
    configurations = VALIDATING

    async def validate(self, attributes: Attributes) -> None:
        await self._call_all(attributes)


def _rejection(name: str, status: Obj) -> StatusError:
    """k8s.io/apiserver/pkg/admission/plugin/webhook/errors/statuserror.go."""
    denied = f'admission webhook "{name}" denied the request'
    why = status.get("message") or status.get("reason")
    message = f"{denied}: {why}" if why else f"{denied} without explanation"
    return StatusError(int(status.get("code") or 400), str(status.get("reason") or ""), message)
