"""IngressClasses (pkg/apis/networking)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import domain_prefixed_path, immutable, local_reference
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required, too_long

_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
_MAX_CONTROLLER = 250  # characters


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
        before, after = (old.get("spec") or {}).get("controller", ""), (new.get("spec") or {}).get("controller", "")
        return immutable(after, before, "spec.controller") + self.validate(new)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        parameters, shown = spec.get("parameters"), cells.NONE
        if parameters is not None:
            group = parameters.get("apiGroup")
            shown = f"{parameters.get('kind', '')}{'' if group is None else '.' + group}/{parameters.get('name', '')}"
        is_default = (obj["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"
        name = cells.name(obj) + (" (default)" if is_default else "")
        return [name, spec.get("controller", ""), shown, cells.age(obj, now)]


def _controller(controller: str, path: Path) -> list[FieldError]:
    errors = [too_long(path, _MAX_CONTROLLER)] if len(controller) > _MAX_CONTROLLER else []
    return errors + domain_prefixed_path(controller, path)


def _parameters(parameters: Obj, path: Path) -> list[FieldError]:
    errors = local_reference(parameters, path)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope not in ("Cluster", "Namespace"):
        errors.append(not_supported(path / "scope", scope, ["Cluster", "Namespace"]))
    if scope == "Namespace":
        if namespace is None:
            errors.append(required(path / "namespace", "`parameters.scope` is set to 'Namespace'"))
        else:
            errors += [invalid(path / "namespace", namespace, text) for text in names.dns1123_label(namespace)]
    elif scope == "Cluster" and namespace is not None:
        errors.append(forbidden(path / "namespace", "`parameters.scope` is set to 'Cluster'"))
    return errors
