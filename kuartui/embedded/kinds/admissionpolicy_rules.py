"""What ValidatingAdmissionPolicies and their bindings must fulfil (pkg/apis/admissionregistration/validation).

CEL expressions are compiled by the admission plugin's evaluator; what it says is worded as kube-apiserver words it.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.cel_structs import with_maps
from kuartui.embedded.kinds.checks import dns_subdomain, errors_of, label_selector, one_of
from kuartui.embedded.kinds.webhook_rules import compiles, match_conditions, rule_errors
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, forbidden, invalid, not_supported, required

Obj = dict[str, Any]

_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
VARIABLES = ("object", "oldObject", "request", "params", "namespaceObject", "authorizer", "variables")
_COMPOSED = re.compile(r"\bvariables\.(\w+)")
_TEXTS = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = re.compile(
    "true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void"
    "|while"
)
_MOST_ANNOTATIONS = 20
_CHANGING = ("*", "CONNECT", "CREATE", "UPDATE")
_ACTIONS = ("Audit", "Deny", "Warn")


def policy_errors(name: str, spec: Obj, path: Path) -> list[FieldError]:
    """The spec of a ValidatingAdmissionPolicy of this name."""
    errors, scope = _common(spec, path)
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        text = "validations or auditAnnotations must contain at least one item"
        errors += [required(path / field, text) for field in ("validations", "auditAnnotations")]
    for index, validation in enumerate(validations):
        errors += _validation(validation, scope, (path / "validations").index(index))
    return errors + _annotations(name, annotations, scope, path / "auditAnnotations")


def mutating_policy_errors(spec: Obj, path: Path) -> list[FieldError]:
    """The spec of a MutatingAdmissionPolicy."""
    errors, scope = _common(spec, path, mutates=True)
    mutations = spec.get("mutations") or []
    if not mutations:
        errors.append(required(path / "mutations", "mutations must contain at least one item"))
    for index, mutation in enumerate(mutations):
        errors += _mutation(mutation, scope, (path / "mutations").index(index))
    return errors + one_of(spec.get("reinvocationPolicy"), path / "reinvocationPolicy", ("IfNeeded", "Never"))


def _mutation(mutation: Obj, scope: _Scope, path: Path) -> list[FieldError]:
    kind = mutation.get("patchType", "")
    fields = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
    gives = "OBJECT" if kind == "ApplyConfiguration" else "PATCHES"
    if not kind:
        return [required(path / "patchType")]
    if kind not in fields:
        return [not_supported(path / "patchType", kind, fields)]
    errors: list[FieldError] = []
    for other, field_ in fields.items():
        given, at = mutation.get(field_), path / field_
        if other != kind:
            if given is not None:
                errors.append(invalid(at, f"{{{field_}}}", f"must not be specified when patchType is {kind}"))
        elif given is None:
            errors.append(required(at, f"must be specified when patchType is {kind}"))
        elif not given.get("expression", "").strip():
            errors.append(required(at / "expression"))
        else:
            errors += scope.compiles(given["expression"].strip(), at / "expression", (gives,))
    return errors


def _common(spec: Obj, path: Path, *, mutates: bool = False) -> tuple[list[FieldError], _Scope]:
    """What policies of both kinds have: whom they concern, parameters, variables."""
    errors = one_of(spec.get("failurePolicy"), path / "failurePolicy", ("Fail", "Ignore"))
    kind = spec.get("paramKind")
    if kind is not None:
        errors += _param_kind(kind, path / "paramKind")
    constraints = spec.get("matchConstraints")
    if constraints is None:
        errors.append(required(path / "matchConstraints"))
    else:
        errors += _match(constraints, path / "matchConstraints")
        if not constraints.get("resourceRules"):
            errors.append(required(path / "matchConstraints" / "resourceRules"))
        if mutates:
            errors += _unchangeable(constraints, path / "matchConstraints")
    scope = _Scope(kind is not None, bool(spec.get("variables")), mutates)
    errors += match_conditions(spec.get("matchConditions") or [], path / "matchConditions", scope.names("variables"))
    for index, variable in enumerate(spec.get("variables") or []):
        errors += _variable(variable, scope, (path / "variables").index(index))
    return errors, scope


class _Scope(Struct):
    """What expressions of one policy may name: `params` if it has some, and the variables said so far."""

    params: bool
    composes: bool
    mutates: bool = False
    composed: list[str] = field(default_factory=list)

    def names(self, *without: str) -> list[str]:
        hidden = {*without, *(() if self.params else ("params",)), *(() if self.composes else ("variables",))}
        return [name for name in VARIABLES if name not in hidden]

    def compiles(self, source: str, path: Path, wanted: tuple[str, ...], *without: str) -> list[FieldError]:
        errors = compiles(with_maps(source) if self.mutates else source, path, wanted, self.names(*without))
        errors = [invalid(path, source, error.detail) for error in errors]
        if errors or not self.composes:
            return errors
        for found in _COMPOSED.finditer(_TEXTS.sub(lambda text: " " * len(text[0]), source)):
            if found[1] not in self.composed:
                return [invalid(path, source, f"compilation failed: {_undefined(source, found)}")]
        return []


def _undefined(source: str, found: re.Match[str]) -> str:
    """As cel-go tells of a variable that there is not; it points at the dot."""
    dot = found.start(1) - 1
    start = source.rfind("\n", 0, dot) + 1
    line, column = source.count("\n", 0, dot) + 1, dot - start
    shown = source[start:].partition("\n")[0]
    return f"ERROR: <input>:{line}:{column + 1}: undefined field '{found[1]}'\n | {shown}\n | {'.' * column}^"


def _param_kind(kind: Obj, path: Path) -> list[FieldError]:
    version, name, errors = kind.get("apiVersion", ""), kind.get("kind", ""), []
    group, _, short = version.rpartition("/")
    if not version:
        errors.append(required(path / "apiVersion"))
    elif version.count("/") > 1:
        errors.append(invalid(path / "apiVersion", version, f"unexpected GroupVersion string: {version}"))
    else:
        if group:
            errors += errors_of(path / "apiVersion", group, names.dns1123_subdomain(group))
        if short:
            errors += errors_of(path / "apiVersion", short, names.dns1035_label(short))
        else:
            errors.append(invalid(path / "apiVersion", version, "version must be specified"))
    if not name:
        return [*errors, required(path / "kind")]
    wrong = names.dns1035_label(name.lower())
    if wrong:
        text = "may have mixed case, but should otherwise match: " + ",".join(wrong)
        errors.append(invalid(path / "kind", name, text))
    return errors


def _variable(variable: Obj, scope: _Scope, path: Path) -> list[FieldError]:
    name, source, errors = variable.get("name", ""), variable.get("expression", ""), []
    if not name.strip():
        errors.append(required(path / "name", "name is not specified"))
    elif not _IDENTIFIER.fullmatch(name) or _RESERVED.fullmatch(name):
        errors.append(invalid(path / "name", name, "name is not a valid CEL identifier"))
    if source.strip():
        errors += scope.compiles(source, path / "expression", ())
    else:
        errors.append(required(path / "expression", "expression is not specified"))
    scope.composed.append(name)
    return errors


def _annotations(policy: str, annotations: list[Obj], scope: _Scope, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(annotations) > _MOST_ANNOTATIONS:
        text = f"must not have more than {_MOST_ANNOTATIONS} auditAnnotations"
        errors.append(invalid(path, annotations, text))
    seen: set[str] = set()
    for index, annotation in enumerate(annotations):
        at, key, source = path.index(index), annotation.get("key", ""), annotation.get("valueExpression", "").strip()
        full = f"{policy}/{key}"
        errors += errors_of(at / "key", full, names.qualified_name(full))
        if source:
            errors += scope.compiles(source, at / "valueExpression", ("STRING", "NULL"))
        else:
            errors.append(required(at / "valueExpression", "valueExpression is not specified"))
        if key in seen:
            errors.append(duplicate(at / "key", key))
        seen.add(key)
    return errors


def _match(resources: Obj, path: Path) -> list[FieldError]:
    errors = one_of(resources.get("matchPolicy"), path / "matchPolicy", ("Equivalent", "Exact"))
    for selector in ("namespaceSelector", "objectSelector"):
        errors += label_selector(resources.get(selector), path / selector)
    for rules in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(resources.get(rules) or []):
            at, wanted = (path / rules).index(index), rule.get("resourceNames") or []
            for place, name in enumerate(wanted):
                errors += errors_of((at / "resourceNames").index(place), name, names.path_segment(name))
                if name in wanted[:place]:
                    errors.append(duplicate((at / "resourceNames").index(place), name))
            errors += rule_errors(rule, at)
    return errors


def _validation(validation: Obj, scope: _Scope, path: Path) -> list[FieldError]:
    expression, message = validation.get("expression", "").strip(), validation.get("message", "")
    errors: list[FieldError] = []
    if not expression:
        errors.append(required(path / "expression", "expression is not specified"))
    else:
        errors += scope.compiles(validation["expression"], path / "expression", ("BOOL",))
    shown = validation.get("messageExpression", "")
    if shown.strip():
        errors += scope.compiles(shown, path / "messageExpression", ("STRING",), "authorizer")
    elif shown:
        errors.append(invalid(path / "messageExpression", shown, "must be non-empty if specified"))
    if message:
        if not message.strip():
            text = "message must be non-empty if specified"
            errors.append(invalid(path / "message", message, text))
        elif "\n" in message:
            errors.append(invalid(path / "message", message, "message must not contain line breaks"))
    if validation.get("reason") not in (None, *_REASONS):
        errors.append(not_supported(path / "reason", validation["reason"], _REASONS))
    return errors


def binding_errors(spec: Obj, path: Path) -> list[FieldError]:
    """A ValidatingAdmissionPolicyBindingSpec."""
    errors = _bound(spec, path)
    actions = spec.get("validationActions") or []
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
    if not actions:
        errors.append(required(path / "validationActions", "at least one validation action is required"))
    return errors


def mutating_binding_errors(spec: Obj, path: Path) -> list[FieldError]:
    """A MutatingAdmissionPolicyBindingSpec."""
    return _bound(spec, path) + _unchangeable(spec.get("matchResources") or {}, path / "matchResources")


def _bound(spec: Obj, path: Path) -> list[FieldError]:
    name = spec.get("policyName", "")
    errors = dns_subdomain(name, path / "policyName") if name else [required(path / "policyName")]
    ref = spec.get("paramRef")
    if ref is not None:
        errors += _param_ref(ref, path / "paramRef")
    if spec.get("matchResources") is not None:
        errors += _match(spec["matchResources"], path / "matchResources")
    return errors


def _unchangeable(resources: Obj, path: Path) -> list[FieldError]:
    """Operations that leave nothing to change; no index tells which."""
    return [
        not_supported(path / "resourceRules" / "operations", operation, _CHANGING)
        for rule in resources.get("resourceRules") or []
        for operation in rule.get("operations") or []
        if operation not in _CHANGING
    ]


def _param_ref(ref: Obj, path: Path) -> list[FieldError]:
    name, selector = ref.get("name"), ref.get("selector")
    both, text = bool(name) and selector is not None, "name and selector are mutually exclusive"
    errors = errors_of(path / "name", name, names.path_segment(name)) if name else []
    if both:
        errors.append(forbidden(path / "name", text))
    errors += label_selector(selector, path / "selector")
    if both:
        errors.append(forbidden(path / "selector", text))
    if not name and selector is None:
        errors.append(required(path, "one of name or selector must be specified"))
    return errors + one_of(ref.get("parameterNotFoundAction"), path / "parameterNotFoundAction", ("Deny", "Allow"))
