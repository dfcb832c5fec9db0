"""Ingresses (pkg/apis/networking, pkg/registry/networking/ingress, printIngress)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import (
    balancer_points,
    dns_label,
    dns_subdomain,
    errors_of,
    local_reference,
    no_address,
    port_number,
)
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, not_supported, required

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_HOSTS_SHOWN = 3
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_END = ("/..", "/.")
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_WILDCARD = r"\*(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+"


@register("ingresses.networking.k8s.io")
class Ingresses(Strategy):
    def default(self, obj: Obj) -> None:
        obj.setdefault("spec", {})
        status = obj.get("status") or {}
        status.setdefault("loadBalancer", {})
        obj["status"] = status

    def validate(self, obj: Obj) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = _spec_errors(spec, Path("spec"))
        given = (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
        if given is not None and spec.get("ingressClassName") not in (None, given):
            text = "must match `ingressClassName` when both are specified"
            errors.append(invalid(Path("annotations") / CLASS_ANNOTATION, given, text))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return _spec_errors(new.get("spec") or {}, Path("spec"))

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        balancer = (new.get("status") or {}).get("loadBalancer") or {}
        return balancer_points(balancer.get("ingress") or [], Path("status.loadBalancer.ingress"))

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        if old is None and CLASS_ANNOTATION in (obj["metadata"].get("annotations") or {}):
            return [f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]
        return []

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        return [
            cells.name(obj),
            cells.NONE if spec.get("ingressClassName") is None else spec["ingressClassName"],
            _hosts(spec.get("rules") or []),
            cells.load_balancer((obj.get("status") or {}).get("loadBalancer")),
            "80, 443" if spec.get("tls") else "80",
            cells.age(obj, now),
        ]


def _hosts(rules: list[Obj]) -> str:
    found: list[str] = []
    more = False
    for rule in rules:
        if len(found) == _HOSTS_SHOWN:
            more = True
        elif rule.get("host"):
            found.append(rule["host"])
    if not found:
        return "*"
    return ",".join(found) + (f" + {len(rules) - _HOSTS_SHOWN} more..." if more else "")


def _spec_errors(spec: Obj, path: Path) -> list[FieldError]:
    rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
    errors: list[FieldError] = []
    if not rules and backend is None:
        errors.append(invalid(path, spec.get("rules"), "either `defaultBackend` or `rules` must be specified"))
    if backend is not None:
        errors += _backend(backend, path / "defaultBackend")
    for index, rule in enumerate(rules):
        at = (path / "rules").index(index)
        errors += _host(rule.get("host", ""), at / "host")
        http = rule.get("http")
        if http is not None:
            paths = http.get("paths") or []
            if not paths:
                errors.append(required(at / "http" / "paths"))
            for place, one in enumerate(paths):
                errors += _path(one, (at / "http" / "paths").index(place))
    for index, tls in enumerate(spec.get("tls") or []):
        at = (path / "tls").index(index)
        for place, host in enumerate(tls.get("hosts") or []):
            errors += _name(host, (at / "hosts").index(place))
        if tls.get("secretName"):
            errors += dns_subdomain(tls["secretName"], at / "secretName")
    if spec.get("ingressClassName") is not None:
        errors += dns_subdomain(spec["ingressClassName"], path / "ingressClassName")
    return errors


def _host(host: str, path: Path) -> list[FieldError]:
    return no_address(host, path) + _name(host, path) if host else []


def _name(host: str, path: Path) -> list[FieldError]:
    if "*" not in host:
        return dns_subdomain(host, path)
    if re.fullmatch(_WILDCARD, host):
        return []
    text = (
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
        "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
    )
    pattern = r"\*\." + names.SUBDOMAIN
    return [invalid(path, host, names.regex_error(text, pattern, "*.example.com"))]


def _path(one: Obj, path: Path) -> list[FieldError]:
    kind, target = one.get("pathType"), one.get("path", "")
    if kind is None:
        return [required(path / "pathType", "pathType must be specified")]
    errors: list[FieldError] = []
    at = path / "path"
    if kind in ("Exact", "Prefix"):
        if not target.startswith("/"):
            errors.append(invalid(at, target, "must be an absolute path"))
        errors += [invalid(at, target, f"must not contain '{bad}'") for bad in _NOT_IN_PATHS if bad in target]
        errors += [invalid(at, target, f"cannot end with '{bad}'") for bad in _NOT_AT_END if target.endswith(bad)]
    elif kind == "ImplementationSpecific":
        if target and not target.startswith("/"):
            errors.append(invalid(at, target, "must be an absolute path"))
    else:
        errors.append(not_supported(path / "pathType", kind, _PATH_TYPES))
    return errors + _backend(one.get("backend") or {}, path / "backend")


def _backend(backend: Obj, path: Path) -> list[FieldError]:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return local_reference(resource, path / "resource")
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    name, port = service.get("name", ""), service.get("port") or {}
    errors = dns_label(name, path / "service" / "name") if name else [required(path / "service" / "name")]
    named, number = port.get("name", ""), port.get("number", 0)
    at = path / "service" / "port"
    if named and number:
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif named:
        errors += errors_of(at / "name", named, names.port_name(named))
    elif number:
        errors += port_number(number, at / "number")
    else:
        errors.append(required(path, "port name or number is required"))
    return errors
