"""The versions of a CRD, and their order: k8s.io/apimachinery/pkg/version, CompareKubeAwareVersionStrings."""

from __future__ import annotations

import re
from typing import Any

_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STAGES = {None: 3, "beta": 2, "alpha": 1}


def priority(version: str) -> tuple[int, int, int, tuple[int, ...]]:
    """A key to sort by: v2 above v1 above v2beta1 above v1alpha1; others below, from z to a."""
    found = _VERSION.fullmatch(version)
    if not found:
        return 0, 0, 0, tuple(-ord(letter) for letter in version)
    return _STAGES[found[2]], int(found[1]), int(found[3] or 0), ()


def schema_of(version: dict[str, Any]) -> dict[str, Any]:
    """The schema of a version, {} without one."""
    return (version.get("schema") or {}).get("openAPIV3Schema") or {}
