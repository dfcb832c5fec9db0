"""Custom objects against their structural schema: pruning, defaulting, nulls.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from typing import Any

import orjson

from kuartui.embedded.meta import decode
from kuartui.embedded.meta.schema import OBJECT_META, Node, definition

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
                typed = decode.Decoder()
                if isinstance(item, dict):  # decoded on its own, so errors name the fields of ObjectMeta
                    result[key] = typed.decode(item, definition(OBJECT_META), "ObjectMeta")
                else:
                    wrapped = Node({"properties": {key: definition(OBJECT_META).raw}})
                    result |= typed.decode({key: item}, wrapped, kind)
                self.unknown += [f"metadata.{path}" for path in typed.unknown]
            elif key in TOP:
                result[key] = item
            else:
                self._field(result, key, item, node, key)
        return result

    def keep(self, result: Obj, key: str, item: Any, node: Node) -> None:
        """Put one field into `result`, pruned, if the schema has it."""
        self._field(result, key, item, node, key)

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


def pruned(value: Obj, raw: Obj) -> Obj:
    """The object without what a schema does not have; type and metadata always stay."""
    decoder, node = Decoder(), Node(raw)
    result: Obj = {}
    for key, item in value.items():
        if key in TOP:
            result[key] = item
        else:
            decoder.keep(result, key, item, node)
    return result


def unknown_fields(value: Any, raw: Obj) -> bool:
    """Whether pruning would take something away from a value inside of an object."""
    decoder = Decoder()
    decoder.keep({}, "value", value, Node({"properties": {"value": raw}}))
    return bool(decoder.unknown)


def fill_defaults(value: Any, raw: Obj) -> None:
    """Set what is absent and has a default, and drop nulls that may not be ones (in place)."""
    if isinstance(value, dict):
        properties = raw.get("properties") or {}
        for name, inner in properties.items():
            if "default" in inner and (name not in value or _is_forbidden_null(value[name], inner)):
                value[name] = _copy(inner["default"])
        more = raw.get("additionalProperties")
        for name in list(value):
            found = properties.get(name) or (more if isinstance(more, dict) else None)
            if found is None:
                continue
            if _is_forbidden_null(value[name], found):
                if name in properties or "default" not in found:
                    del value[name]
                    continue
                value[name] = _copy(found["default"])
            fill_defaults(value[name], found)
    elif isinstance(value, list) and isinstance(raw.get("items"), dict):
        items = raw["items"]
        for index, item in enumerate(value):
            if "default" in items and _is_forbidden_null(item, items):
                value[index] = _copy(items["default"])
            fill_defaults(value[index], items)


def _is_forbidden_null(value: Any, raw: Obj) -> bool:
    return value is None and not raw.get("nullable")


def _copy(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))
