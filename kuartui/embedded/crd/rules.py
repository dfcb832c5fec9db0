"""`x-kubernetes-validations`: CEL rules of a custom object's schema.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kuartui.embedded.cel import CelError, compile_cel
from kuartui.embedded.meta import fielderr
from kuartui.embedded.meta.fielderr import FieldError

Obj = dict[str, Any]

_ABSENT: Any = object()
NOT_CHECKED = FieldError(
    "Invalid value",
    "<nil>",
    "null",
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation",
)
_BLOCKING = ("Required value", "Unsupported value", "Too long", "Too many")
_KEYWORDS = {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"} | {
    "let", "loop", "package", "namespace", "return", "var", "void", "while"
}  # fmt: skip


def has_rules(schema: str) -> bool:
    """Whether a schema (as JSON) has rules anywhere."""
    return '"x-kubernetes-validations"' in schema


def blocked(errors: list[FieldError]) -> bool:
    """Whether these errors of the schema keep rules from being looked at."""
    return any(error.type in _BLOCKING or error.type_invalid for error in errors)


def errors_of(new: Obj, old: Obj | None, raw: Obj) -> list[FieldError]:
    """What the rules have against an object; `old` is what it was before an update."""
    return list(_walk(new, _ABSENT if old is None else old, raw, ""))


def _walk(value: Any, before: Any, raw: Obj, path: str) -> Iterator[FieldError]:
    if value is None:
        return
    for rule in raw.get("x-kubernetes-validations") or ():
        error = _judge(rule, value, before, raw, path)
        if error is not None:
            yield error
    if isinstance(value, dict):
        yield from _fields(value, before, raw, path)
    elif isinstance(value, list) and isinstance(raw.get("items"), dict):
        for index, item in enumerate(value):
            yield from _walk(item, _twin(item, before, raw), raw["items"], f"{path}[{index}]")


def _fields(value: Obj, before: Any, raw: Obj, path: str) -> Iterator[FieldError]:
    properties = raw.get("properties") or {}
    more = raw.get("additionalProperties")
    for name, item in value.items():
        if name in properties:
            inner, inner_path = properties[name], f"{path}.{name}" if path else name
        elif isinstance(more, dict):
            inner, inner_path = more, f"{path}[{name}]"
        else:
            continue
        if not path and name in ("apiVersion", "kind", "metadata"):
            continue
        yield from _walk(item, before.get(name, _ABSENT) if isinstance(before, dict) else _ABSENT, inner, inner_path)


def _twin(item: Any, before: Any, raw: Obj) -> Any:
    """What an item of a list was before: only items of maps can be told from another."""
    keys = raw.get("x-kubernetes-list-map-keys")
    if raw.get("x-kubernetes-list-type") != "map" or not keys or not isinstance(before, list):
        return _ABSENT
    wanted = [item.get(key) for key in keys] if isinstance(item, dict) else None
    return next((old for old in before if isinstance(old, dict) and [old.get(k) for k in keys] == wanted), _ABSENT)


def _judge(rule: Obj, value: Any, before: Any, raw: Obj, path: str) -> FieldError | None:
    text = str(rule.get("rule", ""))
    values = {"self": readable(value, raw, root=not path)}
    if re.search(r"\boldSelf\b", text):
        if before is _ABSENT and not rule.get("optionalOldSelf"):
            return None
        if rule.get("optionalOldSelf"):
            return None  # optional values cannot be handed to the library
        values["oldSelf"] = readable(before, raw, root=not path)
    elif before is not _ABSENT and before == value:
        return None  # ratcheting: what was so before may stay
    path = path or "<nil>"
    shown = "" if isinstance(value, dict | list) else fielderr.go_value(value)
    try:
        holds = compile_cel(text, values).evaluate(values)
    except CelError as error:
        about = str(rule.get("message") or text).strip()
        why = f"{error} evaluating rule: {about}"
        if str(error).startswith("no such overload"):
            why = (
                f"'{error}': call arguments did not match a supported operator, function or macro signature for rule: "
                f"{about}"
            )
        return FieldError("Invalid value", path, shown, why)
    if holds is True:
        return None
    message = _message(rule, values) or str(rule.get("message") or "").strip() or f"failed rule: {text.strip()}"
    if rule.get("fieldPath"):
        path = (path if path != "<nil>" else "") + str(rule["fieldPath"])
        path = path.removeprefix(".")
    reason = rule.get("reason")
    if reason == "FieldValueForbidden":
        return fielderr.forbidden(path, message)
    if reason == "FieldValueRequired":
        return fielderr.required(path, message)
    if reason == "FieldValueDuplicate":
        return FieldError("Duplicate value", path, shown, message)
    return FieldError("Invalid value", path, shown, message)


def _message(rule: Obj, values: Obj) -> str:
    text = rule.get("messageExpression")
    if not text:
        return ""
    try:
        found = compile_cel(str(text), values).evaluate(values)
    except CelError:
        return ""
    return found.strip() if isinstance(found, str) and "\n" not in found.strip() else ""


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
            else:
                found[escape(name) if not more else name] = item
        return found
    if isinstance(value, list):
        items = raw.get("items")
        return [readable(item, items) for item in value] if isinstance(items, dict) else value
    if raw.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def escape(name: str) -> str:
    """A property's name as CEL's: `a.b` is `a__dot__b`, `namespace` is `__namespace__`."""
    if name in _KEYWORDS:
        return f"__{name}__"
    name = name.replace("__", "__underscores__")
    return name.replace(".", "__dot__").replace("-", "__dash__").replace("/", "__slash__")
