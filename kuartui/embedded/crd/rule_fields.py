"""Fields that a rule names and its schema does not have: `self.sizes` where there is only `size`.

The library that compiles rules knows no types of objects, so paths from `self` and `oldSelf` are followed here, as far
as they are plain: `self.a.b`, `has(self.a)`, not through variables of macros. Worded as cel-go words it.
"""

from __future__ import annotations

import re
from typing import Any

from kuartui.embedded.crd.rules import escape

Obj = dict[str, Any]

_STRINGS = re.compile(r"[rR]?('''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\")", re.DOTALL)
_PATH = re.compile(r"(?<![\w.])(?:self|oldSelf)((?:\s*\.\s*[A-Za-z_]\w*(?!\s*\(|\w))+)")
_STEP = re.compile(r"\.\s*([A-Za-z_]\w*)")
_TOP: dict[str, Obj] = {"apiVersion": {}, "kind": {}, "metadata": {"properties": {"name": {}, "generateName": {}}}}


def undefined_field(text: str, schema: Obj, *, root: bool = False) -> str | None:
    """The compiler's complaint about the first such field, or None."""
    blank = _STRINGS.sub(lambda found: " " * len(found[0]), text)
    for path in _PATH.finditer(blank):
        here: Obj | None = schema
        first = root
        for step in _STEP.finditer(blank, path.start(1), path.end(1)):
            here = _inside(here, step[1], root=first)
            first = False
            if here is None:
                return _words(text, step.start(), step[1])
            if not here:
                break
    return None


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
