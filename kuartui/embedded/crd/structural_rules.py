"""What makes a schema structural.

k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{validation,complete}.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kuartui.embedded.meta import fielderr
from kuartui.embedded.meta.fielderr import FieldError, Path

Obj = dict[str, Any]

JUNCTORS = ("allOf", "anyOf", "oneOf")
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_NO_TYPE = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_EMPTY, _UNDEFINED, _FALSE = (f"must be {what} to be structural" for what in ("empty", "undefined", "false"))
_NOT_NESTED = {
    "type": _EMPTY,
    "additionalProperties": _UNDEFINED,
    "default": _UNDEFINED,
    "title": _EMPTY,
    "description": _EMPTY,
    "nullable": _FALSE,
    "externalDocs": _UNDEFINED,
    "x-kubernetes-preserve-unknown-fields": _FALSE,
    "x-kubernetes-embedded-resource": _FALSE,
    "x-kubernetes-int-or-string": _FALSE,
    "x-kubernetes-list-map-keys": _EMPTY,
    "x-kubernetes-list-type": _UNDEFINED,
    "x-kubernetes-map-type": _UNDEFINED,
    "x-kubernetes-validations": _EMPTY,
}
_METADATA = "must not specify anything other than name and generateName, but metadata is implicitly specified"


def structural_errors(schema: Obj, path: Path) -> list[FieldError]:
    """Why a schema is not structural."""
    return [*_place(schema, path, "root"), *_incomplete(schema, schema, path, path)]


def _place(schema: Obj, path: Path, level: str) -> Iterator[FieldError]:
    kind, embedded = schema.get("type", ""), schema.get("x-kubernetes-embedded-resource")
    if kind == "array" and not schema.get("items"):
        yield fielderr.required(path / "items", "must be specified")
    if isinstance(schema.get("items"), dict):
        yield from _place(schema["items"], path / "items", "item")
    properties = schema.get("properties") or {}
    for name, inner in properties.items():
        yield from _place(inner, (path / "properties").key(name), "field")
    more = schema.get("additionalProperties")
    if more is not None:
        if level == "root":
            yield fielderr.forbidden(path / "additionalProperties", "must not be used at the root")
        if isinstance(more, dict):
            yield from _place(more, path / "additionalProperties", "field")
        if embedded:
            why = "must not be used if x-kubernetes-embedded-resource is set"
            yield fielderr.forbidden(path / "additionalProperties", why)
    yield from _exclusive(schema, path)
    pattern = schema.get("anyOf") == _INT_OR_STRING
    first = bool(schema.get("allOf")) and schema["allOf"][0].get("anyOf") == _INT_OR_STRING
    yield from _values(schema, path, skip_any=pattern, skip_first=first)
    if embedded and kind != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        yield fielderr.invalid(path / "type", kind, why) if kind else fielderr.required(path / "type", why)
    elif not kind and not schema.get("x-kubernetes-int-or-string") and not _keeps(schema):
        yield fielderr.required(path / "type", _NO_TYPE[level])
    if level == "root" and kind and kind != "object":
        yield fielderr.invalid(path / "type", kind, "must be object at the root")
    if level == "root" or embedded:
        for name in ("kind", "apiVersion"):
            if name in properties and properties[name].get("type") != "string":
                place = (path / "properties").key(name) / "type"
                yield fielderr.invalid(place, properties[name].get("type", ""), "must be string")
    if "metadata" in properties:
        place = (path / "properties").key("metadata")
        yield from _metadata(properties["metadata"], place, level, checked=level == "root" or bool(embedded))
    if embedded and not _keeps(schema) and not properties:
        why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        yield fielderr.required(path / "properties", why)


def _keeps(schema: Obj) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def _exclusive(schema: Obj, path: Path) -> Iterator[FieldError]:
    if schema.get("x-kubernetes-int-or-string"):
        for other in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"):
            if schema.get(other):
                yield fielderr.invalid(path / other, True, "must be false if x-kubernetes-int-or-string is true")


def _metadata(schema: Obj, path: Path, level: str, *, checked: bool) -> Iterator[FieldError]:
    if checked and schema.get("type") != "object":
        yield fielderr.invalid(path / "type", schema.get("type", ""), "must be object")
    if level == "root":
        more = set(schema.get("properties") or {}) - {"name", "generateName"}
        if more or set(schema) - {"type", "properties", "default"}:
            yield fielderr.forbidden(path, _METADATA)


def _values(schema: Obj, path: Path, *, skip_any: bool = False, skip_first: bool = False) -> Iterator[FieldError]:
    """The parts that only constrain values."""
    for junctor in JUNCTORS:
        if junctor == "anyOf" and skip_any:
            continue
        for index, part in enumerate(schema.get(junctor) or ()):
            skipping = junctor == "allOf" and index == 0 and skip_first
            yield from _nested(part, (path / junctor).index(index), skip_any=skipping)
    if schema.get("not"):
        yield from _nested(schema["not"], path / "not")
    if schema.get("pattern"):
        problem = pattern_error(schema["pattern"])
        if problem:
            why = f"must be a valid regular expression, but isn't: {problem}"
            yield fielderr.invalid(path / "pattern", schema["pattern"], why)


def _nested(schema: Obj, path: Path, *, skip_any: bool = False) -> Iterator[FieldError]:
    yield from _values(schema, path, skip_any=skip_any)
    if isinstance(schema.get("items"), dict):
        yield from _nested(schema["items"], path / "items")
    for name, inner in (schema.get("properties") or {}).items():
        yield from _nested(inner, (path / "properties").key(name))
    for keyword, why in _NOT_NESTED.items():
        if schema.get(keyword) or (keyword in ("additionalProperties", "default") and keyword in schema):
            yield fielderr.forbidden(path / keyword, why)
    if "metadata" in (schema.get("properties") or {}):
        place = (path / "properties").key("metadata")
        yield fielderr.forbidden(place, "must not be specified in a nested context")


def _incomplete(values: Obj, schema: Obj | None, path: Path, where: Path) -> Iterator[FieldError]:
    """Fields that are constrained but never specified."""
    parts = [(part, (where / name).index(i)) for name in JUNCTORS for i, part in enumerate(values.get(name) or ())]
    if values.get("not"):
        parts.insert(0, (values["not"], where / "not"))
    for part, place in parts:
        yield from _nested_incomplete(part, schema, path, place)


def _nested_incomplete(values: Obj, schema: Obj | None, path: Path, where: Path) -> Iterator[FieldError]:
    if schema is None:
        yield fielderr.required(path, f"because it is defined in {where}")
        return
    yield from _incomplete(values, schema, path, where)
    if isinstance(values.get("items"), dict):
        yield from _nested_incomplete(values["items"], schema.get("items"), path / "items", where / "items")
    for name, inner in (values.get("properties") or {}).items():
        found = (schema.get("properties") or {}).get(name)
        yield from _nested_incomplete(inner, found, (path / "properties").key(name), (where / "properties").key(name))


_PERL = re.compile(r"(?<!\\)(?:\\\\)*(\(\?(?:=|!)|\\[1-9])")


def pattern_error(pattern: str) -> str | None:
    """What Go's regexp has against a pattern, worded as there as far as the cause can be told."""
    perl = _PERL.search(pattern)
    if perl:
        what = "invalid escape sequence" if perl[1][0] == "\\" else "invalid or unsupported Perl syntax"
        return f"error parsing regexp: {what}: `{perl[1]}`"
    try:
        re.compile(pattern.replace(r"\z", r"\Z"))
    except re.error as error:
        return f"error parsing regexp: {_go_words(pattern, error)}"
    return None


def _go_words(pattern: str, error: re.error) -> str:
    text, position = str(error), error.pos or 0
    if "unterminated character set" in text:
        return f"missing closing ]: `{pattern[position:]}`"
    if "missing )" in text:
        return f"missing closing ): `{pattern}`"
    if "unbalanced parenthesis" in text:
        return f"unexpected ): `{pattern}`"
    if "nothing to repeat" in text:
        return f"missing argument to repetition operator: `{pattern[position]}`"
    if "multiple repeat" in text:
        return f"invalid nested repetition operator: `{pattern[position - 1 : position + 1]}`"
    if "bad escape" in text:
        return f"invalid escape sequence: `{pattern[position : position + 2]}`"
    if "bad character range" in text:
        return f"invalid character class range: `{text.split()[3]}`"
    return f"{text}: `{pattern}`"
