"""Certificate requests: whom they may be for, who may approve and sign them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kuartui.embedded.admission.certificates import CLIENT_SIGNER, CertificateRequests
from tests.embedded.api.server import Server

Obj = dict[str, Any]

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
APPROVED = {"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "r", "message": "m"}]}}
MERGE = {"content_type": "application/merge-patch+json"}


@pytest.fixture
async def server() -> Server:
    made = Server()
    made.rest.admission.add(CertificateRequests(made.authorizer))
    return made


async def ask(server: Server, name: str, group: str, signer: str = CLIENT_SIGNER, code: int = 0) -> Obj:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), x509.NameAttribute(NameOID.COMMON_NAME, "ann")]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM
    )
    spec = {"request": base64.b64encode(pem).decode(), "signerName": signer, "usages": ["client auth"]}
    return await server.json("POST", REQUESTS, {"metadata": {"name": name}, "spec": spec}, code=code)


async def grant(server: Server, verb: str, signer: str) -> None:
    """Let ann work with requests, and do something with a signer."""
    group = ["certificates.k8s.io"]
    every = ["certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"]
    rules = [
        {"apiGroups": group, "resources": every, "verbs": ["*"]},
        {"apiGroups": group, "resources": ["signers"], "resourceNames": [signer], "verbs": [verb]},
    ]
    await server.json("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "r"}, "rules": rules})
    reference = {"kind": "ClusterRole", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
    subject = {"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [subject]}
    await server.json("POST", f"{RBAC}/clusterrolebindings", binding)


async def test_nobody_gets_a_certificate_of_the_masters(server: Server) -> None:
    answer = await ask(server, "evil", "system:masters", code=403)
    assert answer["message"].endswith(f"use of {CLIENT_SIGNER} signer with system:masters group is not allowed")
    await ask(server, "good", "devs")
    await ask(server, "elsewhere", "system:masters", signer="example.com/own")


@pytest.mark.parametrize(
    ("verb", "signer", "allowed"),
    [
        ("approve", CLIENT_SIGNER, True),
        ("approve", "kubernetes.io/*", True),
        ("approve", "example.com/*", False),
        ("sign", CLIENT_SIGNER, False),
    ],
)
async def test_approving_takes_a_right_on_the_signer(server: Server, verb: str, signer: str, allowed: bool) -> None:
    await ask(server, "a", "devs")
    await grant(server, verb, signer)
    path = f"{REQUESTS}/a/approval"
    answer = await server.ask("PATCH", path, APPROVED, impersonate_user="ann", **MERGE)
    assert answer.status == (200 if allowed else 403)
    if not allowed:
        assert b"user not permitted to approve requests with signerName" in answer.body


async def test_signing_takes_another_one(server: Server) -> None:
    await ask(server, "a", "devs", signer="example.com/own")
    await grant(server, "approve", "example.com/own")
    patch = {"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "r", "message": "m"}]}}
    answer = await server.json("PATCH", f"{REQUESTS}/a/status", patch, code=403, impersonate_user="ann", **MERGE)
    assert answer["message"].endswith('user not permitted to sign requests with signerName "example.com/own"')
