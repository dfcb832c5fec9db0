"""autoscaling/v1 as a view of autoscaling/v2: what v1 has no field for travels in annotations.

pkg/apis/autoscaling/v1/conversion.go.
"""

from __future__ import annotations

import json
from typing import Any

from kuartui.embedded.meta.gofmt import go_json

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
    status |= {field: status.pop(field, 0) for field in ("currentReplicas", "desiredReplicas")}  # not left out if 0
    if current is not None:
        status["currentCPUUtilizationPercentage"] = current
    behavior, conditions = spec.pop("behavior", None), status.pop("conditions", None)
    for key, value in (
        (_METRICS, [_old_metric(metric, "target") for metric in others]),
        (_CURRENT, [_old_metric(metric, "current") for metric in current_others]),
        (_CONDITIONS, conditions),
        (_BEHAVIOR, behavior and _old_behavior(behavior)),
    ):
        if value:
            annotations[key] = go_json(value)
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
    if conditions := _load(given.get(_CONDITIONS)):
        status["conditions"] = conditions
    if behavior := _new_behavior(_load(given.get(_BEHAVIOR))):
        spec["behavior"] = behavior
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


_SOURCES = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}


def _old_metric(metric: Obj, key: str) -> Obj:
    """v2's nested target or current as v1's flat fields, in the order of v1's structs."""
    kind = metric.get("type", "")
    source = _SOURCES.get(kind, "")
    given = metric.get(source)
    if given is None:
        return {"type": kind}
    values, name = given.get(key) or {}, given.get("metric") or {}
    value, average = values.get("value"), values.get("averageValue")
    now = key == "current"
    flat: Obj = {}
    if kind == "Object":
        ref = given.get("describedObject") or {}
        flat["target"] = {field: ref[field] for field in ("kind", "name", "apiVersion") if field in ref}
    if "Resource" in kind:
        flat["name"] = given.get("name", "")
        flat[f"{key}AverageUtilization"] = values.get("averageUtilization")
        flat[f"{key}AverageValue"] = average or ("0" if now else None)
        flat["container"] = given.get("container")
        return {"type": kind, source: _set(flat)}
    flat["metricName"] = name.get("name", "")
    if kind == "External":
        flat["metricSelector"] = name.get("selector")
        flat[f"{key}Value"] = value or ("0" if now else None)
        flat[f"{key}AverageValue"] = average
    elif kind == "Pods":
        flat["targetAverageValue" if not now else "currentAverageValue"] = average or "0"
        flat["selector"] = name.get("selector")
    else:
        flat[f"{key}Value"] = value or "0"
        flat["selector"] = name.get("selector")
        flat["averageValue"] = average
    return {"type": kind, source: _set(flat)}


def _new_metric(metric: Obj, key: str) -> Obj:
    """The way back."""
    kind = metric.get("type", "")
    source = _SOURCES.get(kind, "")
    flat = metric.get(source)
    if flat is None:
        return {"type": kind}
    average = flat.get("averageValue" if kind == "Object" else f"{key}AverageValue")
    values = _set({"averageUtilization": flat.get(f"{key}AverageUtilization"), "averageValue": average})
    if flat.get(f"{key}Value") is not None and not (kind == "Object" and values):
        values["value"] = flat[f"{key}Value"]
    if key == "target":
        words = {"averageUtilization": "Utilization", "averageValue": "AverageValue"}
        values["type"] = words.get(next(iter(values), ""), "Value")
    if "Resource" in kind:
        kept = {"name": flat.get("name"), "container": flat.get("container")}
        return {"type": kind, source: _set(kept) | {key: values}}
    selector = flat.get("metricSelector" if kind == "External" else "selector")
    new: Obj = {"metric": _set({"name": flat.get("metricName"), "selector": selector}), key: values}
    if kind == "Object":
        new["describedObject"] = flat.get("target") or {}
    return {"type": kind, source: new}


_RULES = ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance")


def _old_behavior(behavior: Obj) -> Obj:
    """Behaviour as Kubernetes writes it here: the struct that it works with, whose fields have no names for JSON."""
    return {_upper(way): _old_rules(behavior.get(way)) for way in ("scaleUp", "scaleDown")}


def _old_rules(rules: Obj | None) -> Obj | None:
    if rules is None:
        return None
    told = {_upper(field): rules.get(field) for field in _RULES}
    if rules.get("policies") is not None:
        fields = ("type", "value", "periodSeconds")
        told["Policies"] = [{_upper(field): one.get(field) for field in fields} for one in rules["policies"]]
    return told


def _new_behavior(value: Any) -> Any:
    """The way back, from either writing: encoding/json does not mind the case."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _new_behavior(item) for key, item in value.items() if item is not None}
    return [_new_behavior(item) for item in value] if isinstance(value, list) else value


def _upper(field: str) -> str:
    return field[:1].upper() + field[1:]


def _set(fields: Obj) -> Obj:
    return {key: value for key, value in fields.items() if value is not None}
