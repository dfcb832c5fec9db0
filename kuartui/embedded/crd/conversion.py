"""Custom objects that a webhook converts from one version to another.

k8s.io/apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go: what it is asked, and what it may answer.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.meta import random
from kuartui.embedded.meta.errors import StatusError, go_error
from kuartui.embedded.webhooks import CallError, WebhookCaller

Obj = dict[str, Any]

GROUP, KNOWN = "apiextensions.k8s.io", ("v1", "v1beta1")
SECONDS = 30
OPEN = ("labels", "annotations")
"""What a webhook may change of metadata."""
FIXED = ("name", "namespace", "uid")


class WebhookConverter:
    """Asks conversion webhooks."""

    def __init__(self, caller: WebhookCaller) -> None:
        self._caller = caller

    async def __call__(self, webhook: Obj, given: list[Obj], api_version: str) -> list[Obj]:
        """Objects of one version in another, in the same order. Raises StatusError in the API server's words."""
        if not given:
            return []
        kind = f"{given[0]['apiVersion']}, Kind={given[0]['kind']}"
        versions = webhook.get("conversionReviewVersions") or ()
        version = next((one for one in versions if one in KNOWN), KNOWN[0])
        request = {"uid": random.uid(), "desiredAPIVersion": api_version, "objects": given}
        review = {"kind": "ConversionReview", "apiVersion": f"{GROUP}/{version}", "request": request}
        try:
            answer = await self._caller.call(webhook.get("clientConfig") or {}, review, SECONDS)
        except CallError as error:
            raise _failed(kind, str(error)) from error
        response = answer.get("response")
        if not isinstance(response, dict) or response.get("uid") != request["uid"]:
            told = response.get("uid", "") if isinstance(response, dict) else ""
            raise _failed(kind, f'expected response.uid="{request["uid"]}", got "{told}"')
        result = response.get("result") or {}
        if result.get("status") != "Success":
            raise _failed(kind, result.get("message") or f'unknown status "{result.get("status", "")}"')
        made = response.get("convertedObjects") or []
        if len(made) != len(given):
            text = f"conversion webhook for {kind} returned {len(made)} objects, expected {len(given)}"
            raise go_error(text)
        return [_checked(kind, index, *pair, api_version) for index, pair in enumerate(zip(given, made, strict=True))]


def _failed(kind: str, why: str) -> StatusError:
    return go_error(f"conversion webhook for {kind} failed: {why}")


def _checked(kind: str, index: int, before: Obj, made: Any, api_version: str) -> Obj:
    """The converted object with the metadata it may not change. Raises StatusError for what is no such object."""
    wrong = f"conversion webhook for {kind} returned invalid converted object at index {index}: "
    if not isinstance(made, dict) or made.get("apiVersion") != api_version:
        received = made.get("apiVersion", "") if isinstance(made, dict) else ""
        raise go_error(f"{wrong}invalid groupVersion (desired: {api_version}, received: {received})")
    if made.get("kind") != before["kind"]:
        raise go_error(f"{wrong}invalid kind (desired: {before['kind']}, received: {made.get('kind', '')})")
    given, metadata = before["metadata"], made.get("metadata") or {}
    for field in FIXED:
        if metadata.get(field, "") != given.get(field, ""):
            name = "UID" if field == "uid" else field
            told = f"must have the same {name}: {given.get(field, '')} != {metadata.get(field, '')}"
            raise go_error(f"{wrong}invalid metadata of object: {told}")
    kept = {key: value for key, value in given.items() if key not in OPEN}
    return {**made, "metadata": {**kept, **{key: metadata[key] for key in OPEN if metadata.get(key)}}}
