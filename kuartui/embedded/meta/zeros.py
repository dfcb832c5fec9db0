"""What Go's encoder writes although nobody set it, and leaves out although somebody did.

A field without `omitempty` is always there: "" or 0 or false or null. A struct that is no pointer is always there too,
as `{}` at least, omitempty or not. So every object has a `status`, every container `resources: {}`, every event
`reportingComponent: ""`. The zero values of `omitempty` fields that are no pointers vanish, in writes from inside of
the process too, which are not decoded. Which fields those are is known from the protobuf facts.
"""

from __future__ import annotations

import functools
from typing import Any

from msgspec import Struct, field

from kuartui.embedded import data

Obj = dict[str, Any]

_META = "k8s.io.apimachinery.pkg.apis.meta.v1."
_TIMES = (_META + "Time", _META + "MicroTime")
_RAW = {_META + "FieldsV1", "k8s.io.apimachinery.pkg.runtime.RawExtension"}
_OBJECT_META = _META + "ObjectMeta"
_EMPTY_META = frozenset({"annotations", "finalizers", "labels", "managedFields", "ownerReferences"})
_NULL_LISTS = {  # lists without omitempty; the empty ones come back from storage as null
    ("autoscaling.v2.HorizontalPodAutoscalerStatus", "currentMetrics"),
    ("discovery.v1.EndpointSlice", "endpoints"),
    ("discovery.v1.EndpointSlice", "ports"),
    ("rbac.v1.ClusterRole", "rules"),
    ("rbac.v1.Role", "rules"),
}
_SCALARS: dict[str, Any] = {
    "string": "",
    "bool": False,
    "int32": 0,
    "int64": 0,
    "double": 0,
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "0",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": 0,
}


class _Plan(Struct):
    """What to do with objects of one message."""

    zeros: list[tuple[str, Any]] = field(default_factory=list)
    vanishing: set[str] = field(default_factory=set)
    structs: list[str] = field(default_factory=list)
    inside: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Field: "one", "list" or "map" and its message, for what has to be looked into."""


def fill(obj: Obj) -> None:
    """Write out the zero values of an object (in place); of custom resources only the metadata have any."""
    group, _, version = obj.get("apiVersion", "").rpartition("/")
    definition = data.definitions().get((group, version, obj.get("kind", "")))
    if definition:
        _fill(obj, data.message_name(definition))
    elif "metadata" in obj:
        _fill(obj["metadata"], _OBJECT_META)


def _fill(obj: Obj, message: str) -> None:
    plan = _plan(message)
    vanishing, inside = plan.vanishing, plan.inside
    gone = None
    for name, value in obj.items():
        if not value and name in vanishing:
            gone = [*gone, name] if gone else [name]
        elif name in inside:
            shape, inner = inside[name]
            items = (value,) if shape == "one" else value or () if shape == "list" else (value or {}).values()
            for item in items:
                if isinstance(item, dict):
                    _fill(item, inner)
    for name in gone or ():
        del obj[name]
    for name, zero in plan.zeros:
        if name not in obj or obj[name] == []:
            obj[name] = zero
    for name in plan.structs:
        if obj.get(name) is None:
            obj[name] = value = {}
            if name in inside:
                _fill(value, inside[name][1])


@functools.cache
def _plan(message: str) -> _Plan:
    plan = _Plan()
    if message == _OBJECT_META:
        plan.vanishing.update(_EMPTY_META)
        return plan
    for name, facts in _facts(message).items():
        kind = facts["t"]
        omitted, many = facts.get("omitempty", False), facts.get("repeated") or facts.get("map")
        if many:
            if (message.removeprefix("k8s.io.api."), name) in _NULL_LISTS:
                plan.zeros.append((name, None))
        elif not facts.get("ptr") and _is_plain(message, name):
            if kind in _TIMES:
                plan.zeros.append((name, None))
            elif kind in _SCALARS:
                if not omitted or "." in kind:
                    plan.zeros.append((name, _SCALARS[kind]))
            elif kind in data.protobuf() and kind not in _RAW:
                plan.structs.append(name)
        struct = "." in kind and not many
        if omitted and not struct and (many or not facts.get("ptr")):
            plan.vanishing.add(name)
        if kind in data.protobuf() and kind not in _RAW and kind not in _TIMES and _facts(kind):
            plan.inside[name] = "list" if facts.get("repeated") else "map" if facts.get("map") else "one", kind
    return plan


def _is_plain(message: str, name: str) -> bool:
    """Whether the schema agrees that the field is no pointer: it then has a default, or is a time, or is required."""
    schema = data.schemas().get("io.k8s." + message.removeprefix("k8s.io."), {})
    shape = schema.get("properties", {}).get(name, {})
    wrapped = shape.get("allOf") or [{}]
    reference: str = wrapped[0].get("$ref", "")
    time = reference.endswith((".meta.v1.Time", ".meta.v1.MicroTime"))
    amount = reference.endswith((".resource.Quantity", ".intstr.IntOrString"))
    return "default" in shape or time or amount or name in schema.get("required", ())


@functools.cache
def _facts(message: str) -> dict[str, Obj]:
    """Facts by JSON name; those of inlined structs belong to their parent."""
    found: dict[str, Obj] = {}
    for name, facts in data.protobuf().get(message, {}).items():
        if facts.get("inline"):
            found.update(_facts(facts["t"]))
        else:
            found[facts.get("json", name)] = facts
    return found
