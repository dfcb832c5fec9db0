"""What a schema says of the fields that a rule names: that they do not exist, or which type they have.

The library that compiles rules knows no types of objects, so paths from `self` and `oldSelf` are followed here, as far
as they are plain: `self.a.b`, `has(self.a)`, not through variables of macros. Worded as cel-go words it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from kuartui.embedded.crd.rule_names import escape

Obj = dict[str, Any]

_STRINGS = re.compile(r"[rR]?('''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\")", re.DOTALL)
_PATH = re.compile(r"(?<![\w.])(?:self|oldSelf)((?:\s*\.\s*[A-Za-z_]\w*(?!\s*\(|\w))+)")
_WHOLE = re.compile(r"(?<![\w.])(?:self|oldSelf)((?:\.[A-Za-z_]\w*(?!\s*\(|\w))*)(?!\w)")
_STEP = re.compile(r"\.\s*([A-Za-z_]\w*)")
_TYPES = {"string": "STRING", "integer": "INT", "number": "DOUBLE", "boolean": "BOOL"}
_CASTS = {"date-time": "timestamp({})", "date": "timestamp({} + 'T00:00:00Z')", "duration": "duration({})"}
_TOP: dict[str, Obj] = {"apiVersion": {}, "kind": {}, "metadata": {"properties": {"name": {}, "generateName": {}}}}


def undefined_field(text: str, schema: Obj, *, root: bool = False) -> str | None:
    """The compiler's complaint about the first field that the schema does not have, or None."""
    blank = _blank(text)
    for path in _PATH.finditer(blank):
        for step, found in _steps(blank, path, schema, root=root):
            if found is None:
                return _words(text, step.start(), step[1])
    return None


def checkable(text: str, schema: Obj, *, root: bool = False) -> tuple[str, dict[str, str]]:
    """The rule with scalar fields as variables of the same length, and their types: `self_size > 3`, INT."""
    types: dict[str, str] = {}

    def named(path: re.Match[str], found: Obj) -> str:
        kind = _TYPES.get(found.get("type", ""), "")
        if not kind or found.get("nullable") or "\n" in path[0] or " " in path[0] or found.get("format") in _CASTS:
            return path[0]
        name = path[0].replace(".", "_")
        types[name] = kind
        return name

    return _rewritten(text, schema, named, root=root), types


def readable_times(text: str, schema: Obj, *, root: bool = False) -> str:
    """The rule with `timestamp(self.when)` for fields that are times, which the library only has as text."""

    def cast(path: re.Match[str], found: Obj) -> str:
        return _CASTS.get(found.get("format", ""), "{}").format(path[0])

    return _rewritten(text, schema, cast, root=root)


def _rewritten(text: str, schema: Obj, change: Callable[[re.Match[str], Obj], str], *, root: bool) -> str:
    """The rule with each plain path replaced by what `change` makes of it and its schema."""
    blank = _blank(text)
    made, position = [], 0
    for path in _WHOLE.finditer(blank):
        before, after = blank[: path.start()].rstrip(), blank[path.end() :].lstrip()
        if before.endswith("has(") or after.startswith(("[", ".?")):
            continue
        steps = [found for _, found in _steps(blank, path, schema, root=root)]
        made += [text[position : path.start()], change(path, (steps[-1] if steps else schema) or {})]
        position = path.end()
    return "".join([*made, text[position:]])


def _steps(blank: str, path: re.Match[str], schema: Obj, *, root: bool) -> Iterator[tuple[re.Match[str], Obj | None]]:
    """Each step of a path with the schema it leads to, until that is unknown."""
    here: Obj | None = schema
    for number, step in enumerate(_STEP.finditer(blank, path.start(1), path.end(1))):
        here = _inside(here, step[1], root=root and not number)
        yield step, here
        if not here:
            return


def _blank(text: str) -> str:
    """The rule without what is in strings; everything else stays where it is."""
    return _STRINGS.sub(lambda found: " " * len(found[0]), text)


def _inside(schema: Obj | None, name: str, *, root: bool) -> Obj | None:
    """The schema of a field; {} if anything may be there, None if there is no such field."""
    if not schema or schema.get("x-kubernetes-int-or-string"):
        return {}
    if root and name in _TOP:
        return _TOP[name]
    if root or schema.get("properties"):
        properties = {escape(key): value for key, value in (schema.get("properties") or {}).items()}
        return properties.get(name)
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        return more
    return {} if more or schema.get("type") not in ("object", "array") else None


def _words(text: str, offset: int, name: str) -> str:
    """As cel-go points at a place."""
    before = text[:offset]
    line, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
    shown = text.split("\n")[line]
    return f"ERROR: <input>:{line + 1}:{column + 1}: undefined field '{name}'\n | {shown}\n | {'.' * column}^"
