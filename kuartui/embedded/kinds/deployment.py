"""Deployments (pkg/apis/apps/{v1/defaults,validation}, pkg/registry/apps/deployment)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, workload, workload_status
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import at_most_hundred_percent, int_or_percent, non_negative
from kuartui.embedded.kinds.fill import empty, missing
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required

_TYPES = ("Recreate", "RollingUpdate")


@register("deployments.apps")
class Deployments(Strategy):
    status_keeps = ("labels",)

    def default(self, obj: Obj) -> None:
        spec = workload.default_workload(obj)
        missing(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
        strategy = spec["strategy"]
        empty(strategy, type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            missing(strategy, rollingUpdate={})
            missing(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")

    def desired(self, obj: Obj) -> Obj:
        return {**super().desired(obj), "annotations": obj["metadata"].get("annotations") or {}}

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, workload.SPEC
        errors = non_negative(spec, path, "replicas") + workload.selector_errors(spec, "deployment")
        errors += workload.template_matches(spec, "ReplicaSet")
        errors += _strategy(spec.get("strategy") or {}, path / "strategy")
        errors += non_negative(spec, path, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
        deadline = spec.get("progressDeadlineSeconds")
        if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
            errors.append(invalid(path / "progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self.validate(new) + workload.selector_stays(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = workload_status.replica_errors(new, "updatedReplicas", "readyReplicas", "availableReplicas")
        return errors + workload_status.collision_errors(new, old)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        found = workload.name_warnings(obj, old)
        return found + workload.template_warnings(obj, old, obj["spec"]["template"])

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


def _strategy(strategy: Obj, path: Path) -> list[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is None:
            return []
        return [forbidden(path / "rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
    if kind != "RollingUpdate":
        return [not_supported(path, shown_strategy(strategy), _TYPES)]
    if rolling is None:
        return [required(path / "rollingUpdate", "this should be defaulted and never be nil")]
    at = path / "rollingUpdate"
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    errors = int_or_percent(unavailable, at / "maxUnavailable") + int_or_percent(surge, at / "maxSurge")
    if is_zero(unavailable) and is_zero(surge):
        errors.append(invalid(at / "maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    return errors + at_most_hundred_percent(unavailable, at / "maxUnavailable")


def shown_strategy(strategy: Obj) -> Obj:
    """The strategy of a Deployment or a DaemonSet as messages show it: the fields of Kubernetes' internal type."""
    rolling = strategy.get("rollingUpdate")
    shown = None
    if rolling is not None:
        shown = {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}
    return {"Type": strategy.get("type", ""), "RollingUpdate": shown}


def is_zero(value: int | str) -> bool:
    """0 or 0%, and what is no number at all."""
    if isinstance(value, int):
        return value == 0
    found = re.fullmatch(r"[+-]?[0-9]+|[0-9]+%", value)
    return found is None or int(value.rstrip("%")) == 0
