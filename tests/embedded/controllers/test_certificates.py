"""Certificates for approved requests, and roles that gather rules."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kuartui.embedded.auth.pki import new_authority
from kuartui.embedded.controllers.aggregation import ClusterRoleAggregation
from kuartui.embedded.controllers.csr import CertificateSigner
from kuartui.embedded.controllers.csr_approver import CertificateApprover
from kuartui.embedded.controllers.csr_cleaner import CertificateCleaner
from kuartui.embedded.kinds import csr_rules
from kuartui.embedded.meta.time import format_time
from tests.embedded.controllers.cluster import Cluster

CSRS = "certificatesigningrequests.certificates.k8s.io"
ROLES = "clusterroles.rbac.authorization.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"
FOR_NODES = ("client auth", "digital signature")
APPROVED = {"status": {"conditions": [{"type": "Approved", "status": "True"}]}}


async def ask(
    cluster: Cluster,
    *usages: str,
    who: str = "jane",
    organizations: tuple[str, ...] = ("devs",),
    dns: str = "",
    **more: Any,
) -> None:
    cluster.start(CertificateSigner(cluster.client, new_authority()))
    names = [(NameOID.COMMON_NAME, who), *((NameOID.ORGANIZATION_NAME, group) for group in organizations)]
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    body = base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {"request": body, "signerName": CLIENT, "usages": list(usages)} | more
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


@pytest.mark.parametrize(
    ("signer", "asked", "message"),
    [
        (CLIENT, {"usages": ["server auth"]}, "invalid usage for client certificate: server auth"),
        (CLIENT, {"usages": ["signing"]}, "invalid usage for client certificate: signing"),
        (
            CLIENT,
            {"usages": ["digital signature"]},
            "missing required usage for client certificate: client auth",
        ),
        (f"{CLIENT}-kubelet", {"organizations": ("devs",)}, "subject organization is not system:nodes"),
        (f"{CLIENT}-kubelet", {"who": "jane"}, "subject common name does not begin with system:node:"),
        (f"{CLIENT}-kubelet", {"dns": "n"}, "DNS subjectAltNames are not allowed"),
        (
            f"{CLIENT}-kubelet",
            {"usages": ["client auth"]},
            "usages did not match [client auth digital signature key encipherment]",
        ),
        ("kubernetes.io/kubelet-serving", {}, "DNS or IP subjectAltName is required"),
    ],
)
async def test_says_what_its_signer_misses(cluster: Cluster, signer: str, asked: dict[str, Any], message: str) -> None:
    fine = {"who": "system:node:n", "organizations": ("system:nodes",), "usages": ["client auth", "digital signature"]}
    wanted = {**fine, **asked}
    usages = wanted.pop("usages")
    await ask(cluster, *usages, signerName=signer, **wanted)
    await cluster.edit(CSRS, "jane", APPROVED)
    await cluster.run()
    assert cluster.get(CSRS, "jane")["status"]["conditions"][1]["message"] == message


async def test_gives_the_usages_that_were_asked_for(cluster: Cluster) -> None:
    await ask(cluster, "client auth", organizations=("devs", "ops"))
    await cluster.edit(CSRS, "jane", APPROVED)
    await cluster.run()
    certificate = x509.load_pem_x509_certificate(base64.b64decode(cluster.get(CSRS, "jane")["status"]["certificate"]))
    assert [type(one.value) for one in certificate.extensions][:2] == [x509.ExtendedKeyUsage, x509.BasicConstraints]
    assert certificate.subject.rfc4514_string() in ("CN=jane,O=devs+O=ops", "CN=jane,O=ops+O=devs")


@pytest.mark.parametrize(
    ("user", "group", "right", "usages", "message"),
    [
        (
            "system:node:n",
            "system:nodes",
            "selfnodeclient",
            FOR_NODES,
            "Auto approving self kubelet client certificate",
        ),
        ("system:bootstrap:t", "joining", "nodeclient", FOR_NODES, "Auto approving kubelet client certificate"),
        ("system:node:other", "system:nodes", "selfnodeclient", FOR_NODES, ""),
        ("system:node:n", "nobodies", "selfnodeclient", FOR_NODES, ""),
        ("system:node:n", "system:nodes", "selfnodeclient", ("client auth",), ""),
    ],
)
async def test_nodes_get_their_own_certificates_without_a_person(
    cluster: Cluster, user: str, group: str, right: str, usages: tuple[str, ...], message: str
) -> None:
    cluster.start(CertificateApprover(cluster.client))
    resource = f"certificatesigningrequests/{right}"
    rule = {"apiGroups": ["certificates.k8s.io"], "resources": [resource], "verbs": ["create"]}
    await cluster.create(ROLES, "r", rules=[rule])
    allowed = "joining" if right == "nodeclient" else "system:nodes"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": allowed}
    await cluster.create(f"clusterrolebindings.{ROLES.partition('.')[2]}", "b", roleRef=reference, subjects=[subject])
    asked = {"username": user, "groups": [group]}
    signer = f"{CLIENT}-kubelet"
    await ask(cluster, *usages, who="system:node:n", organizations=("system:nodes",), signerName=signer, **asked)
    status = cluster.get(CSRS, "jane").get("status") or {}
    told = [one["message"] for one in status.get("conditions") or ()]
    assert [one.startswith(message) for one in told] == ([True] if message else [])
    assert ("certificate" in status) == bool(message)


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


@pytest.mark.parametrize(
    ("before", "after", "errors"),
    [
        (
            {},
            {"certificate": "Zm9v"},
            ['status.certificate: Invalid value: "<certificate data>": must contain at least'],
        ),
        (
            {"certificate": "Zm9v"},
            {"certificate": "YmFy"},
            ["status.certificate: Forbidden: updates may not modify exi"],
        ),
        ({}, APPROVED["status"], ['status.conditions: Forbidden: updates may not add a condition of type "Approved"']),
        (APPROVED["status"], {}, ['status.conditions: Forbidden: updates may not remove a condition of type "Approve']),
    ],
)
def test_a_signer_gives_a_certificate_once_and_decides_nothing(
    before: dict[str, Any], after: dict[str, Any], errors: list[str]
) -> None:
    found = csr_rules.status_errors({"status": after}, {"status": before})
    assert [str(error)[: len(text)] for error, text in zip(found, errors, strict=True)] == errors


def test_a_certificate_comes_in_blocks_of_its_own() -> None:
    certificate = new_authority().certificate
    for pem, problem in (
        (certificate, ""),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "only CERTIFICATE PEM blocks are allowed"),
        (certificate.replace(b"-----\n", b"-----\nA: b\n\n", 1), "no PEM block headers are permitted"),
    ):
        found = csr_rules.status_errors({"status": {"certificate": base64.b64encode(pem).decode()}}, {})
        assert problem in str(found[0]) if problem else not found


async def test_requests_go_an_hour_after_the_decision_and_a_day_without_one(cluster: Cluster) -> None:
    cluster.start(CertificateCleaner(cluster.client))
    for name in ("approved", "denied", "pending", "lately"):
        await cluster.create(CSRS, name, spec={"signerName": "example.com/own"})
    for name, kind, minutes in (("approved", "Approved", 1), ("denied", "Denied", 1), ("lately", "Approved", 90)):
        await cluster.run(60 * minutes)
        stamp = format_time(cluster.clock.now())
        condition = {"type": kind, "status": "True", "lastUpdateTime": stamp}
        await cluster.edit(CSRS, name, {"status": {"conditions": [condition]}})
    assert names(cluster) == ["approved", "denied", "lately", "pending"], "it looks once an hour"
    await cluster.run(1800)
    assert names(cluster) == ["lately", "pending"]
    await cluster.run(2 * 3600)
    assert names(cluster) == ["pending"]
    await cluster.run(24 * 3600)
    assert names(cluster) == []


def names(cluster: Cluster) -> list[str]:
    return [one["metadata"]["name"] for one in cluster.client.list(CSRS)]
