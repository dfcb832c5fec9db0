"""What server-side apply minds before it merges: an applied object against its schema.

The rules and the words are those of sigs.k8s.io/structured-merge-diff/v6/typed/validate.go, which knows six kinds of
values only: numbers, strings, booleans, any scalar, lists and maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kuartui.embedded.meta import fieldset, schema
from kuartui.embedded.meta.gofmt import go_print, quote
from kuartui.embedded.meta.schema import Node

Obj = dict[str, Any]

MAX_DEPTH = 200
_ANY_SCALAR = (schema.QUANTITY, schema.INT_OR_STRING, schema.TIME, schema.MICRO_TIME)
_GO_TYPES = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool"}


def problems(obj: Obj, node: Node) -> list[str]:
    """One line for each value that is not of its type: `.spec.replicas: expected numeric (int or float), got string`."""
    found: list[str] = []
    for key, value in obj.items():
        if key in ("apiVersion", "kind"):
            continue
        inner = node.field(key)
        if inner is None and key == "metadata":
            inner = schema.definition(schema.OBJECT_META)
        if inner is None:
            if not node.free:
                found.append(f".{key}: field not declared in schema")
            continue
        found += _value(value, inner, f".{key}", 0)
    return found


def _value(value: Any, node: Node, path: str, depth: int) -> Iterator[str]:
    if value is None or depth > MAX_DEPTH:
        return
    wanted = _scalar_error(value, node)
    if wanted is not None:
        if wanted:
            yield f"{path}: {wanted}"
    elif node.type == "array":
        yield from _list(value, node, path, depth)
    elif node.type == "object" and not (node.free and not node.properties):
        yield from _map(value, node, path, depth)


def _scalar_error(value: Any, node: Node) -> str | None:
    """What is wrong with a scalar, "" if nothing is, None where none is expected."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if node.name in _ANY_SCALAR or node.raw.get("x-kubernetes-int-or-string"):
        return f"expected any scalar, got {_shown(value)}" if isinstance(value, dict | list) else ""
    match node.type:
        case "integer" | "number":
            return "" if number else f"expected numeric (int or float), got {_GO_TYPES[type(value)]}"
        case "string":
            return "" if isinstance(value, str) else f"expected string, got {_dumped(value)}"
        case "boolean":
            return "" if isinstance(value, bool) else f"expected boolean, got {_shown(value)}"
    return None


def _map(value: Any, node: Node, path: str, depth: int) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: expected map, got {_shown(value)}"
        return
    for key, item in value.items():
        inner = node.field(key)
        if inner is not None:
            yield from _value(item, inner, f"{path}.{key}", depth + 1)
        elif not node.free:
            yield f"{path}.{key}: field not declared in schema"


def _list(value: Any, node: Node, path: str, depth: int) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: expected list, got {_shown(value)}"
        return
    seen: set[str] = set()
    associative = node.list_type in ("map", "set")
    for index, item in enumerate(value):
        shown = f"[{index}]"
        if associative:
            wrong = _key_error(item, node)
            if wrong:
                yield f"{path}: element {index}: {wrong}"
                return
            shown = fieldset.show((str(fieldset.element_key(item, node)),))
            if shown in seen:
                yield f"{path}: duplicate entries for key {shown}"
            seen.add(shown)
        yield from _value(item, node.items, path + shown, depth + 1)


def _key_error(item: Any, node: Node) -> str:
    """Why an element of a set or of a keyed list has no key; "" if it has."""
    if node.list_type == "set":
        if isinstance(item, dict):
            return "associative list without keys has an element that's a map type"
        if isinstance(item, list):
            return "not supported: associative list with lists as elements"
        return "" if item is not None else "associative list without keys has an element that's an explicit null"
    if item is None:
        return "associative list with keys may not have a null element"
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    if not any(key in item or _has_default(key, node.items) for key in node.map_keys):
        named = "[" + " ".join(quote(key) for key in node.map_keys) + "]"
        return (
            f"associative list with keys has an element that omits all key fields {named} "
            "(and doesn't have default values for any key fields)"
        )
    return ""


def _has_default(key: str, element: Node) -> bool:
    inner = element.field(key)
    return bool(inner and inner.default is not None) or key in fieldset.KEY_DEFAULTS


def _shown(value: Any) -> str:
    """%v of the value in its wrapper."""
    return f"&{{{go_print(value)}}}"


def _dumped(value: Any) -> str:
    """%#v of the value in its wrapper."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else _go_syntax(value)
    return f"&value.valueUnstructured{{Value:{text}}}"


def _go_syntax(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{quote(key)}:{_go_syntax(value[key])}" for key in sorted(value))
        return f"map[string]interface {{}}{{{inside}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_go_syntax, value))}}}"
    if value is None:
        return "interface {}(nil)"
    return quote(value) if isinstance(value, str) else go_print(value)
