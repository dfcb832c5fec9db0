"""ReplicaSets (pkg/apis/apps/{v1/defaults,validation}, pkg/registry/apps/replicaset)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, workload
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing


@register("replicasets.apps")
class ReplicaSets(Strategy):
    def default(self, obj: Obj) -> None:
        missing(workload.default_workload(obj), replicas=1)

    def fields(self, obj: Obj) -> dict[str, str]:
        return {"status.replicas": str((obj.get("status") or {}).get("replicas", 0))}

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            cells.name(obj),
            workload.replicas(spec),
            status.get("replicas", 0),
            status.get("readyReplicas", 0),
            cells.age(obj, now),
            *cells.containers((spec.get("template") or {}).get("spec")),
            cells.selector_or_none(spec.get("selector")),
        ]
