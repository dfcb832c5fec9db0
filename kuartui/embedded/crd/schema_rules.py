"""What a CRD's schema must be like: OpenAPI v3 as far as Kubernetes takes it, structural, with sound rules and defaults.

k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go, ValidateCustomResourceDefinitionOpenAPISchema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kuartui.embedded.crd import rules
from kuartui.embedded.crd.rule_costs import times
from kuartui.embedded.crd.rule_rules import Costs, rule_errors
from kuartui.embedded.crd.structural import unknown_fields
from kuartui.embedded.crd.structural_rules import JUNCTORS, structural_errors
from kuartui.embedded.crd.validation import validate
from kuartui.embedded.meta import fielderr
from kuartui.embedded.meta.fielderr import FieldError, Path

Obj = dict[str, Any]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPES = ("atomic", "set", "map")
MAP_TYPES = ("atomic", "granular")
META = ("metadata", "kind", "apiVersion")
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_AT_ROOT = (
    *("Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum"),
    *("MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items"),
    *("Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations"),
)
_AT_ROOT_KEYS = {name[0].lower() + name[1:] for name in _AT_ROOT} | {
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}


class _Place(Struct, frozen=True):
    """What holds for a part of a schema because of where it is."""

    no_defaults: str = ""
    """Why there may be no default here."""
    in_meta: bool = False
    uncorrelated: str = ""
    """The path of the first list or map whose elements cannot be told from what they were before."""
    nested: bool = False
    """Inside of allOf, anyOf, oneOf or not, where rules are not looked at."""
    repeated: int | None = 1
    """How many such parts an object may have; None without a limit."""


def schema_errors(schema: Obj, path: Path, *, status: bool = False, known: bool = False) -> list[FieldError]:
    """What is wrong with `openAPIV3Schema`; `status`: the version has the status subresource; `known`: it was there."""
    found = list(_root(schema, path)) if status else []
    if schema.get("nullable"):
        found.append(fielderr.forbidden(path / "nullable", "nullable cannot be true at the root"))
    structural = structural_errors(schema, path)
    defaults = [] if structural else list(_defaults(schema, path, root=True))
    place, costs = _Place(nested=bool(structural or defaults)), Costs(known=known)
    checked = list(_check(schema, path, place, costs, root=True))
    return found + structural + defaults + checked + ([] if known else costs.total.errors(path))


def _root(schema: Obj, path: Path) -> Iterator[FieldError]:
    """With the status subresource, status has to be told from the rest."""
    kind, enabled = schema.get("type"), "if the status subresource is enabled"
    if kind and kind != "object":
        why = f'only "object" is allowed as the type at the root of the schema {enabled}'
        yield fielderr.invalid(path / "type", kind, why)
        return
    others = [key for key, value in schema.items() if value and key not in _AT_ROOT_KEYS]
    if others:
        fields = " ".join(_AT_ROOT)
        why = f"only [{fields}] fields are allowed at the root of the schema {enabled}"
        yield fielderr.invalid(path, schema, why)


def _check(schema: Obj, path: Path, place: _Place, costs: Costs, *, root: bool = False) -> Iterator[FieldError]:
    yield from _keywords(schema, path, place)
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        reason = "inside additionalProperties applying to object metadata" if place.in_meta else place.no_defaults
        here = replace(place, no_defaults=reason, repeated=times(schema, place.repeated, "maxProperties"))
        yield from _check(more, path / "additionalProperties", here, costs)
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    for name, inner in (schema.get("properties") or {}).items():
        here = replace(place, uncorrelated=place.uncorrelated or str(path)) if atomic else place
        if (root or schema.get("x-kubernetes-embedded-resource")) and name in META:
            reason = f"in top-level {name}" if root else place.no_defaults
            here = replace(here, in_meta=True, no_defaults=reason)
        yield from _check(inner, (path / "properties").key(name), here, costs)
    inside = replace(place, nested=True)
    if isinstance(schema.get("not"), dict):
        yield from _check(schema["not"], path / "not", inside, costs)
    for junctor in JUNCTORS:
        for index, part in enumerate(schema.get(junctor) or ()):
            yield from _check(part, (path / junctor).index(index), inside, costs)
    if isinstance(schema.get("items"), dict):
        here = replace(place, repeated=times(schema, place.repeated, "maxItems"))
        if schema.get("x-kubernetes-list-type") != "map" and not place.uncorrelated:
            here = replace(here, uncorrelated=str(path))
        yield from _check(schema["items"], path / "items", here, costs)
    yield from _extensions(schema, path)
    compiled = not place.nested
    yield from rule_errors(
        schema, path, place.uncorrelated, costs, compiled=compiled, repeated=place.repeated, root=root
    )


def _keywords(schema: Obj, path: Path, place: _Place) -> Iterator[FieldError]:
    kind = schema.get("type")
    if kind and kind not in TYPES:
        yield fielderr.not_supported(path / "type", kind, TYPES)
    if place.no_defaults and "default" in schema:
        yield fielderr.forbidden(path / "default", f"must not be set {place.no_defaults}")
    for keyword in _UNSUPPORTED:
        if schema.get(keyword):
            yield fielderr.forbidden(path / keyword, f"{keyword} is not supported")
    if kind == "null":
        yield fielderr.forbidden(path / "type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        yield fielderr.forbidden(path / "items", "items must be a schema object and not an array")
    if place.in_meta and schema.get("x-kubernetes-embedded-resource"):
        yield fielderr.forbidden(path / "x-kubernetes-embedded-resource", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield fielderr.forbidden(path / "uniqueItems", why)
    more = schema.get("additionalProperties")
    if more is not None and more is not True and schema.get("properties"):
        why = "additionalProperties and properties are mutual exclusive"
        yield fielderr.forbidden(path / "additionalProperties", why)


def _extensions(schema: Obj, path: Path) -> Iterator[FieldError]:
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield fielderr.invalid(path / "x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    shape, listed = schema.get("x-kubernetes-map-type"), schema.get("x-kubernetes-list-type")
    if shape is not None:
        yield from _typed(schema, path, "object", "x-kubernetes-map-type")
        if shape not in MAP_TYPES:
            yield fielderr.not_supported(path / "x-kubernetes-map-type", shape, MAP_TYPES)
    if listed is not None:
        yield from _typed(schema, path, "array", "x-kubernetes-list-type")
        if listed == "set" and schema.get("type") == "array":
            yield from _set_items(schema.get("items") or {}, path / "items")
        if listed not in LIST_TYPES:
            yield fielderr.not_supported(path / "x-kubernetes-list-type", listed, LIST_TYPES)
    if schema.get("x-kubernetes-list-map-keys") and listed != "map":
        why, place = "must be map if x-kubernetes-list-map-keys is non-empty", path / "x-kubernetes-list-type"
        yield fielderr.required(place, why) if listed is None else fielderr.invalid(place, listed, why)
    if listed == "map":
        yield from _map_list(schema, path)
    if listed in ("set", "map") and (schema.get("items") or {}).get("nullable"):
        why = f"cannot be nullable when x-kubernetes-list-type is {listed}"
        yield fielderr.forbidden(path / "items" / "nullable", why)
    if listed == "map":
        yield from _map_keys(schema, path)


def _typed(schema: Obj, path: Path, wanted: str, extension: str) -> Iterator[FieldError]:
    kind, why = schema.get("type"), f"must be {wanted} if {extension} is specified"
    if not kind:
        yield fielderr.required(path / "type", why)
    elif kind != wanted:
        yield fielderr.invalid(path / "type", kind, why)


def _set_items(items: Obj, path: Path) -> Iterator[FieldError]:
    why = "must be atomic as item of a list with x-kubernetes-list-type=set"
    listed = items.get("x-kubernetes-list-type")
    if items.get("type") == "array" and listed not in (None, "atomic"):
        yield fielderr.invalid(path / "x-kubernetes-list-type", listed, why)
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        yield fielderr.invalid(path / "x-kubernetes-map-type", listed, why)


def _map_list(schema: Obj, path: Path) -> Iterator[FieldError]:
    keys, items = schema.get("x-kubernetes-list-map-keys") or [], schema.get("items")
    place = path / "x-kubernetes-list-map-keys"
    if not keys:
        yield fielderr.required(place, "must not be empty if x-kubernetes-list-type is map")
    if not isinstance(items, dict):
        yield fielderr.required(path / "items", "must have a schema if x-kubernetes-list-type is map")
        return
    if items.get("type") != "object":
        why = "must be object if parent array's x-kubernetes-list-type is map"
        yield fielderr.invalid(path / "items" / "type", items.get("type", ""), why)
        return
    properties = items.get("properties") or {}
    for index, key in enumerate(keys):
        if key not in properties:
            yield fielderr.invalid(place, keys, "entries must all be names of item properties")
        elif properties[key].get("type") in ("array", "object"):
            why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield fielderr.invalid((path / "items" / "properties").key(key) / "type", items["type"], why)
        if key in keys[:index]:
            yield fielderr.invalid(place, keys, "must not contain duplicate entries")


def _map_keys(schema: Obj, path: Path) -> Iterator[FieldError]:
    items = schema.get("items") or {}
    for key in schema.get("x-kubernetes-list-map-keys") or ():
        found = (items.get("properties") or {}).get(key)
        if found is None:
            continue
        place, about = (path / "items" / "properties").key(key), "this property is in x-kubernetes-list-map-keys, so it"
        if key not in (items.get("required") or ()) and found.get("default") is None:
            yield fielderr.required(place / "default", f"{about} must have a default or be a required property")
        if found.get("nullable"):
            yield fielderr.forbidden(place / "nullable", f"{about} cannot be nullable")


def _defaults(schema: Obj, path: Path, *, root: bool = False) -> Iterator[FieldError]:
    """Defaults must be what their schema allows: pkg/apiserver/schema/defaulting/validation.go."""
    value = schema.get("default")
    if value is not None:
        place = path / "default"
        if unknown_fields(value, schema):
            yield fielderr.invalid(place, value, "must not have unknown fields")
        problems = validate(value, schema, str(place))
        if not problems and rules.has_rules_in(schema):
            problems = rules.errors_of(value, None, schema, str(place))
        yield from problems
    if isinstance(schema.get("items"), dict):
        yield from _defaults(schema["items"], path / "items")
    for name, inner in (schema.get("properties") or {}).items():
        if not (root and name in META):
            yield from _defaults(inner, (path / "properties").key(name))
