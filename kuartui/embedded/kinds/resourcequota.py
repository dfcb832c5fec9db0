"""ResourceQuotas (pkg/apis/core/validation, printResourceQuota)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.kinds.pod_resources import amount, resource_name
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, required


@register("resourcequotas")
class ResourceQuotas(Strategy):
    returns_deleted = True
    generation = False

    def default(self, obj: Obj) -> None:
        missing(obj, spec={})

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        hard = spec.get("hard") or {}
        errors = _amounts(hard, path / "hard")
        errors += _scopes(spec.get("scopes") or [], hard, path / "scopes")
        if spec.get("scopeSelector") is not None:
            errors += _scope_selector(spec["scopeSelector"], spec.get("scopes"), hard, path / "scopeSelector")
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        now, was = ((one.get("spec") or {}).get("scopes") or [] for one in (new, old))
        errors = self.validate(new)
        if set(now) != set(was):
            errors.append(invalid("spec.scopes", now or None, "field is immutable"))
        return errors

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        status, path = new.get("status") or {}, Path("status")
        return [error for part in ("hard", "used") for error in _amounts(status.get(part) or {}, path / part)]

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        status = obj.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        requests: list[str] = []
        limits: list[str] = []
        for name in sorted(hard):
            shown = f"{name}: {cells.amount(used.get(name))}/{cells.amount(hard[name])}"
            (limits if name.startswith("limits.") else requests).append(shown)
        return [cells.name(obj), ", ".join(requests), ", ".join(limits), cells.age(obj, now)]


def _amounts(given: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    for name, text in given.items():
        errors += _resource_name(name, path.key(name)) + amount(name, text, path.key(name))
    return errors


_COMPUTE = (
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
)
_COUNTED = (
    "requests.storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
)
_POD_SCOPES = (
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
)
_SCOPES = (*_POD_SCOPES, "VolumeAttributesClass")
_OPPOSITES = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})


def _is_standard(name: str) -> bool:
    return name in _COMPUTE or name in _COUNTED or name.startswith(("hugepages-", "requests.hugepages-"))


def _resource_name(name: str, path: Path) -> list[FieldError]:
    errors = resource_name(name, path)
    if "/" not in name and not _is_standard(name):
        errors.append(invalid(path, name, "must be a standard resource for quota"))
    return errors


def _fits(scope: str, name: str) -> bool:
    """Whether a scope says anything about a resource."""
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in ("persistentvolumeclaims", "requests.storage")
    return name == "pods" or name in _COMPUTE or name.startswith(("hugepages-", "requests.hugepages-"))


def _scopes(scopes: list[str], hard: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    for scope in scopes:
        if scope not in _SCOPES:
            errors.append(invalid(path, scopes, "unsupported scope"))
        errors += [
            invalid(path, scopes, "unsupported scope applied to resource")
            for name in sorted(hard)
            if _is_standard(name) and not _fits(scope, name)
        ]
    errors += [invalid(path, scopes, "conflicting scopes") for pair in _OPPOSITES if pair <= set(scopes)]
    return errors


def _scope_selector(selector: Obj, scopes: list[str] | None, hard: Obj, path: Path) -> list[FieldError]:
    path = path / "matchExpressions"
    errors: list[FieldError] = []
    terms = selector.get("matchExpressions") or []
    for term in terms:
        scope, operator, values = term.get("scopeName", ""), term.get("operator", ""), term.get("values") or []
        if scope not in _SCOPES:
            errors.append(invalid(path / "scopeName", scope, "unsupported scope"))
        if any(_is_standard(name) and not _fits(scope, name) for name in hard):
            shown = {
                "MatchExpressions": [
                    {"ScopeName": t.get("scopeName", ""), "Operator": t.get("operator", ""), "Values": t.get("values")}
                    for t in terms
                ]
            }
            errors.append(invalid(path, shown, "unsupported scope applied to resource"))
        if scope in _SCOPES and scope not in ("PriorityClass", "VolumeAttributesClass") and operator != "Exists":
            text = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
                "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                "ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            errors.append(invalid(path / "operator", operator, text))
        if operator in ("In", "NotIn"):
            if not values:
                text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.append(required(path / "values", text))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.append(invalid(path / "values", values, text))
        else:
            errors.append(invalid(path / "operator", operator, "not a valid selector operator"))
    named = {term.get("scopeName", "") for term in terms}
    return errors + [invalid(path, scopes, "conflicting scopes") for pair in _OPPOSITES if pair <= named]
