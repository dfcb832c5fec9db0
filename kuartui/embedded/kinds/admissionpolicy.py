"""Validating and mutating admission policies and their bindings (pkg/apis/admissionregistration)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import admissionpolicy_rules, cells
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.kinds.webhook import default_rules
from kuartui.embedded.meta.fielderr import FieldError, Path
from kuartui.embedded.meta.gofmt import go_selector

GROUP = "admissionregistration.k8s.io"


def _default_match(resources: Obj | None) -> None:
    if resources is None:
        return
    missing(resources, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
    default_rules(resources.get("resourceRules"))
    default_rules(resources.get("excludeResourceRules"))


def _shown_parameters(ref: Obj) -> str:
    """Which parameters a binding means, as tables show them: * where no namespace is said, whatever the kind's scope."""
    if ref.get("name"):
        return f"{ref.get('namespace') or '*'}/{ref['name']}"
    return cells.UNSET if ref.get("selector") is None else go_selector(ref["selector"])


class _Policies(Strategy):
    qualified_finalizers = False
    unconditional_update = False
    counted = "validations"

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        missing(spec, failurePolicy="Fail")
        _default_match(spec.get("matchConstraints"))

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        kind = spec.get("paramKind")
        shown = cells.UNSET if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"
        return [cells.name(obj), len(spec.get(self.counted) or []), shown, cells.age(obj, now)]


@register(f"validatingadmissionpolicies.{GROUP}")
class ValidatingAdmissionPolicies(_Policies):
    status_keeps = OWN_METADATA

    def validate(self, obj: Obj) -> list[FieldError]:
        return admissionpolicy_rules.policy_errors(obj["metadata"].get("name", ""), obj.get("spec") or {}, Path("spec"))


@register(f"mutatingadmissionpolicies.{GROUP}")
class MutatingAdmissionPolicies(_Policies):
    has_status = False
    counted = "mutations"

    def validate(self, obj: Obj) -> list[FieldError]:
        return admissionpolicy_rules.mutating_policy_errors(obj.get("spec") or {}, Path("spec"))


class _Bindings(Strategy):
    qualified_finalizers = False
    unconditional_update = False
    has_status = False

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        _default_match(spec.get("matchResources"))
        if spec.get("paramRef") is not None:
            missing(spec["paramRef"], parameterNotFoundAction="Deny")

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        ref, shown = spec.get("paramRef"), cells.UNSET
        if ref is not None:
            shown = _shown_parameters(ref)
        return [cells.name(obj), spec.get("policyName", ""), shown, cells.age(obj, now)]


@register(f"validatingadmissionpolicybindings.{GROUP}")
class ValidatingAdmissionPolicyBindings(_Bindings):
    def validate(self, obj: Obj) -> list[FieldError]:
        return admissionpolicy_rules.binding_errors(obj.get("spec") or {}, Path("spec"))


@register(f"mutatingadmissionpolicybindings.{GROUP}")
class MutatingAdmissionPolicyBindings(_Bindings):
    def validate(self, obj: Obj) -> list[FieldError]:
        return admissionpolicy_rules.mutating_binding_errors(obj.get("spec") or {}, Path("spec"))
