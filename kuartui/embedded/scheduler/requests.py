"""What a pod asks of a node, in whole numbers: CPU in thousandths, everything else in units.

After k8s.io/component-helpers/resource.PodRequests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kuartui.embedded.kinds.pod_resources import as_allocated, pod_total, resize_infeasible
from kuartui.embedded.meta.quantity import parse

Obj = dict[str, Any]
Amounts = dict[str, int]

DEFAULT_CPU = 100  # for scoring only: what a container without a request is taken to need
DEFAULT_MEMORY = 200 * 1024 * 1024


def amounts(quantities: Mapping[str, Any] | None) -> Amounts:
    """Quantities as numbers."""
    return {
        name: parse(value).milli if name == "cpu" else parse(value).whole for name, value in (quantities or {}).items()
    }


def pod_requests(pod: Obj, *, for_score: bool = False) -> Amounts:
    """Requests of a pod: sidecars beside the rest, init containers one after the other, overhead on top.

    A resize takes its room from the moment it is asked for, unless it can never be; what it gives back is free once the
    node has done it.
    """
    least = {"cpu": DEFAULT_CPU, "memory": DEFAULT_MEMORY} if for_score else None
    asked = pod_total(pod, "requests", amounts, least)
    if not (pod.get("status") or {}).get("containerStatuses"):
        return asked
    granted = pod_total(as_allocated(pod), "requests", amounts, least)
    if resize_infeasible(pod):
        return granted
    return {name: max(asked.get(name, 0), granted.get(name, 0)) for name in {**asked, **granted}}
