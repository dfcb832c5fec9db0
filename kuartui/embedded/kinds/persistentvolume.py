"""PersistentVolumes (pkg/apis/core/validation, pkg/registry/core/persistentvolume)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.kinds.persistentvolumeclaim import storage_class
from kuartui.embedded.kinds.pod_defaults import default_volume_source
from kuartui.embedded.meta.time import format_time


@register("persistentvolumes")
class PersistentVolumes(Strategy):
    generation = False

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        status = obj.get("status") or {}
        if not status.get("phase"):
            status["phase"] = "Pending"
        obj["status"] = status
        if not spec.get("persistentVolumeReclaimPolicy"):
            spec["persistentVolumeReclaimPolicy"] = "Retain"
        if spec.get("volumeMode") is None:
            spec["volumeMode"] = "Filesystem"
        default_volume_source(spec)

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        obj["status"] = {"phase": "Pending"}
        if ctx.now is not None:
            obj["status"]["lastPhaseTransitionTime"] = format_time(ctx.now)

    def prepare_status_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        status, before = new.setdefault("status", {}), old.get("status") or {}
        if status.get("phase") != before.get("phase"):
            given = status.get("lastPhaseTransitionTime")
            if ctx.now is not None and given in (None, before.get("lastPhaseTransitionTime")):
                status["lastPhaseTransitionTime"] = format_time(ctx.now)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        claim = spec.get("claimRef")
        return [
            cells.name(obj),
            cells.amount((spec.get("capacity") or {}).get("storage")),
            cells.access_modes(spec.get("accessModes")),
            spec.get("persistentVolumeReclaimPolicy", ""),
            "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
            f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
            storage_class(obj),
            cells.UNSET if spec.get("volumeAttributesClassName") is None else spec["volumeAttributesClassName"],
            status.get("reason", ""),
            cells.age(obj, now),
            spec.get("volumeMode") or cells.UNSET,
        ]
