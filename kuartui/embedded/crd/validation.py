"""A custom object's values against its schema, in the words of kube-openapi's validator and apiextensions.

k8s.io/apiextensions-apiserver/pkg/apiserver/validation/validation.go and k8s.io/kube-openapi/pkg/validation/errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from kuartui.embedded.crd.formats import fits, holds, kept
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
    return list(dict.fromkeys(_check(value, raw, path, old)))  # what is said twice is said once


def list_errors(value: Any, raw: Obj, path: str = "") -> list[FieldError]:
    """Duplicates in lists that are sets or maps."""
    return list(_duplicates(value, raw, path))


def _check(value: Any, raw: Obj, path: str, old: Any = ABSENT) -> Iterator[FieldError]:
    if old is not ABSENT and old == value and type(old) is type(value):
        return
    if value is None:
        if not raw.get("nullable") and _types(raw):
            yield _mistyped(path, ",".join(_types(raw)), "null")
        return
    problem = _type_error(value, raw, path)
    if problem:
        yield problem
    yield from _junctors(value, raw, path)
    if isinstance(value, str):
        yield from _text(value, raw, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, raw, path)
    elif isinstance(value, list):
        yield from _list(value, raw, path, old)
    if raw.get("enum") and value not in raw["enum"]:
        shown = [item if isinstance(item, str) else go_json(item) for item in raw["enum"]]
        yield fielderr.not_supported(path, value, shown)
    if isinstance(value, dict):
        yield from _object(value, raw, path, old)


def _invalid(path: str, value: Any, words: str) -> FieldError:
    return fielderr.invalid(path, value, f"{path} in body {words}")


def _type_error(value: Any, raw: Obj, path: str) -> FieldError | None:
    """typeValidator of kube-openapi: a schema that has a format asks for that, and takes any list for one of text."""
    wanted, got = _types(raw), _kind(value)
    whole = isinstance(value, float) and value.is_integer() and "integer" in wanted
    if not wanted or got in wanted or whole or (got == "integer" and "number" in wanted):
        return None
    form = kept(raw)
    if form and got not in ("string", "array"):
        return _mistyped(path, form, {"integer": "int64", "number": "float64"}.get(got, ""))
    if form and not {"integer", "number"} & set(wanted):
        return None
    return _mistyped(path, ",".join(wanted), got)


def _types(raw: Obj) -> tuple[str, ...]:
    if raw.get("type"):
        return (raw["type"],)
    return ("integer", "string") if raw.get("x-kubernetes-int-or-string") else ()


def _mistyped(path: str, wanted: str, got: str) -> FieldError:
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
    elif shortest is not None and len(value) < shortest:
        yield _invalid(path, value, f"should be at least {shortest} chars long")
    elif pattern and not _compiled(pattern).search(value):
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
    yield from _no_room("Checked", value, raw, path)
    if step is not None:
        yield from _no_room("MultipleOf", step, raw, path)
    if step and not math.isclose(value / step, round(value / step), rel_tol=1e-9, abs_tol=1e-9):
        yield _invalid(path, value, f"should be a multiple of {fielderr.go_value(step)}")
    if least is not None:
        yield from _no_room("Minimum boundary", least, raw, path)
        if value < least or (raw.get("exclusiveMinimum") and value == least):
            words = "greater than" if raw.get("exclusiveMinimum") else "greater than or equal to"
            yield _invalid(path, value, f"should be {words} {fielderr.go_value(least)}")
    if most is not None:
        yield from _no_room("Maximum boundary", most, raw, path)
        if value > most or (raw.get("exclusiveMaximum") and value == most):
            words = "less than" if raw.get("exclusiveMaximum") else "less than or equal to"
            yield _invalid(path, value, f"should be {words} {fielderr.go_value(most)}")


def _no_room(what: str, number: float, raw: Obj, path: str) -> Iterator[FieldError]:
    if not holds(raw, number):
        kind = f"must be of type {raw['type']} with format {raw['format']}"
        yield fielderr.invalid("<nil>", "", f"{what} value {kind} in {path}")  # it is no error of the field to Go


def _list(value: list[Any], raw: Obj, path: str, old: Any) -> Iterator[FieldError]:
    most, least, items = raw.get("maxItems"), raw.get("minItems"), raw.get("items")
    if isinstance(items, dict):
        keys = raw.get("x-kubernetes-list-map-keys") if raw.get("x-kubernetes-list-type") == "map" else None
        before = {_key(item, keys): item for item in old} if keys and isinstance(old, list) else {}
        for index, item in enumerate(value):
            yield from _check(item, items, f"{path}[{index}]", before.get(_key(item, keys or ()), ABSENT))
    if least is not None and len(value) < least:
        yield _invalid(path, len(value), f"should have at least {least} items")
    if most is not None and len(value) > most:
        yield fielderr.too_many(path, len(value), int(most))


def _key(item: Any, keys: Sequence[str]) -> str:
    """What makes an item of a list the same as one of another list."""
    return go_json([item.get(key) for key in keys] if isinstance(item, dict) else item)


def _object(value: Obj, raw: Obj, path: str, old: Any) -> Iterator[FieldError]:
    most, least = raw.get("maxProperties"), raw.get("minProperties")
    if least is not None and len(value) < least:
        yield _invalid(path, len(value), f"should have at least {least} properties")
        return
    if most is not None and len(value) > most:
        noun = "item" if most == 1 else "items"
        yield FieldError("Too many", path, str(len(value)), f"must have at most {most} {noun}")
        return
    properties = raw.get("properties") or {}
    more = raw.get("additionalProperties")
    for name, item in value.items():
        inner = properties.get(name)
        if inner is None and isinstance(more, dict):
            inner = more
        if inner is not None:
            before = old.get(name, ABSENT) if isinstance(old, dict) else ABSENT
            yield from _check(item, inner, f"{path}.{name}" if path else name, before)
    for name in raw.get("required") or ():
        if name not in value:
            yield fielderr.required(f"{path}.{name}" if path else name)


def _junctors(value: Any, raw: Obj, path: str) -> Iterator[FieldError]:
    """Errors of the whole stand at no field, those of the parts where they belong."""
    if raw.get("anyOf"):
        attempts = [list(_check(value, part, path)) for part in raw["anyOf"]]
        if all(attempts):
            yield _whole(path, "must validate at least one schema (anyOf)")
            yield from attempts[_nearest(value, raw["anyOf"])]
    if raw.get("oneOf"):
        attempts = [list(_check(value, part, path)) for part in raw["oneOf"]]
        valid = sum(not attempt for attempt in attempts)
        if valid != 1:
            found = f"Found {valid} valid alternatives" if valid else "Found none valid"
            yield _whole(path, f"must validate one and only one schema (oneOf). {found}")
            if not valid:
                yield from attempts[_nearest(value, raw["oneOf"])]
    if raw.get("allOf"):
        attempts = [list(_check(value, part, path)) for part in raw["allOf"]]
        yield from (error for attempt in attempts for error in attempt)
        if any(attempts):
            yield _whole(path, f"must validate all the schemas (allOf){'. None validated' if all(attempts) else ''}")
    if raw.get("not") and not list(_check(value, raw["not"], path)):
        yield _whole(path, "must not validate the schema (not)")


def _nearest(value: Any, parts: list[Obj]) -> int:
    """Which of several schemas that all refuse a value says why: the first of those with which most checks are made."""
    made = [_checks(value, part) for part in parts]
    return made.index(max(made))


def _checks(value: Any, raw: Obj) -> int:
    """MatchCount of kube-openapi: each kind of check that a value is put to counts, most of them also if it fails."""
    types = _types(raw)
    if value is None:
        return int(not types or bool(raw.get("nullable")))
    made = 4  # the whole, its junctors twice, its enum
    if types or kept(raw):
        made += 1 if _type_error(value, raw, "") else 2
    for part in raw.get("allOf") or ():
        made += _checks(value, part)
    for junctor in ("anyOf", "oneOf"):
        parts = raw.get(junctor) or []
        fit = [part for part in parts if not list(_check(value, part, ""))]
        if fit and (junctor == "anyOf" or len(fit) == 1):
            made += _checks(value, fit[0])
        elif parts and not fit:
            made += max(_checks(value, part) for part in parts)
    if isinstance(value, str):
        made += 2 if kept(raw) else 1
    elif isinstance(value, list):
        made += 2 + sum(_checks(item, raw["items"]) for item in value if isinstance(raw.get("items"), dict))
    elif isinstance(value, dict):
        made += 1 + _checks_of_fields(value, raw)
    elif not isinstance(value, bool):
        made += 2
    return made


def _checks_of_fields(value: Obj, raw: Obj) -> int:
    if not raw.get("minProperties", 0) <= len(value) <= raw.get("maxProperties", len(value)):
        return 0
    properties, more = raw.get("properties") or {}, raw.get("additionalProperties")
    rest = more if isinstance(more, dict) else None
    schemas = ((item, properties.get(name, rest)) for name, item in value.items())
    return sum(_checks(item, schema) for item, schema in schemas if schema is not None)


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
