"""Custom objects against their structural schema: pruning, defaulting, nulls.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from typing import Any

import orjson

from kuartui.embedded.meta import decode
from kuartui.embedded.meta.schema import Node

Obj = dict[str, Any]

TOP = ("apiVersion", "kind", "metadata")


class Decoder:
    """Reads a custom object as `meta.decode.Decoder` reads a built-in one: prunes it, and collects what was pruned.

    Types are left to validation, which has other words for them. Only metadata is decoded as a struct.
    """

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def decode(self, value: Obj, node: Node, kind: str) -> Obj:
        """The pruned object. Raises DecodeError for metadata of the wrong types."""
        result: Obj = {}
        for key, item in value.items():
            if key == "metadata":
                inner = node.field("metadata") or Node({})
                typed = decode.Decoder()
                result[key] = typed.decode({"metadata": item}, Node({"properties": {"metadata": inner.raw}}), kind)[
                    "metadata"
                ]
                self.unknown += [f"metadata.{path.removeprefix('metadata.')}" for path in typed.unknown]
            elif key in TOP:
                result[key] = item
            else:
                self._field(result, key, item, node, key)
        return result

    def _field(self, result: Obj, key: str, item: Any, node: Node, path: str) -> None:
        raw = node.properties.get(key)
        if raw is None:
            more = node.raw.get("additionalProperties")
            if isinstance(more, dict):
                raw = more
            elif more is True or node.raw.get("x-kubernetes-preserve-unknown-fields"):
                result[key] = item
                return
        if raw is None:
            self.unknown.append(path)
            return
        result[key] = self._value(item, raw, path)

    def _value(self, value: Any, raw: Obj, path: str) -> Any:
        node = Node(raw)
        if isinstance(value, dict):
            if raw.get("x-kubernetes-embedded-resource"):
                return self._embedded(value, node, path)
            result: Obj = {}
            for key, item in value.items():
                self._field(result, key, item, node, f"{path}.{key}")
            return result
        if isinstance(value, list):
            items = raw.get("items") or {"x-kubernetes-preserve-unknown-fields": True}
            return [self._value(item, items, f"{path}[{index}]") for index, item in enumerate(value)]
        return value

    def _embedded(self, value: Obj, node: Node, path: str) -> Obj:
        result = {key: value[key] for key in TOP if key in value}
        for key, item in value.items():
            if key not in TOP:
                self._field(result, key, item, node, f"{path}.{key}")
        return result


def fill_defaults(value: Any, raw: Obj) -> None:
    """Set what is absent and has a default (in place); a null that may not be one counts as absent."""
    if isinstance(value, dict):
        for name, inner in (raw.get("properties") or {}).items():
            if value.get(name) is None and "default" in inner and not (name in value and inner.get("nullable")):
                value[name] = orjson.loads(orjson.dumps(inner["default"]))
            if name in value:
                fill_defaults(value[name], inner)
        more = raw.get("additionalProperties")
        if isinstance(more, dict):
            for name in list(value):
                if name not in (raw.get("properties") or {}):
                    if value[name] is None and "default" in more and not more.get("nullable"):
                        value[name] = orjson.loads(orjson.dumps(more["default"]))
                    fill_defaults(value[name], more)
    elif isinstance(value, list):
        items = raw.get("items") or {}
        for item in value:
            fill_defaults(item, items)
