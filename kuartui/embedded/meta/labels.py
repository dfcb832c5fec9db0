"""Label selectors: the string form, the object form, and matching.

k8s.io/apimachinery/pkg/labels/selector.go (lexer and recursive descent, its error texts included) and
pkg/apis/meta/v1/helpers.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from kuartui.embedded.meta import fielderr, names

Labels = Mapping[str, str]

_TOKEN = re.compile(r"[ \t\r\n]*(?:([=!(),<>]+)|([^=!(),<> \t\r\n]+))")
_SYMBOLS = ("==", "!=", "=", "!", "(", ")", ",", "<", ">")
_BINARY = {"=": "=", "==": "=", "!=": "!=", "in": "in", "notin": "notin", "<": "lt", ">": "gt"}
_SHOWN_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_OBJECT_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)


class SelectorError(ValueError):
    """Not a selector; the text is Go's."""


class Requirement(Struct, frozen=True):
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

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case _:
                return self.key + {"gt": ">", "lt": "<"}.get(self.operator, self.operator) + self.values[0]


class Selector(Struct, frozen=True):
    """All requirements must hold; none at all matches everything."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Labels | None) -> bool:
        return not self.nothing and all(requirement.matches(labels or {}) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def parse(text: str) -> Selector:
    """Read `a=b,c in (d,e),!f`. Raises SelectorError with the server's message."""
    return Selector(tuple(sorted(_Parser(_scan(text)).parse(), key=lambda r: r.key)))


def _scan(text: str) -> list[tuple[str, str]]:
    """(kind, literal) pairs; the kind is "id", "end", "error" or the symbol itself."""
    tokens: list[tuple[str, str]] = []
    for symbols, word in _TOKEN.findall(text):
        if word:
            tokens.append((word if word in ("in", "notin") else "id", word))
        while symbols:
            found = next(symbol for symbol in _SYMBOLS if symbols.startswith(symbol))
            tokens.append((found, found))
            symbols = symbols[len(found) :]
    return [*tokens, ("end", "")]


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0

    def ahead(self, keywords: bool = False) -> tuple[str, str]:
        """The next token; `in` and `notin` are plain words except where an operator stands."""
        kind, literal = self.tokens[min(self.at, len(self.tokens) - 1)]
        return ("id" if kind in ("in", "notin") and not keywords else kind), literal

    def take(self, keywords: bool = False) -> tuple[str, str]:
        found = self.ahead(keywords)
        self.at += 1
        return found

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            kind, literal = self.ahead()
            if kind == "end":
                return found
            if kind not in ("id", "!"):
                raise SelectorError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self.requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from error
            kind, literal = self.take()
            if kind == "end":
                return found
            if kind != ",":
                raise SelectorError(f"found '{literal}', expected: ',' or 'end of string'")
            kind, literal = self.ahead()
            if kind not in ("id", "!"):
                raise SelectorError(f"found '{literal}', expected: identifier after ','")

    def requirement(self) -> Requirement:
        kind, key = self.take()
        absent = kind == "!"
        if absent:
            kind, key = self.take()
        if kind != "id":
            raise SelectorError(f"found '{key}', expected: identifier")
        problems = names.qualified_name(key)
        if problems:
            raise SelectorError(str(fielderr.invalid("<nil>", key, "; ".join(problems))))
        if absent or self.ahead()[0] in ("end", ","):
            return Requirement(key, "!" if absent else "exists")
        operator = self.operator()
        values = self.values() if operator in ("in", "notin") else self.exact()
        return _checked(Requirement(key, operator, tuple(sorted(set(values)))))

    def operator(self) -> str:
        kind, literal = self.take(keywords=True)
        if kind not in _BINARY:
            raise SelectorError(f"found '{literal}', expected: {_SHOWN_OPERATORS}")
        return _BINARY[kind]

    def exact(self) -> list[str]:
        if self.ahead()[0] in ("end", ","):
            return [""]
        kind, literal = self.take()
        if kind != "id":
            raise SelectorError(f"found '{literal}', expected: identifier")
        return [literal]

    def values(self) -> list[str]:
        kind, literal = self.take()
        if kind != "(":
            raise SelectorError(f"found '{literal}' expected: '('")
        kind, literal = self.ahead()
        if kind == ")":
            self.take()
            return [""]
        if kind not in ("id", ","):
            raise SelectorError(f"found '{literal}', expected: ',', ')' or identifier")
        found = self.identifiers()
        if self.take()[0] != ")":
            raise SelectorError(f"found '{literal}', expected: ')'")
        return found

    def identifiers(self) -> list[str]:
        found: list[str] = []
        while True:
            kind, literal = self.take()
            following, shown = self.ahead()
            if kind == "id":
                found.append(literal)
                if following == ")":
                    return found
                if following != ",":
                    raise SelectorError(f"found '{shown}', expected: ',' or ')'")
            elif kind == ",":
                if not found or following in (")", ","):
                    found.append("")
                if following == ")":
                    return found
            else:
                raise SelectorError(f"found '{literal}', expected: ',', or identifier")


def _checked(requirement: Requirement) -> Requirement:
    """What labels.NewRequirement refuses."""
    errors = []
    path = fielderr.Path("values")
    for index, value in enumerate(requirement.values):
        if requirement.operator in ("gt", "lt") and not _INTEGER.fullmatch(value):
            text = "for 'Gt', 'Lt' operators, the value must be an integer"
            errors.append(fielderr.invalid(path.index(index), value, text))
    for index, value in enumerate(requirement.values):
        problems = names.label_value(value)
        if problems:
            errors.append(fielderr.invalid(path.index(index).key(requirement.key), value, "; ".join(problems)))
    if errors:
        raise SelectorError(fielderr.aggregate(errors))
    return requirement


def from_object(selector: Mapping[str, Any] | None) -> Selector:
    """A metav1.LabelSelector; None selects nothing, an empty one everything."""
    if selector is None:
        return NOTHING
    found = [Requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _OBJECT_OPERATORS.get(expression.get("operator", ""), "")
        if not operator:
            raise SelectorError(f'"{expression.get("operator", "")}" is not a valid label selector operator')
        found.append(Requirement(expression["key"], operator, tuple(expression.get("values") or ())))
    return Selector(tuple(found))


def from_map(labels: Labels | None) -> Selector:
    """The selector of a Service or ReplicationController: every label as given."""
    return Selector(tuple(Requirement(key, "=", (value,)) for key, value in (labels or {}).items()))


def format_selector(selector: Mapping[str, Any] | None) -> str:
    """A metav1.LabelSelector as tables print it; "<none>" when empty."""
    if not selector:
        return "<none>"
    requirements = from_object(selector).requirements
    return ",".join(str(r) for r in sorted(requirements, key=lambda r: r.key)) or "<none>"


def _compare(value: str, bound: str, operator: str) -> bool:
    if not _INTEGER.fullmatch(value) or not _INTEGER.fullmatch(bound):
        return False
    return int(value) > int(bound) if operator == "gt" else int(value) < int(bound)
