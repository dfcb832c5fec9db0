"""Signs approved CertificateSigningRequests with the cluster's CA.

After pkg/controller/certificates/{signer,authority}. Approval is a person's business (`kubectl certificate approve`),
but for a kubelet's own client certificate (`csr_approver`).
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

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
SIGNERS = {CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY}
BASE = {"digital signature", "key encipherment"}
NODES = ["system:nodes"]


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
        if signer not in SIGNERS:
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
        usages = spec.get("usages") or []
        asked = parsed(spec["request"])
        why = complaint(spec["signerName"], asked, usages)
        if why:
            raise BadRequest(why)
        body = base64.b64decode(spec["request"])
        seconds = spec.get("expirationSeconds")
        lifetime = LONGEST if seconds is None else max(SHORTEST, min(LONGEST, timedelta(seconds=seconds)))
        return sign_request(self._authority, body, usages, lifetime)

    async def _fail(self, request: Obj, message: str) -> None:
        failed = with_condition(request, "Failed", "SignerValidationFailure", message, self.clock.now())
        await self.client.update_status(REQUESTS, failed)


def with_condition(request: Obj, kind: str, reason: str, message: str, now: datetime) -> Obj:
    """The request with one condition more, which is true from now on."""
    stamp = format_time(now)
    condition = {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastUpdateTime": stamp,
        "lastTransitionTime": stamp,
    }
    status = request.get("status") or {}
    return objects.with_status(request, {**status, "conditions": [*(status.get("conditions") or ()), condition]})


def parsed(encoded: str) -> x509.CertificateSigningRequest:
    """What a request asks for. Raises BadRequest."""
    try:
        return x509.load_pem_x509_csr(base64.b64decode(encoded, validate=True))
    except ValueError as error:
        raise BadRequest(f"unable to parse csr: {error}") from error


def complaint(signer: str, asked: x509.CertificateSigningRequest, usages: list[str]) -> str:
    """Why a signer does not serve a request (signer.go, pkg/apis/certificates/helpers.go)."""
    if signer == CLIENT:
        for usage in usages:
            if usage not in BASE and usage != "client auth":
                return f"invalid usage for client certificate: {usage}"
        return "" if "client auth" in usages else "missing required usage for client certificate: client auth"
    if signer == KUBELET_CLIENT:
        return _subject_complaint(asked, serving=False) or _usages_complaint(usages, "client auth")
    if signer == KUBELET_SERVING:
        wrong = _subject_complaint(asked, serving=True) or _usages_complaint(usages, "server auth")
        return wrong or _name_complaint(asked)
    return ""


def _subject_complaint(asked: x509.CertificateSigningRequest, *, serving: bool) -> str:
    """What a kubelet's certificate may be for: a node's names and addresses to serve, none of them as a client."""
    if [one.value for one in asked.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] != NODES:
        return "subject organization is not system:nodes"
    names = _alternative_names(asked)
    found = {
        what: bool(names and names.get_values_for_type(kind))
        for what, kind in (
            ("DNS", x509.DNSName),
            ("Email", x509.RFC822Name),
            ("IP", x509.IPAddress),
            ("URI", x509.UniformResourceIdentifier),
        )
    }
    if serving and not found["DNS"] and not found["IP"]:
        return "DNS or IP subjectAltName is required"
    for what in ("Email", "URI") if serving else ("DNS", "Email", "IP", "URI"):
        if found[what]:
            return f"{what} subjectAltNames are not allowed"
    return "" if serving else _name_complaint(asked)


def _name_complaint(asked: x509.CertificateSigningRequest) -> str:
    names = asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    ours = bool(names) and str(names[-1].value).startswith("system:node:")
    return "" if ours else "subject common name does not begin with system:node:"


def _usages_complaint(usages: list[str], purpose: str) -> str:
    needed = {"digital signature", purpose}
    if set(usages) in (needed, BASE | needed):
        return ""
    return f"usages did not match [{' '.join(sorted(BASE | needed))}]"


def _alternative_names(asked: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        return asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
