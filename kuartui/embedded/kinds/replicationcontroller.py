"""ReplicationControllers (pkg/apis/core/{v1/defaults,validation}, pkg/registry/core/replicationcontroller)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, workload, workload_status
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import non_negative
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.kinds.pod_defaults import default_template
from kuartui.embedded.kinds.pod_spec import always_restarts, template_errors
from kuartui.embedded.meta.fielderr import FieldError, invalid, required


@register("replicationcontrollers")
class ReplicationControllers(Strategy):
    orphans = True

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

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, workload.SPEC
        errors = non_negative(spec, path, "minReadySeconds")
        selector, template = spec.get("selector") or {}, spec.get("template")
        if not selector:
            errors.append(required(path / "selector"))
        errors += non_negative(spec, path, "replicas")
        if template is None:
            return [*errors, required(workload.TEMPLATE)]
        labels = (template.get("metadata") or {}).get("labels") or {}
        if any(labels.get(key) != value for key, value in selector.items()):
            errors.append(invalid(workload.TEMPLATE / "metadata" / "labels", labels or None, workload.MISMATCH))
        errors += template_errors(template, workload.TEMPLATE)
        return errors + always_restarts(template, workload.TEMPLATE, "ReplicationController")

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return workload_status.replica_errors(new, "fullyLabeledReplicas", "readyReplicas", "availableReplicas")

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        found = workload.name_warnings(obj, old)
        return found + workload.template_warnings(obj, old, obj["spec"].get("template") or {})

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
