"""ReplicaSets (pkg/apis/apps/{v1/defaults,validation}, pkg/registry/apps/replicaset)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, workload, workload_status
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import non_negative
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.meta.fielderr import FieldError


@register("replicasets.apps")
class ReplicaSets(Strategy):
    def default(self, obj: Obj) -> None:
        missing(workload.default_workload(obj), replicas=1)

    def validate(self, obj: Obj) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = non_negative(spec, workload.SPEC, "replicas", "minReadySeconds")
        errors += workload.selector_errors(spec, "deployment")  # Kubernetes' own slip
        return errors + workload.template_matches(spec, "ReplicaSet")

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self.validate(new) + workload.selector_stays(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return workload_status.replica_errors(new, "fullyLabeledReplicas", "readyReplicas", "availableReplicas")

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        found = workload.name_warnings(obj, old)
        return found + workload.template_warnings(obj, old, obj["spec"]["template"])

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
