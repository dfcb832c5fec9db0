"""APIServices (kube-aggregator's table)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register


@register("apiservices.apiregistration.k8s.io")
class ApiServices(Strategy):
    generation = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        service = (obj.get("spec") or {}).get("service")
        where = "Local" if service is None else f"{service.get('namespace', '')}/{service.get('name', '')}"
        return [cells.name(obj), where, _available(obj.get("status") or {}), cells.age(obj, now)]


def _available(status: Obj) -> str:
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Available":
            if condition.get("status") == "True" or not condition.get("reason"):
                return str(condition.get("status", ""))
            return f"{condition.get('status', '')} ({condition['reason']})"
    return "Unknown"
