"""PriorityClasses (pkg/apis/scheduling)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import immutable
from kuartui.embedded.meta.fielderr import FieldError, forbidden, not_supported

USER_MOST = 1_000_000_000
SYSTEM = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_PREFIX = "system-"
_POLICIES = ("PreemptLowerPriority", "Never")


@register("priorityclasses.scheduling.k8s.io")
class PriorityClasses(Strategy):
    has_status = False

    def default(self, obj: Obj) -> None:
        if obj.get("preemptionPolicy") is None:
            obj["preemptionPolicy"] = "PreemptLowerPriority"

    def desired(self, obj: Obj) -> Obj:
        return {}

    def validate(self, obj: Obj) -> list[FieldError]:
        name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
        errors = []
        if name.startswith(_PREFIX):
            problem = _system_problem(name, value, bool(obj.get("globalDefault")))
            if problem:
                text = (
                    f"priority class names with '{_PREFIX}' prefix are reserved for system use only. error: {problem}"
                )
                errors.append(forbidden("metadata.name", text))
        elif value > USER_MOST:
            errors.append(forbidden("value", f"maximum allowed value of a user defined priority is {USER_MOST}"))
        policy = obj.get("preemptionPolicy")
        if policy is not None and policy not in _POLICIES:
            errors.append(not_supported("preemptionPolicy", policy, _POLICIES))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = []
        if new.get("value", 0) != old.get("value", 0):
            errors.append(forbidden("value", "may not be changed in an update."))
        return errors + immutable(new.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy")

    def lasting(self, name: str) -> str:
        return "this is a system priority class and cannot be deleted" if name in SYSTEM else ""

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [
            cells.name(obj),
            obj.get("value", 0),
            bool(obj.get("globalDefault")),
            cells.age(obj, now),
            obj.get("preemptionPolicy", ""),
        ]


def _system_problem(name: str, value: int, is_default: bool) -> str:
    if name not in SYSTEM:
        return f"{name} is not a known system priority class"
    if value != SYSTEM[name]:
        return f"value of {name} PriorityClass must be {SYSTEM[name]}"
    if is_default:
        return f"globalDefault of {name} must be false"
    return ""
