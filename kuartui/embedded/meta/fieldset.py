"""Sets of fields, as metadata.managedFields keeps them (FieldsV1).

A path is a tuple of FieldsV1 keys: `f:name` for a field, `k:{…}` for an element of a keyed list, `v:…` for an element
of a set. A set holds the paths of leaves, and of containers that somebody owns as such (written "." inside them).
sigs.k8s.io/structured-merge-diff/v6/{fieldpath,typed}.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
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
        inner = node.field(key) or Node({})
        if key == "metadata" and isinstance(value, dict):
            kept = {k: v for k, v in value.items() if f"metadata.{k}" not in _SERVER_OWNED}
            if kept:
                _walk(kept, inner, (f"f:{key}",), found, whole, container=False)
        else:
            # the Go struct of a built-in kind has an empty spec and status; a custom object has none to begin with
            made = not node.name or key not in ("spec", "status")
            _walk(value, inner, (f"f:{key}",), found, whole, container=made)
    return found


def _walk(value: Any, node: Node, path: Path, found: dict[Path, Any], whole: bool, container: bool) -> None:
    if isinstance(value, dict) and not node.atomic_map and value and not _opaque(node):
        if whole and container:
            found[path] = CONTAINER
        facts = _facts(node)
        for key, item in value.items():
            inner = node.field(key) or Node({})
            _walk(item, inner, (*path, f"f:{key}"), found, whole, _optional(inner, facts.get(key)))
    elif isinstance(value, list) and value and node.list_type in ("map", "set"):
        if whole and container:
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
                _walk(item, node.items, inner_path, found, whole, container=False)
    else:
        found[path] = value


def _opaque(node: Node) -> bool:
    return node.free and not node.raw.get("x-kubernetes-preserve-unknown-fields") and bool(node.name)


def _facts(node: Node) -> Obj:
    if not node.name:
        return {}
    return data.protobuf().get(data.message_name(node.name), {})


def _optional(node: Node, facts: Obj | None) -> bool:
    """Whether the field is missing from the empty Go struct, so that whoever fills it makes the container, too."""
    if node.default == {}:
        return False
    return facts is None or bool(facts.get("omitempty")) or bool(facts.get("ptr"))


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
    for path in sorted(paths):
        place = root
        for part in path:
            place = place.setdefault(part, {})
    for path in paths:
        place = root
        for part in path:
            place = place[part]
        if place:
            place["."] = {}
    return _sorted(root)


def _sorted(tree: Obj) -> Obj:
    return {key: _sorted(tree[key]) for key in sorted(tree)}


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
