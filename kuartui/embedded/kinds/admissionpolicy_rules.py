"""What ValidatingAdmissionPolicies and their bindings must fulfil (pkg/apis/admissionregistration/validation).

CEL expressions are compiled by the admission plugin's evaluator; what it says is worded as kube-apiserver words it.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.cel import CelError, compile_cel
from kuartui.embedded.kinds.checks import dns_subdomain, label_selector, one_of
from kuartui.embedded.kinds.webhook_rules import rule_errors
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, invalid, not_supported, required

Obj = dict[str, Any]

_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
VARIABLES = ("object", "oldObject", "request", "params", "namespaceObject", "authorizer", "variables")
_ACTIONS = ("Audit", "Deny", "Warn")


def policy_errors(spec: Obj, path: Path) -> list[FieldError]:
    """A ValidatingAdmissionPolicySpec."""
    errors = one_of(spec.get("failurePolicy"), path / "failurePolicy", ("Fail", "Ignore"))
    kind = spec.get("paramKind")
    if kind is not None:
        errors += [required(path / "paramKind" / field) for field in ("apiVersion", "kind") if not kind.get(field)]
    constraints = spec.get("matchConstraints")
    if constraints is None:
        errors.append(required(path / "matchConstraints"))
    else:
        errors += _match(constraints, path / "matchConstraints")
        if not constraints.get("resourceRules"):
            errors.append(required(path / "matchConstraints" / "resourceRules"))
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        text = "validations or auditAnnotations must contain at least one item"
        errors += [required(path / field, text) for field in ("validations", "auditAnnotations")]
    for index, validation in enumerate(validations):
        errors += _validation(validation, (path / "validations").index(index))
    seen: set[str] = set()
    for field in ("matchConditions", "variables"):
        for index, condition in enumerate(spec.get(field) or []):
            at, name = (path / field).index(index), condition.get("name", "")
            if not name:
                errors.append(required(at / "name"))
            if f"{field}/{name}" in seen:
                errors.append(duplicate(at / "name", name))
            seen.add(f"{field}/{name}")
            if not condition.get("expression", "").strip():
                errors.append(required(at / "expression"))
            else:
                errors += _compiles(
                    condition["expression"], at / "expression", "BOOL" if field == "matchConditions" else ""
                )
    return errors


def _compiles(source: str, path: Path, wanted: str) -> list[FieldError]:
    """Whether an expression can be read and gives what it should."""
    try:
        program = compile_cel(source, VARIABLES)
    except CelError as error:
        return [invalid(path, source, f"compilation failed: {error}")]
    if wanted and program.type not in (wanted, "DYN"):
        noun = {"BOOL": "bool", "STRING": "string"}[wanted]
        return [invalid(path, source, f"must evaluate to {noun}")]
    return []


def _match(resources: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("namespaceSelector", "objectSelector"):
        errors += label_selector(resources.get(field), path / field)
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(resources.get(field) or []):
            errors += rule_errors(rule, (path / field).index(index))
    return errors + one_of(resources.get("matchPolicy"), path / "matchPolicy", ("Equivalent", "Exact"))


def _validation(validation: Obj, path: Path) -> list[FieldError]:
    expression, message = validation.get("expression", "").strip(), validation.get("message", "")
    errors: list[FieldError] = []
    if not expression:
        errors.append(required(path / "expression", "expression is not specified"))
    else:
        errors += _compiles(validation["expression"], path / "expression", "BOOL")
    if validation.get("messageExpression", "").strip():
        errors += _compiles(validation["messageExpression"], path / "messageExpression", "STRING")
    if message:
        if not message.strip():
            text = "message must be non-empty if specified"
            errors.append(invalid(path / "message", message, text))
        elif "\n" in message:
            errors.append(invalid(path / "message", message, "message must not contain line breaks"))
    elif "\n" in expression:
        text = "message must be specified if expression contains line breaks"
        errors.append(required(path / "message", text))
    if validation.get("reason") not in (None, *_REASONS):
        errors.append(not_supported(path / "reason", validation["reason"], _REASONS))
    return errors


def binding_errors(spec: Obj, path: Path) -> list[FieldError]:
    """A ValidatingAdmissionPolicyBindingSpec."""
    name = spec.get("policyName", "")
    errors = dns_subdomain(name, path / "policyName") if name else [required(path / "policyName")]
    ref = spec.get("paramRef")
    if ref is not None:
        errors += _param_ref(ref, path / "paramRef")
    if spec.get("matchResources") is not None:
        errors += _match(spec["matchResources"], path / "matchResources")
    actions = spec.get("validationActions") or []
    if not actions:
        errors.append(required(path / "validationActions"))
    for index, action in enumerate(actions):
        at = (path / "validationActions").index(index)
        if action not in _ACTIONS:
            errors.append(not_supported(at, action, _ACTIONS))
        if action in actions[:index]:
            errors.append(duplicate(at, action))
    if "Deny" in actions and "Warn" in actions:
        text = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        errors.append(invalid(path / "validationActions", actions, text))
    return errors


def _param_ref(ref: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    name, selector = ref.get("name"), ref.get("selector")
    if name and selector is not None:
        errors.append(invalid(path / "name", name, "name and selector are mutually exclusive"))
    elif not name and selector is None:
        errors.append(required(path, "one of name or selector must be specified"))
    errors += label_selector(selector, path / "selector")
    return errors + one_of(ref.get("parameterNotFoundAction"), path / "parameterNotFoundAction", ("Allow", "Deny"))
