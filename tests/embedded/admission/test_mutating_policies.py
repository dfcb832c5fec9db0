"""MutatingAdmissionPolicies through the API."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.mutating_policies import MutatingPolicies
from kuartui.embedded.cel_structs import with_maps
from tests.embedded.api.server import Server

Obj = dict[str, Any]

GROUP = "/apis/admissionregistration.k8s.io/v1"
PODS, MAPS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/configmaps"


def rules(*resources: str) -> Obj:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": list(resources)}
    return {"resourceRules": [rule]}


def configure(expression: str) -> Obj:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch(expression: str) -> Obj:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


class Changing(Server):
    """A server with mutating policies."""

    def __init__(self) -> None:
        super().__init__()
        self.rest.admission.add(MutatingPolicies(self.store, self.resources, self.authorizer))

    async def policy(
        self,
        *mutations: Obj,
        name: str = "p",
        resources: str = "pods",
        code: int = 0,
        ref: Obj | None = None,
        **spec: Any,
    ) -> Obj:
        body = {"reinvocationPolicy": "Never", "matchConstraints": rules(resources), "mutations": list(mutations)}
        made = {"metadata": {"name": name}, "spec": body | spec}
        answer = await self.json("POST", f"{GROUP}/mutatingadmissionpolicies", made, code=code)
        bound = {"policyName": name, **({"paramRef": ref} if ref else {})}
        await self.json("POST", f"{GROUP}/mutatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": bound})
        return answer

    async def pod(self, code: int = 0, **metadata: Any) -> Obj:
        spec = {"containers": [{"name": "c", "image": "i"}]}
        return await self.json("POST", PODS, {"metadata": {"name": "p"} | metadata, "spec": spec}, code=code)


@pytest.fixture
async def server() -> Changing:
    found = Changing()
    await found.json("POST", "/api/v1/namespaces", {"metadata": {"name": "default", "labels": {"team": "a"}}})
    return found


SIDECAR = """
    !has(object.spec.initContainers) || !object.spec.initContainers.exists(c, c.name == "proxy") ?
    Object{spec: Object.spec{initContainers: [Object.spec.initContainers{
        name: "proxy", image: "mesh:1", restartPolicy: "Always" // the mesh {
    }]}} : Object{}"""


async def test_a_configuration_is_merged_as_if_it_was_applied(server: Changing) -> None:
    await server.policy(
        configure(SIDECAR),
        configure("Object{spec: Object.spec{containers: [Object.spec.containers{name: 'c', image: 'j'}]}}"),
    )
    made = await server.pod()
    assert [(c["name"], c["image"]) for c in made["spec"]["initContainers"]] == [("proxy", "mesh:1")]
    assert [(c["name"], c["image"]) for c in made["spec"]["containers"]] == [("c", "j")]


async def test_labels_by_configuration_and_annotations_by_patch(server: Changing) -> None:
    await server.policy(
        configure("Object{metadata: Object.metadata{labels: {'team': namespaceObject.metadata.labels.team}}}"),
        patch(
            "[has(object.metadata.annotations) ? JSONPatch{op: 'test', path: '/kind', value: 'Pod'} :"
            " JSONPatch{op: 'add', path: '/metadata/annotations', value: {}},"
            " JSONPatch{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('a/b'), value: object.metadata.labels.team}]"
        ),
    )
    made = (await server.pod(labels={"app": "x"}))["metadata"]
    assert (made["labels"], made["annotations"]) == ({"app": "x", "team": "a"}, {"a/b": "a"})


async def test_conditions_variables_and_parameters(server: Changing) -> None:
    await server.json("POST", MAPS, {"metadata": {"name": "settings"}, "data": {"team": "blue"}})
    await server.policy(
        configure("Object{metadata: Object.metadata{labels: variables.wanted}}"),
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        ref={"name": "settings", "namespace": "default", "parameterNotFoundAction": "Deny"},
        variables=[{"name": "wanted", "expression": "{'team': params.data.team}"}],
        matchConditions=[{"name": "new", "expression": "!has(object.metadata.labels)"}],
    )
    assert (await server.pod())["metadata"]["labels"] == {"team": "blue"}
    assert (await server.pod(name="q", labels={"x": "y"}))["metadata"]["labels"] == {"x": "y"}


async def test_who_asks_for_it_sees_what_others_changed_afterwards(server: Changing) -> None:
    count = "has(object.metadata.labels) ? string(size(object.metadata.labels)) : '0'"
    await server.policy(
        configure(f"Object{{metadata: Object.metadata{{annotations: {{'seen': {count}}}}}}}"),
        name="a",
        reinvocationPolicy="IfNeeded",
    )
    await server.policy(configure("Object{metadata: Object.metadata{labels: {'x': 'y'}}}"), name="b")
    assert (await server.pod())["metadata"]["annotations"] == {"seen": "1"}


@pytest.mark.parametrize(
    ("mutation", "why"),
    [
        (
            configure("Object{spec: Object.spec{containers: [Object.spec.containers{name: 'c', args: ['x']}]}}"),
            "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.containers[].args",
        ),
        (configure("Object{spec: Object.spec{colour: 'red'}}"), ".spec.colour: field not declared in schema"),
        (
            configure("Object{metadata: Object.metadata{labels: object.nothing}}"),
            "resulted in error: no such key: nothing",
        ),
        (patch("[JSONPatch{op: 'remove', path: '/spec/nothing'}]"), "JSON Patch: "),
    ],
)
async def test_what_cannot_be_done_is_refused_unless_failures_are_ignored(
    server: Changing, mutation: Obj, why: str
) -> None:
    await server.policy(mutation)
    answer = await server.pod(code=422)
    assert answer["message"].startswith("policy 'p' with binding 'p' denied request: ")
    assert why in answer["message"]
    path = f"{GROUP}/mutatingadmissionpolicies/p"
    change = {"spec": {"failurePolicy": "Ignore"}}
    await server.json("PATCH", path, change, content_type="application/merge-patch+json")
    assert (await server.pod())["metadata"].get("labels") is None


async def test_nobody_becomes_another_object(server: Changing) -> None:
    await server.policy(configure("Object{metadata: Object.metadata{name: 'other'}}"))
    assert (await server.pod())["metadata"]["name"] == "p"


async def test_a_policy_must_say_how_it_changes_what(server: Changing) -> None:
    async def refused(**spec: Any) -> str:
        body = {"reinvocationPolicy": "Never", "matchConstraints": rules("pods"), "mutations": [], **spec}
        made = {"metadata": {"name": "p"}, "spec": body}
        answer = await server.json("POST", f"{GROUP}/mutatingadmissionpolicies", made, code=422)
        return str(answer["message"])

    assert "spec.mutations: Required value: mutations must contain at least one item" in await refused()
    assert "spec.reinvocationPolicy: Required value" in await refused(reinvocationPolicy="")
    assert "compilation failed: ERROR" in await refused(mutations=[configure("Object{spec: }")])
    both = {**configure("Object{}"), "jsonPatch": {"expression": "[]"}}
    assert (
        'spec.mutations[0].jsonPatch: Invalid value: "{jsonPatch}": must not be specified when patchType is '
        "ApplyConfiguration" in await refused(mutations=[both])
    )
    assert await refused(mutations=[configure(" ")]) == (
        'MutatingAdmissionPolicy.admissionregistration.k8s.io "p" is invalid: '
        "spec.mutations[0].applyConfiguration.expression: Required value"
    )
    deletes = {"resourceRules": [{**rules("pods")["resourceRules"][0], "operations": ["CREATE", "DELETE"]}]}
    assert (
        'spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", '
        '"CONNECT", "CREATE", "UPDATE"' in await refused(matchConstraints=deletes, mutations=[configure("Object{}")])
    )
    assert "must evaluate to list(JSONPatch) but got int" in await refused(mutations=[patch("1")])
    assert "must evaluate to list(JSONPatch) but got list(int)" in await refused(mutations=[patch("[1]")])
    assert "must evaluate to Object but got map(string, int)" in await refused(mutations=[configure("{'a': 1}")])
    odd = {"patchType": "Merge"}
    assert 'spec.mutations[0].patchType: Unsupported value: "Merge"' in await refused(mutations=[odd])


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("Object{a: Object.a{b: [1]}}", 'dyn({"a": dyn({"b": [1]})})'),
        ("Object{a: x ? {'k': y} : z, ?b: optional.none()}", """dyn({"a": x ? {'k': y} : z, ?"b": optional.none()})"""),
        ("'Object{a: 1}' + object.Object{}", "'Object{a: 1}' + object.Object{}"),
        ("Object.metadata.labels{`a/b`: 'c', d__dash__e: 'f'}", """dyn({"a/b": 'c', "d-e": 'f'})"""),
        ("[JSONPatch{op: 'add', value: Object.spec{x: 1}}]", """[dyn({"op": 'add', "value": dyn({"x": 1})})]"""),
    ],
)
def test_structs_become_maps(source: str, wanted: str) -> None:
    assert with_maps(source) == wanted
