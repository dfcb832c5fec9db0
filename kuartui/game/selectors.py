"""Label and field selectors, on this side of the API: one watch of a kind then serves every question about it.

Grammar: apimachinery pkg/labels (equality and set based) and pkg/fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_TERM = re.compile(
    r"\s*(?:(?P<key>[^\s=!,()]+)\s+(?P<set>in|notin)\s*\((?P<values>[^)]*)\)|(?P<plain>[^,()]+))\s*(?:,|$)"
)
Test = Callable[[dict[str, str]], bool]


@lru_cache(maxsize=512)
def label_selector(text: str) -> Test:
    """A test for labels. ValueError when the text is no selector."""
    tests: list[Test] = []
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            raise ValueError(f"{text!r} is not a label selector")
        tests.append(_set_term(match) if match["key"] else _plain_term(match["plain"].strip()))
        position = match.end()
    return lambda labels: all(test(labels) for test in tests)


def _set_term(match: re.Match[str]) -> Test:
    key, values = match["key"], {value.strip() for value in match["values"].split(",")}
    if match["set"] == "in":
        return lambda labels: labels.get(key) in values
    return lambda labels: labels.get(key) not in values


def _plain_term(term: str) -> Test:
    for operator, wanted in (("!=", False), ("==", True), ("=", True)):
        key, found, value = term.partition(operator)
        if found:
            key, value = key.strip(), value.strip()
            return lambda labels: (labels.get(key) == value) is wanted
    if term.startswith("!"):
        key = term[1:].strip()
        return lambda labels: key not in labels
    return lambda labels: term in labels


@lru_cache(maxsize=512)
def field_selector(text: str) -> Callable[[dict[str, Any]], bool]:
    """A test for objects: metadata.name=x,status.phase!=Failed."""
    terms: list[tuple[tuple[str, ...], str, bool]] = []
    for term in filter(None, text.split(",")):
        operator = "!=" if "!=" in term else "="
        path, found, value = term.partition(operator)
        if not found:
            raise ValueError(f"{text!r} is not a field selector")
        terms.append((tuple(path.strip().split(".")), value.strip("= "), operator == "="))

    def test(obj: dict[str, Any]) -> bool:
        return all((dig(obj, path) == value) is wanted for path, value, wanted in terms)

    return test


def dig(obj: Any, path: tuple[str, ...]) -> str:
    """The text at a path; empty when there is nothing."""
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return "" if obj is None else str(obj)
