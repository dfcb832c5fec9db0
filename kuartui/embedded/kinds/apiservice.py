"""APIServices (kube-aggregator's pkg/apis/apiregistration, and its table)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, register
from kuartui.embedded.kinds.checks import errors_of
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, not_supported, required

HTTPS = 443
MAX_GROUP_PRIORITY, MAX_VERSION_PRIORITY = 20000, 1000


@register("apiservices.apiregistration.k8s.io")
class ApiServices(Strategy):
    qualified_finalizers = False
    unconditional_update = False
    status_keeps = OWN_METADATA
    generation = False

    def default(self, obj: Obj) -> None:
        service = (obj.get("spec") or {}).get("service")
        if service is not None:
            service.setdefault("port", HTTPS)

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return names.path_segment(name)

    def validate(self, obj: Obj) -> list[FieldError]:
        spec = obj.get("spec") or {}
        group, version = spec.get("group", ""), spec.get("version", "")
        path, errors = Path("spec"), _name(obj["metadata"]["name"], f"{version}.{group}")
        if not group and version != "v1":
            errors.append(required(path / "group", "only v1 may have an empty group and it better be legacy kube"))
        if group:
            errors += errors_of(path / "group", group, names.dns1123_subdomain(group))
        errors += errors_of(path / "version", version, names.dns1035_label(version))
        for field, most in (("groupPriorityMinimum", MAX_GROUP_PRIORITY), ("versionPriority", MAX_VERSION_PRIORITY)):
            if not 0 < spec.get(field, 0) <= most:
                errors.append(invalid(path / field, spec.get(field, 0), f"must be positive and less than {most}"))
        return errors + (_local(spec, path) if spec.get("service") is None else _remote(spec, path))

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        path = Path("status.conditions")
        return [
            not_supported(path.index(index) / "status", condition.get("status", ""), ["False", "True", "Unknown"])
            for index, condition in enumerate((new.get("status") or {}).get("conditions") or ())
            if condition.get("status") not in ("True", "False", "Unknown")
        ]

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        service = (obj.get("spec") or {}).get("service")
        where = "Local" if service is None else f"{service.get('namespace', '')}/{service.get('name', '')}"
        return [cells.name(obj), where, _available(obj.get("status") or {}), cells.age(obj, now)]


def _name(name: str, wanted: str) -> list[FieldError]:
    if name == wanted or names.path_segment(name):
        return []
    return [invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"')]


def _local(spec: Obj, path: Path) -> list[FieldError]:
    errors = []
    if spec.get("caBundle"):
        size = len(spec["caBundle"]) * 3 // 4 - spec["caBundle"].count("=")
        errors.append(invalid(path / "caBundle", f"{size} bytes", "local APIServices may not have a caBundle"))
    if spec.get("insecureSkipTLSVerify"):
        errors.append(
            invalid(path / "insecureSkipTLSVerify", True, "local APIServices may not have insecureSkipTLSVerify")
        )
    return errors


def _remote(spec: Obj, path: Path) -> list[FieldError]:
    errors = [required(path / "service" / field) for field in ("namespace", "name") if not spec["service"].get(field)]
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        errors.append(invalid(path / "insecureSkipTLSVerify", True, "may not be true if caBundle is present"))
    return errors


def _available(status: Obj) -> str:
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Available":
            if condition.get("status") == "True" or not condition.get("reason"):
                return str(condition.get("status", ""))
            return f"{condition.get('status', '')} ({condition['reason']})"
    return "Unknown"
