"""What a pod asks of a node, in whole numbers: CPU in thousandths, everything else in units.

After k8s.io/component-helpers/resource.PodRequests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kuartui.embedded.kinds.pod_resources import pod_total
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
    """Requests of a pod: sidecars beside the rest, init containers one after the other, overhead on top."""
    return pod_total(pod, "requests", amounts, {"cpu": DEFAULT_CPU, "memory": DEFAULT_MEMORY} if for_score else None)
