"""The indexes of the store that controllers and the scheduler read."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.store import Store

Obj = dict[str, Any]

ADOPTABLE = ("pods", "replicasets.apps", "controllerrevisions.apps")


def add_indexes(store: Store) -> None:
    """Have the store keep them; once per store."""
    for resource in ADOPTABLE:
        store.add_index(resource, "orphans", _orphan_namespace)
    store.add_index("pods", "node", _node)


def _orphan_namespace(obj: Obj) -> list[str]:
    """The namespace of an object that has no controller."""
    return [] if objects.controller_of(obj) else [objects.namespace_of(obj)]


def _node(obj: Obj) -> list[str]:
    """The node of a pod, "" while it has none."""
    return [obj["spec"].get("nodeName") or ""]
