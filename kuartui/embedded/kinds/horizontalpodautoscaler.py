"""HorizontalPodAutoscalers, stored as autoscaling/v2 (pkg/apis/autoscaling, printHorizontalPodAutoscaler)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, hpa_rules, hpa_v1
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import non_negative
from kuartui.embedded.meta.fielderr import FieldError, Path

_CPU_PERCENT = 80


@register("horizontalpodautoscalers.autoscaling")
class HorizontalPodAutoscalers(Strategy):
    generation = False

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("minReplicas") is None:
            spec["minReplicas"] = 1
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": _CPU_PERCENT}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        behavior = spec.get("behavior")
        if behavior is not None:
            behavior["scaleUp"] = _rules(behavior.get("scaleUp"), up=True)
            behavior["scaleDown"] = _rules(behavior.get("scaleDown"), up=False)

    def validate(self, obj: Obj) -> list[FieldError]:
        return hpa_rules.spec_errors(obj.get("spec") or {}, Path("spec"))

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return non_negative(new.get("status") or {}, Path("status"), "currentReplicas", "desiredReplicas")

    def convert(self, obj: Obj, version: str) -> Obj:
        if obj.get("apiVersion", "autoscaling/v2") == f"autoscaling/{version}":
            return obj
        return hpa_v1.from_v2(obj) if version == "v1" else hpa_v1.to_v2(obj)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        obj = self.convert(obj, "v2")
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        target = spec.get("scaleTargetRef") or {}
        least = spec.get("minReplicas")
        return [
            cells.name(obj),
            f"{target.get('kind', '')}/{target.get('name', '')}",
            _targets(spec.get("metrics") or [], status.get("currentMetrics") or []),
            cells.UNSET if least is None else str(least),
            spec.get("maxReplicas", 0),
            status.get("currentReplicas", 0),
            cells.age(obj, now),
        ]


def _rules(given: Obj | None, up: bool) -> Obj:
    """GenerateHPAScaleUpRules and GenerateHPAScaleDownRules."""
    rules = dict(given or {})
    if rules.get("selectPolicy") is None:
        rules["selectPolicy"] = "Max"
    if rules.get("stabilizationWindowSeconds") is None and up:
        rules["stabilizationWindowSeconds"] = 0
    if rules.get("policies") is None:
        percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
        rules["policies"] = [{"type": "Pods", "value": 4, "periodSeconds": 15}, percent] if up else [percent]
    return rules


def _targets(specs: list[Obj], statuses: list[Obj]) -> str:
    if not specs:
        return cells.NONE
    shown = [_target(spec, statuses[i] if i < len(statuses) else {}) for i, spec in enumerate(specs)]
    most = 2
    text = ", ".join(shown[:most])
    return f"{text} + {len(shown) - most} more..." if len(shown) > most else text


def _target(spec: Obj, status: Obj) -> str:
    kind = spec.get("type", "")
    source = hpa_rules.SOURCES.get(kind)
    if source is None:
        return "<unknown type>"
    wanted = spec.get(source) or {}
    target = wanted.get("target") or {}
    known = status.get(source) is not None
    current = (status.get(source) or {}).get("current") or {}

    def amount(field: str) -> str:
        return cells.amount(current.get(field)) if known else "<unknown>"

    if kind in ("Resource", "ContainerResource"):
        if target.get("averageValue") is not None:
            shown = f"{amount('averageValue')}/{cells.amount(target['averageValue'])}"
        else:
            utilization = current.get("averageUtilization")
            now = "<unknown>" if utilization is None else f"{utilization}%"
            goal = target.get("averageUtilization")
            shown = f"{now}/{'<auto>' if goal is None else f'{goal}%'}"
        return f"{wanted.get('name', '')}: {shown}"
    if kind == "Pods":
        return f"{amount('averageValue')}/{cells.amount(target.get('averageValue'))}"
    if target.get("averageValue") is not None:
        now = amount("averageValue") if current.get("averageValue") is not None else "<unknown>"
        return f"{now}/{cells.amount(target['averageValue'])} (avg)"
    return f"{amount('value')}/{cells.amount(target.get('value'))}"
