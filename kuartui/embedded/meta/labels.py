"""Label selectors: the string form, the object form, and matching.

k8s.io/apimachinery/pkg/labels/selector.go and pkg/apis/meta/v1/helpers.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kuartui.embedded.meta import names

Labels = Mapping[str, str]

_TOKEN = re.compile(r"\s*(==|!=|=|!|<|>|\(|\)|,|[^\s=!<>(),]+)")
_OPERATORS = {"=": "=", "==": "=", "!=": "!=", "in": "in", "notin": "notin", "<": "lt", ">": "gt"}
_OBJECT_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


class SelectorError(ValueError):
    """Not a selector; the text is Go's."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """`operator` is =, !=, in, notin, exists, ! (does not exist), gt or lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        has = self.key in labels
        value = labels.get(self.key, "")
        match self.operator:
            case "=" | "in":
                return has and value in self.values
            case "!=" | "notin":
                return not has or value not in self.values
            case "exists":
                return has
            case "!":
                return not has
            case _:
                return has and _compare(value, self.values[0], self.operator)


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; none at all matches everything."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Labels | None) -> bool:
        return not self.nothing and all(requirement.matches(labels or {}) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        return not self.requirements and not self.nothing


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def parse(text: str) -> Selector:
    """Read `a=b,c in (d,e),!f`. Raises SelectorError with the server's message."""
    tokens = _TOKEN.findall(text)
    if not tokens:
        return EVERYTHING
    requirements: list[Requirement] = []
    position = 0

    def peek() -> str:
        return tokens[position] if position < len(tokens) else ""

    while True:
        requirement, position = _requirement(tokens, position)
        requirements.append(requirement)
        if not peek():
            break
        if peek() != ",":
            raise SelectorError(f"found '{peek()}', expected: ',' or 'end of string'")
        position += 1
        if not peek() or peek() == ",":
            raise SelectorError(f"found '{peek()}', expected: identifier after ','")
    return Selector(tuple(sorted(requirements, key=lambda r: r.key)))


def _requirement(tokens: Sequence[str], position: int) -> tuple[Requirement, int]:
    def at(index: int) -> str:
        return tokens[index] if index < len(tokens) else ""

    absent = at(position) == "!"
    position += absent
    key = at(position)
    if not key or key in "=!<>(),==!=":
        raise SelectorError(f"found '{key}', expected: !, identifier, or 'end of string'")
    _check_key(key)
    position += 1
    if absent or at(position) in ("", ","):
        return Requirement(key, "!" if absent else "exists"), position
    operator = _OPERATORS.get(at(position))
    if operator is None:
        expected = "in, notin, =, ==, !=, gt, lt"
        raise SelectorError(f"found '{at(position)}', expected: {expected}")
    position += 1
    if operator in ("in", "notin"):
        values, position = _values(tokens, position)
    elif at(position) in ("", ","):
        values = ("",)
    else:
        values, position = (at(position),), position + 1
    for value in values:
        _check_value(key, value)
    return Requirement(key, operator, values), position


def _values(tokens: Sequence[str], position: int) -> tuple[tuple[str, ...], int]:
    def at(index: int) -> str:
        return tokens[index] if index < len(tokens) else ""

    if at(position) != "(":
        raise SelectorError(f"found '{at(position)}' expected: '('")
    position += 1
    values: list[str] = []
    while at(position) != ")":
        if not at(position):
            raise SelectorError("found '', expected: ',', or ')'")
        if at(position) == ",":
            position += 1
            continue
        values.append(at(position))
        position += 1
    return tuple(values) or ("",), position + 1


def _check_key(key: str) -> None:
    problems = names.qualified_name(key)
    if problems:
        raise SelectorError(f'key: Invalid value: "{key}": {"; ".join(problems)}')


def _check_value(key: str, value: str) -> None:
    problems = names.label_value(value)
    if problems:
        raise SelectorError(f'values[0][{key}]: Invalid value: "{value}": {"; ".join(problems)}')


def from_object(selector: Mapping[str, Any] | None) -> Selector:
    """A metav1.LabelSelector; None selects nothing, an empty one everything."""
    if selector is None:
        return NOTHING
    found = [Requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _OBJECT_OPERATORS.get(expression.get("operator", ""), "")
        if not operator:
            raise SelectorError(f'"{expression.get("operator")}" is not a valid label selector operator')
        found.append(Requirement(expression["key"], operator, tuple(expression.get("values") or ())))
    return Selector(tuple(found))


def from_map(labels: Labels | None) -> Selector:
    """The selector of a Service or ReplicationController: every label as given."""
    return Selector(tuple(Requirement(key, "=", (value,)) for key, value in (labels or {}).items()))


def format_selector(selector: Mapping[str, Any] | None) -> str:
    """A metav1.LabelSelector as tables print it; "<none>" when empty."""
    if not selector:
        return "<none>"
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    found = [(part.partition("=")[0], part) for part in parts]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(sorted(expression.get("values") or ()))
        match expression["operator"]:
            case "In":
                found.append((key, f"{key} in ({values})"))
            case "NotIn":
                found.append((key, f"{key} notin ({values})"))
            case "Exists":
                found.append((key, key))
            case _:
                found.append((key, f"!{key}"))
    return ",".join(text for _, text in sorted(found)) or "<none>"


def _compare(value: str, bound: str, operator: str) -> bool:
    try:
        return int(value) > int(bound) if operator == "gt" else int(value) < int(bound)
    except ValueError:
        return False
