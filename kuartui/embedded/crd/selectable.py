"""Paths to fields of a schema: those of `selectableFields`, and `fieldPath` of validation rules.

k8s.io/apiextensions-apiserver: ValidateCustomResourceSelectableFields and schema/cel, ValidFieldPath.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kuartui.embedded.meta import fielderr
from kuartui.embedded.meta.fielderr import FieldError, Path

Obj = dict[str, Any]

MOST = 8
_PARTS = re.compile(r"'(?:\\.|[^'\\])*'|[.\[\]]|[^.\[\]']+")
_SELECTABLE = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
)


class FieldPathError(ValueError):
    """A path that does not lead to a field of the schema."""


def resolve(text: str, schema: Obj, *, brackets: bool = True) -> tuple[str, Obj]:
    """The path as field errors print it, and the schema there. Raises FieldPathError."""
    rest = _PARTS.findall(text)
    shown, here = "", schema
    while rest:
        part = rest.pop(0)
        if part == "[":
            if not brackets:
                raise FieldPathError("array notation is not allowed")
            name = _taken(rest)
            if len(name) < 2 or name[0] != "'":
                raise FieldPathError(f"expected single quoted string but got {name}")
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
            shown, here = _step(shown, here, name)
            closing = _taken(rest)
            if closing != "]":
                raise FieldPathError(f"expected ] but got {closing}")
        elif part == ".":
            shown, here = _step(shown, here, _taken(rest))
        else:
            raise FieldPathError(f"expected [ or . but got: {part}")
    return shown, here


def _taken(rest: list[str]) -> str:
    if not rest:
        raise FieldPathError("unexpected end of JSON path")
    return rest.pop(0)


def _step(shown: str, here: Obj, name: str) -> tuple[str, Obj]:
    more = here.get("additionalProperties")
    if here.get("properties"):
        if name not in here["properties"]:
            raise FieldPathError("does not refer to a valid field")
        return f"{shown}.{name}" if shown else name, here["properties"][name]
    if isinstance(more, dict):
        return f"{shown}[{name}]", more
    raise FieldPathError("does not refer to a valid field")


def selectable_errors(fields: Sequence[Obj], schema: Obj, path: Path) -> Iterator[FieldError]:
    """What is wrong with a version's `selectableFields`."""
    seen: set[str] = set()
    for index, field in enumerate(fields):
        place, text = path.index(index) / "jsonPath", field.get("jsonPath", "")
        if not text:
            yield fielderr.required(place)
            continue
        try:
            shown, found = resolve(text, schema, brackets=False)
        except FieldPathError as error:
            yield fielderr.invalid(place, text, f"is an invalid path: {error}")
            continue
        if shown.partition(".")[0] == "metadata":
            yield fielderr.invalid(place, text, "must not point to fields in metadata")
        if found.get("type") not in ("string", "boolean", "integer"):
            yield fielderr.invalid(place, text, _SELECTABLE)
        if shown in seen:
            yield fielderr.duplicate(place, text)
        seen.add(shown)
    if len(seen) > MOST:
        yield fielderr.too_many(path, len(seen), MOST)
