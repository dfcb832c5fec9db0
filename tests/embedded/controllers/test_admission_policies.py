"""The status of ValidatingAdmissionPolicies tells of fields that their objects do not have."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.controllers.admission_policies import POLICIES, PolicyStatus, check
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]


def rule(*resources: str, group: str = "apps") -> Obj:
    return {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": list(resources)}


def spec(expression: str, *rules: Obj, **more: Any) -> Obj:
    matched = {"resourceRules": list(rules) or [rule("deployments")]}
    return {"matchConstraints": matched, "validations": [{"expression": expression}], **more}


async def test_a_policy_is_looked_at_once_and_again_when_it_changes(cluster: Cluster) -> None:
    cluster.start(PolicyStatus(cluster.client))
    await cluster.create(POLICIES, "p", spec=spec("object.replicas > 1"))
    await cluster.run()
    status = cluster.get(POLICIES, "p")["status"]
    assert status["observedGeneration"] == 1
    assert status["typeChecking"]["expressionWarnings"] == [
        {
            "fieldRef": "spec.validations[0].expression",
            "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n"
            " | object.replicas > 1\n | ......^",
        }
    ]
    revision = cluster.store.revision
    await cluster.run()
    assert cluster.store.revision == revision
    await cluster.edit(POLICIES, "p", {"spec": {"validations": [{"expression": "object.spec.replicas > 1"}]}})
    await cluster.run()
    assert cluster.get(POLICIES, "p")["status"] == {"observedGeneration": 2, "typeChecking": {}}


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("object.spec.replicas > 1 && object.metadata.name.startsWith('a')", ""),
        ("object.spec.replicas > '1'", "'_>_' applied to '(int, string)'\n | object.spec.replicas > '1'\n | .....................^"),
        ("'at most ' + object.spec.replicas", "'_+_' applied to '(string, int)'"),
        ("object.metadata.name.startsWith(1)", "'startsWith' applied to '(string, int)'"),
        ("!object.spec.template.spec.hostNetwork && has(object.spec.replicas)", ""),
        ("!object.spec.replicas", "'!_' applied to '(int)'"),
        ("object.spec.strategy.rollingUpdate.maxSurge == 1", ""),
        ("object.metadata.labels.tier == 1", "'_==_' applied to '(string, int)'"),
        ("object.spec.template.spec.containers.all(c, c.name > 1)", ""),
        ("object.?spec.replicas.orValue('x') == 'x'", ""),
        ("params.max > 1 && request.name != ''", ""),
    ],
)  # fmt: skip
def test_what_operators_take(expression: str, told: str) -> None:
    warnings = check(spec(expression))
    text = warnings[0]["warning"] if warnings else ""
    assert text.partition("found no matching overload for ")[2] == told if told in ("",) else told in text


def test_custom_resources_have_types_too() -> None:
    foo = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"foo": {"type": "string"}}}}}
    names = {"plural": "gadgets", "kind": "Gadget"}
    version = {"name": "v1", "schema": {"openAPIV3Schema": foo}}
    crd = {"spec": {"group": "shop.example.com", "names": names, "versions": [version]}}
    gadgets = rule("gadgets", group="shop.example.com")
    (warning,) = check(spec("object.spec.foo > 1 && object.metadata.name != ''", gadgets), [crd])
    assert warning["warning"].startswith("shop.example.com/v1, Kind=Gadget: ERROR: <input>:1:17: found no matching")
    (warning,) = check(spec("object.spec.bar > 1", gadgets), [crd])
    assert "undefined field 'bar'" in warning["warning"]


@pytest.mark.parametrize(
    ("expression", "fields"),
    [
        ("has(object.spec.template.spec.hostNetworks)", ["hostNetworks"]),
        ("object.metadata.labels.team == 'a' && object.metadata.labels.exists(k, k == 'x')", []),
        ("object.spec.template.spec.containers.all(c, c.nothing)", []),
        ("'object.nothing' == \"oldObject.nothing\"", []),
        ("variables.object.nothing", []),
        ("object.?nothing.orValue(1) == 1 || oldObject.nothing == 2", ["nothing", "nothing"]),
        ("object.spec.template.metadata.annotations['a'] == 'b'", []),
    ],
)
def test_which_fields_there_are(expression: str, fields: list[str]) -> None:
    text = "".join(one["warning"] for one in check(spec(expression)))
    assert [part.partition("'")[0] for part in text.split("undefined field '")[1:]] == fields


def test_each_kind_is_looked_at_but_no_wildcard() -> None:
    found = check(
        spec("object.spec.strategy.type == 'x'", rule("deployments", "statefulsets", "*"), rule("*", group=""))
    )
    assert [one["warning"].partition(":")[0] for one in found] == ["apps/v1, Kind=StatefulSet"]


def test_parameters_have_a_kind_too() -> None:
    bound = spec("params.data.x == '1' && params.spec.x", paramKind={"apiVersion": "v1", "kind": "ConfigMap"})
    (warning,) = check(bound)
    assert "undefined field 'spec'" in warning["warning"]
