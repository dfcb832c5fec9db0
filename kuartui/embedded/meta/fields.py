"""Field selectors: `metadata.name=x,status.phase!=Running`.

k8s.io/apimachinery/pkg/fields/selector.go: terms split at commas, `\\`, `,` and `=` are escaped with a backslash.
Which fields a resource knows is the resource's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Term = tuple[str, str, bool]
"""Field, value, and whether it must be equal (True) or differ (False)."""

_OPERATORS = ("!=", "==", "=")


class FieldSelectorError(ValueError):
    """Not a field selector; the text is Go's."""


def parse(text: str) -> tuple[Term, ...]:
    """Read a field selector. Raises FieldSelectorError."""
    terms: list[Term] = []
    for part in sorted(_split(text)):
        if not part:
            continue
        field, operator, value = _term(part)
        if not operator:
            raise FieldSelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append((field, _unescape(value), operator != "!="))
    return tuple(terms)


def matches(terms: tuple[Term, ...], values: Mapping[str, str]) -> bool:
    return all((values.get(field, "") == value) == equal for field, value, equal in terms)


def escape(value: str) -> str:
    """A value as it may stand in a selector."""
    return value.replace("\\", r"\\").replace(",", r"\,").replace("=", r"\=")


def _split(text: str) -> Iterator[str]:
    start, skip = 0, False
    for index, char in enumerate(text):
        if skip:
            skip = False
        elif char == "\\":
            skip = True
        elif char == ",":
            yield text[start:index]
            start = index + 1
    yield text[start:]


def _term(part: str) -> tuple[str, str, str]:
    """Field, operator and value; the first operator counts."""
    for index in range(len(part)):
        for operator in _OPERATORS:
            if part.startswith(operator, index):
                return part[:index], operator, part[index + len(operator) :]
    return part, "", ""


def _unescape(value: str) -> str:
    r"""Only \\, \, and \= are escapes."""
    result, skip = "", False
    for char in value:
        if skip:
            if char not in "\\,=":
                raise FieldSelectorError(f"invalid field selector: invalid escape sequence: \\{char}")
            result, skip = result + char, False
        elif char == "\\":
            skip = True
        elif char in ",=":
            raise FieldSelectorError(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            result += char
    if skip:
        raise FieldSelectorError("invalid field selector: invalid escape sequence: \\")
    return result
