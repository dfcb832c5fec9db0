"""How many pods a rollout may have: maxSurge, maxUnavailable, proportional scaling. Pure functions.

After pkg/controller/deployment/util/deployment_util.go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.intorstring import scaled

Obj = dict[str, Any]

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"


def replicas(obj: Obj) -> int:
    """spec.replicas; 1 if unset."""
    found = obj["spec"].get("replicas")
    return 1 if found is None else int(found)


def wanted(sets: Iterable[Obj]) -> int:
    """Pods that ReplicaSets are told to have."""
    return sum(replicas(rs) for rs in sets)


def counted(sets: Iterable[Obj], field: str) -> int:
    """A number of their statuses, added up."""
    return sum(int(rs.get("status", {}).get(field) or 0) for rs in sets)


def is_rolling(deployment: Obj) -> bool:
    """Whether the strategy is RollingUpdate."""
    return bool(deployment["spec"].get("strategy", {}).get("type", "RollingUpdate") == "RollingUpdate")


def fenceposts(deployment: Obj) -> tuple[int, int]:
    """maxSurge and maxUnavailable as numbers; never both zero."""
    rolling = deployment["spec"].get("strategy", {}).get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", "25%"), replicas(deployment), True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), replicas(deployment), False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def max_surge(deployment: Obj) -> int:
    """Pods beyond the desired number that a rollout may have."""
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Obj) -> int:
    """Pods of the desired number that a rollout may lack."""
    if not is_rolling(deployment) or not replicas(deployment):
        return 0
    return min(fenceposts(deployment)[1], replicas(deployment))


def new_set_replicas(deployment: Obj, sets: Iterable[Obj], current: int) -> int:
    """How many pods the new ReplicaSet may have now. `sets` are all, `current` is what the new one has."""
    if not is_rolling(deployment):
        return replicas(deployment)
    room = replicas(deployment) + max_surge(deployment) - wanted(sets)
    if room <= 0:
        return current
    return current + min(room, replicas(deployment) - current)


def number(obj: Obj, annotation: str) -> int | None:
    """An annotation's number."""
    try:
        return int(objects.annotations_of(obj)[annotation])
    except (KeyError, ValueError):
        return None


def revision(obj: Obj) -> int:
    """The revision of a ReplicaSet or Deployment; 0 if it has none."""
    return number(obj, REVISION) or 0


def is_saturated(deployment: Obj, rs: Obj | None) -> bool:
    """Whether a ReplicaSet has all the pods that the Deployment wants, available."""
    if rs is None:
        return False
    size = replicas(deployment)
    return replicas(rs) == size == number(rs, DESIRED) == counted([rs], "availableReplicas")


def proportions(deployment: Obj, sets: list[Obj]) -> list[tuple[Obj, int]]:
    """New sizes when a Deployment is scaled in the middle of a rollout: each ReplicaSet gets its share."""
    size = replicas(deployment)
    allowed = size + max_surge(deployment) if size else 0
    to_add = allowed - wanted(sets)
    if to_add > 0:
        newest_first = sorted(sets, key=objects.created, reverse=True)
        ordered = sorted(newest_first, key=lambda rs: -replicas(rs))
    else:
        ordered = sorted(sorted(sets, key=objects.created), key=lambda rs: -replicas(rs))
    added = 0
    sizes = []
    for rs in ordered:
        share = _share(deployment, rs, to_add, added)
        added += share
        sizes.append(replicas(rs) + share)
    if to_add and sizes:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return list(zip(ordered, sizes, strict=True))


def _share(deployment: Obj, rs: Obj, to_add: int, added: int) -> int:
    current = replicas(rs)
    if not current or not to_add or to_add == added:
        return 0
    fraction = _fraction(deployment, rs)
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(deployment: Obj, rs: Obj) -> int:
    current = replicas(rs)
    if not replicas(deployment):
        return -current
    before = number(rs, MAXIMUM) or int(deployment.get("status", {}).get("replicas") or 0)
    if not before:
        return 0
    after = current * (replicas(deployment) + max_surge(deployment)) / before
    return math.floor(after + 0.5) - current
