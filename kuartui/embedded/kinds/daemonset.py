"""DaemonSets (pkg/apis/apps/{v1/defaults,validation}, pkg/registry/apps/daemonset)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, workload
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing


@register("daemonsets.apps")
class DaemonSets(Strategy):
    def default(self, obj: Obj) -> None:
        spec = workload.default_workload(obj)
        missing(spec, revisionHistoryLimit=10, updateStrategy={})
        update = spec["updateStrategy"]
        if not update.get("type"):
            update["type"] = "RollingUpdate"
        if update["type"] == "RollingUpdate":
            missing(update, rollingUpdate={})
            missing(update["rollingUpdate"], maxUnavailable=1, maxSurge=0)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        template = (spec.get("template") or {}).get("spec") or {}
        return [
            cells.name(obj),
            status.get("desiredNumberScheduled", 0),
            status.get("currentNumberScheduled", 0),
            status.get("numberReady", 0),
            status.get("updatedNumberScheduled", 0),
            status.get("numberAvailable", 0),
            cells.labels(template.get("nodeSelector")),
            cells.age(obj, now),
            *cells.containers(template),
            cells.selector_or_none(spec.get("selector")),
        ]
