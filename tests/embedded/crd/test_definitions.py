"""What CRDs must be like, and what happens to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kuartui.embedded.crd.names import APPROVAL
from kuartui.embedded.kinds.base import strategy
from tests.embedded.crd.world import CRDS, GADGETS, KEEP, NAME, World, crd, fields, gadget, problems, version

SCHEMA = "spec.validation.openAPIV3Schema.properties[spec]"
MERGE = "application/merge-patch+json"
TEXT = {"type": "string"}


async def test_names_are_filled_in_and_accepted(world: World) -> None:
    created = await world.define(names={"shortNames": ["gd"], "categories": ["toys"]})
    assert created["spec"]["names"]["singular"] == "gadget"
    assert created["spec"]["names"]["listKind"] == "GadgetList"
    assert created["spec"]["conversion"] == {"strategy": "None"}
    found = await world.json("GET", f"{CRDS}/{NAME}")
    conditions = {one["type"]: (one["status"], one["reason"]) for one in found["status"]["conditions"]}
    assert conditions == {
        "NamesAccepted": ("True", "NoConflicts"),
        "Established": ("True", "InitialNamesAccepted"),
    }
    assert found["status"]["storedVersions"] == ["v1"]
    assert found["status"]["acceptedNames"]["shortNames"] == ["gd"]


async def test_taken_names_are_not_accepted(world: World) -> None:
    await world.define(names={"shortNames": ["gd"]})
    second = crd(names={"plural": "gidgets", "kind": "Gidget", "shortNames": ["gd"]})
    second["metadata"]["name"] = "gidgets.shop.example.com"
    await world.json("POST", CRDS, second)
    await world.settle()
    found = await world.json("GET", f"{CRDS}/gidgets.shop.example.com")
    messages = {one["type"]: one["message"] for one in found["status"]["conditions"]}
    assert messages == {"NamesAccepted": '"gd" is already in use', "Established": "not all names are accepted"}
    assert found["status"]["acceptedNames"] == {
        "plural": "gidgets",
        "singular": "gidget",
        "kind": "Gidget",
        "listKind": "GidgetList",
    }
    assert (await world.ask("GET", GADGETS.replace("gadgets", "gidgets"))).status == 404
    await world.json("DELETE", f"{CRDS}/{NAME}")
    await world.settle()
    assert (await world.ask("GET", GADGETS.replace("gadgets", "gidgets"))).status == 200


async def test_new_names_of_an_established_definition(world: World) -> None:
    await world.define(names={"shortNames": ["gd"]})
    changed = {"spec": {"names": {"shortNames": ["gg"], "categories": ["toys"]}}}
    await world.json("PATCH", f"{CRDS}/{NAME}", changed, content_type=MERGE)
    await world.settle()
    found = await world.json("GET", f"{CRDS}/{NAME}")
    assert found["status"]["acceptedNames"]["shortNames"] == ["gg"]
    listed = (await world.json("GET", "/apis/shop.example.com/v1"))["resources"][0]
    assert (listed["shortNames"], listed["categories"]) == (["gg"], ["toys"])


async def test_built_in_resources_are_not_overridden(world: World) -> None:
    body = crd(group="networking.k8s.io", names={"plural": "ingresses", "kind": "Ingress"})
    body["metadata"] = {
        "name": "ingresses.networking.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
    }
    await world.json("POST", CRDS, body)
    await world.settle()
    target = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
    await world.json("POST", target, {"metadata": {"name": "x"}, "spec": {}}, code=422)
    world.store.delete("customresourcedefinitions.apiextensions.k8s.io", "", "ingresses.networking.k8s.io")
    await world.settle()
    assert (await world.ask("GET", target)).status == 200


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"group": "shop"}, 'spec.group: Invalid value: "shop": should be a domain with at least one dot'),
        ({"scope": "World"}, 'spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"'),
        ({"scope": ""}, "spec.scope: Required value"),
        (
            {"preserveUnknownFields": True},
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set "
            "x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        ),
        (
            {"conversion": {"strategy": "Webhook"}},
            "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
        ),
        (
            {"names": {"listKind": "Gadget"}},
            'spec.names.listKind: Invalid value: "Gadget": kind and listKind may not be the same',
        ),
    ],
)
async def test_specs_are_checked(world: World, change: dict[str, Any], expected: str) -> None:
    assert expected in await world.refused(**change)


async def test_the_name_is_plural_and_group(world: World) -> None:
    body = crd()
    body["metadata"]["name"] = "wrong"
    found = await world.json("POST", CRDS, body, code=422)
    assert problems(found) == ['metadata.name: Invalid value: "wrong": must be spec.names.plural+"."+spec.group']


async def test_groups_of_the_community_need_an_approval(world: World) -> None:
    body = crd(group="shop.k8s.io")
    body["metadata"]["name"] = "gadgets.shop.k8s.io"
    found = await world.json("POST", CRDS, body, code=422)
    assert "protected groups must have approval annotation" in problems(found)[0]
    body["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, an experiment"}
    await world.json("POST", CRDS, body)
    await world.settle()
    conditions = (await world.json("GET", f"{CRDS}/gadgets.shop.k8s.io"))["status"]["conditions"]
    by_type = {one["type"]: one for one in conditions}
    assert by_type["KubernetesAPIApprovalPolicyConformant"]["reason"] == "UnapprovedAnnotation"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, f"{SCHEMA}.type: Required value: must not be empty for specified object fields"),
        ({"type": "array"}, f"{SCHEMA}.items: Required value: must be specified"),
        (
            {"type": "text"},
            f'{SCHEMA}.type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", '
            '"object", "string"',
        ),
        (
            {"type": "object", "oneOf": [{"type": "object"}]},
            f"{SCHEMA}.oneOf[0].type: Forbidden: must be empty to be structural",
        ),
        (
            {"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT},
            f"{SCHEMA}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            fields(size={"type": "integer", "default": "big"}),
            f'{SCHEMA}.properties[size].default: Invalid value: "string": {SCHEMA}.properties[size].default in body '
            'must be of type integer: "string"',
        ),
        (
            {**fields(a=TEXT), "default": {"b": 1}},
            f'{SCHEMA}.default: Invalid value: {{"b":1}}: must not have unknown fields',
        ),
        (
            {"type": "array", "items": fields(a=TEXT), "x-kubernetes-list-type": "map"},
            f"{SCHEMA}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            {
                "type": "array",
                "items": fields(a=TEXT),
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["a"],
            },
            f"{SCHEMA}.items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, "
            "so it must have a default or be a required property",
        ),
        (
            {"type": "string", "pattern": "(?=x)"},
            f'{SCHEMA}.pattern: Invalid value: "(?=x)": must be a valid regular expression, but isn\'t: '
            "error parsing regexp: invalid or unsupported Perl syntax: `(?=`",
        ),
    ],
)
async def test_schemas_are_structural(world: World, schema: dict[str, Any], expected: str) -> None:
    body = crd()
    body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = schema
    assert expected in problems(await world.json("POST", CRDS, body, code=422))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"rule": " "}, "[0].rule: Required value: rule is not specified"),
        (
            {"rule": "self.sizes > 3"},
            '[0].rule: Invalid value: {"Rule":"self.sizes \\u003e 3","Message":"","MessageExpression":"","Reason":null,'
            '"FieldPath":"","OptionalOldSelf":null}: compilation failed: ERROR: <input>:1:5: undefined field \'sizes\''
            "\n | self.sizes > 3\n | ....^",
        ),
        (
            {"rule": "self.size"},
            '[0].rule: Invalid value: {"Rule":"self.size","Message":"","MessageExpression":"","Reason":null,'
            '"FieldPath":"","OptionalOldSelf":null}: cel expression must evaluate to a bool',
        ),
        (
            {"rule": "true", "reason": "Because"},
            '[0].reason: Unsupported value: "Because": supported values: "FieldValueDuplicate", '
            '"FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"',
        ),
        (
            {"rule": "true", "fieldPath": ".nope"},
            '[0].fieldPath: Invalid value: ".nope": fieldPath must be a valid path',
        ),
        (
            {"rule": "true", "optionalOldSelf": True},
            "[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule",
        ),
    ],
)
async def test_rules_are_checked(world: World, rule: dict[str, Any], expected: str) -> None:
    schema = {**fields(size={"type": "integer"}), "x-kubernetes-validations": [rule]}
    assert f"{SCHEMA}.x-kubernetes-validations{expected}" in await world.refused(schema)


async def test_what_is_constrained_must_be_specified(world: World) -> None:
    whole = {"type": "object", "properties": {"spec": KEEP}, "anyOf": [{"properties": {"a": {"minimum": 1}}}]}
    root = SCHEMA.removesuffix(".properties[spec]")
    assert await world.refused(None, version("v1", whole=whole, storage=True)) == [
        f"{root}.properties[a]: Required value: because it is defined in {root}.anyOf[0].properties[a]"
    ]


async def test_rules_know_the_types_of_fields(world: World) -> None:
    spec = fields(size={"type": "integer"}, name=TEXT)
    rule = {"rule": "self.size > self.name"}
    found = await world.refused({**spec, "x-kubernetes-validations": [rule]})
    assert found[0].endswith(
        "compilation failed: ERROR: <input>:1:11: found no matching overload for '_>_' applied to '(int, string)'"
        "\n | self.size > self.name\n | ..........^"
    )


async def test_transition_rules_need_items_that_can_be_told_apart(world: World) -> None:
    rule = {"rule": "self == oldSelf"}
    item = {"type": "string", "maxLength": 20, "x-kubernetes-validations": [rule]}
    found = await world.refused(fields(tags={"type": "array", "maxItems": 20, "items": item}))
    place = f"{SCHEMA}.properties[tags]"
    why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place}"
    assert found == [f'{place}.items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": {why}']


async def test_an_atomic_map_has_no_fields_that_can_be_told_apart(world: World) -> None:
    inside = {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    found = await world.refused({**fields(tag=inside), "x-kubernetes-map-type": "atomic"})
    why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {SCHEMA}"
    assert found == [
        f'{SCHEMA}.properties[tag].x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": {why}'
    ]


async def test_where_a_status_is_apart_the_whole_is_an_object(world: World) -> None:
    listed = version("v1", whole={"type": "array", "items": KEEP}, storage=True, subresources={"status": {}})
    root = SCHEMA.removesuffix(".properties[spec]")
    why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
    assert await world.refused(None, listed) == [
        f'{root}.type: Invalid value: "array": {why}',
        f'{root}.type: Invalid value: "array": must be object at the root',
    ]


async def test_what_versions_share_is_judged_once(world: World) -> None:
    column = {"name": "Size", "type": "text", "jsonPath": "spec.size"}
    both = [version(name, storage=name == "v1", additionalPrinterColumns=[column]) for name in ("v1", "v2")]
    assert await world.refused(None, *both) == [
        'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of '
        "boolean,date,integer,number,string",
        'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec.size": must be a simple json path starting '
        "with .",
    ]


async def test_selectable_fields_are_scalars(world: World) -> None:
    spec = fields(color=TEXT, parts={"type": "array", "items": TEXT})
    paths = [{"jsonPath": path} for path in (".spec.color", ".spec.parts", ".spec.nope")]
    found = await world.refused(None, version("v1", spec, storage=True, selectableFields=paths))
    assert [problem.partition(":")[0] for problem in found] == [
        "spec.selectableFields[1].jsonPath",
        "spec.selectableFields[2].jsonPath",
    ]


def test_an_approval_that_was_missed_is_not_missed_again() -> None:
    rules = strategy("customresourcedefinitions.apiextensions.k8s.io")
    definition = {**crd(group="shop.k8s.io"), "status": {"storedVersions": ["v1"]}}
    definition["metadata"]["name"] = "gadgets.shop.k8s.io"
    rules.default(definition)
    place = "metadata.annotations[api-approved.kubernetes.io]"
    assert [error.field for error in rules.validate(definition)] == [place]
    assert rules.validate_update(definition, definition) == []
    approved = {**definition, "metadata": {"name": "gadgets.shop.k8s.io", "annotations": {APPROVAL: "https://a.b"}}}
    assert [error.field for error in rules.validate_update(definition, approved)] == [place]


async def test_some_fields_never_change(world: World) -> None:
    await world.define()
    for change, field in (({"scope": "Cluster"}, "spec.scope"), ({"names": {"kind": "Gizmo"}}, "spec.names.kind")):
        found = await world.json("PATCH", f"{CRDS}/{NAME}", {"spec": change}, code=422, content_type=MERGE)
        assert any(problem.startswith(field) and "field is immutable" in problem for problem in problems(found))


async def test_a_stored_version_stays(world: World) -> None:
    await world.define(None, version("v1", storage=True), version("v2"))
    switched = [version("v1"), version("v2", storage=True)]
    body = {"spec": {"versions": switched}}
    changed = await world.json("PATCH", f"{CRDS}/{NAME}", body, content_type=MERGE)
    assert changed["status"]["storedVersions"] == ["v1", "v2"]
    body = {"spec": {"versions": switched[1:]}}
    found = await world.json("PATCH", f"{CRDS}/{NAME}", body, code=422, content_type=MERGE)
    assert problems(found)[0].startswith('status.storedVersions[0]: Invalid value: "v1": missing from spec.versions')


async def test_the_end_of_a_crd_is_the_end_of_its_objects(world: World) -> None:
    await world.define()
    await world.make()
    left = await world.json("DELETE", f"{CRDS}/{NAME}")
    assert left["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    await world.clock.advance(2)
    await world.settle()
    assert (await world.ask("GET", f"{CRDS}/{NAME}")).status == 404
    assert (await world.ask("GET", GADGETS)).status == 404
    assert world.store.list(NAME) == []


async def test_a_crd_goes_whose_stored_version_nobody_is_served(world: World) -> None:
    for rest in ([version("v2")], []):
        await world.define(None, version("v1", storage=True), *rest)
        await world.make()
        body = {"spec": {"versions": [version("v1", storage=True, served=False), *rest]}}
        await world.json("PATCH", f"{CRDS}/{NAME}", body, content_type=MERGE)
        await world.settle()
        await world.json("DELETE", f"{CRDS}/{NAME}")
        await world.clock.advance(2)
        await world.settle()
        assert (await world.ask("GET", f"{CRDS}/{NAME}")).status == 404


async def test_watches_end_with_the_crd(world: World) -> None:
    await world.define()
    await world.make()
    response = await world.ask("GET", f"{GADGETS}?watch=true")
    assert response.stream is not None
    seen = [chunk async for chunk in _first(response.stream)]
    await world.json("DELETE", f"{CRDS}/{NAME}")
    await world.clock.advance(2)
    rest = [chunk async for chunk in response.stream]
    assert b"ADDED" in seen[0]
    assert b"DELETED" in b"".join(rest)


async def _first(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield await anext(stream)


async def test_an_object_that_stays_keeps_its_crd(world: World) -> None:
    await world.define()
    body = gadget("one")
    body["metadata"]["finalizers"] = ["shop.example.com/last"]
    await world.json("POST", GADGETS, body)
    await world.json("DELETE", f"{CRDS}/{NAME}")
    await world.settle()
    found = await world.json("GET", f"{CRDS}/{NAME}")
    conditions = {one["type"]: one["reason"] for one in found["status"]["conditions"]}
    assert conditions["Terminating"] == "InstanceDeletionInProgress"
    late = await world.json("POST", GADGETS, gadget("two"), code=405)
    assert late["message"] == "create not allowed while custom resource definition is terminating"
    await world.json("PATCH", f"{GADGETS}/one", {"metadata": {"finalizers": None}}, content_type=MERGE)
    await world.clock.advance(2)
    await world.settle()
    assert (await world.ask("GET", f"{CRDS}/{NAME}")).status == 404


async def test_a_status_needs_a_plain_root(world: World) -> None:
    whole = {"type": "object", "properties": {"spec": KEEP}, "anyOf": [{"required": ["spec"]}]}
    found = await world.refused(None, version("v1", whole=whole, storage=True, subresources={"status": {}}))
    assert "fields are allowed at the root of the schema if the status subresource is enabled" in found[0]


async def test_formats_that_nobody_knows_are_told(world: World) -> None:
    spec = fields(a={**TEXT, "format": "colour"}, b={"type": "integer", "format": "int64"}, c={**TEXT, "format": "uri"})
    answer = await world.ask("POST", CRDS, crd(spec))
    assert [value for key, value in answer.headers if key == "Warning"] == ['unrecognized format "colour"']


async def test_unknown_keywords_are_refused(world: World) -> None:
    body = crd({"type": "object", "propertiez": {}})
    found = await world.json("POST", f"{CRDS}?fieldValidation=Strict", body, code=400)
    assert found["message"].endswith(
        'strict decoding error: unknown field "spec.versions[0].schema.openAPIV3Schema.properties.spec.propertiez"'
    )
