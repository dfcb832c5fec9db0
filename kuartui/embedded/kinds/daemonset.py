"""DaemonSets (pkg/apis/apps/{v1/defaults,validation}, pkg/registry/apps/daemonset)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, workload, workload_status
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.kinds.checks import at_most_hundred_percent, int_or_percent, non_negative
from kuartui.embedded.kinds.deployment import is_zero, shown_strategy
from kuartui.embedded.kinds.fill import empty, missing
from kuartui.embedded.kinds.pod_spec import always_restarts, template_errors
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, not_supported, required

_GENERATION = "deprecated.daemonset.template.generation"


@register("daemonsets.apps")
class DaemonSets(Strategy):
    def default(self, obj: Obj) -> None:
        annotations = obj["metadata"].get("annotations") or {}
        annotations.setdefault(
            _GENERATION, "0"
        )  # a field of the internal type: whoever writes the object writes it too
        obj["metadata"]["annotations"] = annotations
        spec = workload.default_workload(obj)
        missing(spec, revisionHistoryLimit=10, updateStrategy={})
        update = spec["updateStrategy"]
        empty(update, type="RollingUpdate")
        if update["type"] == "RollingUpdate":
            missing(update, rollingUpdate={})
            missing(update["rollingUpdate"], maxUnavailable=1, maxSurge=0)

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        annotations = obj["metadata"]["annotations"]
        if _count(annotations) < 1:
            annotations[_GENERATION] = "1"

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        count = _count(old["metadata"].get("annotations") or {})
        if (new.get("spec") or {}).get("template") != (old.get("spec") or {}).get("template"):
            count += 1
        new["metadata"]["annotations"][_GENERATION] = str(count)

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, workload.SPEC
        template = spec.get("template") or {}
        errors = workload.selector_errors(spec, "daemonset", needed=False)
        errors += workload.mismatch(spec.get("selector"), template) + template_errors(template, workload.TEMPLATE)
        errors += always_restarts(template, workload.TEMPLATE, "DaemonSet")
        errors += non_negative(spec, path, "minReadySeconds")
        errors += _update_strategy(spec.get("updateStrategy") or {}, path / "updateStrategy")
        return errors + non_negative(spec, path, "revisionHistoryLimit")

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return workload.selector_stays(new, old) + self.validate(new)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return workload_status.daemon_errors(new) + workload_status.collision_errors(new, old)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        return workload.template_warnings(obj, old, obj["spec"]["template"])

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


def _count(annotations: dict[str, str]) -> int:
    """The generation of the template as the annotation tells it; 0 for what is no number."""
    try:
        return int(annotations.get(_GENERATION, "0"))
    except ValueError:
        return 0


def _update_strategy(strategy: Obj, path: Path) -> list[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        return [not_supported(path, shown_strategy(strategy), ("RollingUpdate", "OnDelete"))]
    if rolling is None:
        return [required(path / "rollingUpdate")]
    at = path / "rollingUpdate"
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    errors: list[FieldError] = []
    for check in (int_or_percent, at_most_hundred_percent):
        errors += check(unavailable, at / "maxUnavailable") + check(surge, at / "maxSurge")
    if not is_zero(unavailable) and not is_zero(surge):
        errors.append(invalid(at / "maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    if is_zero(unavailable) and is_zero(surge):
        errors.append(required(at / "maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return errors
