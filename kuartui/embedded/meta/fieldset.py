"""Sets of fields, as metadata.managedFields keeps them (FieldsV1).

A path is a tuple of FieldsV1 keys: `f:name` for a field, `k:{…}` for an element of a keyed list, `v:…` for an element
of a set. A set holds the paths of leaves, and of containers that somebody owns as such (written "." inside them).
sigs.k8s.io/structured-merge-diff/v6/{fieldpath,typed}.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import orjson

from kuartui.embedded import data
from kuartui.embedded.meta.schema import Node

Path = tuple[str, ...]
Fields = frozenset[Path]
Obj = dict[str, Any]

CONTAINER = object()
"""Stands for the value of a path that is a container: it is there or not, that is all."""

# identity and what the server itself writes belongs to nobody
_SERVER_OWNED = frozenset(
    {
        "apiVersion",
        "kind",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "metadata.resourceVersion",
        "metadata.generation",
        "metadata.creationTimestamp",
        "metadata.selfLink",
        "metadata.managedFields",
        "metadata.deletionTimestamp",
        "metadata.deletionGracePeriodSeconds",
    }
)
CACHED = 2048  # sets of fields that are kept in both forms: pods of one kind all have the same
KEY_DEFAULTS = {"protocol": "TCP"}


def values(obj: Obj, node: Node, *, whole: bool) -> dict[Path, Any]:
    """Every owned path of an object with its value.

    `whole` also lists the containers that came into being with their content, as an update owns them; an apply owns
    just what it says.
    """
    found: dict[Path, Any] = {}
    for key, value in obj.items():
        if key in _SERVER_OWNED:
            continue
        inner = node.field(key) or _NOWHERE
        if key == "metadata" and isinstance(value, dict):
            kept = {k: v for k, v in value.items() if f"metadata.{k}" not in _SERVER_OWNED}
            if kept:
                _walk(kept, inner, (f"f:{key}",), found, whole, made=False)
        else:
            _walk(value, inner, (f"f:{key}",), found, whole, made=_inside(node, key)[1])
    return found


def differing(old: Obj, new: Obj, node: Node) -> tuple[dict[Path, Any], dict[Path, Any]]:
    """The `values` of two versions of an object, without most of what is equal in both: no path in there has changed."""
    before: dict[Path, Any] = {}
    after: dict[Path, Any] = {}
    for key, left, right in _pairs(old, new):
        if key in _SERVER_OWNED or left == right:
            continue
        if key == "metadata" and isinstance(left, dict) and isinstance(right, dict):
            inner = node.field(key) or _NOWHERE
            for name, one, other in _pairs(left, right):
                if f"metadata.{name}" not in _SERVER_OWNED and one != other:
                    place, made = _inside(inner, name)
                    _compare(one, other, place, (f"f:{key}", f"f:{name}"), before, after, made)
        elif left is _MISSING or right is _MISSING or key == "metadata":
            before |= {} if left is _MISSING else values({key: left}, node, whole=True)
            after |= {} if right is _MISSING else values({key: right}, node, whole=True)
        else:
            inner, made = _inside(node, key)
            _compare(left, right, inner, (f"f:{key}",), before, after, made)
    for path in [path for path, value in after.items() if value == {} and path not in before and not _made(path, node)]:
        del after[path]  # was empty before, too
    return before, after


def _made(path: Path, node: Node) -> bool:
    """Whether a value comes into being with its content.

    The Go struct of a built-in kind has an empty spec, pod selector and so on to begin with, which nobody owns; pointers,
    elements of lists and all that is in them it lacks, as a custom object lacks everything.
    """
    for part in path:
        kind, _, name = part.partition(":")
        if kind != "f":
            return True
        node, made = _inside(node, name)
        if made:
            return True
    return False


_MISSING = object()
_NOWHERE = Node({})


def _pairs(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key, value in old.items():
        yield key, value, new.get(key, _MISSING)
    for key, value in new.items():
        if key not in old:
            yield key, _MISSING, value


def _compare(
    old: Any, new: Any, node: Node, path: Path, before: dict[Path, Any], after: dict[Path, Any], made: bool
) -> None:
    """Walk two values that differ, and only into what differs."""
    fields, elements = node.shape
    if fields and isinstance(old, dict) and isinstance(new, dict):
        for key, left, right in _pairs(old, new):
            if left != right:
                inner, optional = _inside(node, key)
                _compare(left, right, inner, (*path, f"f:{key}"), before, after, optional)
        return
    if elements and old and new and isinstance(old, list) and isinstance(new, list) and node.list_type == "map":
        lefts, rights = _by_key(old, node), _by_key(new, node)
        if lefts is not None and rights is not None:
            for element, left, right in _pairs(lefts, rights):
                if left != right:
                    inside = (*path, element)
                    if left is not _MISSING:
                        before[inside] = CONTAINER
                    if right is not _MISSING:
                        after[inside] = CONTAINER
                    made = left is _MISSING or right is _MISSING
                    _compare(left, right, node.items, inside, before, after, made)
            return
    if old is not _MISSING:
        _walk(old, node, path, before, True, made)
    if new is not _MISSING:
        _walk(new, node, path, after, True, made)


def _by_key(items: list[Any], node: Node) -> dict[str, Any] | None:
    """The elements of a keyed list; None unless each has a key of its own."""
    found: dict[str, Any] = {}
    for item in items:
        key = element_key(item, node)
        if key is None or key in found:
            return None
        found[key] = item
    return found


def _walk(value: Any, node: Node, path: Path, found: dict[Path, Any], whole: bool, made: bool) -> None:
    fields, elements = node.shape
    if fields and value and isinstance(value, dict):
        if whole and made:
            found[path] = CONTAINER
        for key, item in value.items():
            inner, optional = _inside(node, key)
            _walk(item, inner, (*path, f"f:{key}"), found, whole, made or optional)
    elif elements and value and isinstance(value, list):
        if whole and made:
            found[path] = CONTAINER
        for item in value:
            element = element_key(item, node)
            if element is None:
                found[path] = value
                return
            inner_path = (*path, element)
            if node.list_type == "set":
                found[inner_path] = item
            else:
                found[inner_path] = CONTAINER
                _walk(item, node.items, inner_path, found, whole, made=True)
    else:
        found[path] = value


def _inside(node: Node, key: str) -> tuple[Node, bool]:
    """A field, and whether it is missing from the empty Go struct, so that whoever fills it makes it, too."""
    inner = node.field(key) or _NOWHERE
    optional = node.optional.get(key)
    if optional is None:
        optional = not node.name or inner.default != {}
        if optional and node.name:
            facts = data.protobuf().get(data.message_name(node.name), {}).get(key)
            optional = facts is None or bool(facts.get("omitempty")) or bool(facts.get("ptr"))
        if key in node.properties:  # the keys of a map are the user's: do not keep them for ever
            node.optional[key] = optional
    return inner, optional


def element_key(item: Any, node: Node) -> str | None:
    """The path element of a list's item; None if it lacks a key."""
    if node.list_type == "set":
        return "v:" + orjson.dumps(item).decode()
    if not isinstance(item, dict):
        return None
    keys = {}
    for key in sorted(node.map_keys):
        value = item.get(key)
        if value is None:
            inner = node.items.field(key)
            value = (inner.default if inner else None) or KEY_DEFAULTS.get(key)
        if value is None:
            continue
        keys[key] = value
    return "k:" + orjson.dumps(keys).decode() if keys else None


@lru_cache(CACHED)
def to_fields_v1(paths: Fields) -> Obj:
    """The nested form that is stored. Shared between objects, so never to be changed in place."""
    root: Obj = {}
    ordered = sorted(paths)  # so what is below a path comes right after it, and each level is in order
    for path, following in pairwise([*ordered, ()]):
        place = root
        for part in path:
            place = place.setdefault(part, {})
        if following[: len(path)] == path:
            place["."] = {}
    return root


def from_fields_v1(tree: Obj | None) -> Fields:
    """The inverse of `to_fields_v1`."""
    return _from_json(orjson.dumps(tree or {}))


@lru_cache(CACHED)
def _from_json(text: bytes) -> Fields:
    found: set[Path] = set()

    def walk(place: Obj, path: Path) -> None:
        for key, inside in place.items():
            if key == ".":
                found.add(path)
            elif not inside:
                found.add((*path, key))
            else:
                walk(inside, (*path, key))

    walk(orjson.loads(text), ())
    return frozenset(found)


def show(path: Path) -> str:
    """As messages show it: .spec.containers[name="c"].image."""
    text = ""
    for part in path:
        kind, _, rest = part.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            keys = orjson.loads(rest)
            text += "[" + ",".join(f"{k}={orjson.dumps(v).decode()}" for k, v in sorted(keys.items())) + "]"
        else:
            text += f"[={rest}]"
    return text


def starts(path: Path, prefixes: Iterable[Path]) -> bool:
    return any(path[: len(prefix)] == prefix for prefix in prefixes)


def fits(path: Path, patterns: Iterable[Path]) -> bool:
    """Whether a path is one of the `patterns` or below it; "*" in them stands for any one part."""
    return any(
        len(path) >= len(pattern) and all(wanted in ("*", part) for wanted, part in zip(pattern, path, strict=False))
        for pattern in patterns
    )
