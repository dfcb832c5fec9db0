"""The status of a Deployment and its conditions Available, Progressing and ReplicaFailure. Pure functions.

After pkg/controller/deployment/{sync,progress}.go.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.conditions import new_condition, put, without
from kuartui.embedded.controllers.deployment.arithmetic import counted, max_unavailable, replicas, wanted
from kuartui.embedded.meta.time import parse_time

Obj = dict[str, Any]

NO_DEADLINE = 2**31 - 1
AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
TIMED_OUT = "ProgressDeadlineExceeded"
COMPLETE = "NewReplicaSetAvailable"


def has_deadline(deployment: Obj) -> bool:
    """Whether progress is watched."""
    return deployment["spec"].get("progressDeadlineSeconds", NO_DEADLINE) not in (None, NO_DEADLINE)


def progressing(status: Obj) -> Obj | None:
    """The Progressing condition."""
    return objects.condition(status.get("conditions"), PROGRESSING)


def progress(conditions: list[Obj], status: str, reason: str, message: str, now: datetime) -> list[Obj]:
    """With a new Progressing condition."""
    return put(conditions, new_condition(PROGRESSING, status, reason, message, now, updated=True))


def calculate(deployment: Obj, sets: list[Obj], new_set: Obj | None, now: datetime) -> Obj:
    """The numbers, and whether enough pods are available."""
    old = deployment.get("status", {})
    available = counted(sets, "availableReplicas")
    status = objects.nonzero(
        {
            "observedGeneration": deployment["metadata"].get("generation", 0),
            "replicas": counted(sets, "replicas"),
            "updatedReplicas": counted([new_set] if new_set else [], "replicas"),
            "readyReplicas": counted(sets, "readyReplicas"),
            "availableReplicas": available,
            "unavailableReplicas": max(0, wanted(sets) - available),
        }
    )
    status["terminatingReplicas"] = counted(sets, "terminatingReplicas")
    if "collisionCount" in old:
        status["collisionCount"] = old["collisionCount"]
    if available >= replicas(deployment) - max_unavailable(deployment):
        outcome = "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
    else:
        outcome = "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    condition = new_condition(AVAILABLE, *outcome, now, updated=True)
    status["conditions"] = put(old.get("conditions") or [], condition)
    return status


def complete(deployment: Obj, status: Obj) -> bool:
    """Whether all pods are new and available, and nothing else is there."""
    size = replicas(deployment)
    numbers = (status.get(field, 0) for field in ("updatedReplicas", "replicas", "availableReplicas"))
    return all(number == size for number in numbers) and status.get("observedGeneration", 0) >= deployment[
        "metadata"
    ].get("generation", 0)


def with_progress(deployment: Obj, status: Obj, sets: list[Obj], new_set: Obj | None, now: datetime) -> Obj:
    """The status after a step of a rollout: is it progressing, done, or stuck?"""
    conditions = status["conditions"]
    current = progressing(deployment.get("status", {}))
    if not has_deadline(deployment):
        conditions = without(conditions, PROGRESSING)
    settled = (
        status.get("replicas", 0) == status.get("updatedReplicas", 0) and current and current.get("reason") == COMPLETE
    )
    if has_deadline(deployment) and not settled:
        subject = (
            f'ReplicaSet "{objects.name_of(new_set)}"' if new_set else f'Deployment "{objects.name_of(deployment)}"'
        )
        if complete(deployment, status):
            message = f"{subject} has successfully progressed."
            conditions = progress(conditions, "True", COMPLETE, message, now)
        elif _advanced(deployment.get("status", {}), status):
            conditions = _still_progressing(conditions, current, f"{subject} is progressing.", now)
        elif timed_out(deployment, status, now):
            message = f"{subject} has timed out progressing."
            conditions = progress(conditions, "False", TIMED_OUT, message, now)
    failures = [
        failure
        for rs in [*([new_set] if new_set else []), *(one for one in sets if one is not new_set)]
        if (failure := objects.condition(rs.get("status", {}).get("conditions"), FAILURE))
        and failure["status"] == "True"
    ]
    conditions = put(conditions, _from_replica_set(failures[0])) if failures else without(conditions, FAILURE)
    return {**status, "conditions": conditions}


def _still_progressing(conditions: list[Obj], current: Obj | None, message: str, now: datetime) -> list[Obj]:
    """Progress moves lastUpdateTime even under the same reason: the deadline counts from it."""
    condition = new_condition(PROGRESSING, "True", "ReplicaSetUpdated", message, now, updated=True)
    if current and current["status"] == "True":
        condition["lastTransitionTime"] = current["lastTransitionTime"]
    return [*without(conditions, PROGRESSING), condition]


def _from_replica_set(failure: Obj) -> Obj:
    """A ReplicaSet's condition as a Deployment's."""
    return {**failure, "lastUpdateTime": failure["lastTransitionTime"]}


def _advanced(old: Obj, new: Obj) -> bool:
    old_pods = old.get("replicas", 0) - old.get("updatedReplicas", 0)
    new_pods = new.get("replicas", 0) - new.get("updatedReplicas", 0)
    if new_pods < old_pods:
        return True
    return any(new.get(one, 0) > old.get(one, 0) for one in ("updatedReplicas", "readyReplicas", "availableReplicas"))


def timed_out(deployment: Obj, status: Obj, now: datetime) -> bool:
    """Whether nothing has moved for progressDeadlineSeconds."""
    condition = progressing(status)
    if condition is None or not has_deadline(deployment) or condition.get("reason") == COMPLETE:
        return False
    if condition.get("reason") == TIMED_OUT:
        return True
    return parse_time(condition["lastUpdateTime"]) + timedelta(seconds=_deadline(deployment)) < now


def check_again(deployment: Obj, status: Obj, now: datetime) -> float | None:
    """Seconds until a stuck rollout should be looked at again; None if nothing needs to be."""
    condition = progressing(status)
    if condition is None or not has_deadline(deployment) or complete(deployment, status):
        return None
    if condition.get("reason") == TIMED_OUT:
        return None
    left = parse_time(condition["lastUpdateTime"]) + timedelta(seconds=_deadline(deployment)) - now
    return max(0.0, left.total_seconds()) + 1


def _deadline(deployment: Obj) -> int:
    return int(deployment["spec"]["progressDeadlineSeconds"])


def paused_change(deployment: Obj, now: datetime) -> Obj | None:
    """The status after a pause or resume that the conditions don't tell of yet; None if they do."""
    if not has_deadline(deployment):
        return None
    status = deployment.get("status", {})
    condition = progressing(status)
    if condition and condition.get("reason") == TIMED_OUT:
        return None
    known = condition is not None and condition.get("reason") == "DeploymentPaused"
    paused = bool(deployment["spec"].get("paused"))
    if paused == known:
        return None
    word = "paused" if paused else "resumed"
    reason, message = f"Deployment{word.capitalize()}", f"Deployment is {word}"
    conditions = progress(status.get("conditions") or [], "Unknown", reason, message, now)
    return {**status, "conditions": conditions}
