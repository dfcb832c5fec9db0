"""What a pod asks of a node, in whole numbers: CPU in thousandths, everything else in units.

After k8s.io/component-helpers/resource.PodRequests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    spec = pod["spec"]
    total: Amounts = {}
    for container in spec["containers"]:
        _add(total, _requests(container, for_score))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _requests(container, for_score)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, own)
            _raise(peak, sidecars)
        else:
            together = dict(sidecars)
            _add(together, own)
            _raise(peak, together)
    _add(total, sidecars)
    _raise(total, peak)
    total |= amounts((spec.get("resources") or {}).get("requests"))
    _add(total, amounts(spec.get("overhead")))
    return total


def _requests(container: Obj, for_score: bool) -> Amounts:
    found = amounts((container.get("resources") or {}).get("requests"))
    if for_score:
        found.setdefault("cpu", DEFAULT_CPU)
        found.setdefault("memory", DEFAULT_MEMORY)
    return found


def _add(total: Amounts, more: Amounts) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise(total: Amounts, floor: Amounts) -> None:
    for name, value in floor.items():
        total[name] = max(total.get(name, 0), value)
