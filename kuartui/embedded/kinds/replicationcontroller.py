"""ReplicationControllers (pkg/apis/core/{v1/defaults,validation}, pkg/registry/core/replicationcontroller)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, workload
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.kinds.pod_defaults import default_template


@register("replicationcontrollers")
class ReplicationControllers(Strategy):
    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        missing(spec, replicas=1)
        template = spec.get("template")
        default_template(template)
        labels = ((template or {}).get("metadata") or {}).get("labels")
        if labels:
            if not spec.get("selector"):
                spec["selector"] = dict(labels)
            if not obj["metadata"].get("labels"):
                obj["metadata"]["labels"] = dict(labels)

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
            cells.labels(spec.get("selector")),
        ]
