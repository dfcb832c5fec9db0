"""The JSONPaths of CRDs: `.spec.size`, `.status.conditions[?(@.type=="Ready")].status`.

As much of k8s.io/client-go/util/jsonpath as printer columns and selectable fields use.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_STEP = re.compile(
    r"\.(?P<name>[A-Za-z0-9_\-/]*(?:\\\.[A-Za-z0-9_\-/]+)*)"
    r"|\[\?\(@\.(?P<key>[^=!<>\s]+)\s*(?P<operator>==|!=)\s*(?P<quote>[\"'])(?P<value>.*?)(?P=quote)\)\]"
    r"|\['(?P<quoted>[^']+)'\]"
    r"|\[(?P<index>-?\d+|\*)\]"
)
Step = tuple[str, str, str]
"""What to do (name, filter or index), with what, and with which value."""


class PathError(ValueError):
    """Not a JSONPath that can be read."""


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path. Raises PathError."""
    path = text.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    if not path.startswith((".", "[")):
        raise PathError(f"unexpected path string, expected a '.' or '[': {text!r}")
    steps: list[Step] = []
    position = 0
    while position < len(path):
        found = _STEP.match(path, position)
        if not found:
            raise PathError(f"unrecognized character in path: {path[position:]!r}")
        if found["key"]:
            steps.append(("filter", found["key"], found["operator"] + found["value"]))
        elif found["index"] is not None:
            steps.append(("index", found["index"], ""))
        elif found["quoted"] or found["name"]:
            steps.append(("name", found["quoted"] or found["name"].replace("\\.", "."), ""))
        position = found.end()
    return tuple(steps)


def find(obj: Any, text: str) -> list[Any]:
    """All values at a path."""
    values = [obj]
    for what, key, value in parse(text):
        values = [inner for outer in values for inner in _step(outer, what, key, value)]
    return values


def first(obj: Any, text: str) -> Any:
    """The first value at a path, or None."""
    found = find(obj, text)
    return found[0] if found else None


def _step(value: Any, what: str, key: str, rest: str) -> list[Any]:
    if what == "name":
        return [value[key]] if isinstance(value, dict) and key in value else []
    items = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    if what == "index":
        if key == "*":
            return items
        number = int(key)
        return [items[number]] if -len(items) <= number < len(items) else []
    equal, wanted = rest[:2] == "==", rest[2:]
    return [item for item in items if isinstance(item, dict) and (str(item.get(key, "")) == wanted) == equal]
