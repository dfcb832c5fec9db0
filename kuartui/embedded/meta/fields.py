"""Field selectors: `metadata.name=x,status.phase!=Running`.

k8s.io/apimachinery/pkg/fields/selector.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SPLIT = re.compile(r"(?<!\\),")

Term = tuple[str, str, bool]
"""Field, value, and whether it must be equal (True) or differ (False)."""


class FieldSelectorError(ValueError):
    """Not a field selector; the text is Go's."""


def parse(text: str) -> tuple[Term, ...]:
    """Read a field selector. Raises FieldSelectorError."""
    terms: list[Term] = []
    for part in _SPLIT.split(text):
        if not part:
            continue
        found = re.match(r"([^=!]*?)(!=|==|=)(.*)", part, re.DOTALL)
        if not found:
            raise FieldSelectorError(f"invalid selector: '{part}'; can't understand '{part}'")
        field, operator, value = found.groups()
        terms.append((field, re.sub(r"\\(.)", r"\1", value), operator != "!="))
    return tuple(terms)


def matches(terms: tuple[Term, ...], values: Mapping[str, str]) -> bool:
    return all((values.get(field, "") == value) == equal for field, value, equal in terms)
