"""Dynamic resource allocation: stored and listed, nothing more (pkg/apis/resource)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, register

GROUP = "resource.k8s.io"


@register(f"deviceclasses.{GROUP}")
class DeviceClasses(Strategy):
    has_status = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), cells.age(obj, now)]


@register(f"resourceclaimtemplates.{GROUP}")
class ResourceClaimTemplates(Strategy):
    has_status = False
    generation = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), cells.age(obj, now)]


@register(f"resourceclaims.{GROUP}")
class ResourceClaims(Strategy):
    status_keeps = OWN_METADATA
    generation = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        status, deleted = obj.get("status") or {}, bool(obj["metadata"].get("deletionTimestamp"))
        states = ["deleted"] if deleted else []
        if status.get("allocation") is not None:
            states.append("allocated")
        elif not deleted:
            states.append("pending")
        if status.get("reservedFor"):
            states.append("reserved")
        return [cells.name(obj), ",".join(states), cells.age(obj, now)]


@register(f"resourceslices.{GROUP}")
class ResourceSlices(Strategy):
    has_status = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        pool = (spec.get("pool") or {}).get("name", "")
        return [cells.name(obj), spec.get("nodeName") or cells.UNSET, spec.get("driver", ""), pool, cells.age(obj, now)]
