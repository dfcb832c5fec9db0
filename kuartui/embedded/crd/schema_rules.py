"""What a CRD's schema must be like: OpenAPI v3 as far as Kubernetes takes it, and structural.

k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go and pkg/apiserver/schema/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kuartui.embedded.cel import CelError, compile_cel
from kuartui.embedded.crd.validation import validate
from kuartui.embedded.meta import fielderr
from kuartui.embedded.meta.fielderr import FieldError, Path

Obj = dict[str, Any]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPES = ("atomic", "set", "map")
MAP_TYPES = ("atomic", "granular")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_NOT_IN_JUNCTORS = (
    "type",
    "title",
    "description",
    "default",
    "nullable",
    "additionalProperties",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
)
_UNSUPPORTED = ("$ref", "dependencies", "definitions", "patternProperties", "additionalItems", "id", "$schema")


def schema_errors(schema: Obj, path: Path) -> list[FieldError]:
    """What is wrong with `openAPIV3Schema`."""
    found = list(_root(schema, path))
    found += _place(schema, path, root=True)
    return found


def _root(schema: Obj, path: Path) -> Iterator[FieldError]:
    kind = schema.get("type")
    if not kind:
        yield fielderr.required(path / "type", "must not be empty at the root")
    elif kind != "object":
        yield fielderr.invalid(path / "type", kind, "must be object at the root")
    if schema.get("nullable"):
        yield fielderr.forbidden(path / "nullable", "nullable cannot be true at the root")
    metadata = (schema.get("properties") or {}).get("metadata") or {}
    extra = [key for key in metadata if key not in ("type", "properties", "description")]
    if extra:
        why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield fielderr.forbidden(path / "properties" / "metadata", why)


def _place(schema: Obj, path: Path, *, root: bool = False) -> Iterator[FieldError]:
    yield from _keywords(schema, path)
    yield from _extensions(schema, path)
    yield from _inside(schema, path)
    for junctor in _JUNCTORS:
        for index, part in enumerate(schema.get(junctor) or ()):
            yield from _junctor(part, (path / junctor).index(index))
    if schema.get("not"):
        yield from _junctor(schema["not"], path / "not")
    if "default" in schema and schema["default"] is not None:
        if root:
            yield fielderr.forbidden(path / "default", "must not be set at the root")
        else:
            yield from validate(schema["default"], schema, str(path / "default"))
    yield from _rules(schema, path)


def _keywords(schema: Obj, path: Path) -> Iterator[FieldError]:
    kind = schema.get("type")
    if kind and kind not in TYPES:
        yield fielderr.not_supported(path / "type", kind, TYPES)
    for keyword in _UNSUPPORTED:
        if schema.get(keyword):
            yield fielderr.forbidden(path / keyword, f"{keyword} is not supported")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield fielderr.forbidden(path / "uniqueItems", why)
    if schema.get("pattern"):
        try:
            re.compile(schema["pattern"].replace(r"\z", r"\Z"))
        except re.error as error:
            why = f"must be a valid regular expression, but isn't: {error}"
            yield fielderr.invalid(path / "pattern", schema["pattern"], why)
    if schema.get("additionalProperties") is False:
        yield fielderr.forbidden(path / "additionalProperties", "additionalProperties cannot be set to false")
    if schema.get("additionalProperties") and schema.get("properties"):
        yield fielderr.forbidden(
            path / "additionalProperties", "additionalProperties and properties are mutual exclusive"
        )
    if isinstance(schema.get("items"), list):
        yield fielderr.forbidden(path / "items", "items must be a schema object and not an array")


def _extensions(schema: Obj, path: Path) -> Iterator[FieldError]:
    kind = schema.get("type")
    if schema.get("x-kubernetes-preserve-unknown-fields") and kind not in (None, "", "object", "array"):
        why = "must be object or empty if x-kubernetes-preserve-unknown-fields is true"
        yield fielderr.invalid(path / "type", kind, why)
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield fielderr.invalid(path / "x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    if schema.get("x-kubernetes-int-or-string") and kind:
        why = "type must be empty if x-kubernetes-int-or-string is true"
        yield fielderr.invalid(path / "type", kind, why)
    if schema.get("x-kubernetes-embedded-resource") and kind != "object":
        if kind:
            yield fielderr.invalid(path / "type", kind, "must be object if x-kubernetes-embedded-resource is true")
        else:
            yield fielderr.required(path / "type", "must be object if x-kubernetes-embedded-resource is true")
    listed, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys")
    if listed and kind != "array":
        why = "must be array if x-kubernetes-list-type is specified"
        yield fielderr.invalid(path / "type", kind or "", why) if kind else fielderr.required(path / "type", why)
    if listed and listed not in LIST_TYPES:
        yield fielderr.not_supported(path / "x-kubernetes-list-type", listed, sorted(LIST_TYPES))
    if listed == "map" and not keys:
        why = "must not be empty if x-kubernetes-list-type is map"
        yield fielderr.required(path / "x-kubernetes-list-map-keys", why)
    if keys and listed != "map":
        why = "must be map if x-kubernetes-list-map-keys is non-empty"
        place = path / "x-kubernetes-list-type"
        yield fielderr.invalid(place, listed, why) if listed else fielderr.required(place, why)
    if listed == "map" and keys:
        yield from _map_keys(schema, list(keys), path)
    shape = schema.get("x-kubernetes-map-type")
    if shape and kind != "object":
        why = "must be object if x-kubernetes-map-type is specified"
        yield fielderr.invalid(path / "type", kind or "", why) if kind else fielderr.required(path / "type", why)
    if shape and shape not in MAP_TYPES:
        yield fielderr.not_supported(path / "x-kubernetes-map-type", shape, sorted(MAP_TYPES))


def _map_keys(schema: Obj, keys: list[str], path: Path) -> Iterator[FieldError]:
    items = schema.get("items") or {}
    if items.get("type") != "object":
        why = "must be object if parent array's x-kubernetes-list-type is map"
        yield fielderr.invalid(path / "items" / "type", items.get("type", ""), why)
        return
    properties = items.get("properties") or {}
    for index, key in enumerate(keys):
        if key not in properties:
            why = "entries must all be names of item properties"
            yield fielderr.invalid((path / "x-kubernetes-list-map-keys").index(index), key, why)
        elif properties[key].get("type") in ("array", "object"):
            why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield fielderr.invalid((path / "items" / "properties").key(key) / "type", properties[key]["type"], why)
        elif key not in (items.get("required") or ()) and "default" not in properties[key]:
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield fielderr.required((path / "items" / "properties").key(key) / "default", why)


def _inside(schema: Obj, path: Path) -> Iterator[FieldError]:
    free = "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"
    for name, inner in sorted((schema.get("properties") or {}).items()):
        place = (path / "properties").key(name)
        if not inner.get("type") and not any(inner.get(key) for key in free):
            yield fielderr.required(place / "type", "must not be empty for specified object fields")
        yield from _place(inner, place)
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        if not more.get("type") and not any(more.get(key) for key in free):
            why = "must not be empty for specified object fields"
            yield fielderr.required(path / "additionalProperties" / "type", why)
        yield from _place(more, path / "additionalProperties")
    items = schema.get("items")
    if isinstance(items, dict):
        if not items.get("type") and not any(items.get(key) for key in free):
            yield fielderr.required(path / "items" / "type", "must not be empty for specified array items")
        yield from _place(items, path / "items")
    elif schema.get("type") == "array" and not items:
        yield fielderr.required(path / "items", "must be specified")


def _junctor(schema: Obj, path: Path) -> Iterator[FieldError]:
    """Inside of allOf, anyOf, oneOf and not only values are constrained."""
    for keyword in _NOT_IN_JUNCTORS:
        if schema.get(keyword) and not (keyword == "type" and schema["type"] in ("integer", "string")):
            yield fielderr.forbidden(path / keyword, "must be empty to be structural")
    for name, inner in sorted((schema.get("properties") or {}).items()):
        yield from _junctor(inner, (path / "properties").key(name))
    if isinstance(schema.get("items"), dict):
        yield from _junctor(schema["items"], path / "items")
    for junctor in _JUNCTORS:
        for index, part in enumerate(schema.get(junctor) or ()):
            yield from _junctor(part, (path / junctor).index(index))
    if schema.get("not"):
        yield from _junctor(schema["not"], path / "not")


def _rules(schema: Obj, path: Path) -> Iterator[FieldError]:
    place = path / "x-kubernetes-validations"
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        here, text = place.index(index), str(rule.get("rule", ""))
        if not text.strip():
            yield fielderr.required(here / "rule", "rule is not specified")
            continue
        message = rule.get("message")
        if message is not None and not str(message).strip():
            yield fielderr.invalid(here / "message", message, "message must be non-empty if specified")
        elif message and "\n" in str(message).strip():
            yield fielderr.invalid(here / "message", message, "message must not contain line breaks")
        variables = ("self", "oldSelf")
        for field, wanted in (("rule", "BOOL"), ("messageExpression", "STRING")):
            source = rule.get(field)
            if not source:
                continue
            try:
                program = compile_cel(str(source), variables)
            except CelError as error:
                yield fielderr.invalid(here / field, _shown(rule, field), f"compilation failed: {error}")
                continue
            if program.type not in (wanted, "DYN"):
                noun = "bool" if wanted == "BOOL" else "string"
                if field == "rule":
                    yield fielderr.invalid(here / field, _shown(rule, field), "cel expression must evaluate to a bool")
                else:
                    yield fielderr.invalid(here / field, source, f"messageExpression must evaluate to a {noun}")


def _shown(rule: Obj, field: str) -> Any:
    """A rule as Go prints it where it does not compile: the whole of it."""
    if field != "rule":
        return rule.get(field)
    return {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
