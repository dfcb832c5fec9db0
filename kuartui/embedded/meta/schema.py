"""Walking the OpenAPI component schemas: what a path is, how its lists merge.

Two sources share one face: the built-in definitions (`data.schemas`) and the structural schemas of CRDs, which are
plain nested OpenAPI objects. `Node` is one place in either.
"""

from __future__ import annotations

import functools
from typing import Any

from kuartui.embedded import data

Schema = dict[str, Any]

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"
FIELDS_V1 = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"
RAW = "io.k8s.apimachinery.pkg.runtime.RawExtension"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class Node:
    """A place in a schema. Cheap to make; built-in definitions are shared and cached."""

    __slots__ = ("_fields", "_items", "_shape", "name", "optional", "raw")

    def __init__(self, raw: Schema, name: str = "") -> None:
        self.raw = raw
        self.name = name
        """Definition name where this is one, else ""."""
        self._fields: dict[str, Node] = {}
        self._items: Node | None = None
        self._shape: tuple[bool, bool] | None = None
        self.optional: dict[str, bool] = {}
        """Which fields the empty Go struct lacks, as far as `meta.fieldset` has found out."""

    @property
    def short(self) -> str:
        """The Go type's name: EnvVar."""
        return self.name.rpartition(".")[2]

    @property
    def type(self) -> str:
        return str(self.raw.get("type", ""))

    @property
    def properties(self) -> dict[str, Schema]:
        found: dict[str, Schema] = self.raw.get("properties", {})
        return found

    @property
    def free(self) -> bool:
        """Whether any field may be here: no properties are declared, or unknown ones are kept."""
        return bool(self.raw.get("x-kubernetes-preserve-unknown-fields")) or (
            not self.properties and "additionalProperties" not in self.raw and self.type in ("object", "")
        )

    def field(self, name: str) -> Node | None:
        """A field of an object, or a value of a map; None if there is no such field."""
        found = self._fields.get(name)
        if found is None:
            inside = self.properties.get(name)
            if inside is None:
                inside = self.raw.get("additionalProperties")
                if not isinstance(inside, dict):
                    return None
                found = _node(inside)
                self._fields[name] = found
                if len(self._fields) > 500:  # a map's keys are the user's: do not keep them for ever
                    self._fields.clear()
                return found
            found = self._fields[name] = _node(inside)
            if name in ("metadata",) and found.type == "object" and not found.name and not found.properties:
                found = self._fields[name] = definition(OBJECT_META)  # a CRD's metadata is ObjectMeta, always
        return found

    @property
    def is_map(self) -> bool:
        """An object whose keys are data."""
        return isinstance(self.raw.get("additionalProperties"), dict)

    @property
    def items(self) -> Node:
        if self._items is None:
            self._items = _node(self.raw.get("items") or {})
        return self._items

    @property
    def shape(self) -> tuple[bool, bool]:
        """Whether an object here is a set of fields, and a list here a set of elements, that have owners of their own."""
        if self._shape is None:
            opaque = self.free and not self.raw.get("x-kubernetes-preserve-unknown-fields") and bool(self.name)
            self._shape = not self.atomic_map and not opaque, self.list_type in ("map", "set")
        return self._shape

    @property
    def list_type(self) -> str:
        """atomic, set or map."""
        return str(self.raw.get("x-kubernetes-list-type", "atomic"))

    @property
    def map_keys(self) -> list[str]:
        keys: list[str] = self.raw.get("x-kubernetes-list-map-keys", [])
        return keys

    @property
    def atomic_map(self) -> bool:
        return self.raw.get("x-kubernetes-map-type") == "atomic"

    @property
    def merge_key(self) -> str:
        return str(self.raw.get("x-kubernetes-patch-merge-key", ""))

    @property
    def merges(self) -> bool:
        return "merge" in str(self.raw.get("x-kubernetes-patch-strategy", "")).split(",")

    @property
    def retains_keys(self) -> bool:
        return "retainKeys" in str(self.raw.get("x-kubernetes-patch-strategy", "")).split(",")

    @property
    def default(self) -> Any:
        return self.raw.get("default")


@functools.cache
def definition(name: str) -> Node:
    """A built-in definition by name."""
    return Node(data.schemas().get(name, {}), name)


def _node(raw: Schema) -> Node:
    """Follow `$ref`, also where it is wrapped in allOf beside a default or a patch strategy."""
    reference = raw.get("$ref")
    if reference is None and raw.get("allOf"):
        reference = raw["allOf"][0].get("$ref")
    if not reference:
        return Node(raw)
    name = reference.rpartition("/")[2]
    beside = {key: value for key, value in raw.items() if key.startswith("x-") or key == "default"}
    target = definition(name)
    return Node({**target.raw, **beside}, name) if beside else target


def for_kind(group: str, version: str, kind: str) -> Node | None:
    """The definition of a built-in kind."""
    name = data.definitions().get((group, version, kind))
    return definition(name) if name else None
