"""PodDisruptionBudgets (pkg/apis/policy)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register


@register("poddisruptionbudgets.policy")
class PodDisruptionBudgets(Strategy):
    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        return [
            cells.name(obj),
            "N/A" if least is None else str(least),
            "N/A" if most is None else str(most),
            status.get("disruptionsAllowed", 0),
            cells.age(obj, now),
        ]
