"""A patched object as evanphx/json-patch leaves it, for messages that show it.

The library decodes only the objects on its way, and writes their keys sorted; all others stay as Go's encoder wrote
them: the fields of a struct in its order (that of the protobuf numbers, nearly always), the keys of a map sorted.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded import data
from kuartui.embedded.meta.gofmt import go_json
from kuartui.embedded.meta.schema import Node

Obj = dict[str, Any]
EMPTY = Node({})
_LAST = 1 << 30


def show(patched: Obj, patch: Any, node: Node) -> str:
    """The patched object as JSON. `patch` is a merge patch, or the list of a JSON patch."""
    return go_json(_ordered(patched, node, _visited(patch) if isinstance(patch, list) else patch))


def _visited(operations: list[Any]) -> Obj:
    """The objects that a JSON patch walks through, as a tree of keys."""
    root: Obj = {}
    for operation in operations:
        for pointer in (operation.get("path"), operation.get("from")) if isinstance(operation, dict) else ():
            place = root
            for part in (pointer or "").split("/")[1:-1]:
                place = place.setdefault(part.replace("~1", "/").replace("~0", "~"), {})
    return root


def _ordered(value: Any, node: Node, visited: Any) -> Any:
    if isinstance(value, list):
        inside = visited if isinstance(visited, dict) else {}
        return [_ordered(item, node.items, inside.get(str(index))) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if isinstance(visited, dict):
        return {key: _ordered(value[key], node.field(key) or EMPTY, visited.get(key)) for key in sorted(value)}
    numbers = {
        facts.get("json", field): facts["n"]
        for field, facts in data.protobuf().get(data.message_name(node.name) if node.name else "", {}).items()
    }
    keys = sorted(value, key=lambda key: (numbers.get(key, _LAST), key))
    return {key: _ordered(value[key], node.field(key) or EMPTY, None) for key in keys}
