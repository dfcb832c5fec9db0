"""How controllers read and copy objects: metadata, owners, conditions.

Objects from the client are shared and must not be changed; everything here that gives a changed object gives a new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

Obj = dict[str, Any]


def copy(obj: Obj) -> Obj:
    """A private deep copy."""
    made: Obj = orjson.loads(orjson.dumps(obj))
    return made


def labels_of(obj: Obj) -> dict[str, str]:
    """metadata.labels, never None."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    """metadata.annotations, never None."""
    return obj["metadata"].get("annotations") or {}


def namespace_of(obj: Obj) -> str:
    """metadata.namespace, "" for cluster-scoped objects."""
    namespace: str = obj["metadata"].get("namespace", "")
    return namespace


def name_of(obj: Obj) -> str:
    """metadata.name."""
    name: str = obj["metadata"]["name"]
    return name


def uid_of(obj: Obj) -> str:
    """metadata.uid."""
    uid: str = obj["metadata"].get("uid", "")
    return uid


def created(obj: Obj) -> tuple[str, str]:
    """Sort key: older first, then by name (RFC 3339 in UTC sorts as text)."""
    return obj["metadata"].get("creationTimestamp", ""), obj["metadata"]["name"]


def being_deleted(obj: Obj) -> bool:
    """Whether deletion was asked for."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def owners(obj: Obj) -> list[Obj]:
    """metadata.ownerReferences, never None."""
    return obj["metadata"].get("ownerReferences") or []


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference with controller: true."""
    for ref in owners(obj):
        if ref.get("controller"):
            return ref
    return None


def controlled_by(obj: Obj, owner: Obj) -> bool:
    """Whether `owner` is the controller of `obj`."""
    ref = controller_of(obj)
    return ref is not None and ref["uid"] == uid_of(owner)


def controller_reference(owner: Obj) -> Obj:
    """The owner reference of what a controller makes for `owner` (metav1.NewControllerRef)."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def with_status(obj: Obj, status: Obj) -> Obj:
    """The object with another status, for `client.update_status`."""
    return {**obj, "metadata": {**obj["metadata"]}, "status": status}


def nonzero(values: Obj) -> Obj:
    """Without what Go's `omitempty` leaves out."""
    return {key: value for key, value in values.items() if value not in (None, 0, "", [], {}) or value is False}


def finalizers(obj: Obj) -> list[str]:
    """metadata.finalizers, never None."""
    return obj["metadata"].get("finalizers") or []


def condition(conditions: Iterable[Obj] | None, type_: str) -> Obj | None:
    """The condition of a type."""
    for one in conditions or ():
        if one["type"] == type_:
            return one
    return None


def condition_true(obj: Obj, type_: str) -> bool:
    """Whether status.conditions has this type as True."""
    found = condition(obj.get("status", {}).get("conditions"), type_)
    return found is not None and found["status"] == "True"
