"""Signs approved CertificateSigningRequests with the cluster's authority.

After pkg/controller/certificates/signer; https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/.
"""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Any

from kuartui.embedded.auth import pki
from kuartui.embedded.auth.pki import KeyPair
from kuartui.embedded.client import Client
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]

REQUESTS = "certificatesigningrequests.certificates.k8s.io"
LONGEST = 365 * 24 * 3600  # seconds; --cluster-signing-duration
_CLIENT = {"digital signature", "key encipherment", "client auth"}
_SERVING = {"digital signature", "key encipherment", "server auth"}
USAGES = {
    "kubernetes.io/kube-apiserver-client": _CLIENT,
    "kubernetes.io/kube-apiserver-client-kubelet": _CLIENT,
    "kubernetes.io/kubelet-serving": _SERVING,
    "kubernetes.io/legacy-unknown": None,
}
"""What each of our signers allows; None: anything."""


class CertificateSigner(Controller):
    """Gives approved requests their certificate, or says why not."""

    name = "certificate-controller"

    def __init__(self, client: Client, authority: KeyPair) -> None:
        super().__init__(client)
        self._authority = authority

    def setup(self) -> None:
        self.watch(REQUESTS, self.enqueue_object)

    async def reconcile(self, namespace: str, name: str) -> None:
        request = self.client.get(REQUESTS, "", name)
        if request is None or request["spec"].get("signerName") not in USAGES:
            return
        status = request.get("status") or {}
        types = {condition["type"] for condition in status.get("conditions") or () if condition["status"] == "True"}
        if "Approved" not in types or types & {"Denied", "Failed"} or status.get("certificate"):
            return
        try:
            certificate = self._sign(request["spec"])
            change: Obj = {"certificate": base64.b64encode(certificate).decode()}
        except pki.BadRequest as error:
            change = {"conditions": [*status["conditions"], self._failed(str(error))]}
        await self.client.update_status(REQUESTS, {**request, "status": {**status, **change}})

    def _sign(self, spec: Obj) -> bytes:
        usages = set(spec.get("usages") or ())
        allowed = USAGES[spec["signerName"]]
        if allowed is not None and not usages <= allowed:
            raise pki.BadRequest("invalid usage for client certificate: " + ", ".join(sorted(usages - allowed)))
        try:
            text = base64.b64decode(spec.get("request") or "", validate=True)
        except (binascii.Error, ValueError) as error:
            raise pki.BadRequest("unable to parse csr") from error
        seconds = min(spec.get("expirationSeconds") or LONGEST, LONGEST)
        return pki.sign_request(self._authority, text, usages, timedelta(seconds=seconds))

    def _failed(self, message: str) -> Obj:
        stamp = format_time(self.clock.now())
        return {
            "type": "Failed",
            "status": "True",
            "reason": "SignerValidationFailure",
            "message": message,
            "lastUpdateTime": stamp,
            "lastTransitionTime": stamp,
        }
