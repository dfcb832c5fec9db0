"""serviceaccounts/token: TokenRequest.

kubernetes/pkg/registry/core/serviceaccount/storage/token.go.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from kuartui.embedded.api import bodies
from kuartui.embedded.api.request import Request, Response, json_response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest, Write
from kuartui.embedded.auth.tokens import ISSUER, TokenSigner
from kuartui.embedded.meta import errors, fielderr, schema
from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]

SHORTEST, LONGEST, USUAL = 600, 1 << 32, 3600  # seconds
KINDS = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


class TokenRequests:
    """Serves serviceaccounts/token."""

    def __init__(self, rest: Rest, signer: TokenSigner, write: Callable[[Request], Write]) -> None:
        self._rest, self._signer, self._write = rest, signer, write

    async def request(self, request: Request, endpoint: Endpoint) -> Response:
        """POST token."""
        info = request.info
        node = schema.for_kind("authentication.k8s.io", "v1", "TokenRequest") or endpoint.node
        view = replace(endpoint, resource=replace(endpoint.resource, group="authentication.k8s.io"))
        asked = bodies.read_object(request, view, "TokenRequest", node)
        account = self._rest.get(endpoint, info.namespace, info.name).data
        spec = asked.setdefault("spec", {})
        seconds = spec.get("expirationSeconds")
        if seconds is None:
            seconds = spec["expirationSeconds"] = USUAL
        _validate(seconds)
        spec.setdefault("audiences", [ISSUER])
        bound = self._bound(spec.get("boundObjectRef"), account)
        now = self._rest.clock.now()
        token = self._signer.sign(account, now, seconds, spec["audiences"], bound)
        metadata = account["metadata"]
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "creationTimestamp": format_time(now),
            },
            "spec": {**spec, "boundObjectRef": spec.get("boundObjectRef")},
            "status": {"token": token, "expirationTimestamp": format_time(now + timedelta(seconds=seconds))},
        }
        return json_response(answer, 201)

    def _bound(self, reference: Obj | None, account: Obj) -> Obj | None:
        """What the token lives and dies with. Raises 400, 404, 409."""
        if not reference:
            return None
        kind, name = reference.get("kind", ""), reference.get("name", "")
        metadata = account["metadata"]
        if kind not in KINDS:
            group, _, version = reference.get("apiVersion", "").rpartition("/")
            what = f"{group}/{version}, Kind={kind}"
            raise errors.bad_request(f"cannot bind token to object of type {what}")
        namespace = "" if kind == "Node" else metadata["namespace"]
        found = self._rest.store.get(KINDS[kind], namespace, name)
        if found is None:
            raise errors.not_found(KINDS[kind], name)
        if kind == "Pod" and found.data["spec"].get("serviceAccountName") != metadata["name"]:
            raise errors.bad_request(
                f'cannot bind token for serviceaccount "{metadata["name"]}" to pod running with different serviceaccount name.'
            )
        wanted = reference.get("uid")
        if wanted and wanted != found.uid:
            why = (
                f"the UID in the bound object reference ({wanted}) does not match the UID in record. The object might "
                "have been deleted and then recreated"
            )
            raise errors.conflict(KINDS[kind], name, why)
        return {"kind": kind, "name": name, "uid": found.uid}


def _validate(seconds: int) -> None:
    problem = ""
    if seconds < SHORTEST:
        problem = "may not specify a duration less than 10 minutes"
    elif seconds > LONGEST:
        problem = "may not specify a duration larger than 2^32 seconds"
    if problem:
        error = fielderr.invalid("spec.expirationSeconds", seconds, problem)
        raise errors.invalid("authentication.k8s.io", "TokenRequest", "", [error])
