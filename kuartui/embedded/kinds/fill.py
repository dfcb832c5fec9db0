"""Setting what a writer left out."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]


def missing(obj: Obj, **values: Any) -> None:
    """Set fields that are absent."""
    for field, value in values.items():
        if obj.get(field) is None:
            obj[field] = value


def empty(obj: Obj, **values: Any) -> None:
    """Set fields that are absent or zero: "", 0, an empty list."""
    for field, value in values.items():
        if not obj.get(field):
            obj[field] = value
