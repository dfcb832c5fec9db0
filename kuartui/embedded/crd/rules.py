"""`x-kubernetes-validations`: CEL rules of a custom object's schema.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules and
k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kuartui.embedded.cel import CelError, Program, compile_cel
from kuartui.embedded.crd.rule_fields import readable_times
from kuartui.embedded.crd.rule_names import escape
from kuartui.embedded.crd.selectable import FieldPathError, resolve
from kuartui.embedded.meta import fielderr
from kuartui.embedded.meta.fielderr import FieldError

Obj = dict[str, Any]

LONGEST_MESSAGE = 5 * 1024
NOT_CHECKED = FieldError(
    "Invalid value",
    "<nil>",
    "null",
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation",
)
_ABSENT: Any = object()
_BLOCKING = ("Required value", "Unsupported value", "Too long", "Too many")
_OLD = re.compile(r"(?<![\w.])oldSelf\b")


def has_rules_in(schema: Any) -> bool:
    """Whether a schema has rules anywhere."""
    if not isinstance(schema, dict):
        return False
    if schema.get("x-kubernetes-validations"):
        return True
    parts = [schema.get("additionalProperties"), schema.get("items"), *(schema.get("properties") or {}).values()]
    return any(map(has_rules_in, parts))


def blocked(errors: list[FieldError]) -> bool:
    """Whether these errors of the schema keep rules from being looked at."""
    return any(error.type in _BLOCKING or error.type_invalid for error in errors)


def uses_old_self(text: str) -> bool:
    """Whether a rule is about transitions."""
    return _OLD.search(text) is not None


def program(text: str, schema: Obj, *, optional: bool = False, root: bool = False) -> Program:
    """A rule of a place in a schema, ready to run. With `optional`, oldSelf is an optional made of `old` if `has_old`.

    Raises CelError.
    """
    text = readable_times(text, schema, root=root)
    if not optional:
        return compile_cel(text, ("self", "oldSelf"))
    # the library takes no optional values, so that one is made inside of the expression
    bound = f"cel.bind(oldSelf, has_old ? optional.of(old) : optional.none(), ({text}\n))"
    return compile_cel(bound, ("self", "old", "has_old"))


def errors_of(new: Any, old: Any, raw: Obj, path: str = "") -> list[FieldError]:
    """What the rules have against a value; `old` is what it was before an update, None if nothing."""
    return list(_walk(new, _ABSENT if old is None else old, raw, path, same=False, root=not path))


def _walk(value: Any, before: Any, raw: Obj, path: str, *, same: bool, root: bool = False) -> Iterator[FieldError]:
    """`same`: the nearest thing around that can be told from what it was before has not changed."""
    if value is None:
        return
    if before is not _ABSENT:
        same = before == value
    for rule in raw.get("x-kubernetes-validations") or ():
        error = _judge(rule, value, before, raw, path, root=root)
        if error is not None and (uses_old_self(str(rule.get("rule", ""))) or not same):
            yield error  # otherwise it was like this before, and may stay
    if isinstance(value, dict):
        yield from _fields(value, before, raw, path, same=same)
    elif isinstance(value, list) and isinstance(raw.get("items"), dict):
        for index, item in enumerate(value):
            yield from _walk(item, _twin(item, before, raw), raw["items"], f"{path}[{index}]", same=same)


def _fields(value: Obj, before: Any, raw: Obj, path: str, *, same: bool) -> Iterator[FieldError]:
    properties, more = raw.get("properties") or {}, raw.get("additionalProperties")
    for name, item in value.items():
        if name in properties:
            inner, here = properties[name], f"{path}.{name}" if path else name
        elif isinstance(more, dict):
            inner, here = more, f"{path}[{name}]"
        else:
            continue
        twin = before.get(name, _ABSENT) if isinstance(before, dict) else _ABSENT
        yield from _walk(item, _ABSENT if twin is None else twin, inner, here, same=same)


def _twin(item: Any, before: Any, raw: Obj) -> Any:
    """What an item of a list was before: only items of maps can be told from another."""
    keys = raw.get("x-kubernetes-list-map-keys")
    if raw.get("x-kubernetes-list-type") != "map" or not keys or not isinstance(before, list):
        return _ABSENT
    wanted = [item.get(key) for key in keys] if isinstance(item, dict) else None
    return next((old for old in before if isinstance(old, dict) and [old.get(k) for k in keys] == wanted), _ABSENT)


def _judge(rule: Obj, value: Any, before: Any, raw: Obj, path: str, *, root: bool) -> FieldError | None:
    text = str(rule.get("rule", ""))
    optional = bool(rule.get("optionalOldSelf"))
    if before is _ABSENT and uses_old_self(text) and not optional:
        return None
    old = None if before is _ABSENT else readable(before, raw, root=root)
    values = {"self": readable(value, raw, root=root), "oldSelf": old, "old": old, "has_old": before is not _ABSENT}
    shown = "" if isinstance(value, dict | list) else fielderr.go_value(value)
    try:
        holds = program(text, raw, optional=optional, root=root).evaluate(values)
    except CelError as error:
        return FieldError("Invalid value", path or "<nil>", shown, _failure(str(error), rule))
    if holds is True:
        return None
    message = (
        _message(rule, values, raw, root=root)
        or str(rule.get("message") or "").strip()
        or f"failed rule: {text.strip()}"
    )
    return _error(rule.get("reason"), _where(path, str(rule.get("fieldPath") or ""), raw) or "<nil>", shown, message)


def _where(path: str, inside: str, raw: Obj) -> str:
    """The path of the value, or of the field in it that the rule points at."""
    if not inside:
        return path
    try:
        field, _ = resolve(inside, raw)
    except FieldPathError:
        return path
    return f"{path}{field}" if field.startswith("[") or not path else f"{path}.{field}"


def _failure(why: str, rule: Obj) -> str:
    """A rule that gives no result."""
    about = str(rule.get("message") or rule.get("rule")).strip()
    if why.startswith("no such overload"):
        return (
            f"'{why}': call arguments did not match a supported operator, function or macro signature for rule: {about}"
        )
    if why.startswith("operation cancelled"):
        return f"'{why}': no further validation rules will be run due to call cost exceeds limit for rule: {about}"
    return f"{why} evaluating rule: {about}"


def _error(reason: str | None, path: str, shown: str, message: str) -> FieldError:
    if reason == "FieldValueForbidden":
        return fielderr.forbidden(path, message)
    if reason == "FieldValueRequired":
        return fielderr.required(path, message)
    if reason == "FieldValueDuplicate":
        return FieldError("Duplicate value", path, shown, "")
    return FieldError("Invalid value", path, shown, message)


def _message(rule: Obj, values: Obj, raw: Obj, *, root: bool) -> str:
    """What messageExpression gives; "" where it fails or gives what is no message."""
    text = rule.get("messageExpression")
    if not text:
        return ""
    try:
        found = program(str(text), raw, root=root).evaluate(values)
    except CelError:
        return ""
    message = found.strip() if isinstance(found, str) else ""
    return message if "\n" not in message and len(message) <= LONGEST_MESSAGE else ""


def readable(value: Any, raw: Obj, *, root: bool = False) -> Any:
    """A value as rules see it: names that CEL could not read escaped, numbers as doubles, little of metadata."""
    if isinstance(value, dict):
        properties = raw.get("properties") or {}
        more = raw.get("additionalProperties")
        found: Obj = {}
        for name, item in value.items():
            if root and name == "metadata":
                found[name] = {key: item[key] for key in ("name", "generateName") if key in item}
            elif name in properties:
                found[escape(name)] = readable(item, properties[name])
            elif isinstance(more, dict):
                found[name] = readable(item, more)
            elif (
                more
                or (root and name in ("apiVersion", "kind"))
                or (raw.get("x-kubernetes-embedded-resource") and name in ("apiVersion", "kind", "metadata"))
            ):
                found[name] = item
        return found
    if isinstance(value, list):
        items = raw.get("items")
        return [readable(item, items) for item in value] if isinstance(items, dict) else value
    if raw.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
