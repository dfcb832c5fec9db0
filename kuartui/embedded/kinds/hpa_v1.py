"""autoscaling/v1 as a view of autoscaling/v2: what v1 has no field for travels in annotations.

pkg/apis/autoscaling/v1/conversion.go.
"""

from __future__ import annotations

import json
from typing import Any

Obj = dict[str, Any]

_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_ALL = (_METRICS, _CURRENT, _CONDITIONS, _BEHAVIOR)


def _is_cpu_utilization(metric: Obj, key: str) -> bool:
    resource = metric.get("resource") or {}
    value = (resource.get(key) or {}).get("averageUtilization")
    return metric.get("type") == "Resource" and resource.get("name") == "cpu" and value is not None


def _take(metrics: list[Obj], key: str) -> tuple[int | None, list[Obj]]:
    """CPU utilisation, which v1 knows, and all other metrics."""
    for index, metric in enumerate(metrics):
        if _is_cpu_utilization(metric, key):
            return metric["resource"][key]["averageUtilization"], metrics[:index] + metrics[index + 1 :]
    return None, metrics


def from_v2(obj: Obj) -> Obj:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = {k: v for k, v in (obj["metadata"].get("annotations") or {}).items() if k not in _ALL}
    cpu, others = _take(spec.pop("metrics", None) or [], "target")
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu
    current, current_others = _take(status.pop("currentMetrics", None) or [], "current")
    if current is not None:
        status["currentCPUUtilizationPercentage"] = current
    behavior, conditions = spec.pop("behavior", None), status.pop("conditions", None)
    for key, value in (
        (_METRICS, [_old_metric(metric, "target") for metric in others]),
        (_CURRENT, [_old_metric(metric, "current") for metric in current_others]),
        (_CONDITIONS, conditions),
        (_BEHAVIOR, behavior),
    ):
        if value:
            annotations[key] = json.dumps(value, separators=(",", ":"))
    metadata = {k: v for k, v in obj["metadata"].items() if k != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def to_v2(obj: Obj) -> Obj:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    given = obj["metadata"].get("annotations") or {}
    metrics = [_new_metric(metric, "target") for metric in _load(given.get(_METRICS))]
    cpu = spec.pop("targetCPUUtilizationPercentage", None)
    if cpu is not None:
        target = {"type": "Utilization", "averageUtilization": cpu}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    current = [_new_metric(metric, "current") for metric in _load(given.get(_CURRENT))]
    used = status.pop("currentCPUUtilizationPercentage", None)
    if used is not None:
        current.insert(0, {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": used}}})
    if current:
        status["currentMetrics"] = current
    for key, holder, field in ((_CONDITIONS, status, "conditions"), (_BEHAVIOR, spec, "behavior")):
        value = _load(given.get(key))
        if value:
            holder[field] = value
    metadata = {k: v for k, v in obj["metadata"].items() if k != "annotations"}
    kept = {k: v for k, v in given.items() if k not in _ALL}
    if kept:
        metadata["annotations"] = kept
    return {**obj, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec, "status": status}


def _load(text: str | None) -> Any:
    """An annotation's JSON; nothing if it is none."""
    if not text:
        return []
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return []


_PREFIX = {"target": "target", "current": "current"}


def _old_metric(metric: Obj, key: str) -> Obj:
    """v2's nested target or current as v1's flat fields."""
    kind = metric.get("type", "")
    source = kind[:1].lower() + kind[1:]
    flat = dict(metric.get(source) or {})
    values = flat.pop(key, None) or {}
    name = flat.pop("metric", None) or {}
    if "name" in name:
        flat["metricName"] = name["name"]
    if "selector" in name:
        flat["metricSelector" if kind == "External" else "selector"] = name["selector"]
    if "describedObject" in flat:
        flat["target"] = flat.pop("describedObject")
    for field, value in values.items():
        if field != "type":
            flat[_PREFIX[key] + field[:1].upper() + field[1:]] = value
    return {"type": kind, source: flat}


def _new_metric(metric: Obj, key: str) -> Obj:
    """The way back."""
    kind = metric.get("type", "")
    source = kind[:1].lower() + kind[1:]
    flat = dict(metric.get(source) or {})
    values: Obj = {}
    for field, short in (
        ("AverageUtilization", "averageUtilization"),
        ("AverageValue", "averageValue"),
        ("Value", "value"),
    ):
        if _PREFIX[key] + field in flat:
            values[short] = flat.pop(_PREFIX[key] + field)
    if key == "target":
        values["type"] = {"averageUtilization": "Utilization", "averageValue": "AverageValue"}.get(
            next(iter(values), ""), "Value"
        )
    name: Obj = {}
    if "metricName" in flat:
        name["name"] = flat.pop("metricName")
    for old in ("metricSelector", "selector"):
        if old in flat:
            name["selector"] = flat.pop(old)
    if name:
        flat["metric"] = name
    if "target" in flat:
        flat["describedObject"] = flat.pop("target")
    flat[key] = values
    return {"type": kind, source: flat}
