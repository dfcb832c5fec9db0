"""Strategic merge patch: lists merge by key, directives delete, replace and order.

Semantics of k8s.io/apimachinery/pkg/util/strategicpatch; merge keys and strategies come from the schema.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.meta.errors import StatusError, bad_request
from kuartui.embedded.meta.schema import Node

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
ORDER = "$setElementOrder/"
EMPTY = Node({})


def apply(document: dict[str, Any], patch: Any, node: Node) -> dict[str, Any]:
    """The patched copy; neither argument is changed. Raises StatusError for a patch that makes no sense."""
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    merged = _map(document, patch, node)
    return merged if merged is not None else {}


def _map(original: dict[str, Any], patch: dict[str, Any], node: Node) -> dict[str, Any] | None:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        cleaned: dict[str, Any] = _clean({key: value for key, value in patch.items() if key != DIRECTIVE})
        return cleaned
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise _bad(f"Unknown patch type found: {directive}")
    result = dict(original)
    if RETAIN in patch:
        kept = set(patch[RETAIN] or ())
        result = {key: value for key, value in result.items() if key in kept}
    for key, value in patch.items():
        if key in (DIRECTIVE, RETAIN) or key.startswith((ORDER, DELETE_PRIMITIVES)):
            continue
        _field(result, key, value, patch, node)
    _only_orders(result, patch, node)
    return result


def _field(result: dict[str, Any], key: str, value: Any, patch: dict[str, Any], node: Node) -> None:
    inner = node.field(key) or EMPTY
    if value is None:
        result.pop(key, None)
        return
    old = result.get(key)
    if isinstance(value, dict):
        if value.get(DIRECTIVE) == "delete":
            result.pop(key, None)
        elif isinstance(old, dict):
            result[key] = _map(old, value, inner)
        else:
            result[key] = _clean(value)
    elif isinstance(value, list) and isinstance(old, list) and inner.merges:
        result[key] = _list(old, value, patch.get(ORDER + key), patch.get(DELETE_PRIMITIVES + key), inner)
    elif isinstance(value, list) and inner.merges:
        result[key] = _list([], value, patch.get(ORDER + key), None, inner)
    else:
        result[key] = _clean(value)


def _only_orders(result: dict[str, Any], patch: dict[str, Any], node: Node) -> None:
    """Directives for lists that the patch itself does not mention."""
    for key, value in patch.items():
        for prefix in (ORDER, DELETE_PRIMITIVES):
            name = key.removeprefix(prefix)
            if name == key or name in patch or not isinstance(result.get(name), list):
                continue
            inner = node.field(name) or EMPTY
            if not inner.merges:
                continue
            order = value if prefix == ORDER else patch.get(ORDER + name)
            gone = value if prefix == DELETE_PRIMITIVES else patch.get(DELETE_PRIMITIVES + name)
            result[name] = _list(result[name], [], order, gone, inner)


def _list(old: list[Any], patch: list[Any], order: list[Any] | None, gone: list[Any] | None, node: Node) -> list[Any]:
    key = node.merge_key
    if not key or not all(isinstance(item, dict) for item in (*old, *patch)):
        return _primitives(old, patch, order, gone)
    if any(item.get(DIRECTIVE) == "replace" for item in patch):
        return [_clean(item) for item in patch if item.get(DIRECTIVE) != "replace" or len(item) > 1]
    result = list(old)
    added: list[Any] = []
    for item in patch:
        if key not in item:
            raise _bad(f"map: {_go_map(item)} does not contain declared merge key: {key}")
        same = [index for index, other in enumerate(result) if other.get(key) == item[key]]
        if item.get(DIRECTIVE) == "delete":
            result = [other for other in result if other.get(key) != item[key]]
        elif same:
            result[same[0]] = _map(result[same[0]], item, node.items)
        else:
            added.append(_clean(item))
    # without an order given, new elements go first
    merged = added + result
    return _ordered(merged, [item.get(key) for item in order], lambda item: item.get(key)) if order else merged


def _primitives(old: list[Any], patch: list[Any], order: list[Any] | None, gone: list[Any] | None) -> list[Any]:
    result = [item for item in old if item not in (gone or ())]
    merged = [item for item in patch if item not in result] + result
    merged = list(dict.fromkeys(merged)) if all(isinstance(i, str | int) for i in merged) else merged
    return _ordered(merged, order, lambda item: item) if order else merged


def _ordered(items: list[Any], order: list[Any], key: Any) -> list[Any]:
    """Elements in the patch's order; those that only the server knows keep their place relative to their neighbours."""
    rank = {value: index for index, value in enumerate(order)}
    listed = sorted((item for item in items if key(item) in rank), key=lambda item: rank[key(item)])
    result: list[Any] = []
    queue = iter(listed)
    waiting = next(queue, None)
    for item in items:
        if key(item) not in rank:
            result.append(item)
            continue
        if waiting is not None:
            result.append(waiting)
            waiting = next(queue, None)
    while waiting is not None:
        result.append(waiting)
        waiting = next(queue, None)
    return result


def _clean(value: Any) -> Any:
    """Without directives and nulls, for what is added as it is."""
    if isinstance(value, dict):
        return {
            key: _clean(item)
            for key, item in value.items()
            if item is not None and key not in (DIRECTIVE, RETAIN) and not key.startswith((ORDER, DELETE_PRIMITIVES))
        }
    if isinstance(value, list):
        return [_clean(item) for item in value if not (isinstance(item, dict) and item.get(DIRECTIVE) == "delete")]
    return value


def _go_map(item: dict[str, Any]) -> str:
    return "map[" + " ".join(f"{key}:{value}" for key, value in sorted(item.items())) + "]"


def _bad(text: str) -> StatusError:
    return StatusError(400, "BadRequest", text)
