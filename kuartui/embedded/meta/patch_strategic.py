"""Strategic merge patch: lists merge by key, directives delete, replace and order.

Semantics, order of elements and messages of k8s.io/apimachinery/pkg/util/{strategicpatch,mergepatch}; merge keys and
strategies come from the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kuartui.embedded.meta.errors import StatusError, bad_request, go_error, unprocessable_patch
from kuartui.embedded.meta.gofmt import go_print
from kuartui.embedded.meta.schema import Node

Obj = dict[str, Any]
Key = Callable[[Any], Any]
"""What tells an element of a list from the others."""

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
ORDER = "$setElementOrder/"
EMPTY = Node({})


def apply(document: Obj, patch: Any, node: Node) -> Obj:
    """The patched copy; neither argument is changed. Raises StatusError for a patch that makes no sense."""
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    return _map(document, patch, node)


def _map(original: Obj, patch: Obj, node: Node) -> Obj:
    if DIRECTIVE in patch:
        return _directed(patch)
    result = dict(original)
    if RETAIN in patch:
        _retain(result, patch)
    ordered = {key.removeprefix(ORDER) for key in patch if key.startswith(ORDER)}
    for name in ordered:
        _ordered_field(result, name, patch, node)
    for key, value in patch.items():
        if key == RETAIN or key.startswith(ORDER) or key in ordered:
            continue
        if key.startswith(DELETE_PRIMITIVES):
            _delete_primitives(result, key.removeprefix(DELETE_PRIMITIVES), value)
        else:
            _field(result, key, value, node.field(key) or EMPTY)
    return result


def _directed(patch: Obj) -> Obj:
    directive = patch[DIRECTIVE]
    if directive == "replace":
        cleaned: Obj = _clean({key: value for key, value in patch.items() if key != DIRECTIVE})
        return cleaned
    if directive == "delete":
        return {}
    raise _unknown(patch)


def _unknown(patch: Obj) -> StatusError:
    return go_error(f"unknown patch type: {go_print(patch[DIRECTIVE])} in map: {go_print(patch)}")


def _retain(result: Obj, patch: Obj) -> None:
    """Keep only what $retainKeys lists; the patch may set nothing else (in place)."""
    kept = patch[RETAIN]
    special = (DELETE_PRIMITIVES, ORDER)
    fields = [key for key, value in patch.items() if key != RETAIN and value is not None]
    if not isinstance(kept, list) or any(key not in kept and not key.startswith(special) for key in fields):
        raise bad_request("invalid patch format of retainKeys")
    for key in [key for key in result if key not in kept]:
        del result[key]


def _field(result: Obj, key: str, value: Any, inner: Node) -> None:
    old = result.get(key)
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict) and isinstance(old, dict):
        result[key] = _map(old, value, inner)
    elif isinstance(value, list) and isinstance(old, list) and inner.merges:
        result[key] = _list(old, value, inner)
    elif isinstance(value, dict) and value.get(DIRECTIVE) == "delete":
        result.pop(key, None)
    else:
        result[key] = _clean(value)


def _ordered_field(result: Obj, name: str, patch: Obj, node: Node) -> None:
    """A list whose order the patch gives, with its changes if there are any (in place)."""
    order, inner = patch[ORDER + name], node.field(name) or EMPTY
    old, change = result.get(name), patch.get(name)
    if not isinstance(order, list):
        raise _bad_type(order)
    for value in (old, change):
        if value is not None and not isinstance(value, list):
            raise _bad_type(value)
    key = _key_of(inner.merge_key)
    if change is not None:
        _check_order(change, order, inner.merge_key)
    if old is None and change is None:
        return
    if old is None:
        merged: list[Any] = _clean(change)
    elif change is None:
        merged = old
    else:
        merged = _list(old, change, inner) if inner.merges else _clean(change)
    result[name] = _arrange(merged, [key(item) for item in order], [key(item) for item in old or ()], key)


def _check_order(change: list[Any], order: list[Any], merge_key: str) -> None:
    """All that the patch changes must stand in its order list, in that order."""
    key = _key_of(merge_key)
    left = iter([key(item) for item in order])
    for item in change:
        if isinstance(item, dict) and item.get(DIRECTIVE) == "delete":
            continue
        wanted = key(item)
        if all(found != wanted for found in left):  # goes on where the last search has ended
            raise go_error(
                f"The order in patch list:\n{go_print(change)}\n doesn't match "
                f"{ORDER.rstrip('/')} list:\n{go_print(order)}\n"
            )


def _delete_primitives(result: Obj, name: str, gone: Any) -> None:
    if not isinstance(gone, list):
        raise bad_request("invalid patch format of primitive list")
    if isinstance(result.get(name), list):
        result[name] = [item for item in result[name] if item not in gone]


def _list(old: list[Any], patch: list[Any], node: Node) -> list[Any]:
    maps = _are_maps(old, patch)
    if maps is None:
        return old
    if not maps:
        merged = _unique([*old, *patch])
        return _arrange(merged, patch, old, _key_of(""))
    merge_key = node.merge_key
    if not merge_key:
        raise go_error(f"cannot merge lists without merge key for {node.short or 'slice'}")
    old, patch, replaced = _special(old, patch, merge_key)
    if replaced:
        return [_clean(item) for item in patch]
    result = list(old)
    for item in patch:
        if merge_key not in item:
            raise _no_merge_key(item, merge_key)
        place = next((i for i, other in enumerate(result) if other.get(merge_key) == item[merge_key]), None)
        if place is None:
            result.append(_clean(item))
        else:
            result[place] = _map(result[place], item, node.items)
    key = _key_of(merge_key)
    return _arrange(result, [key(item) for item in patch], [key(item) for item in old], key)


def _special(old: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any], bool]:
    """Both lists when the elements that carry a directive have done their work, and whether to replace the old one."""
    plain, replaced = [], False
    for item in patch:
        match item.get(DIRECTIVE):
            case None:
                plain.append(item)
            case "delete":
                if merge_key not in item:
                    raise _no_merge_key(item, merge_key)
                old = [other for other in old if other.get(merge_key) != item[merge_key]]
            case "replace":
                replaced = True
            case "merge":
                raise go_error("merging lists cannot yet be specified in the patch")
            case _:
                raise _unknown(item)
    return old, plain, replaced


def _are_maps(*lists: list[Any]) -> bool | None:
    """Whether the elements of all lists are maps, or None without any. Raises if they are of several types."""
    kinds = {type(item) for items in lists for item in items}
    if list in kinds:
        raise unprocessable_patch()
    if len(kinds) > 1:
        raise go_error(f"list element types are not identical: {go_print(list(lists))}")
    return dict in kinds if kinds else None


def _key_of(merge_key: str) -> Key:
    return (lambda item: item.get(merge_key) if isinstance(item, dict) else item) if merge_key else (lambda item: item)


def _arrange(items: list[Any], order: Sequence[Any], server: Sequence[Any], key: Key) -> list[Any]:
    """Elements that `order` names, as it has them; the others where the server had them relative to those."""
    mine = sorted((item for item in items if key(item) in order), key=lambda item: order.index(key(item)))
    others = [item for item in items if key(item) not in order]
    result: list[Any] = []
    while mine and others:
        left, right = key(others[0]), key(mine[0])
        both = left in server and right in server
        result.append((others if both and server.index(left) < server.index(right) else mine).pop(0))
    return result + others + mine


def _unique(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


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


def _no_merge_key(item: Obj, key: str) -> StatusError:
    return go_error(f"map: {go_print(item)} does not contain declared merge key: {key}")


def _bad_type(value: Any) -> StatusError:
    kinds = {dict: "map[string]interface {}", str: "string", bool: "bool", float: "float64", int: "int64"}
    return go_error(f"expected a []interface {{}}, but received a {kinds.get(type(value), '%!s(<nil>)')}")
