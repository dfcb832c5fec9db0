"""Deployments (pkg/apis/apps/{v1/defaults,validation}, pkg/registry/apps/deployment)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, workload
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing


@register("deployments.apps")
class Deployments(Strategy):
    def default(self, obj: Obj) -> None:
        spec = workload.default_workload(obj)
        missing(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
        strategy = spec["strategy"]
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            missing(strategy, rollingUpdate={})
            missing(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            cells.name(obj),
            f"{status.get('readyReplicas', 0)}/{workload.replicas(spec)}",
            status.get("updatedReplicas", 0),
            status.get("availableReplicas", 0),
            cells.age(obj, now),
            *cells.containers((spec.get("template") or {}).get("spec")),
            cells.selector(spec.get("selector")),
        ]
