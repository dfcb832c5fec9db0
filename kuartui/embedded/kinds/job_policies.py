"""When a job fails or succeeds before all is done: podFailurePolicy and successPolicy (pkg/apis/batch/validation)."""

from __future__ import annotations

import re
from typing import Any

from kuartui.embedded.kinds.checks import label_key, non_negative
from kuartui.embedded.meta.fielderr import (
    FieldError,
    Path,
    duplicate,
    invalid,
    not_supported,
    quote,
    required,
    too_long,
    too_many,
    without_value,
)

Obj = dict[str, Any]

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_MAX_RULES = 20
_MAX_EXIT_CODES = 255
_MAX_SUCCEEDED_INDEXES = 64 * 1024  # bytes


def failure(spec: Obj, path: Path) -> list[FieldError]:
    """spec.podFailurePolicy."""
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return []
    names_known = {
        c.get("name")
        for field in ("containers", "initContainers")
        for c in ((spec.get("template") or {}).get("spec") or {}).get(field) or []
    }
    rules, place_of_rules = policy.get("rules") or [], path / "podFailurePolicy" / "rules"
    errors = _at_most(_MAX_RULES, rules, place_of_rules)
    for index, rule in enumerate(rules):
        at = place_of_rules.index(index)
        action = rule.get("action", "")
        errors += _choice(action, at / "action", _ACTIONS)
        if action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            text = "requires the backoffLimitPerIndex to be set"
            errors.append(invalid(at / "action", action, text))
        codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or []
        if codes is not None:
            errors += _exit_codes(codes, names_known, at / "onExitCodes")
        errors += _at_most(_MAX_RULES, patterns, at / "onPodConditions")
        for place, pattern in enumerate(patterns):
            where = (at / "onPodConditions").index(place)
            errors += label_key(pattern.get("type", ""), where / "type")
            errors += _choice(pattern.get("status", ""), where / "status", ("False", "True", "Unknown"))
        if codes is not None and patterns:
            text = "specifying both OnExitCodes and OnPodConditions is not supported"
            errors.append(without_value(at, text))
        if codes is None and not patterns:
            text = "specifying one of OnExitCodes and OnPodConditions is required"
            errors.append(without_value(at, text))
    return errors


def _choice(value: str, path: Path, allowed: tuple[str, ...]) -> list[FieldError]:
    if not value:
        return [required(path, "valid values: [" + " ".join(map(quote, allowed)) + "]")]
    return [] if value in allowed else [not_supported(path, value, allowed)]


def _at_most(limit: int, items: list[Any], path: Path) -> list[FieldError]:
    return [too_many(path, len(items), limit)] if len(items) > limit else []


def _exit_codes(codes: Obj, known: set[Any], path: Path) -> list[FieldError]:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    errors = _choice(operator, path / "operator", ("In", "NotIn"))
    name = codes.get("containerName")
    if name is not None and name not in known:
        text = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(path / "containerName", name, text))
    if not values:
        errors.append(invalid(path / "values", codes.get("values"), "at least one value is required"))
    errors += _at_most(_MAX_EXIT_CODES, values, path / "values")
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.append(invalid((path / "values").index(index), value, "must not be 0 for the In operator"))
        if value in values[:index]:
            errors.append(duplicate((path / "values").index(index), value))
    if values != sorted(values):
        errors.append(invalid(path / "values", values, "must be ordered"))
    return errors


def success(spec: Obj, path: Path) -> list[FieldError]:
    """spec.successPolicy."""
    policy = spec.get("successPolicy")
    if policy is None:
        return []
    at = path / "successPolicy"
    if spec.get("completionMode") != "Indexed":
        return [invalid(at, render_success(policy), "requires indexed completion mode")]
    rules = policy.get("rules") or []
    errors = (
        []
        if rules
        else [required(at / "rules", "at least one rules must be specified when the successPolicy is specified")]
    )
    errors += _at_most(_MAX_RULES, rules, at / "rules")
    for index, rule in enumerate(rules):
        errors += _success_rule(rule, spec.get("completions") or 0, (at / "rules").index(index))
    return errors


def _success_rule(rule: Obj, completions: int, path: Path) -> list[FieldError]:
    indexes, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if indexes is None and count is None:
        return [required(path, "at least one of succeededCount or succeededIndexes must be specified")]
    errors: list[FieldError] = []
    total = 0
    if indexes is not None:
        if len(indexes) > _MAX_SUCCEEDED_INDEXES:
            errors.append(too_long(path / "succeededIndexes", _MAX_SUCCEEDED_INDEXES))
        try:
            total = count_indexes(indexes, completions)
        except ValueError as error:
            errors.append(invalid(path / "succeededIndexes", indexes, f"error parsing succeededIndexes: {error}"))
    if count is None:
        return errors
    errors += non_negative(rule, path, "succeededCount")
    limits = [(completions, "specified completions")]
    if indexes is not None:
        limits.append((total, "indexes in the specified succeededIndexes field"))
    for limit, noun in limits:
        if count > limit:
            text = f"must be less than or equal to {limit} (the number of {noun})"
            errors.append(invalid(path / "succeededCount", count, text))
    return errors


def count_indexes(text: str, completions: int) -> int:
    """How many indexes "1,3-5" names. Raises ValueError, in Kubernetes' words, if it is not well-formed."""
    total, last = 0, None
    for interval in text.split(",") if text else ():
        first, end = index_interval(interval, completions)
        if last is not None and last >= first:
            raise ValueError(f"non-increasing order, previous: {last}, current: {first}")
        total, last = total + end - first + 1, end
    return total


def index_interval(text: str, completions: int) -> tuple[int, int]:
    """The ends of "3-5" or "3". Raises ValueError."""
    parts = text.split("-")
    if len(parts) > 2:
        why = "violates the requirement that an index interval can have at most two parts separated by '-'"
        raise ValueError(f"the fragment {quote(text)} {why}")
    ends = []
    for part in parts:
        if not re.fullmatch(r"[+-]?[0-9]+", part):
            raise ValueError(f"cannot convert string to integer for index: {quote(part)}")
        if int(part) >= completions:
            raise ValueError(f"too large index: {quote(part)}")
        ends.append(int(part))
    if len(ends) > 1 and ends[0] >= ends[1]:
        raise ValueError(f"non-increasing order, previous: {ends[0]}, current: {ends[1]}")
    return ends[0], ends[-1]


def render_failure(policy: Obj | None) -> Obj | None:
    """A podFailurePolicy as messages show it: the fields of Kubernetes' internal type."""
    return None if policy is None else {"Rules": [_render_failure_rule(rule) for rule in policy.get("rules") or []]}


def _render_failure_rule(rule: Obj) -> Obj:
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions")
    return {
        "Action": rule.get("action", ""),
        "OnExitCodes": codes
        and {
            "ContainerName": codes.get("containerName"),
            "Operator": codes.get("operator", ""),
            "Values": codes.get("values"),
        },
        "OnPodConditions": patterns
        and [{"Type": one.get("type", ""), "Status": one.get("status", "")} for one in patterns],
    }


def render_success(policy: Obj | None) -> Obj | None:
    """A successPolicy as messages show it."""
    if policy is None:
        return None
    rules = [
        {"SucceededIndexes": rule.get("succeededIndexes"), "SucceededCount": rule.get("succeededCount")}
        for rule in policy.get("rules") or []
    ]
    return {"Rules": rules}
