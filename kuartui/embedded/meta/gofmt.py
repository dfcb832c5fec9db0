"""Values as Go's fmt prints them (%v)."""

from __future__ import annotations

from typing import Any


def go_print(value: Any) -> str:
    """map[a:1 b:[x y]], keys sorted."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_print(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_print, value)) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
