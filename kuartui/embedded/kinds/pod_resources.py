"""Resources of pods and containers: the QoS class, and the rules for requests and limits.

pkg/apis/core/helper/qos and ValidateResourceRequirements in pkg/apis/core/validation.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.meta import quantity

Obj = dict[str, Any]


def qos_class(pod: Obj) -> str:
    """Guaranteed, Burstable or BestEffort."""
    spec = pod.get("spec") or {}
    pod_level = spec.get("resources") or {}
    if pod_level.get("requests") or pod_level.get("limits"):
        parts = [pod_level]
    else:
        parts = [c.get("resources") or {} for field in ("containers", "initContainers") for c in spec.get(field) or []]
    requests: dict[str, quantity.Quantity] = {}
    limits: dict[str, quantity.Quantity] = {}
    guaranteed = True
    for resources in parts:
        for total, given in ((requests, resources.get("requests")), (limits, resources.get("limits"))):
            for name in ("cpu", "memory"):
                amount = quantity.parse(given[name]) if given and name in given else quantity.ZERO
                if amount > quantity.ZERO:
                    total[name] = total.get(name, quantity.ZERO) + amount
        given = resources.get("limits") or {}
        if not all(name in given and quantity.parse(given[name]) > quantity.ZERO for name in ("cpu", "memory")):
            guaranteed = False
    if not requests and not limits:
        return "BestEffort"
    if guaranteed and requests == limits:
        return "Guaranteed"
    return "Burstable"
