"""LimitRanges (pkg/apis/core/{v1/defaults,validation})."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import errors_of
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.kinds.pod_resources import container_resource_name, is_native, resource_name
from kuartui.embedded.meta import names, quantity
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, forbidden, invalid, required

_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_AMOUNTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_Bounds = dict[str, quantity.Quantity]


@register("limitranges")
class LimitRanges(Strategy):
    create_on_update = True
    has_status = False
    generation = False

    def default(self, obj: Obj) -> None:
        missing(obj, spec={})
        missing(obj["spec"], limits=[])
        for item in obj["spec"]["limits"]:
            if item.get("type") == "Container":
                limits = {**(item.get("max") or {}), **(item.get("default") or {})}
                requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
                for field, amounts in (("default", limits), ("defaultRequest", requests)):
                    if amounts:
                        item[field] = amounts

    def validate(self, obj: Obj) -> list[FieldError]:
        errors: list[FieldError] = []
        seen: set[str] = set()
        for index, item in enumerate((obj.get("spec") or {}).get("limits") or []):
            path, kind = Path("spec.limits").index(index), item.get("type", "")
            problems = errors_of(path / "type", kind, names.qualified_name(kind))
            errors += problems
            if not problems and "/" not in kind and kind not in _TYPES:
                errors.append(invalid(path / "type", kind, "must be a standard limit type or fully qualified"))
            if kind in seen:
                errors.append(duplicate(path / "type", kind))
            seen.add(kind)
            errors += _item(item, kind, path)
        return errors


def _item(item: Obj, kind: str, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    check = container_resource_name if kind in ("Pod", "Container") else resource_name
    fields = [field for field in _AMOUNTS if not (kind == "Pod" and field.startswith("default"))]
    keys: set[str] = set()
    for field in _AMOUNTS:
        if field == "maxLimitRequestRatio" and kind == "PersistentVolumeClaim" and not _says_how_much(item):
            text = "either minimum or maximum storage value is required, but neither was provided"
            errors.append(required(path / "limits", text))
        if field not in fields:
            if item.get(field):
                errors.append(forbidden(path / field, "may not be specified when `type` is 'Pod'"))
            continue
        for name in item.get(field) or {}:
            errors += check(name, (path / field).key(name))
            keys.add(name)
    for name in sorted(keys):
        bounds = {f: quantity.parse(item[f][name]) for f in fields if name in (item.get(f) or {})}
        errors += _order(name, bounds, path) + _ratio(name, bounds, path)
    return errors


def _says_how_much(item: Obj) -> bool:
    return any("storage" in (item.get(field) or {}) for field in ("min", "max"))


# (smaller, larger, blamed field, shown field, text): the value shown is not always the blamed one, as in Kubernetes
_ORDER = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "defaultRequest",
        "min value {} is greater than default request value {}",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than max value {}",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)


def _order(name: str, bounds: _Bounds, path: Path) -> list[FieldError]:
    errors = []
    for low, high, blamed, shown, text in _ORDER:
        if low in bounds and high in bounds and bounds[high] < bounds[low]:
            at = (path / blamed).key(name)
            errors.append(invalid(at, str(bounds[shown]), text.format(bounds[low], bounds[high])))
    default, request = bounds.get("default"), bounds.get("defaultRequest")
    overcommit = is_native(name) and not name.startswith("hugepages-")
    if not overcommit and default is not None and request is not None and default != request:
        text = f"default value {default} must equal to defaultRequest value {request} in {name}"
        errors.append(invalid((path / "defaultRequest").key(name), str(request), text))
    return errors


def _ratio(name: str, bounds: _Bounds, path: Path) -> list[FieldError]:
    ratio = bounds.get("maxLimitRequestRatio")
    if ratio is None:
        return []
    at, errors = (path / "maxLimitRequestRatio").key(name), []
    if ratio.value < 1:
        errors.append(invalid(at, str(ratio), f"ratio {ratio} is less than 1"))
    low, high = bounds.get("min"), bounds.get("max")
    if low and high is not None:
        most: Any = high.value / low.value
        if ratio.value > most:
            errors.append(invalid(at, str(ratio), f"ratio {ratio} is greater than max/min = {most:f}"))
    return errors
