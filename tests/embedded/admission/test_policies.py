"""ValidatingAdmissionPolicies through the API."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.policies import ValidatingPolicies
from kuartui.embedded.api.request import User
from tests.embedded.api.server import Server

Obj = dict[str, Any]

GROUP = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]


class Guarded(Server):
    """A server that asks policies."""

    def __init__(self) -> None:
        super().__init__()
        self.rest.admission.add(ValidatingPolicies(self.store, self.resources, self.authorizer))

    async def policy(self, *validations: Obj, actions: tuple[str, ...] = ("Deny",), **spec: Any) -> None:
        body = {"matchConstraints": {"resourceRules": RULES}, "validations": list(validations), **spec}
        reference = body.pop("paramRef", None)
        bound = {
            "policyName": "p",
            "validationActions": list(actions),
            **({"paramRef": reference} if reference else {}),
        }
        bound |= {"matchResources": body.pop("bound")} if "bound" in body else {}
        await self.json("POST", f"{GROUP}/validatingadmissionpolicies", {"metadata": {"name": "p"}, "spec": body})
        await self.json(
            "POST", f"{GROUP}/validatingadmissionpolicybindings", {"metadata": {"name": "b"}, "spec": bound}
        )

    async def try_map(self, code: int = 0, name: str = "m", labels: Obj | None = None, **data: str) -> Obj:
        body = {"metadata": {"name": name, "labels": labels or {}}, "data": data}
        return await self.json("POST", MAPS, body, code=code)


@pytest.fixture
async def server() -> Guarded:
    found = Guarded()
    for name, labels in (("default", {"team": "a"}), ("free", {})):
        await found.json("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    return found


SMALL = {"expression": "size(object.data) <= 1", "messageExpression": "'not ' + string(size(object.data)) + ' entries'"}


async def test_a_denial(server: Guarded) -> None:
    await server.policy(SMALL)
    answer = await server.try_map(code=422, a="1", b="2")
    text = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not 2 entries"
    assert answer["message"] == f'configmaps "m" is forbidden: {text}'
    assert (answer["reason"], answer["details"]["causes"]) == ("Invalid", [{"message": text}])
    await server.try_map(a="1")


async def test_a_reason_and_a_message(server: Guarded) -> None:
    await server.policy({"expression": "false", "message": "never", "reason": "Forbidden"})
    answer = await server.try_map(code=403)
    assert answer["reason"] == "Forbidden"
    assert answer["message"].endswith("denied request: never")


async def test_without_a_message_the_expression_is_shown(server: Guarded) -> None:
    await server.policy({"expression": "object.metadata.name == 'x'"})
    assert (await server.try_map(code=422))["message"].endswith("failed expression: object.metadata.name == 'x'")


async def test_warnings(server: Guarded) -> None:
    await server.policy(SMALL, actions=("Warn", "Audit"))
    answer = await server.ask("POST", MAPS, {"metadata": {"name": "m"}, "data": {"a": "1", "b": "2"}})
    text = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': not 2 entries"
    assert answer.status == 201
    assert ("Warning", text) in answer.headers


@pytest.mark.parametrize(("failure", "code"), [("Fail", 422), ("Ignore", 201)])
async def test_an_expression_that_fails(server: Guarded, failure: str, code: int) -> None:
    await server.policy({"expression": "object.data.missing == 'x'"}, failurePolicy=failure)
    answer = await server.try_map(code=code, a="1")
    if failure == "Fail":
        assert answer["message"].endswith(
            "expression 'object.data.missing == 'x'' resulted in error: no such key: missing"
        )


async def test_variables_conditions_and_the_request(server: Guarded) -> None:
    await server.policy(
        {"expression": "variables.keys.all(k, k != 'b')"},
        variables=[
            {"name": "unused", "expression": "object.no.such.thing"},
            {"name": "keys", "expression": "dyn(object.data).map(k, k)"},
        ],
        matchConditions=[{"name": "not-admin", "expression": "request.userInfo.username == 'admin'"}],
    )
    await server.try_map(a="1")
    await server.try_map(code=422, name="n", b="1")


async def test_a_variable_that_cannot_be_told_matters_where_it_is_needed(server: Guarded) -> None:
    variables = [
        {"name": "b", "expression": "object.data.b"},
        {"name": "twice", "expression": "variables.b + variables.b"},
    ]
    shared = "object.data.?skip.orValue('') == 'yes' || variables.twice == 'xx'"
    await server.policy({"expression": shared}, variables=variables)
    await server.try_map(skip="yes")
    await server.try_map(name="n", b="x")
    answer = await server.try_map(code=422, name="o", a="1")
    assert answer["message"].endswith(
        f"denied request: expression '{shared}' resulted in error: composited variable \"twice\" fails to evaluate: "
        'composited variable "b" fails to evaluate: no such key: b'
    )


async def test_an_audit_annotation_that_cannot_be_told_denies_whatever_the_actions_are(server: Guarded) -> None:
    annotations = [{"key": "b", "valueExpression": "string(object.data.b)"}]
    await server.policy({"expression": "true"}, actions=("Audit",), auditAnnotations=annotations)
    await server.try_map(b="1")
    answer = await server.try_map(code=422, name="n", a="1")
    assert answer["message"].endswith(
        "denied request: expression 'string(object.data.b)' resulted in error: no such key: b"
    )


async def test_all_conditions_that_cannot_be_told_are_told(server: Guarded) -> None:
    conditions = [{"name": key, "expression": f"object.data.{key} == 'x'"} for key in ("one", "two")]
    await server.policy(SMALL, matchConditions=conditions)
    answer = await server.try_map(code=422, a="1")
    assert answer["message"].endswith(
        "denied request: [expression 'object.data.one == 'x'' resulted in error: no such key: one, "
        "expression 'object.data.two == 'x'' resulted in error: no such key: two]"
    )


async def test_selectors(server: Guarded) -> None:
    await server.policy(SMALL, bound={"namespaceSelector": {"matchLabels": {"team": "a"}}})
    await server.try_map(code=422, a="1", b="2")
    await server.json("POST", MAPS.replace("default", "free"), {"metadata": {"name": "m"}, "data": {"a": "", "b": ""}})


async def test_old_objects_and_operations(server: Guarded) -> None:
    await server.policy({"expression": "request.operation != 'UPDATE' || object.data.a == oldObject.data.a"})
    await server.try_map(a="1")
    patch = {"data": {"a": "2"}}
    kind = "application/merge-patch+json"
    await server.json("PATCH", f"{MAPS}/m", patch, code=422, content_type=kind)
    await server.json("DELETE", f"{MAPS}/m")


async def test_parameters(server: Guarded) -> None:
    await server.policy(
        {"expression": "size(object.data) <= int(params.data.most)"},
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        paramRef={"name": "limits", "namespace": "free", "parameterNotFoundAction": "Deny"},
    )
    answer = await server.try_map(code=422, a="1")
    assert answer["message"].endswith("no params found for policy binding with `Deny` parameterNotFoundAction")
    raw = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "limits", "namespace": "free"},
        "data": {"most": "1"},
    }
    server.store.create("configmaps", "free", "limits", raw)
    await server.try_map(a="1")
    await server.try_map(code=422, name="n", a="1", b="2")


async def test_the_authorizer(server: Guarded) -> None:
    check = "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()"
    await server.policy({"expression": check, "message": "only those who may read secrets"})
    await server.try_map()
    server.authenticator.add_token("eve", User("eve", ("system:authenticated",)))
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    await server.json("POST", f"{rbac}/clusterroles", {"metadata": {"name": "maps"}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "maps"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve"}]
    await server.json(
        "POST",
        f"{rbac}/clusterrolebindings",
        {"metadata": {"name": "maps"}, "roleRef": reference, "subjects": subjects},
    )
    body = {"metadata": {"name": "e"}}
    answer = await server.json("POST", MAPS, body, code=422, authorization="Bearer eve")
    assert answer["message"].endswith("only those who may read secrets")


async def test_policies_do_not_guard_themselves(server: Guarded) -> None:
    everything = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]
    await server.policy({"expression": "false"}, matchConstraints={"resourceRules": everything})
    await server.try_map(code=422)
    await server.json("DELETE", f"{GROUP}/validatingadmissionpolicybindings/b")
    await server.try_map()


@pytest.mark.parametrize(
    ("validation", "field", "message"),
    [
        ({"expression": "object.x <="}, "expression", "compilation failed: ERROR: <input>:1:12: Syntax error"),
        ({"expression": "nobody.x"}, "expression", "compilation failed: ERROR: <input>:1:"),
        ({"expression": "1 + 1"}, "expression", "must evaluate to bool but got int"),
        ({"expression": "object.data"}, "expression", "must evaluate to bool but got dyn"),
        ({"expression": "{'a': [1]}"}, "expression", "must evaluate to bool but got map(string, list(int))"),
        ({"expression": "true", "messageExpression": "3"}, "messageExpression", "must evaluate to string but got int"),
    ],
)
async def test_expressions_that_cannot_be(server: Guarded, validation: Obj, field: str, message: str) -> None:
    spec = {"matchConstraints": {"resourceRules": RULES}, "validations": [validation]}
    answer = await server.json(
        "POST", f"{GROUP}/validatingadmissionpolicies", {"metadata": {"name": "p"}, "spec": spec}, code=422
    )
    cause = answer["details"]["causes"][0]
    assert cause["field"] == f"spec.validations[0].{field}"
    assert message in cause["message"]
