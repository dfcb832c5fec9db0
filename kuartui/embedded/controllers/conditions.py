"""Conditions of workload statuses: at most one per type, with transition times."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]


def new_condition(type_: str, status: str, reason: str, message: str, now: datetime, *, updated: bool = False) -> Obj:
    """A condition that changed just now; Deployments also want `updated` (lastUpdateTime)."""
    made = {"type": type_, "status": status, "lastTransitionTime": format_time(now)}
    if updated:
        made["lastUpdateTime"] = format_time(now)
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made


def put(conditions: list[Obj], new: Obj) -> list[Obj]:
    """With `new` in place of the one of its type, unless that says the same already.

    As in SetDeploymentCondition: same status and reason change nothing; a new reason under the same status keeps the
    transition time.
    """
    current = objects.condition(conditions, new["type"])
    if current:
        if current["status"] == new["status"] and current.get("reason") == new.get("reason"):
            return conditions
        if current["status"] == new["status"] and current.get("lastTransitionTime"):
            new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return [*without(conditions, new["type"]), new]


def without(conditions: list[Obj], type_: str) -> list[Obj]:
    """Without the condition of a type."""
    return [one for one in conditions if one["type"] != type_]
