"""Which names a CRD gets: those that no other CRD of its group has.

k8s.io/apiextensions-apiserver/pkg/controller/status/naming_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Obj = dict[str, Any]


def taken(others: Iterable[Obj]) -> tuple[set[str], set[str]]:
    """Names of resources and of kinds that other CRDs have been given."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        given = (other.get("status") or {}).get("acceptedNames") or {}
        resources |= {given.get("plural", ""), given.get("singular", ""), *(given.get("shortNames") or ())}
        kinds |= {given.get("kind", ""), given.get("listKind", "")}
    return resources - {""}, kinds - {""}


def accept(wanted: Obj, had: Obj, resources: set[str], kinds: set[str]) -> tuple[Obj, tuple[str, str] | None]:
    """The names that are accepted now, and reason and message if one is not; of several the last counts."""
    names: Obj = {"plural": "", "kind": "", **had}
    refusal: tuple[str, str] | None = None
    for field, reason, used in (
        ("plural", "PluralConflict", resources),
        ("singular", "SingularConflict", resources),
        ("shortNames", "ShortNamesConflict", resources),
        ("kind", "KindConflict", kinds),
        ("listKind", "ListKindConflict", kinds),
    ):
        given, before = wanted.get(field), had.get(field)
        new = [name for name in _each(given) if name not in _each(before)]
        clashes = [f'"{name}" is already in use' for name in new if name in used]
        if clashes:
            refusal = reason, clashes[0] if len(clashes) == 1 else f"[{', '.join(clashes)}]"
        elif given is None:
            names.pop(field, None)
        else:
            names[field] = given
    if wanted.get("categories"):
        names["categories"] = wanted["categories"]
    else:
        names.pop("categories", None)
    return names, refusal


def _each(value: Any) -> list[str]:
    return list(value) if isinstance(value, list) else [value] if value else []
