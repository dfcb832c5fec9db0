"""PodDisruptionBudgets (pkg/apis/policy)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import (
    at_most_hundred_percent,
    int_or_percent,
    label_selector,
    non_negative,
    optional_one_of,
    shown_selector,
)
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid


@register("poddisruptionbudgets.policy")
class PodDisruptionBudgets(Strategy):
    unconditional_update = False
    qualified_finalizers = False

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return names.path_segment(name)  # Kubernetes looks at the spec alone

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        errors: list[FieldError] = []
        if least is not None and most is not None:
            shown = {
                "MinAvailable": least,
                "Selector": shown_selector(spec.get("selector")),
                "MaxUnavailable": most,
                "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
            }
            errors.append(invalid(path, shown, "minAvailable and maxUnavailable cannot be both set"))
        for field, value in (("minAvailable", least), ("maxUnavailable", most)):
            if value is not None:
                errors += int_or_percent(value, path / field) + at_most_hundred_percent(value, path / field)
        errors += label_selector(spec.get("selector"), path / "selector")
        return errors + optional_one_of(spec, "unhealthyPodEvictionPolicy", path, ("AlwaysAllow", "IfHealthyBudget"))

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        fields = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        return non_negative(new.get("status") or {}, Path("status"), *fields)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        return [
            cells.name(obj),
            "N/A" if least is None else str(least),
            "N/A" if most is None else str(most),
            status.get("disruptionsAllowed", 0),
            cells.age(obj, now),
        ]
