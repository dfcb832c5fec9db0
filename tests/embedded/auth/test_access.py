"""Who is who, and who may do what."""

from __future__ import annotations

import base64
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from kuartui.embedded.api.request import Request, Response, User
from kuartui.embedded.api.subresources import Subresources
from kuartui.embedded.auth import pki
from kuartui.embedded.auth.tokens import BadToken
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.network import Network
from tests.embedded.api.server import Server

RBAC = "/apis/rbac.authorization.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def server() -> Server:
    return Server()


async def grant(
    server: Server, user: str, verbs: list[str], resources: list[str], names: list[str] | None = None
) -> None:
    """A role in the namespace "default" for a user."""
    rule: dict[str, Any] = {"apiGroups": [""], "resources": resources, "verbs": verbs}
    if names:
        rule["resourceNames"] = names
    role = {"metadata": {"name": f"role-{user}"}, "rules": [rule]}
    await server.json("POST", f"{RBAC}/namespaces/default/roles", role)
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "Role", "name": f"role-{user}", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": f"binding-{user}"}, "subjects": [subject], "roleRef": reference}
    await server.json("POST", f"{RBAC}/namespaces/default/rolebindings", binding)


async def as_user(server: Server, user: str, method: str, target: str, body: Any = None) -> int:
    return (await server.ask(method, target, body, impersonate_user=user)).status


async def test_who_has_no_rule_is_told_what_is_missing(server: Server) -> None:
    response = await server.json("GET", MAPS, code=403, impersonate_user="ann")
    assert response["message"] == (
        'configmaps is forbidden: User "ann" cannot list resource "configmaps" in API group "" in the namespace "default"'
    )
    response = await server.json("DELETE", "/api/v1/nodes/n", code=403, impersonate_user="ann")
    assert response["message"].endswith('cannot delete resource "nodes" in API group "" at the cluster scope')


async def test_a_role_reaches_as_far_as_its_namespace(server: Server) -> None:
    await grant(server, "ann", ["get", "list"], ["configmaps"])
    assert await as_user(server, "ann", "GET", MAPS) == 200
    assert await as_user(server, "ann", "GET", "/api/v1/namespaces/other/configmaps") == 403
    assert await as_user(server, "ann", "POST", MAPS, {"metadata": {"name": "a"}}) == 403


async def test_resource_names_narrow_a_rule(server: Server) -> None:
    await server.config_map("yes")
    await server.config_map("no")
    await grant(server, "ann", ["get"], ["configmaps"], ["yes"])
    assert await as_user(server, "ann", "GET", f"{MAPS}/yes") == 200
    assert await as_user(server, "ann", "GET", f"{MAPS}/no") == 403
    assert await as_user(server, "ann", "GET", MAPS) == 403


async def test_a_subresource_is_another_resource(server: Server) -> None:
    await grant(server, "ann", ["get"], ["pods"])
    assert await as_user(server, "ann", "GET", "/api/v1/namespaces/default/pods/p/log") == 403


async def test_impersonation_needs_a_right_of_its_own(server: Server) -> None:
    server.authenticator.add_token("bob-token", User("bob"))
    response = await server.json("GET", MAPS, code=403, authorization="Bearer bob-token", impersonate_user="ann")
    refused = (
        'configmaps is forbidden: User "bob" cannot impersonate-on:user-info:list resource "configmaps" in API group'
    )
    assert response["message"] == f'{refused} "" in the namespace "default"'


@pytest.mark.parametrize(
    ("header", "value", "missing"),
    [
        ("impersonate-uid", "u1", 'uids.authentication.k8s.io "u1" is forbidden'),
        ("impersonate-extra-team", "blue", 'userextras.authentication.k8s.io "blue" is forbidden'),
    ],
)
async def test_each_attribute_of_who_is_impersonated_needs_its_right(
    server: Server, header: str, value: str, missing: str
) -> None:
    server.authenticator.add_token("bob-token", User("bob"))
    await allow(server, "bob", {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]})
    sent = {"authorization": "Bearer bob-token", "impersonate_user": "ann"}
    assert 'User "ann" cannot list' in (await server.json("GET", MAPS, code=403, **sent))["message"]
    sent[header] = value
    assert (await server.json("GET", MAPS, code=403, **sent))["message"].startswith(missing)


async def test_some_may_be_others_only_for_some_requests(server: Server) -> None:
    server.authenticator.add_token("bob-token", User("bob"))
    identity = {"apiGroups": ["authentication.k8s.io"], "resources": ["users", "groups"]}
    await allow(
        server,
        "bob",
        {**identity, "verbs": ["impersonate:user-info"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["impersonate-on:user-info:list"]},
    )
    await grant(server, "ann", ["list", "deletecollection"], ["configmaps"])
    sent = {"authorization": "Bearer bob-token", "impersonate_user": "ann"}
    await server.json("GET", MAPS, **sent)
    assert (await server.ask("DELETE", MAPS, **sent)).status == 403
    assert (await server.ask("DELETE", MAPS, impersonate_user="ann")).status == 200
    refused = await server.json("GET", MAPS, code=403, impersonate_group="system:masters", **sent)
    assert refused["message"].endswith("impersonating the system:masters group is not allowed")
    sent["impersonate_user"] = "system:serviceaccount:default:default"
    assert "impersonate-on:serviceaccount:list" in (await server.json("GET", MAPS, code=403, **sent))["message"]


async def test_who_is_impersonated_as_a_node_is_in_the_group_of_nodes(server: Server) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    rule = {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]}
    await allow(server, "system:node:n1", rule)
    answer = await server.json("POST", path, {}, impersonate_user="system:node:n1")
    assert answer["status"]["userInfo"]["groups"] == ["system:nodes", "system:authenticated"]


async def test_a_review_of_a_token_that_nobody_knows(server: Server) -> None:
    answer = await server.json("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "bad"}})
    assert answer["status"] == {"error": "invalid bearer token", "user": {}}


async def allow(server: Server, user: str, *rules: dict[str, Any]) -> None:
    """Bind a user to rules for the whole cluster."""
    await server.json("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "some"}, "rules": list(rules)})
    reference = {"kind": "ClusterRole", "name": "some", "apiGroup": "rbac.authorization.k8s.io"}
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "some"}, "subjects": [subject], "roleRef": reference}
    await server.json("POST", f"{RBAC}/clusterrolebindings", binding)


async def test_wrong_credentials_are_unauthorized_and_none_are_anonymous(server: Server) -> None:
    assert (await server.ask("GET", MAPS, authorization="Bearer nonsense")).status == 401
    response = await server.json("GET", MAPS, code=403, authorization="")
    assert 'User "system:anonymous"' in response["message"]


async def test_an_account_token_ends_with_its_account(server: Server) -> None:
    await server.json("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "robot"}})
    account = server.store.get("serviceaccounts", "default", "robot")
    assert account is not None
    token = server.signer.sign(account.data, server.clock.now(), 600)
    user = server.authenticator.token_user(token)
    assert user.name == "system:serviceaccount:default:robot"
    assert "system:serviceaccounts:default" in user.groups
    await server.clock.advance(700)
    with pytest.raises(StatusError):
        server.authenticator.token_user(token)
    fresh = server.signer.sign(account.data, server.clock.now(), 600)
    await server.ask("DELETE", "/api/v1/namespaces/default/serviceaccounts/robot")
    with pytest.raises(StatusError):
        server.authenticator.token_user(fresh)


async def test_a_token_for_somebody_else_is_not_for_the_api(server: Server) -> None:
    await server.json("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "robot"}})
    account = server.store.get("serviceaccounts", "default", "robot")
    assert account is not None
    token = server.signer.sign(account.data, server.clock.now(), 600, ["vault", "other"])
    assert (await server.ask("GET", MAPS, authorization=f"Bearer {token}")).status == 401

    user, meant = server.authenticator.review(token, ["vault", "nobody"])
    assert (user.name, meant) == ("system:serviceaccount:default:robot", ["vault"])
    with pytest.raises(BadToken) as refused:
        server.authenticator.review(token, ["nobody"])
    assert str(refused.value) == 'token audiences ["vault" "other"] is invalid for the target audiences ["nobody"]'


async def test_a_token_of_another_cluster_is_worth_nothing(server: Server) -> None:
    from kuartui.embedded.auth.tokens import TokenSigner

    await server.json("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "robot"}})
    account = server.store.get("serviceaccounts", "default", "robot")
    assert account is not None
    foreign = TokenSigner(pki.new_key()).sign(account.data, server.clock.now(), 600)
    with pytest.raises(StatusError):
        server.authenticator.token_user(foreign)


def request_for(name: str, group: str) -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject)).sign(key, hashes.SHA256())
    return asked.public_bytes(serialization.Encoding.PEM)


def test_a_signed_request_keeps_its_subject() -> None:
    authority = pki.new_authority()
    signed = pki.sign_request(authority, request_for("bob", "devs"), ["client auth"], timedelta(hours=1))
    certificate = x509.load_pem_x509_certificate(signed)
    assert certificate.subject.rfc4514_string() == "CN=bob,O=devs"
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    with pytest.raises(pki.BadRequest):
        pki.sign_request(authority, base64.b64encode(b"nonsense"), [], timedelta(hours=1))


def test_a_certificate_names_user_and_groups() -> None:
    from kuartui.embedded.api.request import Request

    subject = ((("organizationName", "devs"),), (("organizationName", "ops"),), (("commonName", "bob"),))
    server = Server()
    certificate = {"subject": subject, "sha256": "ab01"}
    user = server.authenticator.authenticate(Request("GET", "/", {}, {}, certificate=certificate))
    assert (user.name, user.groups) == ("bob", ("devs", "ops", "system:authenticated"))
    assert user.extra == {"authentication.kubernetes.io/credential-id": ("X509SHA256=ab01",)}


def test_a_certificate_counts_only_within_its_time() -> None:
    from kuartui.embedded.api.request import Request

    server = Server()
    certificate = {"subject": ((("commonName", "bob"),),), "notBefore": "Jan  1 00:00:00 2020 GMT"}
    spans = {"notAfter": "Jan  1 00:00:00 2021 GMT"}, {"notBefore": "Jan  1 00:00:00 2120 GMT"}
    for span in spans:
        shown = {**certificate, **span}
        with pytest.raises(StatusError) as refused:
            server.authenticator.authenticate(Request("GET", "/", {}, {}, certificate=shown))
        assert refused.value.code == 401
        other = Request("GET", "/", {}, {"authorization": "Bearer admin-token"}, certificate=shown)
        assert server.authenticator.authenticate(other).name == "admin"
    valid = {**certificate, "notAfter": "Jan  1 00:00:00 2120 GMT"}
    assert server.authenticator.authenticate(Request("GET", "/", {}, {}, certificate=valid)).name == "bob"


async def test_a_signing_request_tells_all_that_is_known_of_its_sender(server: Server) -> None:
    request = base64.b64encode(request_for("bob", "devs")).decode()
    spec = {
        "request": request,
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        "uid": "made-up",
    }
    made = await server.json(
        "POST",
        "/apis/certificates.k8s.io/v1/certificatesigningrequests",
        {"metadata": {"name": "foo"}, "spec": spec},
        impersonate_user="ann",
        impersonate_group="system:masters",
        impersonate_uid="abc123",
        **{"impersonate-extra-team": "blue"},
    )
    known = {key: made["spec"][key] for key in ("username", "uid", "groups", "extra")}
    assert known == {
        "username": "ann",
        "uid": "abc123",
        "groups": ["system:masters", "system:authenticated"],
        "extra": {"team": ["blue"]},
    }


REVIEWS = "/apis/authorization.k8s.io/v1"
ASKED = "spec.resourceAttributes"


@pytest.mark.parametrize(
    ("target", "body", "errors"),
    [
        (
            f"{REVIEWS}/subjectaccessreviews",
            {"spec": {}},
            ["spec.resourceAttributes", "spec.user"],
        ),
        (
            f"{REVIEWS}/subjectaccessreviews",
            {"metadata": {"name": "x"}, "spec": {"user": "a", "nonResourceAttributes": {"path": "/"}}},
            ["metadata"],
        ),
        (
            f"{REVIEWS}/selfsubjectaccessreviews",
            {"spec": {"resourceAttributes": {}, "nonResourceAttributes": {}}},
            ["spec.nonResourceAttributes"],
        ),
        (
            f"{REVIEWS}/namespaces/default/localsubjectaccessreviews",
            {"spec": {"user": "a", "nonResourceAttributes": {"path": "/"}}},
            ["spec.nonResourceAttributes"],
        ),
        (
            f"{REVIEWS}/namespaces/default/localsubjectaccessreviews",
            {"spec": {"user": "a", "resourceAttributes": {"namespace": "other"}}},
            ["spec.resourceAttributes.namespace"],
        ),
        (
            f"{REVIEWS}/namespaces/default/localsubjectaccessreviews",
            {"metadata": {"name": "x"}, "spec": {"user": "a", "resourceAttributes": {"namespace": "other"}}},
            ["metadata", "spec.resourceAttributes.namespace"],
        ),
        (
            f"{REVIEWS}/subjectaccessreviews",
            {
                "spec": {
                    "user": "a",
                    "resourceAttributes": {
                        "fieldSelector": {
                            "rawSelector": "a=b",
                            "requirements": [{"key": "", "operator": "In"}, {"key": "a", "operator": "Later"}],
                        },
                        "labelSelector": {
                            "requirements": [
                                {"key": "a b", "operator": "Exists", "values": ["c d"]},
                                {"key": "a", "operator": "In", "values": ["c"]},
                            ]
                        },
                    },
                }
            },
            [
                f"{ASKED}.fieldSelector.rawSelector",
                f"{ASKED}.fieldSelector.requirements[0].key",
                f"{ASKED}.fieldSelector.requirements[0].values",
                f"{ASKED}.labelSelector.requirements[0].values",
                f"{ASKED}.labelSelector.requirements[0].key",
                f"{ASKED}.labelSelector.requirements[0].values[0]",
            ],
        ),
        (
            f"{REVIEWS}/selfsubjectaccessreviews",
            {"spec": {"resourceAttributes": {"fieldSelector": {}}}},
            [f"{ASKED}.fieldSelector.requirements"],
        ),
    ],
)
async def test_a_review_asks_one_question_about_somebody(
    server: Server, target: str, body: dict[str, Any], errors: list[str]
) -> None:
    answer = await server.json("POST", target, body, code=422)
    assert [cause["field"] for cause in answer["details"]["causes"]] == errors


class Refused:
    """A connection that keeps how it was refused."""

    protocols: tuple[str, ...] = ("v5.channel.k8s.io",)
    upgraded = False
    answer: Response | None = None

    async def refuse(self, answer: Response) -> None:
        self.answer = answer


@pytest.mark.parametrize("stream", ["exec", "attach", "portforward"])
async def test_a_websocket_needs_the_right_to_create_what_it_gets(server: Server, stream: str) -> None:
    await grant(server, "ann", ["get"], ["pods", f"pods/{stream}"])
    await grant(server, "bob", ["get", "create"], ["pods", f"pods/{stream}"])

    async def refusal(user: str) -> dict[str, Any]:
        headers = {"authorization": "Bearer admin-token", "impersonate-user": user}
        request = Request("GET", f"/api/v1/namespaces/default/pods/p/{stream}", {}, headers, b"")
        socket = Refused()
        subresources = Subresources(SimpleNamespace(**vars(server), network=Network(server.clock)), SimpleNamespace())  # type: ignore[arg-type]
        await subresources.connect(request, {"connection": socket}, None, None)  # type: ignore[arg-type]
        assert socket.answer is not None
        return cast("dict[str, Any]", orjson.loads(socket.answer.body))

    denied = await refusal("ann")
    assert (denied["code"], denied["message"]) == (403, 'pods "p" is forbidden: ')
    assert (await refusal("bob"))["code"] == 404  # there is no such pod, but bob may ask


async def test_a_pods_usual_token_is_extended_by_a_year(server: Server) -> None:
    """--service-account-extend-token-expiration: who reads its token once only goes on, and is warned of."""
    account = server.store.create(
        "serviceaccounts", "default", "robot", {"metadata": {"name": "robot", "namespace": "default", "uid": "u"}}
    )
    pod = {"kind": "Pod", "name": "p", "uid": "v"}
    now = server.clock.now()
    late = now + timedelta(days=300)
    claims = server.signer.verify(server.signer.sign(account.data, now, 3607, bound=pod), late)
    assert claims["kubernetes.io"]["warnafter"] == claims["iat"] + 3607
    for token in (server.signer.sign(account.data, now, 3600, bound=pod), server.signer.sign(account.data, now, 3607)):
        with pytest.raises(BadToken):
            server.signer.verify(token, late)
