"""VolumeAttachments (pkg/apis/storage)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, register
from kuartui.embedded.kinds.checks import immutable
from kuartui.embedded.kinds.pod_volumes import csi_driver_name
from kuartui.embedded.meta.fielderr import FieldError, Path, required


@register("volumeattachments.storage.k8s.io")
class VolumeAttachments(Strategy):
    unconditional_update = False
    status_keeps = OWN_METADATA
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        errors = csi_driver_name(spec.get("attacher", ""), path / "attacher")
        source = spec.get("source") or {}
        given = [field for field in ("inlineVolumeSpec", "persistentVolumeName") if source.get(field) is not None]
        if len(given) != 1:
            text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
            errors.append(required(path / "source", text))
        if not spec.get("nodeName"):
            errors.append(required(path / "nodeName"))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self.validate(new) + immutable(new.get("spec"), old.get("spec"), "spec")

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        return [
            cells.name(obj),
            spec.get("attacher", ""),
            (spec.get("source") or {}).get("persistentVolumeName") or "",
            spec.get("nodeName", ""),
            bool((obj.get("status") or {}).get("attached")),
            cells.age(obj, now),
        ]
