"""Leases (pkg/apis/coordination)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid


@register("leases.coordination.k8s.io")
class Leases(Strategy):
    has_status = False
    generation = False
    create_on_update = True
    unconditional_update = False

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        errors = []
        if spec.get("leaseDurationSeconds") is not None and spec["leaseDurationSeconds"] <= 0:
            errors.append(
                invalid(path / "leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
            )
        if spec.get("leaseTransitions") is not None and spec["leaseTransitions"] < 0:
            text = "must be greater than or equal to 0"
            errors.append(invalid(path / "leaseTransitions", spec["leaseTransitions"], text))
        return errors

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        holder = (obj.get("spec") or {}).get("holderIdentity")
        return [cells.name(obj), holder or "", cells.age(obj, now)]
