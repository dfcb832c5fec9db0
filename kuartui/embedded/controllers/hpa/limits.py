"""How fast an autoscaler may go: stabilization windows, scaling policies, minimum and maximum.

After the second half of pkg/controller/podautoscaler/horizontal.go. One `History` per autoscaler remembers its recent
recommendations and scalings.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

Obj = dict[str, Any]

DOWN_WINDOW = 300
DEFAULT_UP: Obj = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Percent", "value": 100, "periodSeconds": 15},
        {"type": "Pods", "value": 4, "periodSeconds": 15},
    ],
}
DEFAULT_DOWN: Obj = {
    "stabilizationWindowSeconds": DOWN_WINDOW,
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}
WITHIN = "DesiredWithinRange", "the desired count is within the acceptable range"
TOO_FEW = "TooFewReplicas", "the desired replica count is less than the minimum replica count"
TOO_MANY = "TooManyReplicas", "the desired replica count is more than the maximum replica count"
TOO_FAST_UP = "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"
TOO_FAST_DOWN = "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"
READY = "ReadyForNewScale", "recommended size matches current size"
HELD_UP = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
HELD_DOWN = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)

Reason = tuple[str, str]


class History(Struct):
    """Recent recommendations and scalings: (monotonic time, number)."""

    recommendations: list[tuple[float, int]] = field(default_factory=list)
    ups: list[tuple[float, int]] = field(default_factory=list)
    downs: list[tuple[float, int]] = field(default_factory=list)

    def scaled(self, now: float, current: int, desired: int, behavior: Obj | None) -> None:
        """Remember a scaling."""
        events = self.ups if desired > current else self.downs
        events.append((now, abs(desired - current)))
        longest = max(
            (policy["periodSeconds"] for rules in _rules(behavior) for policy in rules["policies"]), default=0
        )
        events[:] = [event for event in events if event[0] > now - longest]


class Limited(Struct, frozen=True):
    """What may be done, and the reasons for the conditions AbleToScale and ScalingLimited."""

    replicas: int
    able: Reason
    limited: bool
    limit: Reason


def limit(history: History, hpa_spec: Obj, current: int, desired: int, now: float) -> Limited:
    """Bring a recommendation within what is allowed now; records it."""
    behavior = hpa_spec.get("behavior")
    low, high = hpa_spec.get("minReplicas") or 1, hpa_spec["maxReplicas"]
    up, down = _rules(behavior)
    if behavior is None:
        stable, able = _highest_recent(history, desired, now)
        replicas, reason = _plain(stable, current, low, high)
    else:
        stable, able = _stabilized(history, current, desired, now, up, down)
        replicas, reason = _at_allowed_rate(history, stable, current, low, high, now, up, down)
    return Limited(replicas, able, replicas != stable, reason)


def _rules(behavior: Obj | None) -> tuple[Obj, Obj]:
    given = behavior or {}
    up = DEFAULT_UP | {key: value for key, value in (given.get("scaleUp") or {}).items() if value is not None}
    down = DEFAULT_DOWN | {key: value for key, value in (given.get("scaleDown") or {}).items() if value is not None}
    return up, down


def _remember(history: History, desired: int, now: float, longest: float) -> None:
    history.recommendations = [one for one in history.recommendations if one[0] > now - longest]
    history.recommendations.append((now, desired))


def _highest_recent(history: History, desired: int, now: float) -> tuple[int, Reason]:
    recent = [value for when, value in history.recommendations if when > now - DOWN_WINDOW]
    stable = max([desired, *recent])
    _remember(history, desired, now, DOWN_WINDOW)
    return stable, READY if stable == desired else HELD_DOWN


def _stabilized(history: History, current: int, desired: int, now: float, up: Obj, down: Obj) -> tuple[int, Reason]:
    up_window, down_window = up["stabilizationWindowSeconds"], down["stabilizationWindowSeconds"]
    lowest = min([desired, *(value for when, value in history.recommendations if when > now - up_window)])
    highest = max([desired, *(value for when, value in history.recommendations if when > now - down_window)])
    stable = min(max(current, lowest), highest) if lowest <= highest else current
    _remember(history, desired, now, max(up_window, down_window))
    if stable == desired:
        return stable, READY
    return stable, HELD_UP if desired > current else HELD_DOWN


def _plain(desired: int, current: int, low: int, high: int) -> tuple[int, Reason]:
    if desired < low:
        return low, TOO_FEW
    fastest = max(2 * current, 4)
    most, reason = (fastest, TOO_FAST_UP) if high > fastest else (high, TOO_MANY)
    return (most, reason) if desired > most else (desired, WITHIN)


def _at_allowed_rate(
    history: History, desired: int, current: int, low: int, high: int, now: float, up: Obj, down: Obj
) -> tuple[int, Reason]:
    if desired > current:
        fastest = max(current, _up_limit(history, current, now, up))
        most, reason = (fastest, TOO_FAST_UP) if high > fastest else (high, TOO_MANY)
        if desired > most:
            return most, reason
    elif desired < current:
        slowest = min(current, _down_limit(history, current, now, down))
        fewest, reason = (slowest, TOO_FAST_DOWN) if low < slowest else (low, TOO_FEW)
        if desired < fewest:
            return fewest, reason
    return desired, WITHIN


def _at_period_start(history: History, current: int, now: float, period: float) -> int:
    def within(events: Iterable[tuple[float, int]]) -> int:
        return sum(change for when, change in events if when > now - period)

    return current - within(history.ups) + within(history.downs)


def _up_limit(history: History, current: int, now: float, rules: Obj) -> int:
    if rules["selectPolicy"] == "Disabled":
        return current
    proposals: list[int] = []
    for policy in rules["policies"]:
        start = _at_period_start(history, current, now, policy["periodSeconds"])
        grown = start + policy["value"]
        if policy["type"] == "Percent":
            grown = math.ceil(start * (1 + policy["value"] / 100))
        proposals.append(grown)
    return min(proposals) if rules["selectPolicy"] == "Min" else max(proposals)


def _down_limit(history: History, current: int, now: float, rules: Obj) -> int:
    if rules["selectPolicy"] == "Disabled":
        return current
    proposals: list[int] = []
    for policy in rules["policies"]:
        start = _at_period_start(history, current, now, policy["periodSeconds"])
        shrunk = start - policy["value"]
        if policy["type"] == "Percent":
            shrunk = int(start * (1 - policy["value"] / 100))
        proposals.append(shrunk)
    return max(proposals) if rules["selectPolicy"] == "Min" else min(proposals)
