"""StatefulSets (pkg/apis/apps/{v1/defaults,validation}, pkg/registry/apps/statefulset)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, workload
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.kinds.persistentvolumeclaim import default_claim


@register("statefulsets.apps")
class StatefulSets(Strategy):
    def default(self, obj: Obj) -> None:
        spec = workload.default_workload(obj)
        missing(spec, replicas=1, revisionHistoryLimit=10, updateStrategy={}, persistentVolumeClaimRetentionPolicy={})
        if not spec.get("podManagementPolicy"):
            spec["podManagementPolicy"] = "OrderedReady"
        for field in ("whenDeleted", "whenScaled"):
            if not spec["persistentVolumeClaimRetentionPolicy"].get(field):
                spec["persistentVolumeClaimRetentionPolicy"][field] = "Retain"
        update = spec["updateStrategy"]
        if not update.get("type"):
            update["type"] = "RollingUpdate"
            missing(update, rollingUpdate={})
        if update["type"] == "RollingUpdate" and update.get("rollingUpdate") is not None:
            missing(update["rollingUpdate"], partition=0)
        for claim in spec.get("volumeClaimTemplates") or []:
            claim.setdefault("apiVersion", "v1")
            claim.setdefault("kind", "PersistentVolumeClaim")
            default_claim(claim)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            cells.name(obj),
            f"{status.get('readyReplicas', 0)}/{workload.replicas(spec)}",
            cells.age(obj, now),
            *cells.containers((spec.get("template") or {}).get("spec")),
        ]
