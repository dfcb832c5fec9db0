"""One look at an autoscaler every fifteen seconds: metrics, limits, scale, status.

After pkg/controller/podautoscaler/horizontal.go, with its conditions, events and their words.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects, scales
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.conditions import new_condition
from kuartui.embedded.controllers.hpa import metrics
from kuartui.embedded.controllers.hpa.limits import History, limit
from kuartui.embedded.controllers.hpa.replicas import MetricError
from kuartui.embedded.meta.errors import StatusError, not_found
from kuartui.embedded.meta.labels import Selector
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.metrics.usage import Usage
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

HPAS = "horizontalpodautoscalers.autoscaling"
RESYNC = 15.0


class HorizontalController(Controller):
    """Scales targets after their metrics. `usage` None: the cluster has no metrics API."""

    name = "horizontal-pod-autoscaler"

    def __init__(self, client: Client, usage: Usage | None) -> None:
        super().__init__(client)
        self._usage = usage
        self._histories: dict[str, History] = {}

    def setup(self) -> None:
        self.watch(HPAS, self._hpa_changed)

    def _hpa_changed(self, event: Event) -> None:
        if event.type is EventType.DELETED:
            self._histories.pop(event.obj.uid, None)
        else:  # new ones and changed ones wait for their turn, too: until then a status is empty
            self.enqueue_after(event.obj.key.namespace, event.obj.key.name, RESYNC)

    async def reconcile(self, namespace: str, name: str) -> None:
        hpa = self.client.get(HPAS, namespace, name)
        if hpa is None or objects.being_deleted(hpa):
            return
        self.enqueue_after(namespace, name, RESYNC)
        await _Look(self, hpa, self._usage, self._histories.setdefault(objects.uid_of(hpa), History())).take()

    def tell(self, hpa: Obj, type_: str, reason: str, message: str) -> None:
        """Record an event."""
        self.client.record(hpa, type_, reason, message, self.name)


class _Look:
    """One reconcile of one autoscaler."""

    def __init__(self, controller: HorizontalController, hpa: Obj, usage: Usage | None, history: History) -> None:
        self._controller = controller
        self._client = controller.client
        self._hpa = hpa
        self._usage = usage
        self._history = history
        self._status: Obj = objects.copy(hpa.get("status") or {})
        self._status.setdefault("conditions", [])

    async def take(self) -> None:
        """Look, scale if need be, write the status."""
        try:
            target, kind = self._target()
        except StatusError as error:
            self._event("Warning", "FailedGetScale", str(error))
            text = f"the HPA controller was unable to get the target's current scale: {error}"
            self._condition("AbleToScale", False, "FailedGetScale", text)
            await self._write()
            return
        text = "the HPA controller was able to get the target's current scale"
        self._condition("AbleToScale", True, "SucceededGetScale", text)
        current = kind.wanted(target)
        if not self._history.recommendations:
            self._history.recommendations.append((self._client.clock.monotonic(), current))
        desired, reason = self._desired(kind.selector(target), current)
        if desired is None:
            self._status["currentReplicas"] = current
            self._status["desiredReplicas"] = self._status.get("desiredReplicas", 0)
        else:
            rescaled = desired != current and await self._rescale(target, kind, current, desired, reason)
            self._status["currentReplicas"] = current
            self._status["desiredReplicas"] = desired if rescaled else current
            if rescaled:
                self._status["lastScaleTime"] = format_time(self._client.clock.now())
        await self._write()

    def _target(self) -> tuple[Obj, scales.Scalable]:
        ref = self._hpa["spec"]["scaleTargetRef"]
        version = ref.get("apiVersion") or ""
        kind = scales.find(self._client, version, ref["kind"])
        if kind is None:
            group = version.rpartition("/")[0]
            raise StatusError(404, "NotFound", f'no matches for kind "{ref["kind"]}" in group "{group}"')
        if kind.paths is None:
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        target = self._client.get(kind.resource, objects.namespace_of(self._hpa), ref["name"])
        if target is None:
            plural, _, group = kind.resource.partition(".")
            raise not_found(plural, ref["name"], group)
        return target, kind

    def _desired(self, wanted: Selector | None, current: int) -> tuple[int | None, str]:
        """The size to have and why; None if it is not known."""
        spec = self._hpa["spec"]
        low, high = spec.get("minReplicas"), spec["maxReplicas"]
        low = 1 if low is None else low
        if current == 0 and low != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            self._condition("ScalingActive", False, "ScalingDisabled", text)
            return 0, ""
        if current > high:
            return high, "Current number of replicas above Spec.MaxReplicas"
        if current < low:
            return low, "Current number of replicas below Spec.MinReplicas"
        try:
            proposed, metric = self._from_metrics(wanted, current)
        except MetricError as error:
            self._event("Warning", "FailedComputeMetricsReplicas", str(error))
            return None, ""
        reason = f"{metric} above target" if proposed > current else "All metrics below target"
        found = limit(self._history, spec, current, proposed, self._client.clock.monotonic())
        self._condition("AbleToScale", True, *found.able)
        self._condition("ScalingLimited", found.limited, *found.limit)
        return found.replicas, reason

    def _from_metrics(self, wanted: Selector | None, current: int) -> tuple[int, str]:
        """The highest count that any metric asks for. Raises MetricError."""
        specs = self._hpa["spec"].get("metrics") or []
        if wanted is None:
            self._event("Warning", "SelectorRequired", "selector is required")
            text = "the HPA target's scale is missing a selector"
            self._condition("ScalingActive", False, "InvalidSelector", text)
            raise MetricError("selector is required")
        pods = [
            pod
            for pod in self._client.list("pods", objects.namespace_of(self._hpa))
            if wanted.matches(objects.labels_of(pod))
        ]
        self._alone(wanted, pods)
        scene = metrics.Scene(self._hpa, pods, current, self._usage, self._client.clock.now())
        best: tuple[int, str] | None = None
        first: metrics.Failed | None = None
        failures = 0
        statuses = []
        for spec in specs:
            outcome = metrics.evaluate(scene, spec)
            if isinstance(outcome, metrics.Failed):
                failures += 1
                first = first or outcome
                self._event("Warning", outcome.reason, outcome.text)
                statuses.append({"type": ""})
                continue
            statuses.append(outcome.status)
            if best is None or outcome.replicas > best[0]:
                best = outcome.replicas, outcome.name
        self._status["currentMetrics"] = statuses or None
        if best is None or (failures and best[0] < current):
            if first is not None:
                text = f"the HPA was unable to compute the replica count: {first.text}"
                self._condition("ScalingActive", False, first.reason, text)
                raise MetricError(
                    f"invalid metrics ({failures} invalid out of {len(specs)}), first error is: {first.told}"
                )
            raise MetricError("no metrics specified")
        text = f"the HPA was able to successfully calculate a replica count from {best[1]}"
        self._condition("ScalingActive", True, "ValidMetricFound", text)
        return best

    def _alone(self, wanted: Selector, pods: list[Obj]) -> None:
        """Raises MetricError if another autoscaler's target has some of these pods, too."""
        namespace = objects.namespace_of(self._hpa)
        rivals = []
        for other in self._client.list(HPAS, namespace):
            ref = other["spec"]["scaleTargetRef"]
            kind = scales.find(self._client, ref.get("apiVersion") or "", ref["kind"])
            target = self._client.get(kind.resource, namespace, ref["name"]) if kind and kind.paths else None
            selector = kind.selector(target) if kind and target else None
            if selector and any(selector.matches(objects.labels_of(pod)) for pod in pods):
                rivals.append(f"{namespace}/{objects.name_of(other)}")
        if len(rivals) > 1:
            text = f"pods by selector {wanted} are controlled by multiple HPAs: [{' '.join(sorted(rivals))}]"
            self._event("Warning", "AmbiguousSelector", text)
            self._condition("ScalingActive", False, "AmbiguousSelector", text)
            raise MetricError(text)

    async def _rescale(self, target: Obj, kind: scales.Scalable, current: int, desired: int, reason: str) -> bool:
        where = kind.resource, objects.namespace_of(target), objects.name_of(target)
        try:
            await self._client.patch(*where, kind.patch(desired), subresource="scale")
        except StatusError as error:
            self._event("Warning", "FailedRescale", f"New size: {desired}; reason: {reason}; error: {error}")
            text = f"the HPA controller was unable to update the target scale: {error}"
            self._condition("AbleToScale", False, "FailedUpdateScale", text)
            return False
        text = f"the HPA controller was able to update the target scale to {desired}"
        self._condition("AbleToScale", True, "SucceededRescale", text)
        self._event("Normal", "SuccessfulRescale", f"New size: {desired}; reason: {reason}")
        behavior = self._hpa["spec"].get("behavior")
        self._history.scaled(self._client.clock.monotonic(), current, desired, behavior)
        return True

    def _event(self, type_: str, reason: str, message: str) -> None:
        self._controller.tell(self._hpa, type_, reason, message)

    def _condition(self, type_: str, status: bool, reason: str, message: str) -> None:
        """Set a condition in its place; its time moves with its status."""
        new = new_condition(type_, str(status), reason, message, self._client.clock.now())
        conditions = self._status["conditions"]
        current = objects.condition(conditions, type_)
        if current is None:
            conditions.append(new)
            return
        if current["status"] == new["status"]:
            new["lastTransitionTime"] = current["lastTransitionTime"]
        conditions[conditions.index(current)] = new

    async def _write(self) -> None:
        if not self._status.get("currentMetrics"):
            self._status["currentMetrics"] = None
        status = {key: value for key, value in self._status.items() if value is not None}
        status.setdefault("desiredReplicas", 0)
        if status != self._hpa.get("status"):
            await self._client.update_status(HPAS, objects.with_status(self._hpa, status))
