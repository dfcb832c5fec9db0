"""Nobody gives what they do not have."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.escalation import Escalation
from tests.embedded.api.server import Server

Obj = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{GROUP}/v1"
SPACE = f"{RBAC}/namespaces/default"
MERGE = {"content_type": "application/merge-patch+json"}
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
ANN = {"impersonate_user": "ann"}


@pytest.fixture
async def server() -> Server:
    """Ann writes roles and bindings, and reads pods."""
    made = Server()
    made.rest.admission.add(Escalation(made.authorizer))
    kinds = ["roles", "rolebindings", "clusterroles"]
    rules = [{"apiGroups": [GROUP], "resources": kinds, "verbs": ["get", "create", "patch"]}, PODS]
    await made.json("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "writer"}, "rules": rules})
    binding = {"metadata": {"name": "ann"}, **to("ClusterRole", "writer")}
    await made.json("POST", f"{RBAC}/clusterrolebindings", binding)
    return made


def to(kind: str, name: str) -> Obj:
    subject = {"kind": "User", "name": "ann", "apiGroup": GROUP}
    return {"roleRef": {"kind": kind, "name": name, "apiGroup": GROUP}, "subjects": [subject]}


async def test_what_one_has_can_be_given(server: Server) -> None:
    await server.json("POST", f"{SPACE}/roles", {"metadata": {"name": "r"}, "rules": [PODS]}, **ANN)
    await server.json("POST", f"{SPACE}/rolebindings", {"metadata": {"name": "b"}, **to("Role", "r")}, **ANN)


async def test_what_one_lacks_is_named_in_order(server: Server) -> None:
    rules = [{"apiGroups": [""], "resources": ["services", "events"], "verbs": ["get", "list"]}]
    answer = await server.json("POST", f"{SPACE}/roles", {"metadata": {"name": "r"}, "rules": rules}, code=403, **ANN)
    assert answer["message"].splitlines()[1:] == [
        '{APIGroups:[""], Resources:["events"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["services"], Verbs:["get" "list"]}',
    ]


async def test_a_role_that_is_not_there_cannot_be_bound(server: Server) -> None:
    binding = {"metadata": {"name": "b"}, **to("ClusterRole", "nope")}
    answer = await server.json("POST", f"{SPACE}/rolebindings", binding, code=404, **ANN)
    assert answer["message"] == f'clusterrole.{GROUP} "nope" not found'
    await server.json("POST", f"{SPACE}/rolebindings", binding)
    rules = [{**PODS, "verbs": ["delete"]}]
    answer = await server.json("POST", f"{SPACE}/roles", {"metadata": {"name": "r"}, "rules": rules}, code=403, **ANN)
    assert answer["message"].endswith(f'; resolution errors: [clusterrole.{GROUP} "nope" not found]')


async def test_a_mightier_role_is_not_even_labelled(server: Server) -> None:
    rules = [{**PODS, "verbs": ["delete"]}]
    await server.json("POST", f"{SPACE}/roles", {"metadata": {"name": "r"}, "rules": rules})
    labels = {"metadata": {"labels": {"a": "b"}}}
    await server.json("PATCH", f"{SPACE}/roles/r", labels, code=403, **MERGE, **ANN)
    await server.json("PATCH", f"{SPACE}/roles/r", {"metadata": {"finalizers": ["a.b/c"]}}, **MERGE, **ANN)


async def test_only_who_may_do_all_gathers_rules(server: Server) -> None:
    role = {"metadata": {"name": "all"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}
    answer = await server.json("POST", f"{RBAC}/clusterroles", role, code=403, **ANN)
    assert answer["message"].endswith("must have cluster-admin privileges to use the aggregationRule")
    await server.json("POST", f"{RBAC}/clusterroles", role)
