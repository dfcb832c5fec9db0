"""matchLabelKeys and mismatchLabelKeys become a part of the selectors they narrow when a pod is created.

kubernetes/pkg/registry/core/pod/strategy.go, applyMatchLabelKeysAndMismatchLabelKeys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Obj = dict[str, Any]


def merge(pod: Obj) -> None:
    """Extend the selectors of affinity terms and spread constraints (in place) by the pod's values of the keys."""
    labels = pod["metadata"].get("labels") or {}
    for term in _terms(pod.get("spec") or {}):
        selector = term.get("labelSelector")
        if selector is None:
            continue
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
            found = [
                {"key": key, "operator": operator, "values": [labels[key]]}
                for key in term.get(field) or []
                if key in labels
            ]
            if found:
                selector["matchExpressions"] = [*(selector.get("matchExpressions") or []), *found]


def _terms(spec: Obj) -> Iterator[Obj]:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        both = affinity.get(kind) or {}
        yield from both.get("requiredDuringSchedulingIgnoredDuringExecution") or []
        for weighted in both.get("preferredDuringSchedulingIgnoredDuringExecution") or []:
            yield weighted.get("podAffinityTerm") or {}
    yield from spec.get("topologySpreadConstraints") or []
