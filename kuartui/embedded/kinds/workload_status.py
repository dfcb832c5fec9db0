"""Numbers in the status of workloads: none below zero, no part larger than the whole.

pkg/apis/{apps,core}/validation: ValidateDeploymentStatus and its like.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.checks import non_negative
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid

Obj = dict[str, Any]

STATUS = Path("status")


def replica_errors(new: Obj, *parts: str, ready: str = "readyReplicas") -> list[FieldError]:
    """`parts`: fields that count some of status.replicas. `ready`: how the message calls that field."""
    status = new.get("status") or {}
    found = non_negative(status, STATUS, "observedGeneration", "replicas", *parts, *_OTHERS)
    total = status.get("replicas", 0)
    for part in parts:
        if status.get(part, 0) > total:
            found.append(invalid(STATUS / part, status.get(part, 0), "cannot be greater than status.replicas"))
    available = status.get("availableReplicas", 0)
    if available > status.get("readyReplicas", 0):
        found.append(invalid(STATUS / "availableReplicas", available, f"cannot be greater than {ready}"))
    return found


def collision_errors(new: Obj, old: Obj) -> list[FieldError]:
    """How often names of ReplicaSets or revisions were taken only grows."""
    after, before = ((one.get("status") or {}).get("collisionCount") for one in (new, old))
    if before is None or (after is not None and after >= before):
        return []
    return [invalid(STATUS / "collisionCount", after or 0, "cannot be decremented")]


_OTHERS = ("unavailableReplicas", "terminatingReplicas", "collisionCount")


def daemon_errors(new: Obj) -> list[FieldError]:
    """A DaemonSet's, whose numbers count nodes."""
    return non_negative(new.get("status") or {}, STATUS, *_DAEMON)


_DAEMON = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
)
