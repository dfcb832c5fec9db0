"""What `x-kubernetes-validations` must be like: complete, compiling, and about fields that exist.

k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go and pkg/apiserver/schema/cel/compilation.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.cel import CelError, Program, compile_cel
from kuartui.embedded.crd.rule_costs import Total, cost_errors, expression_cost, rule_cost
from kuartui.embedded.crd.rule_fields import checkable, undefined_field
from kuartui.embedded.crd.rules import program, uses_old_self
from kuartui.embedded.crd.selectable import FieldPathError, resolve
from kuartui.embedded.meta import fielderr
from kuartui.embedded.meta.fielderr import FieldError, Path

Obj = dict[str, Any]

REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_LINES = re.compile(r"[\n\r]")


class Costs(Struct):
    """What rules may cost: nothing is said of a single one that is `known`, as it was accepted before."""

    total: Total = field(default_factory=Total)
    known: bool = False


def rule_errors(
    schema: Obj,
    path: Path,
    uncorrelated: str,
    costs: Costs,
    *,
    compiled: bool,
    repeated: int | None = 1,
    root: bool = False,
) -> Iterator[FieldError]:
    """What is wrong with the rules of one place; without `compiled` their expressions are not looked at.

    `repeated`: how many such places an object may have at most; None without a limit.
    """
    rules = schema.get("x-kubernetes-validations") or []
    places = [(path / "x-kubernetes-validations").index(index) for index in range(len(rules))]
    problems = [error for rule, place in zip(rules, places, strict=True) for error in _form(rule, place, schema)]
    yield from problems
    if problems or not compiled:
        return
    for rule, place in zip(rules, places, strict=True):
        cost = rule_cost(str(rule["rule"]), schema, repeated, root=root)
        costs.total.add(cost, place / "rule")
        if not costs.known:
            yield from cost_errors("estimated rule cost", cost, place / "rule")
        yield from _expressions(rule, place, schema, uncorrelated, root=root)
        if rule.get("messageExpression"):
            cost = expression_cost(str(rule["messageExpression"]), schema, root=root)
            costs.total.add(cost, place / "messageExpression")
            if not costs.known:
                yield from cost_errors("estimated messageExpression cost", cost, place / "messageExpression")


def _form(rule: Obj, path: Path, schema: Obj) -> Iterator[FieldError]:
    text, message = str(rule.get("rule") or ""), str(rule.get("message") or "")
    if not text.strip():
        yield fielderr.required(path / "rule", "rule is not specified")
    elif message and not message.strip():
        yield fielderr.invalid(path / "message", message, "message must be non-empty if specified")
    elif _LINES.search(message.strip()):
        yield fielderr.invalid(path / "message", message, "message must not contain line breaks")
    elif _LINES.search(text.strip()) and not message.strip():
        yield fielderr.required(path / "message", "message must be specified if rule contains line breaks")
    if rule.get("messageExpression") and not rule["messageExpression"].strip():
        yield fielderr.required(path / "messageExpression", "messageExpression must be non-empty if specified")
    if rule.get("reason") is not None and rule["reason"] not in REASONS:
        yield fielderr.not_supported(path / "reason", rule["reason"], REASONS)
    where = rule.get("fieldPath") or ""
    if where and not where.strip():
        yield fielderr.invalid(path / "fieldPath", where, "fieldPath must be non-empty if specified")
    if _LINES.search(where):
        yield fielderr.invalid(path / "fieldPath", where, "fieldPath must not contain line breaks")
    if where:
        try:
            resolve(where, schema)
        except FieldPathError:
            yield fielderr.invalid(path / "fieldPath", where, "fieldPath must be a valid path")


def _expressions(rule: Obj, path: Path, schema: Obj, uncorrelated: str, *, root: bool) -> Iterator[FieldError]:
    text = str(rule["rule"])
    shown = _go_rule(rule)
    made = _compiled(rule, "rule", schema, root=root)
    if isinstance(made, str):
        yield fielderr.invalid(path / "rule", shown, f"compilation failed: {made}")
    elif made.type not in ("BOOL", "DYN"):
        yield fielderr.invalid(path / "rule", shown, "cel expression must evaluate to a bool")
    if rule.get("messageExpression"):
        worded = _compiled(rule, "messageExpression", schema, root=root)
        if isinstance(worded, str):
            why = f"messageExpression compilation failed: {worded}"
            yield fielderr.invalid(path / "messageExpression", shown, why)
        elif worded.type not in ("STRING", "DYN"):
            yield fielderr.invalid(path / "messageExpression", shown, "messageExpression must evaluate to a string")
    if uses_old_self(text):
        if uncorrelated:
            why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelated}"
            yield fielderr.invalid(path / "rule", text, why)
    elif rule.get("optionalOldSelf") is not None:
        why = "may not be set if oldSelf is not used in rule"
        yield fielderr.invalid(path / "optionalOldSelf", rule["optionalOldSelf"], why)


def _compiled(rule: Obj, field: str, schema: Obj, *, root: bool) -> Program | str:
    """The program, or what the compiler says."""
    text = str(rule[field])
    complaint = undefined_field(text, schema, root=root)
    if complaint:
        return complaint
    optional = bool(rule.get("optionalOldSelf"))
    found, types = (text, {}) if optional else checkable(text, schema, root=root)
    try:
        made = compile_cel(found, ("self", "oldSelf", *types), types)
        program(text, schema, optional=optional, root=root)
    except CelError as error:
        words = str(error)
        for line, shown in zip(found.split("\n"), text.split("\n"), strict=True):
            words = words.replace(line, shown)
        return words
    return made


def _go_rule(rule: Obj) -> Obj:
    """A rule as Go's struct prints."""
    return {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
