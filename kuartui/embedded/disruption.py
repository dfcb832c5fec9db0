"""The condition by which a pod that somebody makes go says who did it and why: pkg/api/v1/pod, PodDisruptionConditions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]

TARGET = "DisruptionTarget"


def conditions_of_disrupted(pod: Obj, reason: str, message: str, now: datetime) -> list[Obj]:
    """The pod's conditions with a DisruptionTarget, for its status before it is deleted."""
    others = [one for one in pod.get("status", {}).get("conditions") or () if one["type"] != TARGET]
    new = {
        "type": TARGET,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": format_time(now),
        "observedGeneration": pod["metadata"].get("generation", 1),
    }
    return [*others, new]
