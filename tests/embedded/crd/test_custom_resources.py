"""Custom resources through the API: what a CRD promises, its objects keep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from kuartui.embedded.api.events import EventRecorder
from kuartui.embedded.api.local import OWNER_INDEX, LocalClient, owner_uids
from kuartui.embedded.api.request import SYSTEM
from kuartui.embedded.crd.registrar import Registrar
from tests.embedded.api.server import Server

Obj = dict[str, Any]

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
BOATS = "/apis/sea.example.com/v1/namespaces/default/boats"
SCHEMA: Obj = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["masts"],
            "x-kubernetes-validations": [
                {"rule": "self.masts < 5 || self.sail == 'square'", "message": "tall ships are square-rigged"},
                {"rule": "!has(self.crew) || self.crew.all(c, c.name != 'albatross')", "reason": "FieldValueForbidden"},
            ],
            "properties": {
                "masts": {"type": "integer", "minimum": 1, "maximum": 9},
                "sail": {"type": "string", "enum": ["square", "gaff"], "default": "gaff"},
                "home": {
                    "type": "string",
                    "maxLength": 8,
                    "pattern": "^[a-z]+$",
                    "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "a boat has one home"}],
                },
                "built": {"type": "string", "format": "date-time"},
                "draft": {"type": "number", "multipleOf": 0.5},
                "berth": {"x-kubernetes-int-or-string": True},
                "cargo": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "flags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "crew": {
                    "type": "array",
                    "maxItems": 3,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "rank": {"type": "string", "default": "sailor"}},
                    },
                },
            },
        },
        "status": {"type": "object", "properties": {"masts": {"type": "integer"}, "phase": {"type": "string"}}},
    },
}


def crd(**version: Any) -> Obj:
    first = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.masts", "statusReplicasPath": ".status.masts"},
        },
        "additionalPrinterColumns": [
            {"name": "Masts", "type": "integer", "jsonPath": ".spec.masts"},
            {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.sea.example.com"},
        "spec": {
            "group": "sea.example.com",
            "scope": "Namespaced",
            "names": {"plural": "boats", "kind": "Boat", "shortNames": ["bt"]},
            "versions": [{**first, **version}],
        },
    }


def boat(name: str = "argo", **spec: Any) -> Obj:
    return {
        "apiVersion": "sea.example.com/v1",
        "kind": "Boat",
        "metadata": {"name": name},
        "spec": {"masts": 1, **spec},
    }


class Harbour(Server):
    """A server on which a registrar works."""

    def begin(self) -> None:
        client = LocalClient(self.rest, EventRecorder(self.store, self.clock), SYSTEM, "test")

        def prepare(resource: str) -> None:
            self.store.add_index(resource, OWNER_INDEX, owner_uids)

        self.task = asyncio.create_task(Registrar(client, self.resources, prepare).run())

    async def define(self, document: Obj | None = None) -> Obj:
        await self.json("POST", CRDS, document or crd())
        await self.clock.settle()
        return await self.json("GET", f"{CRDS}/boats.sea.example.com")

    async def replace(self, obj: Obj) -> Obj:
        """PUT, of what was just read: custom resources are not overwritten blindly."""
        target = f"{BOATS}/{obj['metadata']['name']}"
        current = await self.json("GET", target)
        given = {**obj["metadata"], "resourceVersion": current["metadata"]["resourceVersion"]}
        return await self.json("PUT", target, {**obj, "metadata": given})

    async def refusal(self, obj: Obj) -> list[str]:
        answer = await self.json("POST", BOATS, obj, code=422)
        return [f"{cause['field']}: {cause['message']}" for cause in answer["details"]["causes"]]


@pytest.fixture
async def harbour() -> AsyncIterator[Harbour]:
    found = Harbour()
    found.begin()
    await found.json("POST", "/api/v1/namespaces", {"metadata": {"name": "default"}})
    yield found
    found.task.cancel()
    await asyncio.gather(found.task, return_exceptions=True)


async def test_a_definition_is_completed_and_established(harbour: Harbour) -> None:
    found = await harbour.define()
    names = {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList", "shortNames": ["bt"]}
    assert found["status"]["acceptedNames"] == names
    assert [(c["type"], c["status"], c["reason"]) for c in found["status"]["conditions"]] == [
        ("NamesAccepted", "True", "NoConflicts"),
        ("Established", "True", "InitialNamesAccepted"),
    ]
    assert found["status"]["storedVersions"] == ["v1"]
    listed = await harbour.json("GET", "/apis/sea.example.com/v1")
    assert [resource["name"] for resource in listed["resources"]] == ["boats", "boats/scale", "boats/status"]


async def test_objects_are_defaulted_and_counted(harbour: Harbour) -> None:
    await harbour.define()
    made = await harbour.json("POST", BOATS, boat(crew=[{"name": "jason"}]))
    assert made["spec"] == {"masts": 1, "sail": "gaff", "crew": [{"name": "jason", "rank": "sailor"}]}
    assert made["metadata"]["generation"] == 1
    changed = await harbour.replace(boat(masts=2) | {"status": {"phase": "sunk"}})
    assert changed["metadata"]["generation"] == 2
    assert "status" not in changed


async def test_unknown_fields_are_pruned_and_told(harbour: Harbour) -> None:
    await harbour.define()
    odd = boat(oars=4, cargo={"gold": {"bars": 3}})
    strict = await harbour.json("POST", f"{BOATS}?fieldValidation=Strict", odd, code=400)
    assert strict["message"].endswith('strict decoding error: unknown field "spec.oars"')
    answer = await harbour.ask("POST", BOATS, odd)
    assert ("Warning", 'unknown field "spec.oars"') in answer.headers
    assert orjson.loads(answer.body)["spec"] == {"masts": 1, "sail": "gaff", "cargo": {"gold": {"bars": 3}}}


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        (
            {"masts": 0},
            ["spec.masts: Invalid value: 0: spec.masts in body should be greater than or equal to 1"],
        ),
        (
            {"sail": "lateen"},
            [
                'spec.sail: Unsupported value: "lateen": supported values: "square", "gaff"',
                "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
                "correct the existing errors to complete validation",
            ],
        ),
        ({"home": "A1"}, ["spec.home: Invalid value: \"A1\": spec.home in body should match '^[a-z]+$'"]),
        (
            {"built": "once"},
            [
                'spec.built: Invalid value: "once": spec.built in body must be of type date-time: "once"',
                "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
                "correct the existing errors to complete validation",
            ],
        ),
        ({"draft": 0.75}, ["spec.draft: Invalid value: 0.75: spec.draft in body should be a multiple of 0.5"]),
        ({"flags": ["a", "b", "a"]}, ['spec.flags[2]: Duplicate value: "a"']),
        (
            {"crew": [{"name": "x"}, {"name": "x"}]},
            ['spec.crew[1]: Duplicate value: {"name":"x"}'],
        ),
        ({"masts": 7}, ["spec: Invalid value: tall ships are square-rigged"]),
        (
            {"crew": [{"name": "albatross"}]},
            ["spec: Forbidden: failed rule: !has(self.crew) || self.crew.all(c, c.name != 'albatross')"],
        ),
    ],
)
async def test_what_is_refused(harbour: Harbour, spec: Obj, causes: list[str]) -> None:
    await harbour.define()
    assert await harbour.refusal(boat(**spec)) == causes


async def test_types_are_checked_before_rules(harbour: Harbour) -> None:
    await harbour.define()
    causes = await harbour.refusal(boat(masts="two", berth=[1]))
    assert 'spec.masts: Invalid value: "string": spec.masts in body must be of type integer: "string"' in causes
    assert 'spec.berth: Invalid value: "array": spec.berth in body must be of type integer,string: "array"' in causes
    assert (
        ".spec.masts: Invalid value: 0: .spec.masts accessor error: two is of the type string, expected int64" in causes
    )


async def test_transition_rules_and_ratcheting(harbour: Harbour) -> None:
    await harbour.define()
    await harbour.json("POST", BOATS, boat(home="ithaca"))
    answer = await harbour.json(
        "PATCH",
        f"{BOATS}/argo",
        {"spec": {"home": "troy"}},
        code=422,
        content_type="application/merge-patch+json",
    )
    assert (
        answer["message"]
        == 'Boat.sea.example.com "argo" is invalid: spec.home: Invalid value: "troy": a boat has one home'
    )
    stricter = crd(schema={"openAPIV3Schema": _with_home({"maxLength": 3})})
    current = await harbour.json("GET", f"{CRDS}/boats.sea.example.com")
    stricter["metadata"] = current["metadata"]
    await harbour.json("PUT", f"{CRDS}/boats.sea.example.com", stricter)
    await harbour.clock.settle()
    # what was too long before may stay, what is new may not
    await harbour.replace(boat(home="ithaca", masts=2))
    assert await harbour.refusal(boat("other", home="ithaca")) == [
        "spec.home: Too long: may not be more than 3 bytes",
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the "
        "existing errors to complete validation",
    ]


def _with_home(more: Obj) -> Obj:
    found: Obj = orjson.loads(orjson.dumps(SCHEMA))
    found["properties"]["spec"]["properties"]["home"].update(more)
    return found


async def test_strategic_patches_are_not_for_custom_resources(harbour: Harbour) -> None:
    await harbour.define()
    await harbour.json("POST", BOATS, boat())
    kind = "application/strategic-merge-patch+json"
    await harbour.json("PATCH", f"{BOATS}/argo", {"spec": {"masts": 2}}, code=415, content_type=kind)


async def test_status_is_its_own(harbour: Harbour) -> None:
    await harbour.define()
    await harbour.json("POST", BOATS, boat())
    patched = await harbour.json(
        "PATCH",
        f"{BOATS}/argo/status",
        {"spec": {"masts": 3}, "status": {"phase": "afloat"}},
        content_type="application/merge-patch+json",
    )
    assert patched["spec"]["masts"] == 1
    assert patched["status"] == {"phase": "afloat"}
    assert patched["metadata"]["generation"] == 1


async def test_server_side_apply_merges_lists_by_their_keys(harbour: Harbour) -> None:
    await harbour.define()

    async def apply(manager: str, **spec: Any) -> Obj:
        body = orjson.dumps({**boat(), "spec": spec})
        target = f"{BOATS}/argo?fieldManager={manager}"
        return await harbour.json("PATCH", target, body, content_type="application/apply-patch+yaml")

    await apply("a", masts=1, crew=[{"name": "jason"}])
    found = await apply("b", crew=[{"name": "medea", "rank": "witch"}])
    assert [member["name"] for member in found["spec"]["crew"]] == ["jason", "medea"]


async def test_columns(harbour: Harbour) -> None:
    await harbour.define()
    await harbour.json("POST", BOATS, boat(masts=3))
    table = await harbour.json("GET", BOATS, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Masts", "Phase"]
    assert table["rows"][0]["cells"] == ["argo", 3, None]


async def test_two_versions_show_the_same_objects(harbour: Harbour) -> None:
    document = crd()
    old = {"name": "v1beta1", "served": True, "storage": False, "schema": {"openAPIV3Schema": SCHEMA}}
    document["spec"]["versions"].append({**old, "deprecated": True})
    await harbour.define(document)
    await harbour.json("POST", BOATS, boat())
    found = await harbour.json("GET", BOATS.replace("/v1/", "/v1beta1/") + "/argo")
    assert found["apiVersion"] == "sea.example.com/v1beta1"
    group = await harbour.json("GET", "/apis/sea.example.com")
    assert [version["version"] for version in group["versions"]] == ["v1", "v1beta1"]


async def test_deleting_the_definition_deletes_its_objects(harbour: Harbour) -> None:
    await harbour.define()
    await harbour.json("POST", BOATS, boat())
    await harbour.json("DELETE", f"{CRDS}/boats.sea.example.com")
    await harbour.clock.advance(5)
    await harbour.json("GET", f"{CRDS}/boats.sea.example.com", code=404)
    assert not harbour.store.list("boats.sea.example.com")
    assert (await harbour.ask("GET", BOATS)).body == b"404 page not found\n"


async def test_names_of_another_definition_are_not_accepted(harbour: Harbour) -> None:
    await harbour.define()
    other = crd()
    other["metadata"]["name"] = "ships.sea.example.com"
    other["spec"]["names"] = {"plural": "ships", "kind": "Ship", "shortNames": ["bt"]}
    await harbour.json("POST", CRDS, other)
    await harbour.clock.settle()
    found = await harbour.json("GET", f"{CRDS}/ships.sea.example.com")
    accepted = found["status"]["conditions"][0]
    assert (accepted["status"], accepted["reason"]) == ("False", "ShortNamesConflict")
    assert (await harbour.ask("GET", BOATS.replace("boats", "ships"))).status == 404


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            {"scope": "Everywhere"},
            'spec.scope: Unsupported value: "Everywhere": supported values: "Cluster", "Namespaced"',
        ),
        ({"group": "sea"}, 'spec.group: Invalid value: "sea": should be a domain with at least one dot'),
        ({"names": {"plural": "boats", "kind": "Bo_at"}}, "spec.names.kind: Invalid value"),
        (
            {"versions": [{"name": "v1", "served": True, "storage": True}]},
            "spec.versions[0].schema.openAPIV3Schema: Required value",
        ),
    ],
)
async def test_definitions_that_are_refused(harbour: Harbour, change: Obj, cause: str) -> None:
    document = crd()
    document["spec"].update(change)
    answer = await harbour.json("POST", CRDS, document, code=422)
    assert any(f"{c['field']}: {c['message']}".startswith(cause) for c in answer["details"]["causes"]), answer[
        "message"
    ]


@pytest.mark.parametrize(
    ("schema", "cause"),
    [
        ({}, "spec.validation.openAPIV3Schema.type: Required value: must not be empty at the root"),
        ({"type": "array"}, 'spec.validation.openAPIV3Schema.type: Invalid value: "array": must be object at the root'),
        (
            {"type": "object", "properties": {"a": {}}},
            "spec.validation.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object "
            "fields",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "array"}}},
            "spec.validation.openAPIV3Schema.properties[a].items: Required value: must be specified",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}},
            "spec.validation.openAPIV3Schema.properties[a].default: Invalid value",
        ),
        (
            {"type": "object", "x-kubernetes-validations": [{"rule": "self.x +"}]},
            "spec.validation.openAPIV3Schema.x-kubernetes-validations[0].rule: Invalid value",
        ),
    ],
)
async def test_schemas_that_are_refused(harbour: Harbour, schema: Obj, cause: str) -> None:
    answer = await harbour.json("POST", CRDS, crd(schema={"openAPIV3Schema": schema}), code=422)
    assert any(f"{c['field']}: {c['message']}".startswith(cause) for c in answer["details"]["causes"]), answer[
        "message"
    ]
