"""ComponentStatuses, long deprecated; still listed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register


@register("componentstatuses")
class ComponentStatuses(Strategy):
    has_status = False
    generation = False
    deprecated = "v1 ComponentStatus is deprecated in v1.19+"

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        for condition in obj.get("conditions") or []:
            if condition.get("type") == "Healthy":
                state = "Healthy" if condition.get("status") == "True" else "Unhealthy"
                return [cells.name(obj), state, condition.get("message", ""), condition.get("error", "")]
        return [cells.name(obj), "Unknown", "", ""]
