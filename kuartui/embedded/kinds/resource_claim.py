"""Dynamic resource allocation: claims, classes and slices of devices (pkg/apis/resource)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, resource_rules
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, register
from kuartui.embedded.kinds.checks import immutable
from kuartui.embedded.meta.fielderr import FieldError, Path

GROUP = "resource.k8s.io"


@register(f"deviceclasses.{GROUP}")
class DeviceClasses(Strategy):
    returns_deleted = True
    has_status = False

    def validate(self, obj: Obj) -> list[FieldError]:
        return resource_rules.class_errors(obj.get("spec") or {}, Path("spec"))

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), cells.age(obj, now)]


@register(f"resourceclaimtemplates.{GROUP}")
class ResourceClaimTemplates(Strategy):
    returns_deleted = True
    has_status = False
    generation = False

    def default(self, obj: Obj) -> None:
        _default((obj.get("spec") or {}).get("spec") or {})

    def validate(self, obj: Obj) -> list[FieldError]:
        return resource_rules.claim_errors((obj.get("spec") or {}).get("spec") or {}, Path("spec") / "spec")

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return immutable(new.get("spec"), old.get("spec"), Path("spec"))

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), cells.age(obj, now)]


@register(f"resourceclaims.{GROUP}")
class ResourceClaims(Strategy):
    returns_deleted = True
    status_keeps = OWN_METADATA
    generation = False

    def default(self, obj: Obj) -> None:
        _default(obj.get("spec") or {})

    def validate(self, obj: Obj) -> list[FieldError]:
        return resource_rules.claim_errors(obj.get("spec") or {}, Path("spec"))

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return immutable(new.get("spec"), old.get("spec"), Path("spec"))

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        status, deleted = obj.get("status") or {}, bool(obj["metadata"].get("deletionTimestamp"))
        states = ["deleted"] if deleted else []
        if status.get("allocation") is not None:
            states += ["allocated", "reserved"] if status.get("reservedFor") else ["allocated"]
        elif not deleted:
            states.append("pending")
        return [cells.name(obj), ",".join(states), cells.age(obj, now)]


@register(f"resourceslices.{GROUP}")
class ResourceSlices(Strategy):
    returns_deleted = True
    has_status = False

    def validate(self, obj: Obj) -> list[FieldError]:
        return resource_rules.slice_errors(obj.get("spec") or {}, Path("spec"))

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        now, was, path = new.get("spec") or {}, old.get("spec") or {}, Path("spec")
        errors = immutable(
            (now.get("pool") or {}).get("name"), (was.get("pool") or {}).get("name"), path / "pool" / "name"
        )
        for field in ("driver", "nodeName"):
            errors += immutable(now.get(field), was.get(field), path / field)
        return self.validate(new) + errors

    def fields(self, obj: Obj) -> dict[str, str]:
        spec = obj.get("spec") or {}
        return {"spec.nodeName": spec.get("nodeName", ""), "spec.driver": spec.get("driver", "")}

    def unknown_field(self, field: str) -> str:
        return f"field label not supported for {GROUP}/v1, Kind=ResourceSlice: {field}"

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        pool = (spec.get("pool") or {}).get("name", "")
        return [cells.name(obj), spec.get("nodeName") or cells.UNSET, spec.get("driver", ""), pool, cells.age(obj, now)]


def _default(spec: Obj) -> None:
    for request in (spec.get("devices") or {}).get("requests") or []:
        for wanted in (request.get("exactly"), *(request.get("firstAvailable") or ())):
            if wanted is None:
                continue
            if not wanted.get("allocationMode"):
                wanted["allocationMode"] = "ExactCount"
            if wanted["allocationMode"] == "ExactCount" and not wanted.get("count"):
                wanted["count"] = 1
            for toleration in wanted.get("tolerations") or []:
                if not toleration.get("operator"):
                    toleration["operator"] = "Equal"
