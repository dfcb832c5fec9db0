"""Who may approve and sign certificate requests, and for whom nobody may.

kubernetes/plugin/pkg/admission/certificates: CertificateApproval, CertificateSigning, CertificateSubjectRestriction.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.auth.rbac import MASTERS, Action, Authorizer
from kuartui.embedded.meta import errors

Obj = dict[str, Any]

GROUP = "certificates.k8s.io"
REQUESTS = f"certificatesigningrequests.{GROUP}"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


class CertificateRequests(Plugin):
    """Rights on signers, beside those on the requests."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        if attributes.resource != REQUESTS or attributes.obj is None:
            return
        why = self._complaint(attributes, attributes.obj)
        if why:
            raise errors.forbidden(attributes.resource, attributes.name, why)

    def _complaint(self, attributes: Attributes, new: Obj) -> str:
        signer = new["spec"].get("signerName", "")
        match attributes.operation, attributes.subresource:
            case "CREATE", "":
                if signer == CLIENT_SIGNER and MASTERS in _organizations(new["spec"].get("request", "")):
                    return f"use of {signer} signer with {MASTERS} group is not allowed"
            case "UPDATE", "approval":
                if not self._may(attributes, "approve", signer):
                    return f'user not permitted to approve requests with signerName "{signer}"'
            case "UPDATE", "status":
                if _signed(new) != _signed(attributes.old or {}) and not self._may(attributes, "sign", signer):
                    return f'user not permitted to sign requests with signerName "{signer}"'
        return ""

    def _may(self, attributes: Attributes, verb: str, signer: str) -> bool:
        """By the signer's name, or by its domain: example.com/*."""
        names = signer, f"{signer.partition('/')[0]}/*"
        return any(
            self._authorizer.allows(attributes.user, Action(verb, GROUP, "signers", name=name)) for name in names
        )


def _signed(obj: Obj) -> tuple[Any, Any]:
    status = obj.get("status") or {}
    return status.get("certificate"), status.get("conditions")


def _organizations(request: str) -> set[str]:
    """The groups that a request asks for; what is no request is for validation to say."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        found = x509.load_pem_x509_csr(base64.b64decode(request))
    except (ValueError, binascii.Error):
        return set()
    return {str(one.value) for one in found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}
