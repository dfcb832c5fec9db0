"""Certificates for approved requests, and roles that gather rules."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kuartui.embedded.auth.pki import new_authority
from kuartui.embedded.controllers.aggregation import ClusterRoleAggregation
from kuartui.embedded.controllers.csr import CertificateSigner
from tests.embedded.controllers.cluster import Cluster

CSRS = "certificatesigningrequests.certificates.k8s.io"
ROLES = "clusterroles.rbac.authorization.k8s.io"
APPROVED = {"status": {"conditions": [{"type": "Approved", "status": "True"}]}}


async def ask(cluster: Cluster, *usages: str, **more: Any) -> None:
    cluster.start(CertificateSigner(cluster.client, new_authority()))
    names = [(NameOID.ORGANIZATION_NAME, "devs"), (NameOID.COMMON_NAME, "jane")]
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    body = base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {"request": body, "signerName": "kubernetes.io/kube-apiserver-client", "usages": list(usages)} | more
    await cluster.create(CSRS, "jane", spec=spec)
    await cluster.run()


async def test_signs_what_was_approved(cluster: Cluster) -> None:
    await ask(cluster, "client auth", expirationSeconds=86400)
    assert "certificate" not in cluster.get(CSRS, "jane").get("status", {})
    await cluster.edit(CSRS, "jane", APPROVED)
    await cluster.run()
    pem = base64.b64decode(cluster.get(CSRS, "jane")["status"]["certificate"])
    certificate = x509.load_pem_x509_certificate(pem)
    assert certificate.subject.rfc4514_string() == "CN=jane,O=devs"
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(days=1)


async def test_refuses_what_its_signer_may_not_sign(cluster: Cluster) -> None:
    await ask(cluster, "client auth", "server auth")
    await cluster.edit(CSRS, "jane", APPROVED)
    await cluster.run()
    status = cluster.get(CSRS, "jane")["status"]
    assert "certificate" not in status
    assert (status["conditions"][1]["type"], status["conditions"][1]["reason"]) == ("Failed", "SignerValidationFailure")


async def test_leaves_foreign_signers_alone(cluster: Cluster) -> None:
    await ask(cluster, "client auth", signerName="example.com/mine")
    await cluster.edit(CSRS, "jane", APPROVED)
    await cluster.run()
    assert "certificate" not in cluster.get(CSRS, "jane")["status"]


async def test_roles_gather_rules(cluster: Cluster) -> None:
    cluster.start(ClusterRoleAggregation(cluster.client))
    selectors = {"clusterRoleSelectors": [{"matchLabels": {"to": "all"}}]}
    await cluster.create(ROLES, "all", aggregationRule=selectors)
    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    jobs = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]}
    await cluster.create(ROLES, "a", metadata={"labels": {"to": "all"}}, rules=[pods])
    await cluster.create(ROLES, "b", metadata={"labels": {"to": "all"}}, rules=[jobs, pods])
    await cluster.run()
    assert cluster.get(ROLES, "all")["rules"] == [pods, jobs]
    await cluster.delete(ROLES, "b")
    await cluster.run()
    assert cluster.get(ROLES, "all")["rules"] == [pods]
