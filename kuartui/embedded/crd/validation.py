"""A custom object's values against its schema, in the words of kube-openapi's validator and apiextensions.

k8s.io/apiextensions-apiserver/pkg/apiserver/validation/validation.go and k8s.io/kube-openapi/pkg/validation/errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from kuartui.embedded.crd.formats import fits, holds
from kuartui.embedded.meta import fielderr
from kuartui.embedded.meta.fielderr import FieldError
from kuartui.embedded.meta.gofmt import go_json

Obj = dict[str, Any]


ABSENT: Any = object()
"""Where there was nothing before."""


def validate(value: Any, raw: Obj, path: str = "", old: Any = ABSENT) -> list[FieldError]:
    """What is wrong with a value; `path` is "" at the root.

    What was the same in `old` may stay as wrong as it was (k8s.io/apiserver/pkg/cel/common, apiextensions' ratcheting.go).
    """
    return list(_check(value, raw, path, old))


def list_errors(value: Any, raw: Obj, path: str = "") -> list[FieldError]:
    """Duplicates in lists that are sets or maps."""
    return list(_duplicates(value, raw, path))


def _check(value: Any, raw: Obj, path: str, old: Any = ABSENT) -> Iterator[FieldError]:
    if old is not ABSENT and old == value and type(old) is type(value):
        return
    if value is None:
        if not raw.get("nullable") and (raw.get("type") or raw.get("x-kubernetes-int-or-string")):
            yield _mistyped(path, raw, "null")
        return
    problem = _type_error(value, raw, path)
    if problem:
        yield problem
    if raw.get("enum") and value not in raw["enum"]:
        shown = [item if isinstance(item, str) else go_json(item) for item in raw["enum"]]
        yield fielderr.not_supported(path, value, shown)
    if problem:
        pass  # what a value of another type should be like does not matter
    elif isinstance(value, str):
        yield from _text(value, raw, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, raw, path)
    elif isinstance(value, list):
        yield from _list(value, raw, path, old)
    elif isinstance(value, dict):
        yield from _object(value, raw, path, old)
    yield from _junctors(value, raw, path)


def _invalid(path: str, value: Any, words: str) -> FieldError:
    return fielderr.invalid(path, value, f"{path} in body {words}")


def _type_error(value: Any, raw: Obj, path: str) -> FieldError | None:
    if raw.get("x-kubernetes-int-or-string"):
        if isinstance(value, str | int) and not isinstance(value, bool):
            return None
        return _mistyped(path, {"type": "integer,string"}, _kind(value))
    wanted = raw.get("type")
    if not wanted or wanted == _kind(value):
        return None
    if wanted == "number" and _kind(value) == "integer":
        return None
    if wanted == "integer" and isinstance(value, float) and value.is_integer():
        return None
    return _mistyped(path, raw, _kind(value))


def _mistyped(path: str, raw: Obj, got: str) -> FieldError:
    wanted = raw.get("type") or "integer,string"
    where = f"{path} in body" if path else " in body"
    detail = f'{where} must be of type {wanted}: "{got}"'
    return FieldError("Invalid value", path or "<nil>", fielderr.quote(got), detail, type_invalid=True)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return {str: "string", float: "number", list: "array", dict: "object"}.get(type(value), "object")


def _text(value: str, raw: Obj, path: str) -> Iterator[FieldError]:
    longest, shortest, pattern = raw.get("maxLength"), raw.get("minLength"), raw.get("pattern")
    if longest is not None and len(value) > longest:
        yield fielderr.too_long(path, int(longest))
    if shortest is not None and len(value) < shortest:
        yield _invalid(path, value, f"should be at least {shortest} chars long")
    if pattern and not _compiled(pattern).search(value):
        yield _invalid(path, value, f"should match '{pattern}'")
    form = raw.get("format")
    if form and not fits(form, value):
        words = f"{path} in body must be of type {form}: {fielderr.quote(value)}"
        yield fielderr.type_invalid(path, value, words)  # to Go a format is a type


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern.replace(r"\z", r"\Z"))
    except re.error:
        return re.compile("")  # RE2 that Python cannot read: a schema with it was taken, so it checks nothing


def _number(value: float, raw: Obj, path: str) -> Iterator[FieldError]:
    most, least, step = raw.get("maximum"), raw.get("minimum"), raw.get("multipleOf")
    for what, number in (
        ("Checked", value),
        ("MultipleOf", step),
        ("Minimum boundary", least),
        ("Maximum boundary", most),
    ):
        if number is not None and not holds(raw, number):
            kind = f"must be of type {raw['type']} with format {raw['format']}"
            yield fielderr.invalid("<nil>", "", f"{what} value {kind} in {path}")  # it is no error of the field to Go
    if most is not None and (value > most or (raw.get("exclusiveMaximum") and value == most)):
        words = "less than" if raw.get("exclusiveMaximum") else "less than or equal to"
        yield _invalid(path, value, f"should be {words} {fielderr.go_value(most)}")
    if least is not None and (value < least or (raw.get("exclusiveMinimum") and value == least)):
        words = "greater than" if raw.get("exclusiveMinimum") else "greater than or equal to"
        yield _invalid(path, value, f"should be {words} {fielderr.go_value(least)}")
    if step and not math.isclose(value / step, round(value / step), rel_tol=1e-9, abs_tol=1e-9):
        yield _invalid(path, value, f"should be a multiple of {fielderr.go_value(step)}")


def _list(value: list[Any], raw: Obj, path: str, old: Any) -> Iterator[FieldError]:
    most, least = raw.get("maxItems"), raw.get("minItems")
    if most is not None and len(value) > most:
        yield fielderr.too_many(path, len(value), int(most))
    if least is not None and len(value) < least:
        yield _invalid(path, len(value), f"should have at least {least} items")
    items = raw.get("items")
    if isinstance(items, dict):
        keys = raw.get("x-kubernetes-list-map-keys") if raw.get("x-kubernetes-list-type") == "map" else None
        before = {_key(item, keys): item for item in old} if keys and isinstance(old, list) else {}
        for index, item in enumerate(value):
            yield from _check(item, items, f"{path}[{index}]", before.get(_key(item, keys or ()), ABSENT))


def _key(item: Any, keys: Sequence[str]) -> str:
    """What makes an item of a list the same as one of another list."""
    return go_json([item.get(key) for key in keys] if isinstance(item, dict) else item)


def _object(value: Obj, raw: Obj, path: str, old: Any) -> Iterator[FieldError]:
    most, least = raw.get("maxProperties"), raw.get("minProperties")
    if most is not None and len(value) > most:
        noun = "item" if most == 1 else "items"
        yield FieldError("Too many", path, str(len(value)), f"must have at most {most} {noun}")
    if least is not None and len(value) < least:
        yield _invalid(path, len(value), f"should have at least {least} properties")
    for name in raw.get("required") or ():
        if name not in value:
            yield fielderr.required(f"{path}.{name}" if path else name)
    properties = raw.get("properties") or {}
    more = raw.get("additionalProperties")
    for name, item in value.items():
        inner = properties.get(name)
        if inner is None and isinstance(more, dict):
            inner = more
        if inner is not None:
            before = old.get(name, ABSENT) if isinstance(old, dict) else ABSENT
            yield from _check(item, inner, f"{path}.{name}" if path else name, before)


def _junctors(value: Any, raw: Obj, path: str) -> Iterator[FieldError]:
    """Errors of the whole stand at no field, those of the parts where they belong."""
    if raw.get("anyOf"):
        attempts = [list(_check(value, part, path)) for part in raw["anyOf"]]
        if all(attempts):
            yield _whole(path, "must validate at least one schema (anyOf)")
            yield from min(attempts, key=len)
    if raw.get("oneOf"):
        attempts = [list(_check(value, part, path)) for part in raw["oneOf"]]
        valid = sum(not attempt for attempt in attempts)
        if valid != 1:
            found = f"Found {valid} valid alternatives" if valid else "Found none valid"
            yield _whole(path, f"must validate one and only one schema (oneOf). {found}")
            if not valid:
                yield from min(attempts, key=len)
    if raw.get("allOf"):
        attempts = [list(_check(value, part, path)) for part in raw["allOf"]]
        yield from (error for attempt in attempts for error in attempt)
        if any(attempts):
            yield _whole(path, f"must validate all the schemas (allOf){'. None validated' if all(attempts) else ''}")
    if raw.get("not") and not list(_check(value, raw["not"], path)):
        yield _whole(path, "must not validate the schema (not)")


def _whole(path: str, words: str) -> FieldError:
    return fielderr.invalid("<nil>", "", f"{fielderr.quote(path)} {words}")


def _duplicates(value: Any, raw: Obj, path: str) -> Iterator[FieldError]:
    if isinstance(value, list):
        kind = raw.get("x-kubernetes-list-type")
        seen: list[Any] = []
        for index, item in enumerate(value):
            key = item
            if kind == "map" and isinstance(item, dict):
                keys = raw.get("x-kubernetes-list-map-keys") or ()
                key = {name: item[name] for name in keys if name in item}
            if kind in ("set", "map"):
                if key in seen:
                    yield fielderr.duplicate(f"{path}[{index}]", key)
                seen.append(key)
            yield from _duplicates(item, raw.get("items") or {}, f"{path}[{index}]")
    elif isinstance(value, dict):
        more = raw.get("additionalProperties")
        for name, item in value.items():
            inner = (raw.get("properties") or {}).get(name) or (more if isinstance(more, dict) else None)
            if inner:
                yield from _duplicates(item, inner, f"{path}.{name}" if path else name)
