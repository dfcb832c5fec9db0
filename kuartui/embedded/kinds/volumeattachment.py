"""VolumeAttachments (pkg/apis/storage)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, register
from kuartui.embedded.kinds.checks import dns_subdomain, immutable
from kuartui.embedded.kinds.pod_volumes import csi_driver_name
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, required


@register("volumeattachments.storage.k8s.io")
class VolumeAttachments(Strategy):
    returns_deleted = True
    unconditional_update = False
    status_keeps = OWN_METADATA
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        attacher, name = spec.get("attacher", ""), (spec.get("source") or {}).get("persistentVolumeName")
        errors = self._errors(obj) + (csi_driver_name(attacher, path / "attacher") if attacher else [])
        return errors + (dns_subdomain(name, path / "source" / "persistentVolumeName") if name is not None else [])

    def _errors(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        errors = [] if spec.get("attacher") else [required(path / "attacher")]
        source = spec.get("source") or {}
        inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
        text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        if inline is None and name is None:
            errors.append(required(path / "source", text))
        elif inline is not None and name is not None:
            errors.append(forbidden(path / "source", text))
        elif name == "":
            text = "must specify non empty persistentVolumeName"
            errors.append(required(path / "source" / "persistentVolumeName", text))
        return errors + dns_subdomain(spec.get("nodeName", ""), path / "nodeName")

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self._errors(new) + immutable(new.get("spec"), old.get("spec"), "spec")

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
