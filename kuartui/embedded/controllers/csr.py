"""Signs approved CertificateSigningRequests with the cluster's CA.

After pkg/controller/certificates/{signer,authority}. Approval is a person's business (`kubectl certificate approve`),
but for a kubelet's own client certificate.
"""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Any

from kuartui.embedded.auth.pki import BadRequest, KeyPair, sign_request
from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

REQUESTS = "certificatesigningrequests.certificates.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
LONGEST = timedelta(days=365)  # --cluster-signing-duration
SHORTEST = timedelta(minutes=10)
BASE = {"digital signature", "key encipherment"}
USAGES = {
    CLIENT: (BASE | {"client auth"}, "client auth"),
    KUBELET_CLIENT: (BASE | {"client auth"}, "client auth"),
    KUBELET_SERVING: (BASE | {"server auth"}, "server auth"),
}


class CertificateSigner(Controller):
    """Signs for the signers that belong to Kubernetes."""

    name = "certificate-controller"

    def __init__(self, client: Client, authority: KeyPair) -> None:
        super().__init__(client)
        self._authority = authority

    def setup(self) -> None:
        self.watch(REQUESTS, self._request_changed)

    def _request_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED:
            self.enqueue_object(event)

    async def reconcile(self, namespace: str, name: str) -> None:
        request = self.client.get(REQUESTS, "", name)
        if request is None:
            return
        status = request.get("status") or {}
        signer = request["spec"].get("signerName")
        types = {one["type"] for one in status.get("conditions") or ()}
        if status.get("certificate") or "Approved" not in types or types & {"Denied", "Failed"}:
            return
        if signer not in USAGES and signer != LEGACY:
            return
        try:
            certificate = self._sign(request)
        except BadRequest as error:
            await self._fail(request, str(error))
            return
        changed = {**status, "certificate": base64.b64encode(certificate).decode()}
        await self.client.update_status(REQUESTS, objects.with_status(request, changed))

    def _sign(self, request: Obj) -> bytes:
        """The certificate. Raises BadRequest."""
        spec = request["spec"]
        usages = set(spec.get("usages") or ())
        if spec["signerName"] in USAGES:
            allowed, needed = USAGES[spec["signerName"]]
            if not usages <= allowed or needed not in usages:
                raise BadRequest(f"usages did not match, expected [{' '.join(sorted(allowed))}]")
        try:
            body = base64.b64decode(spec["request"], validate=True)
        except binascii.Error as error:
            raise BadRequest(f"unable to parse csr: {error}") from error
        seconds = spec.get("expirationSeconds")
        lifetime = LONGEST if seconds is None else max(SHORTEST, min(LONGEST, timedelta(seconds=seconds)))
        return sign_request(self._authority, body, usages, lifetime)

    async def _fail(self, request: Obj, message: str) -> None:
        now = format_time(self.clock.now())
        condition = {
            "type": "Failed",
            "status": "True",
            "reason": "SignerValidationFailure",
            "message": message,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }
        status = request.get("status") or {}
        changed = {**status, "conditions": [*(status.get("conditions") or ()), condition]}
        await self.client.update_status(REQUESTS, objects.with_status(request, changed))
