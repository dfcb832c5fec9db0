"""JSON merge patch (RFC 7386)."""

from __future__ import annotations

from typing import Any


def apply(document: Any, patch: Any) -> Any:
    """The patched copy; neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply(result.get(key), value)
    return result
