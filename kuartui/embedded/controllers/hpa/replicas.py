"""From usage to a number of replicas, after pkg/controller/podautoscaler/replica_calculator.go.

Usage is in thousandths of the unit: millicores, or thousandths of a byte.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from kuartui.embedded.controllers import objects
from kuartui.embedded.kinds.pod_resources import pod_total
from kuartui.embedded.meta.quantity import parse
from kuartui.embedded.meta.time import parse_time
from kuartui.embedded.metrics.usage import WINDOW, PodUse

Obj = dict[str, Any]

INITIALIZATION = timedelta(minutes=5)  # --horizontal-pod-autoscaler-cpu-initialization-period
INITIAL_READINESS = timedelta(seconds=30)  # --horizontal-pod-autoscaler-initial-readiness-delay
TOLERANCE = 0.1


class MetricError(Exception):
    """No replica count can be worked out; the text is for the condition."""


class Tolerances(Struct, frozen=True):
    """How far from the target is still on target."""

    up: float = TOLERANCE
    down: float = TOLERANCE

    def within(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Proposal(Struct, frozen=True):
    """A number of replicas and what it comes from. `utilization` is a percentage; `average` in thousandths."""

    replicas: int
    average: int
    utilization: int | None = None


class _Pods(Struct):
    """Pods by what can be said of them."""

    ready: int
    unready: set[str]
    missing: set[str]
    ignored: set[str]


class Question(Struct):
    """What is asked: how many replicas should there be for a resource, given these pods and their usage."""

    resource: str
    container: str
    current: int
    pods: list[Obj]
    uses: dict[str, PodUse]
    now: datetime
    tolerances: Tolerances

    def by_utilization(self, target: int) -> Proposal:
        """Target in percent of the requests. Raises MetricError."""
        usage, groups = self._usage()
        requests = self._requests()
        ratio, utilization, average = _utilization(usage, requests, target)
        fallback = max(100, target)
        filled = {name: requests[name] * fallback // 100 for name in groups.missing if name in requests}

        def again(metrics: dict[str, int]) -> float:
            return _utilization(metrics, requests, target)[0]

        return Proposal(self._decide(usage, groups, ratio, filled, again), average, utilization)

    def by_value(self, target: int) -> Proposal:
        """Target as an average per pod. Raises MetricError."""
        usage, groups = self._usage()
        average = sum(usage.values()) // len(usage)
        filled = dict.fromkeys(groups.missing, target)

        def again(metrics: dict[str, int]) -> float:
            return sum(metrics.values()) // len(metrics) / target

        return Proposal(self._decide(usage, groups, average / target, filled, again), average)

    def _usage(self) -> tuple[dict[str, int], _Pods]:
        usage = self._measured()
        if not usage:
            text = f"unable to get metrics for resource {self.resource}: no metrics returned from resource metrics API"
            raise MetricError(text)
        if not self.pods:
            raise MetricError("no pods returned by selector while calculating replica count")
        groups = self._group(usage)
        for name in groups.ignored | groups.unready:
            usage.pop(name, None)
        if not usage:
            raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
        return usage, groups

    def _measured(self) -> dict[str, int]:
        found = {}
        for name, use in self.uses.items():
            if self.container and self.container not in use.containers:
                text = (
                    f"container {self.container} not present in metrics for pod {objects.namespace_of(use.pod)}/{name}"
                )
                raise MetricError(
                    f"unable to get metrics for resource {self.resource}: failed to get container metrics: {text}"
                )
            chosen = [use.containers[self.container]] if self.container else list(use.containers.values())
            if self.resource == "cpu":
                found[name] = sum(math.ceil(one.cpu / 1_000_000) for one in chosen)
            elif self.resource == "memory":
                found[name] = sum(one.memory for one in chosen) * 1000
        return found

    def _group(self, usage: dict[str, int]) -> _Pods:
        groups = _Pods(0, set(), set(), set())
        for pod in self.pods:
            name, status = objects.name_of(pod), pod.get("status", {})
            if objects.being_deleted(pod) or status.get("phase") == "Failed":
                groups.ignored.add(name)
            elif status.get("phase", "Pending") == "Pending":
                groups.unready.add(name)
            elif name not in usage:
                groups.missing.add(name)
            elif self.resource == "cpu" and self._unready(status):
                groups.unready.add(name)
            else:
                groups.ready += 1
        return groups

    def _unready(self, status: Obj) -> bool:
        """Whether a pod's CPU says nothing yet: it has never been ready, or just became so."""
        condition = objects.condition(status.get("conditions"), "Ready")
        if condition is None or not status.get("startTime"):
            return True
        start, changed = parse_time(status["startTime"]), parse_time(condition["lastTransitionTime"])
        if start + INITIALIZATION > self.now:
            return condition["status"] == "False" or self.now < changed + timedelta(seconds=WINDOW)
        return condition["status"] == "False" and start + INITIAL_READINESS > changed

    def _requests(self) -> dict[str, int]:
        """What each pod asks for; of those that ask as a whole, containers are asked only where one of them is meant."""
        found = {}
        for pod in self.pods:
            if not self.container and (pod["spec"].get("resources") or {}).get("requests"):
                whole = pod_total(pod, "requests", self._amount)
                if self.resource not in whole:
                    raise MetricError(f"missing pod-level request for {self.resource} in Pod {objects.name_of(pod)}")
                found[objects.name_of(pod)] = whole[self.resource]
                continue
            total = 0
            sidecars = [one for one in pod["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"]
            for container in [*pod["spec"]["containers"], *sidecars]:
                if self.container and container["name"] != self.container:
                    continue
                request = ((container.get("resources") or {}).get("requests") or {}).get(self.resource)
                if request is None:
                    where = f"container {container['name']} of Pod {objects.name_of(pod)}"
                    raise MetricError(f"missing request for {self.resource} in {where}")
                total += parse(request).milli
            found[objects.name_of(pod)] = total
        return found

    def _amount(self, resources: Mapping[str, Any] | None) -> dict[str, int]:
        """The metric's resource in a resource list, if it is there."""
        return {name: parse(value).milli for name, value in (resources or {}).items() if name == self.resource}

    def _decide(
        self,
        usage: dict[str, int],
        groups: _Pods,
        ratio: float,
        filled: dict[str, int],
        again: Callable[[dict[str, int]], float],
    ) -> int:
        """Count pods without a (telling) metric so that they dampen the change, and never turn it round."""
        up_with_unready = bool(groups.unready) and ratio > 1.0
        if not up_with_unready and not groups.missing:
            return self.current if self.tolerances.within(ratio) else math.ceil(ratio * groups.ready)
        metrics = dict(usage)
        if ratio < 1.0:
            metrics |= filled
        elif ratio > 1.0:
            metrics |= dict.fromkeys(groups.missing, 0)
        if up_with_unready:
            metrics |= dict.fromkeys(groups.unready, 0)
        new = again(metrics)
        if self.tolerances.within(new) or (ratio < 1.0 < new) or (new < 1.0 < ratio):
            return self.current
        replicas = math.ceil(new * len(metrics))
        if (new < 1.0 and replicas > self.current) or (new > 1.0 and replicas < self.current):
            return self.current
        return replicas


def _utilization(usage: dict[str, int], requests: dict[str, int], target: int) -> tuple[float, int, int]:
    """Ratio to the target, percentage of the requests, average."""
    known = [name for name in usage if name in requests]
    wanted = sum(requests[name] for name in known)
    if not wanted:
        raise MetricError("no metrics returned matched known pods")
    total = sum(usage[name] for name in known)
    percent = total * 100 // wanted
    return percent / target, percent, total // len(known)
