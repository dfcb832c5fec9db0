"""Requests and limits as numbers: what a pod asks of a node, and what its cgroups allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from kuartui.embedded.meta.quantity import parse
from kuartui.embedded.node import spec
from kuartui.embedded.node.runtime import Resources

Obj = dict[str, Any]
Amounts = dict[str, Decimal]


def cgroup_limits(container: Obj) -> Resources:
    """CPU limit in cores and memory limit in bytes."""
    limits = (container.get("resources") or {}).get("limits") or {}
    cpu, memory = limits.get("cpu"), limits.get("memory")
    return Resources(
        float(parse(cpu).value) if cpu is not None else None, parse(memory).whole if memory is not None else None
    )


def amounts(quantities: Mapping[str, str] | None) -> Amounts:
    """Quantities as numbers."""
    return {name: parse(value).value for name, value in (quantities or {}).items()}


def pod_requests(pod: Obj) -> Amounts:
    """What a pod asks for: sidecars beside the rest, init containers one after the other, overhead."""
    total: Amounts = {}
    for container in spec.containers(pod):
        _add(total, _requests(container))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.containers(pod, spec.INIT):
        own = _requests(container)
        if spec.sidecar(spec.INIT, container):
            _add(sidecars, own)
            own = {}
        with_sidecars = dict(sidecars)
        _add(with_sidecars, own)
        _raise(peak, with_sidecars)
    _add(total, sidecars)
    _raise(total, peak)
    for name, value in amounts((pod["spec"].get("resources") or {}).get("requests")).items():
        total[name] = value
    _add(total, amounts(pod["spec"].get("overhead")))
    return total


def total_requests(pods: Iterable[Obj]) -> Amounts:
    """What several pods ask for together."""
    total: Amounts = {}
    for pod in pods:
        _add(total, pod_requests(pod))
    return total


def _requests(container: Obj) -> Amounts:
    return amounts((container.get("resources") or {}).get("requests"))


def _add(total: Amounts, more: Amounts) -> None:
    for name, value in more.items():
        total[name] = total.get(name, Decimal(0)) + value


def _raise(total: Amounts, floor: Amounts) -> None:
    for name, value in floor.items():
        total[name] = max(total.get(name, Decimal(0)), value)
