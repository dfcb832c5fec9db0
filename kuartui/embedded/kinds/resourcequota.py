"""ResourceQuotas (pkg/apis/core/validation, printResourceQuota)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register


@register("resourcequotas")
class ResourceQuotas(Strategy):
    generation = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        status = obj.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        requests: list[str] = []
        limits: list[str] = []
        for name in sorted(hard):
            shown = f"{name}: {cells.amount(used.get(name))}/{cells.amount(hard[name])}"
            (limits if name.startswith("limits.") else requests).append(shown)
        return [cells.name(obj), ", ".join(requests), ", ".join(limits), cells.age(obj, now)]
