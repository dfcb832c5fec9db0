"""Custom objects: what their CRD makes of them."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from kuartui.embedded.crd.validation import validate
from kuartui.embedded.store import Store
from tests.embedded.crd.world import CRDS, GADGETS, KEEP, NAME, World, fields, gadget, problems, version

TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
MERGE = "application/merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def ruled(schema: dict[str, Any], **rule: Any) -> dict[str, Any]:
    """A schema with one rule."""
    return {**schema, "x-kubernetes-validations": [rule]}


async def test_nulls_that_may_not_be_are_dropped_or_defaulted(world: World) -> None:
    spec = fields(a={**TEXT, "default": "x"}, b=TEXT, c={**TEXT, "nullable": True}, n=fields(d={**WHOLE, "default": 3}))
    await world.define(spec)
    made = await world.make(spec={"a": None, "b": None, "c": None, "n": {}})
    assert made["spec"] == {"a": "x", "c": None, "n": {"d": 3}}


async def test_new_defaults_show_on_old_objects(world: World) -> None:
    await world.define(fields(a=TEXT))
    await world.make(spec={"a": "x"})
    newer = [version("v1", fields(a=TEXT, b={**WHOLE, "default": 7}), storage=True)]
    await world.json("PATCH", f"{CRDS}/{NAME}", {"spec": {"versions": newer}}, content_type=MERGE)
    assert (await world.json("GET", f"{GADGETS}/one"))["spec"] == {"a": "x", "b": 7}
    assert (await world.json("GET", GADGETS))["items"][0]["spec"] == {"a": "x", "b": 7}


async def test_versions_show_what_they_know(world: World) -> None:
    await world.define(None, version("v1", fields(a=TEXT, b=TEXT), storage=True), version("v1beta1", fields(a=TEXT)))
    await world.make(spec={"a": "x", "b": "y"})
    old = GADGETS.replace("/v1/", "/v1beta1/")
    found = await world.json("GET", f"{old}/one")
    assert (found["apiVersion"], found["spec"]) == ("shop.example.com/v1beta1", {"a": "x"})


@pytest.mark.parametrize(
    ("own", "newer", "expected"),
    [
        ({"deprecated": True}, {}, "shop.example.com/v1beta1 Gadget is deprecated; use shop.example.com/v1 Gadget"),
        (
            {"deprecated": True},
            {"deprecated": True, "deprecationWarning": "no more"},
            "shop.example.com/v1beta1 Gadget is deprecated",
        ),
        ({"deprecated": True, "deprecationWarning": "go away"}, {}, "go away"),
    ],
)
async def test_deprecated_versions_warn(world: World, own: Any, newer: Any, expected: str) -> None:
    await world.define(None, version("v1beta1", **own), version("v1", storage=True, **newer))
    answer = await world.ask("GET", GADGETS.replace("/v1/", "/v1beta1/"))
    assert ("Warning", expected) in answer.headers


async def test_transition_rules_see_what_was(world: World) -> None:
    await world.define(ruled(fields(size=WHOLE), rule="self.size >= oldSelf.size", message="gadgets only grow"))
    await world.make(spec={"size": 3})
    await world.change({"size": 5})
    refused = await world.change({"size": 4}, code=422)
    assert problems(refused) == ["spec: Invalid value: gadgets only grow"]


async def test_optional_old_self_is_there_from_the_start(world: World) -> None:
    rule = {"rule": "oldSelf.hasValue() ? self >= oldSelf.value() : self == 1", "optionalOldSelf": True}
    await world.define(fields(size={**WHOLE, "x-kubernetes-validations": [{**rule, "message": "start at one"}]}))
    assert await world.invalid(spec={"size": 2}) == ["spec.size: Invalid value: 2: start at one"]
    await world.make(spec={"size": 1})
    await world.change({"size": 4})
    assert problems(await world.change({"size": 3}, code=422)) == ["spec.size: Invalid value: 3: start at one"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"messageExpression": "'at most ' + string(self.most)"}, "spec: Invalid value: at most 3"),
        ({"messageExpression": "self.nothing"}, None),
        ({"reason": "FieldValueRequired", "message": "m", "fieldPath": ".size"}, "spec.size: Required value: m"),
        ({"reason": "FieldValueForbidden", "message": "m"}, "spec: Forbidden: m"),
        ({"message": "m", "fieldPath": "['size']"}, "spec.size: Invalid value: m"),
        ({}, "spec: Invalid value: failed rule: self.size <= self.most"),
    ],
)
async def test_how_rules_complain(world: World, rule: dict[str, Any], expected: str | None) -> None:
    schema = ruled(fields(size=WHOLE, most=WHOLE), rule="self.size <= self.most", **rule)
    if expected is None:
        assert "undefined field 'nothing'" in (await world.refused(schema))[0]
        return
    await world.define(schema)
    assert await world.invalid(spec={"size": 4, "most": 3}) == [expected]


async def test_rules_that_fail_say_why(world: World) -> None:
    await world.define(ruled(fields(a=WHOLE, b=WHOLE), rule="self.a < self.b"))
    expected = "spec: Invalid value: no such key: b evaluating rule: self.a < self.b"
    assert await world.invalid(spec={"a": 1}) == [expected]


async def test_rules_read_times_as_times(world: World) -> None:
    time = {"type": "string", "format": "date-time"}
    await world.define(ruled(fields(start=time, end=time), rule="self.start < self.end", message="backwards"))
    await world.make(spec={"start": "2026-01-01T10:00:00+02:00", "end": "2026-01-01T09:00:00Z"})
    times = {"start": "2026-01-01T10:00:00Z", "end": "2026-01-01T09:00:00Z"}
    assert await world.invalid(spec=times) == ["spec: Invalid value: backwards"]


async def test_rules_on_names(world: World) -> None:
    whole = ruled({"type": "object", "properties": {"spec": KEEP}}, rule="self.metadata.name.startsWith('g')")
    await world.define(None, version("v1", whole=whole, storage=True))
    await world.make("good")
    assert (await world.invalid("bad"))[0].startswith("<nil>: Invalid value: failed rule")


async def test_what_broke_a_rule_before_may_stay(world: World) -> None:
    await world.define(fields(tag=TEXT, size=WHOLE))
    await world.make(spec={"tag": "old"})
    stricter = fields(tag=ruled(TEXT, rule="self.startsWith('new')", message="not new"), size=WHOLE)
    versions = [version("v1", stricter, storage=True)]
    await world.json("PATCH", f"{CRDS}/{NAME}", {"spec": {"versions": versions}}, content_type=MERGE)
    await world.change({"size": 2})
    assert problems(await world.change({"tag": "older"}, code=422)) == ['spec.tag: Invalid value: "older": not new']


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({**TEXT, "minLength": 3}, "ab", 'Invalid value: "ab": spec.x in body should be at least 3 chars long'),
        ({**TEXT, "maxLength": 1}, "ab", "Too long: may not be more than 1 byte"),
        ({**TEXT, "format": "ipv4"}, "1.2.3", 'Invalid value: "1.2.3": spec.x in body must be of type ipv4: "1.2.3"'),
        (
            {**WHOLE, "exclusiveMinimum": True, "minimum": 2},
            2,
            "Invalid value: 2: spec.x in body should be greater than 2",
        ),
        ({**WHOLE, "enum": [1, 2]}, 3, 'Unsupported value: 3: supported values: "1", "2"'),
        (
            {"type": "array", "items": TEXT, "minItems": 2},
            ["a"],
            "Invalid value: 1: spec.x in body should have at least 2 items",
        ),
        (
            {"type": "object", "additionalProperties": TEXT, "maxProperties": 1},
            {"a": "b", "c": "d"},
            "Too many: 2: must have at most 1 item",
        ),
        ({"type": "boolean"}, "yes", 'Invalid value: "string": spec.x in body must be of type boolean: "string"'),
    ],
)
async def test_values_are_checked(world: World, schema: dict[str, Any], value: Any, expected: str) -> None:
    await world.define(fields(x=schema))
    assert await world.invalid(spec={"x": value}) == [f"spec.x: {expected}"]


@pytest.mark.parametrize(
    ("junctor", "value", "expected"),
    [
        ("oneOf", {"a": "x", "b": "y"}, ["must validate one and only one schema (oneOf). Found 2 valid alternatives"]),
        (
            "oneOf",
            {},
            ["must validate one and only one schema (oneOf). Found none valid", "spec.a: Required value"],
        ),
        ("anyOf", {}, ["must validate at least one schema (anyOf)", "spec.a: Required value"]),
        ("allOf", {"a": "x"}, ["spec.b: Required value", "must validate all the schemas (allOf)"]),
    ],
)
async def test_junctors(world: World, junctor: str, value: dict[str, Any], expected: list[str]) -> None:
    await world.define(fields(a=TEXT, b=TEXT) | {junctor: [{"required": ["a"]}, {"required": ["b"]}]})
    whole = '<nil>: Invalid value: "": "spec" '
    assert await world.invalid(spec=value) == [one if one.startswith("spec.") else whole + one for one in expected]


async def test_objects_inside_of_objects(world: World) -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    await world.define(fields(template=inner))
    assert await world.invalid(spec={"template": {"kind": "Pod", "spec": {}}}) == [
        "spec.template.apiVersion: Required value: must not be empty"
    ]
    made = await world.make(spec={"template": {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": []}}})
    assert made["spec"]["template"]["spec"] == {"containers": []}


async def test_updates_must_know_what_they_replace(world: World) -> None:
    await world.define()
    await world.make()
    found = await world.json("PUT", f"{GADGETS}/one", gadget("one"), code=422)
    assert problems(found) == ["metadata.resourceVersion: Invalid value: 0: must be specified for an update"]


async def test_plain_finalizers_are_taken_with_a_warning(world: World) -> None:
    await world.define()
    body = gadget("one")
    body["metadata"]["finalizers"] = ["keep"]
    answer = await world.ask("POST", GADGETS, body)
    assert answer.status == 201
    assert any("prefer a domain-qualified finalizer name" in value for key, value in answer.headers if key == "Warning")


async def test_columns(world: World) -> None:
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Made", "type": "date", "jsonPath": ".spec.made"},
        {"name": "Parts", "type": "string", "jsonPath": ".spec.parts", "priority": 1},
    ]
    await world.define(KEEP, version("v1", KEEP, storage=True, additionalPrinterColumns=columns))
    conditions = [{"type": "Other", "status": "True"}, {"type": "Ready", "status": "False"}]
    await world.make(spec={"size": 3.7, "made": "long ago", "parts": ["a", 1]}, status={"conditions": conditions})
    table = await world.json("GET", GADGETS, accept=TABLE)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Ready", "Made", "Parts"]
    assert table["rows"][0]["cells"] == ["one", 3, "False", "<invalid>", '["a",1]']


async def test_without_columns_there_is_an_age(world: World) -> None:
    await world.define()
    await world.make()
    table = await world.json("GET", GADGETS, accept=TABLE)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Age"]
    assert table["rows"][0]["cells"] == ["one", "0s"]


async def test_fields_to_select_by(world: World) -> None:
    await world.define(
        None, version("v1", fields(color=TEXT), storage=True, selectableFields=[{"jsonPath": ".spec.color"}])
    )
    await world.make("one", spec={"color": "red"})
    await world.make("two", spec={"color": "blue"})
    found = await world.json("GET", f"{GADGETS}?fieldSelector=spec.color%3Dblue")
    assert [item["metadata"]["name"] for item in found["items"]] == ["two"]
    refused = await world.json("GET", f"{GADGETS}?fieldSelector=spec.size%3D3", code=400)
    assert refused["message"].endswith("field label not supported: spec.size")


async def test_scale(world: World) -> None:
    paths = {
        "specReplicasPath": ".spec.size",
        "statusReplicasPath": ".status.size",
        "labelSelectorPath": ".status.selector",
    }
    await world.define(
        None, version("v1", fields(size=WHOLE), storage=True, subresources={"status": {}, "scale": paths})
    )
    await world.make(spec={"size": 2})
    status = {"status": {"size": 1, "selector": "a=b"}}
    await world.json("PATCH", f"{GADGETS}/one/status", status, content_type=MERGE)
    scale = await world.json("GET", f"{GADGETS}/one/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "a=b"})
    await world.json("PATCH", f"{GADGETS}/one/scale", {"spec": {"replicas": 5}}, content_type=MERGE)
    assert (await world.json("GET", f"{GADGETS}/one"))["spec"]["size"] == 5
    assert await world.invalid(spec={"size": -1}) == [".spec.size: Invalid value: -1: should be a non-negative integer"]


async def test_explanations(world: World) -> None:
    await world.define(fields(size={**WHOLE, "description": "How big."}))
    index = await world.json("GET", "/openapi/v3")
    assert "apis/shop.example.com/v1" in index["paths"]
    document = await world.json("GET", "/openapi/v3/apis/shop.example.com/v1")
    schema = document["components"]["schemas"]["com.example.shop.v1.Gadget"]
    assert schema["properties"]["spec"]["properties"]["size"]["description"] == "How big."
    assert schema["x-kubernetes-group-version-kind"][0]["kind"] == "Gadget"


async def test_version_2_of_openapi_lets_pass_what_a_schema_leaves_open(world: World) -> None:
    spec = fields(
        "maybe",
        "size",
        size=WHOLE,
        maybe={"type": "string", "nullable": True},
        open={**KEEP, "properties": {"known": TEXT}},
        list={"type": "array", "items": TEXT, "x-kubernetes-preserve-unknown-fields": True},
    )
    await world.define(None, version("v1", spec, storage=True), version("v1beta1", whole=KEEP))
    old = (await world.json("GET", "/openapi/v2"))["definitions"]
    found = old["com.example.shop.v1.Gadget"]["properties"]["spec"]
    assert found["required"] == ["size"]
    assert {name: one.get("type") for name, one in found["properties"].items()} == {
        "size": "integer",
        "maybe": None,
        "open": None,
        "list": None,
    }
    assert "properties" not in found["properties"]["open"]
    whole = old["com.example.shop.v1beta1.Gadget"]
    assert (whole["type"], whole.keys()) == ("object", {"type", "x-kubernetes-group-version-kind"})


async def test_discovery(world: World) -> None:
    await world.define(None, version("v1beta1"), version("v1", storage=True, subresources={"status": {}}))
    group = await world.json("GET", "/apis/shop.example.com")
    assert [one["version"] for one in group["versions"]] == ["v1", "v1beta1"]
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    found = await world.json("GET", "/apis", accept=aggregated)
    mine = next(one for one in found["items"] if one["metadata"]["name"] == "shop.example.com")
    assert mine["versions"][0]["resources"][0]["subresources"][0]["subresource"] == "status"


async def test_apply_keeps_who_owns_what(world: World) -> None:
    await world.define(fields(a=TEXT, b=TEXT))
    for manager, spec in (("one", {"a": "x"}), ("two", {"b": "y"})):
        body = orjson.dumps(gadget("it", spec=spec))
        target = f"{GADGETS}/it?fieldManager={manager}"
        await world.json("PATCH", target, body, content_type="application/apply-patch+yaml")
    body = orjson.dumps(gadget("it", spec={"a": "z"}))
    found = await world.json(
        "PATCH", f"{GADGETS}/it?fieldManager=two", body, code=409, content_type="application/apply-patch+yaml"
    )
    assert 'conflict with "one"' in found["message"]


async def test_they_outlive_the_server(world: World) -> None:
    await world.define(fields(a=TEXT))
    await world.make(spec={"a": "x"})
    store: Store = world.store
    again = World(store)
    task = asyncio.create_task(again.registrar.run())
    await again.settle()
    assert (await again.json("GET", f"{GADGETS}/one"))["spec"] == {"a": "x"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_metadata_is_object_meta(world: World) -> None:
    named = {"type": "object", "properties": {"name": {**TEXT, "maxLength": 5}}}
    whole = {"type": "object", "properties": {"metadata": named, "spec": KEEP}}
    await world.define(None, version("v1", whole=whole, storage=True))
    body = gadget("one")
    body["metadata"] |= {"labels": {"a": "b"}, "finalizers": ["x.example.com/a"], "colour": "red"}
    strict = await world.json("POST", f"{GADGETS}?fieldValidation=Strict", body, code=400)
    assert strict["message"].endswith('strict decoding error: unknown field "metadata.colour"')
    wrong = gadget("c") | {"metadata": {"name": "c", "labels": {"a": 5}}}
    answer = await world.json("POST", GADGETS, wrong, code=400)
    assert answer["message"].endswith(
        "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
    )
    made = await world.json("POST", GADGETS, body)
    assert made["metadata"]["labels"] == {"a": "b"}
    owned = made["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"]
    assert owned["f:finalizers"] == {".": {}, 'v:"x.example.com/a"': {}}
    assert await world.invalid("much-too-long") == ["metadata.name: Too long: may not be more than 5 bytes"]


async def test_subresources_that_are_not_there(world: World) -> None:
    await world.define()
    await world.make()
    for part in ("status", "scale"):
        found = await world.json("GET", f"{GADGETS}/one/{part}", code=404)
        assert found["message"] == 'gadgets.shop.example.com "one" not found'


async def test_only_what_stays_as_it_was_may_stay_wrong(world: World) -> None:
    item = {**fields(key=TEXT, note=TEXT), "required": ["key"]}
    mapped = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"]}
    await world.define(fields(name=TEXT, other=TEXT, notes=mapped))
    notes = [{"key": "a", "note": "too long"}, {"key": "b", "note": "ok"}]
    await world.make(spec={"name": "too long", "notes": notes})
    short = {**TEXT, "maxLength": 3}
    item["properties"]["note"] = short
    stricter = [version("v1", fields(name=short, other=TEXT, notes=mapped), storage=True)]
    await world.json("PATCH", f"{CRDS}/{NAME}", {"spec": {"versions": stricter}}, content_type=MERGE)
    await world.settle()
    await world.change({"other": "x"})
    refused = await world.change({"name": "long, too"}, code=422)
    assert problems(refused) == ["spec.name: Too long: may not be more than 3 bytes"]
    await world.change({"notes": [{"key": "c"}, *notes]})  # the same items in other places
    refused = await world.change({"notes": [{"key": "a", "note": "long, too"}]}, code=422)
    assert problems(refused) == ["spec.notes[0].note: Too long: may not be more than 3 bytes"]


async def test_a_storage_migration(world: World) -> None:
    await world.define(None, version("v1", fields(a=TEXT), storage=True), version("v2", fields(a=TEXT, b=TEXT)))
    await world.make(spec={"a": "x"})
    versions = [version("v1", fields(a=TEXT)), version("v2", fields(a=TEXT, b=TEXT), storage=True)]
    await world.json("PATCH", f"{CRDS}/{NAME}", {"spec": {"versions": versions}}, content_type=MERGE)
    newer = GADGETS.replace("/v1/", "/v2/")
    labelled = {"metadata": {"labels": {"moved": "yes"}}}
    moved = await world.json("PATCH", f"{newer}/one", labelled, content_type=MERGE)
    assert (moved["apiVersion"], moved["metadata"]["generation"]) == ("shop.example.com/v2", 1)
    only = {"spec": {"versions": versions[1:]}}
    await world.json("PATCH", f"{CRDS}/{NAME}", only, code=422, content_type=MERGE)
    done = {"status": {"storedVersions": ["v2"]}}
    await world.json("PATCH", f"{CRDS}/{NAME}/status", done, content_type=MERGE)
    await world.json("PATCH", f"{CRDS}/{NAME}", only, content_type=MERGE)
    await world.settle()
    assert (await world.ask("GET", GADGETS)).status == 404
    assert (await world.json("GET", f"{newer}/one"))["spec"] == {"a": "x"}


async def test_each_version_is_judged_by_its_own_schema(world: World) -> None:
    await world.define(
        None, version("v1", fields(size={**WHOLE, "maximum": 3}), storage=True), version("v2", fields(size=WHOLE))
    )
    body = gadget("big", spec={"size": 9}) | {"apiVersion": "shop.example.com/v2"}
    await world.json("POST", GADGETS.replace("/v1/", "/v2/"), body)
    assert (await world.json("GET", f"{GADGETS}/big"))["spec"] == {"size": 9}
    assert await world.invalid(spec={"size": 9}) == [
        "spec.size: Invalid value: 9: spec.size in body should be less than or equal to 3"
    ]


async def test_custom_objects_say_what_they_are(world: World) -> None:
    await world.define()
    body = {"apiVersion": "shop.example.com/v1", "metadata": {"name": "one"}}
    answer = await world.json("POST", GADGETS, body, code=400)
    assert answer["message"].startswith(
        "the object provided is unrecognized (must be of type Gadget): Object 'Kind' is missing in '{\"apiVersion\""
    )


INT32 = {"type": "integer", "format": "int32"}
BODY = "x in body"


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        # of a text only the first that is wrong is told, and what its format wants
        (
            {**TEXT, "minLength": 4, "pattern": "^a", "format": "ipv4", "enum": ["abcd"]},
            "bc",
            [
                f'x: Invalid value: "bc": {BODY} should be at least 4 chars long',
                f'x: Invalid value: "bc": {BODY} must be of type ipv4: "bc"',
                'x: Unsupported value: "bc": supported values: "abcd"',
            ],
        ),
        (
            {**WHOLE, "multipleOf": 2, "minimum": 8, "maximum": 6},
            7,
            [
                f"x: Invalid value: 7: {BODY} should be a multiple of 2",
                f"x: Invalid value: 7: {BODY} should be greater than or equal to 8",
                f"x: Invalid value: 7: {BODY} should be less than or equal to 6",
            ],
        ),
        (
            {"type": "array", "items": TEXT, "maxItems": 1},
            [1, "a"],
            [
                'x[0]: Invalid value: "integer": x[0] in body must be of type string: "integer"',
                "x: Too many: 2: must have at most 1 item",
            ],
        ),
        (
            {"type": "object", "properties": {"a": TEXT}, "required": ["b"], "anyOf": [{"required": ["c"]}]},
            {"a": 1},
            [
                '<nil>: Invalid value: "": "x" must validate at least one schema (anyOf)',
                "x.c: Required value",
                'x.a: Invalid value: "integer": x.a in body must be of type string: "integer"',
                "x.b: Required value",
            ],
        ),
        (
            {"type": "object", "properties": {"a": TEXT}, "required": ["b"], "minProperties": 2},
            {"a": 1},
            [f"x: Invalid value: 1: {BODY} should have at least 2 properties"],
        ),
        # of several schemas that refuse an object, the first with which most is checked says why
        (
            {
                "type": "object",
                "oneOf": [
                    {"properties": {"kind": {"enum": ["A"]}}, "required": ["a"]},
                    {"properties": {"kind": {"enum": ["B"]}}, "required": ["b"]},
                ],
            },
            {"kind": "B"},
            [
                '<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found none valid',
                'x.kind: Unsupported value: "B": supported values: "A"',
                "x.a: Required value",
            ],
        ),
        (
            {
                "type": "object",
                "anyOf": [{"required": ["a"]}, {"properties": {"kind": {"maxLength": 1}}, "required": ["b"]}],
            },
            {"kind": "AB"},
            [
                '<nil>: Invalid value: "": "x" must validate at least one schema (anyOf)',
                "x.kind: Too long: may not be more than 1 byte",
                "x.b: Required value",
            ],
        ),
        # a type that has a format goes by its name
        (INT32, 1.5, [f'x: Invalid value: "float64": {BODY} must be of type int32: "float64"']),
        (INT32, True, [f'x: Invalid value: "": {BODY} must be of type int32: ""']),
        (INT32, "1", [f'x: Invalid value: "string": {BODY} must be of type integer: "string"']),
        (INT32, 2.0, []),
        (
            {**TEXT, "format": "date-time"},
            1,
            [f'x: Invalid value: "int64": {BODY} must be of type date-time: "int64"'],
        ),
        ({**TEXT, "format": "date-time"}, [], []),
        ({**TEXT, "format": "colour"}, 1, [f'x: Invalid value: "integer": {BODY} must be of type string: "integer"']),
        ({"x-kubernetes-int-or-string": True}, 1.0, []),
        (
            {"x-kubernetes-int-or-string": True},
            1.5,
            [f'x: Invalid value: "number": {BODY} must be of type integer,string: "number"'],
        ),
    ],
)
def test_what_is_told_of_a_value_and_in_which_order(schema: dict[str, Any], value: Any, expected: list[str]) -> None:
    assert [str(error) for error in validate(value, schema, "x")] == expected


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (INT32, 2147483647, None),
        (INT32, 2147483648, "Checked value must be of type integer with format int32 in spec.a"),
        (
            {**INT32, "maximum": 4294967295},
            1,
            "Maximum boundary value must be of type integer with format int32 in spec.a",
        ),
        ({"type": "integer", "format": "int64"}, 2147483648, None),
        (
            {"type": "number", "format": "float"},
            3.5e38,
            "Checked value must be of type number with format float in spec.a",
        ),
        ({"type": "number", "format": "double"}, 3.5e38, None),
    ],
)
async def test_numbers_keep_to_their_formats(
    world: World, schema: dict[str, Any], value: float, expected: str | None
) -> None:
    await world.define(fields(a=schema))
    answer = await world.ask("POST", GADGETS, gadget("one", spec={"a": value}))
    told = orjson.loads(answer.body)
    if expected is None:
        assert answer.status == 201, told
        return
    assert told["message"] == f'Gadget.shop.example.com "one" is invalid: <nil>: Invalid value: "": {expected}'


async def test_an_applied_null_is_a_value_where_the_schema_has_it_as_one(world: World) -> None:
    await world.define(fields(may={**TEXT, "nullable": True}, must=TEXT, inner=fields(may={**TEXT, "nullable": True})))
    body = {
        "apiVersion": "shop.example.com/v1",
        "kind": "Gadget",
        "spec": {"may": None, "must": None, "inner": {"may": None}},
    }
    kind = "application/apply-patch+yaml"
    made = await world.json("PATCH", f"{GADGETS}/one?fieldManager=me", body, content_type=kind)
    assert made["spec"] == {"may": None, "inner": {"may": None}}
    body["spec"] = {"may": "x"}
    await world.json("PATCH", f"{GADGETS}/one?fieldManager=me", body, content_type=kind)
    body["spec"] = {"may": None}
    again = await world.json("PATCH", f"{GADGETS}/one?fieldManager=me", body, content_type=kind)
    assert again["spec"] == {"may": None}
