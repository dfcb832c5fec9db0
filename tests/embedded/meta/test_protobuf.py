"""Protobuf bodies: what is written is read back, whatever the kind; what is broken is refused politely."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kuartui.embedded.kinds.index import MODULES
from kuartui.embedded.meta import decode, protobuf
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.schema import for_kind
from tests.embedded.anything import anything, definition


def canonical(obj: dict[str, Any]) -> dict[str, Any]:
    """As the server keeps it, without what is empty: protobuf cannot tell an empty list or map from none."""
    group, _, version = obj["apiVersion"].rpartition("/")
    node = for_kind(group, version, obj["kind"])
    assert node is not None
    return dict(_filled(decode.Decoder().decode(obj, node, obj["kind"])))


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: inside for key, item in value.items() if (inside := _filled(item)) not in ({}, [], None, "", 0)}
    return [_filled(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("resource", list(MODULES))
def test_every_kind_survives_the_journey(resource: str) -> None:
    api_version, kind, schema = definition(resource)
    for seed in range(10):
        obj = anything(schema, random.Random(f"{resource}/{seed}")) | {"apiVersion": api_version, "kind": kind}
        obj["metadata"] = {"name": "x", "labels": {"a": "b"}, "creationTimestamp": "2030-01-01T00:00:00Z"}
        try:
            wanted = canonical(obj)
        except decode.DecodeError:
            continue
        assert canonical(protobuf.decode(protobuf.encode(obj))) == wanted


def test_a_schema_or_something_simpler_stays_what_it_was() -> None:
    schema = {
        "type": "object",
        "properties": {
            "open": {"type": "object", "additionalProperties": True},
            "closed": {"type": "object", "additionalProperties": False},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "list": {"type": "array", "items": {"type": "integer", "minimum": 0.0}, "default": [1, {"a": None}]},
            "tuple": {"type": "array", "items": [{"type": "string"}, {"type": "boolean"}]},
            "any": {"x-kubernetes-preserve-unknown-fields": True, "enum": ["a", 1, None], "maxLength": 0},
        },
        "dependencies": {"a": ["b"], "b": {"type": "object"}},
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": False,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    obj = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "foos.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"plural": "foos", "kind": "Foo"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
    assert protobuf.decode(protobuf.encode(obj)) == obj


def test_what_is_no_protobuf_is_a_bad_request() -> None:
    with pytest.raises(StatusError) as caught:
        protobuf.decode(b"{}")
    assert caught.value.message == (
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )


@settings(max_examples=150)
@given(st.data())
def test_a_broken_body_is_a_bad_request_or_an_object(draw: st.DataObject) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}}
    body = bytearray(protobuf.encode(pod))
    for _ in range(draw.draw(st.integers(1, 4))):
        body[draw.draw(st.integers(4, len(body) - 1))] = draw.draw(st.integers(0, 255))
    code = 200
    try:
        protobuf.decode(bytes(body[: draw.draw(st.integers(0, len(body)))]))
    except StatusError as error:
        code = error.code
    assert code in (200, 400)


def test_nulls_are_left_out() -> None:
    obj = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "x", "creationTimestamp": None}, "source": None}
    assert protobuf.decode(protobuf.encode(obj))["metadata"]["name"] == "x"
