"""Requests and limits as numbers: what a pod asks of a node, and what its cgroups allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import ceil
from typing import Any

from kuartui.embedded.kinds.pod_resources import pod_total
from kuartui.embedded.meta.quantity import parse
from kuartui.embedded.node.runtime import Resources

Obj = dict[str, Any]
Amounts = dict[str, Decimal]


def cgroup_limits(pod: Obj, container: Obj) -> Resources:
    """CPU limit in cores and memory limit in bytes; the pod's where the container has none of its own."""
    limits = {
        **((pod["spec"].get("resources") or {}).get("limits") or {}),
        **((container.get("resources") or {}).get("limits") or {}),
    }
    cpu, memory = limits.get("cpu"), limits.get("memory")
    return Resources(
        float(parse(cpu).value) if cpu is not None else None, parse(memory).whole if memory is not None else None
    )


def sandbox_memory(pod: Obj) -> int | None:
    """The bytes that the pod as a whole may use, if it is bounded: then its sandbox counts, too."""
    own = ((pod["spec"].get("resources") or {}).get("limits") or {}).get("memory")
    if own is not None:
        return parse(own).whole
    limits = [((one.get("resources") or {}).get("limits") or {}).get("memory") for one in pod["spec"]["containers"]]
    if None in limits:
        return None
    return ceil(pod_total(pod, "limits", amounts)["memory"])


def amounts(quantities: Mapping[str, str] | None) -> Amounts:
    """Quantities as numbers."""
    return {name: parse(value).value for name, value in (quantities or {}).items()}


def pod_requests(pod: Obj) -> Amounts:
    """What a pod asks for: sidecars beside the rest, init containers one after the other, overhead."""
    return pod_total(pod, "requests", amounts)


def total_requests(pods: Iterable[Obj]) -> Amounts:
    """What several pods ask for together."""
    total: Amounts = {}
    for pod in pods:
        _add(total, pod_requests(pod))
    return total


def _add(total: Amounts, more: Amounts) -> None:
    for name, value in more.items():
        total[name] = total.get(name, Decimal(0)) + value
