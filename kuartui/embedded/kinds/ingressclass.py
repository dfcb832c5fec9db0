"""IngressClasses (pkg/apis/networking)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required, too_long


@register("ingressclasses.networking.k8s.io")
class IngressClasses(Strategy):
    has_status = False

    def default(self, obj: Obj) -> None:
        parameters = (obj.get("spec") or {}).get("parameters")
        if parameters is not None and parameters.get("scope") is None:
            parameters["scope"] = "Cluster"

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        errors = _controller(spec.get("controller", ""), path / "controller")
        if spec.get("parameters") is not None:
            errors += _parameters(spec["parameters"], path / "parameters")
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = self.validate(new)
        before, after = (old.get("spec") or {}).get("controller", ""), (new.get("spec") or {}).get("controller", "")
        if before != after:
            errors.append(invalid("spec.controller", after, "field is immutable"))
        return errors

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        parameters, shown = spec.get("parameters"), cells.NONE
        if parameters is not None:
            group = parameters.get("apiGroup")
            shown = f"{parameters.get('kind', '')}{'' if group is None else '.' + group}/{parameters.get('name', '')}"
        return [cells.name(obj), spec.get("controller", ""), shown, cells.age(obj, now)]


def _controller(controller: str, path: Path) -> list[FieldError]:
    if not controller:
        return [required(path)]
    if len(controller) > 250:
        return [too_long(path, 250)]
    if not controller.count("/"):
        return [invalid(path, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    domain, _, rest = controller.partition("/")
    if not rest:
        return [invalid(path, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    return [invalid(path, domain, text) for text in names.dns1123_subdomain(domain)]


def _parameters(parameters: Obj, path: Path) -> list[FieldError]:
    errors = []
    if not parameters.get("kind"):
        errors.append(required(path / "kind"))
    if not parameters.get("name"):
        errors.append(required(path / "name"))
    else:
        errors += [invalid(path / "name", parameters["name"], text) for text in names.path_segment(parameters["name"])]
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope not in ("Cluster", "Namespace"):
        errors.append(not_supported(path / "scope", scope, ["Cluster", "Namespace"]))
    if scope == "Namespace":
        if not namespace:
            errors.append(required(path / "namespace", "`parameters.scope` is set to 'Namespace'"))
        else:
            errors += [invalid(path / "namespace", namespace, text) for text in names.dns1123_label(namespace)]
    elif scope == "Cluster" and namespace is not None:
        errors.append(forbidden(path / "namespace", "`parameters.scope` is set to 'Cluster'"))
    return errors
