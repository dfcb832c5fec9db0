"""What HorizontalPodAutoscalers must fulfil (pkg/apis/autoscaling/validation)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.checks import dns_label, errors_of, one_of, quantity_not_negative
from kuartui.embedded.meta import names, quantity
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required

Obj = dict[str, Any]

SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_ORDER = ("object", "external", "pods", "resource", "containerResource")
_POSITIVE = "must be positive"
_MAX_PERIOD, _MAX_WINDOW = 1800, 3600


def spec_errors(spec: Obj, path: Path) -> list[FieldError]:
    """An autoscaling/v2 spec."""
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    errors: list[FieldError] = []
    if least is not None and least < 1:
        errors.append(invalid(path / "minReplicas", least, "must be greater than or equal to 1"))
    if most < 1:
        errors.append(invalid(path / "maxReplicas", most, "must be greater than 0"))
    if least is not None and most < least:
        errors.append(invalid(path / "maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    target = spec.get("scaleTargetRef") or {}
    grouped = target.get("kind") != "ReplicationController"  # the one kind of the core group that scales
    errors += _reference(target, path / "scaleTargetRef", grouped=grouped)
    for index, metric in enumerate(spec.get("metrics") or []):
        errors += _metric(metric, (path / "metrics").index(index))
    behavior = spec.get("behavior") or {}
    for field in ("scaleUp", "scaleDown"):
        if behavior.get(field) is not None:
            errors += _rules(behavior[field], path / "behavior" / field)
    return errors


def _reference(ref: Obj, path: Path, *, grouped: bool) -> list[FieldError]:
    """A CrossVersionObjectReference; its apiVersion must have a group if `grouped`."""
    errors: list[FieldError] = []
    for field in ("kind", "name"):
        value = ref.get(field, "")
        errors += errors_of(path / field, value, names.path_segment(value)) if value else [required(path / field)]
    version = ref.get("apiVersion", "")
    group, slash, _ = version.partition("/")
    if version.count("/") > 1:
        errors.append(invalid(path / "apiVersion", version, f"unexpected GroupVersion string: {version}"))
    elif grouped and not (slash and group):
        errors.append(invalid(path / "apiVersion", version, "apiVersion must specify API group"))
    return errors


def _metric(metric: Obj, path: Path) -> list[FieldError]:
    kind = metric.get("type", "")
    errors: list[FieldError] = []
    if not kind:
        errors.append(required(path / "type", "must specify a metric source type"))
    if kind not in SOURCES:
        errors.append(not_supported(path / "type", kind, tuple(SOURCES)))
    expected = SOURCES.get(kind, "")
    present = [source for source in _ORDER if metric.get(source) is not None]
    for source in present[:1]:
        errors += _source(source, metric[source], path / source)
    if expected and expected not in present:
        errors.append(required(path / expected, "must populate information for the given metric source"))
    if len(present) != 1:
        text = "must populate the given metric source only"
        errors += [forbidden(path / source, text) for source in present if source != expected]
    return errors


def _source(kind: str, source: Obj, path: Path) -> list[FieldError]:
    target = source.get("target") or {}
    errors: list[FieldError] = []
    if kind in ("resource", "containerResource"):
        if not source.get("name"):
            errors.append(required(path / "name", "must specify a resource name"))
        if kind == "containerResource" and not source.get("container"):
            errors.append(required(path / "container", "must specify a container"))
        elif kind == "containerResource":
            errors += dns_label(source["container"], path / "container")
    else:
        if kind == "object":
            errors += _reference(source.get("describedObject") or {}, path / "describedObject", grouped=False)
        errors += _identifier(source.get("metric") or {}, path / "metric")
    return errors + _target(target, path / "target") + _amounts(kind, target, path / "target")


def _identifier(metric: Obj, path: Path) -> list[FieldError]:
    name = metric.get("name", "")
    if not name:
        return [required(path / "name", "must specify a metric name")]
    return errors_of(path / "name", name, names.path_segment(name))


def _target(target: Obj, path: Path) -> list[FieldError]:
    kind = target.get("type", "")
    errors: list[FieldError] = []
    if not kind:
        errors.append(required(path / "type", "must specify a metric target type"))
    if kind not in ("Utilization", "Value", "AverageValue"):
        errors.append(invalid(path / "type", kind, "must be either Utilization, Value, or AverageValue"))
    errors += [
        invalid(path / field, quantity.canonical(target[field]), _POSITIVE)
        for field in ("value", "averageValue")
        if target.get(field) is not None and quantity.parse(target[field]) <= quantity.ZERO
    ]
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        errors.append(invalid(path / "averageUtilization", share, "must be greater than 0"))
    return errors


def _amounts(kind: str, target: Obj, path: Path) -> list[FieldError]:
    """Which of the amounts a source wants."""
    value, average = target.get("value"), target.get("averageValue")
    share = target.get("averageUtilization")
    if kind in ("resource", "containerResource"):
        if share is None and average is None:
            text = "must set either a target raw value or a target utilization"
            return [required(path / "averageUtilization", text)]
        if share is not None and average is not None:
            text = "may not set both a target raw value and a target utilization"
            return [forbidden(path / "averageValue", text)]
    elif kind == "pods":
        if average is None or quantity.parse(average) <= quantity.ZERO:
            return [required(path / "averageValue", "must specify a positive target averageValue")]
    elif value is None and average is None:
        text = "must set either a target value or averageValue"
        if kind == "external":
            text = "must set either a target value for metric or a per-pod target"
        return [required(path / "averageValue", text)]
    elif kind == "external" and value is not None and average is not None:
        text = "may not set both a target value for metric and a per-pod target"
        return [forbidden(path / "value", text)]
    return []


def _rules(rules: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        errors.append(invalid(path / "stabilizationWindowSeconds", window, "must be greater than or equal to zero"))
    if window is not None and window > _MAX_WINDOW:
        text = f"must be less than or equal to {_MAX_WINDOW}"
        errors.append(invalid(path / "stabilizationWindowSeconds", window, text))
    errors += one_of(rules.get("selectPolicy"), path / "selectPolicy", ("Disabled", "Max", "Min"))
    policies = rules.get("policies") or []
    if not policies:
        errors.append(required(path / "policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        at = (path / "policies").index(index)
        if policy.get("type", "") not in ("Percent", "Pods"):
            errors.append(not_supported(at / "type", policy.get("type", ""), ("Percent", "Pods")))
        errors += [
            invalid(at / field, policy.get(field, 0), "must be greater than zero")
            for field in ("value", "periodSeconds")
            if policy.get(field, 0) <= 0
        ]
        if policy.get("periodSeconds", 0) > _MAX_PERIOD:
            text = f"must be less than or equal to {_MAX_PERIOD}"
            errors.append(invalid(at / "periodSeconds", policy["periodSeconds"], text))
    if rules.get("tolerance") is not None:
        errors += quantity_not_negative(rules["tolerance"], path / "tolerance")
    return errors
