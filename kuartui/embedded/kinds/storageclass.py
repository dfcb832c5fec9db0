"""StorageClasses and VolumeAttributesClasses (pkg/apis/storage)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_OLD_DEFAULT = "storageclass.beta.kubernetes.io/is-default-class"


def is_default(obj: Obj) -> bool:
    """Whether claims without a class get this one."""
    annotations = obj["metadata"].get("annotations") or {}
    return annotations.get(_DEFAULT) == "true" or annotations.get(_OLD_DEFAULT) == "true"


@register("storageclasses.storage.k8s.io")
class StorageClasses(Strategy):
    has_status = False
    generation = False

    def default(self, obj: Obj) -> None:
        missing(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [
            cells.name(obj) + (" (default)" if is_default(obj) else ""),
            obj.get("provisioner", ""),
            obj.get("reclaimPolicy") or "Delete",
            obj.get("volumeBindingMode") or "Immediate",
            bool(obj.get("allowVolumeExpansion")),
            cells.age(obj, now),
        ]


@register("volumeattributesclasses.storage.k8s.io")
class VolumeAttributesClasses(Strategy):
    has_status = False
    generation = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        name = cells.name(obj) + (" (default)" if is_default(obj) else "")
        return [name, obj.get("driverName", ""), cells.age(obj, now)]
