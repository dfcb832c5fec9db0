"""PersistentVolumeClaims (pkg/apis/core/validation, pkg/registry/core/persistentvolumeclaim)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register

CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def default_claim(claim: Obj) -> None:
    """SetDefaults_PersistentVolumeClaim; claim templates get it too."""
    status = claim.get("status") or {}
    if not status.get("phase"):
        status["phase"] = "Pending"
    claim["status"] = status
    spec = claim.setdefault("spec", {})
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"


def storage_class(obj: Obj) -> str:
    """The class of a claim or volume, from the old annotation or the field."""
    annotations = obj["metadata"].get("annotations") or {}
    found: str = annotations.get(CLASS_ANNOTATION) or (obj.get("spec") or {}).get("storageClassName") or ""
    return found


@register("persistentvolumeclaims")
class PersistentVolumeClaims(Strategy):
    generation = False

    def default(self, obj: Obj) -> None:
        default_claim(obj)

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        obj["status"] = {"phase": "Pending"}

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        bound = bool(spec.get("volumeName"))
        return [
            cells.name(obj),
            "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
            spec.get("volumeName", ""),
            cells.amount((status.get("capacity") or {}).get("storage")) if bound else "",
            cells.access_modes(status.get("accessModes")) if bound else "",
            storage_class(obj),
            cells.UNSET if spec.get("volumeAttributesClassName") is None else spec["volumeAttributesClassName"],
            cells.age(obj, now),
            spec.get("volumeMode") or cells.UNSET,
        ]
