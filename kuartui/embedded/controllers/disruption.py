"""The status of PodDisruptionBudgets, after pkg/controller/disruption. Evictions are the API's business."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from kuartui.embedded.controllers import objects, pods, scales
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.conditions import new_condition
from kuartui.embedded.meta.gofmt import go_selector
from kuartui.embedded.meta.intorstring import is_percent, scaled
from kuartui.embedded.meta.labels import from_object
from kuartui.embedded.meta.time import parse_time
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

BUDGETS = "poddisruptionbudgets.policy"
DELETION_TIMEOUT = timedelta(minutes=2)  # an evicted pod that is still there after that counts again
UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of the "
    "PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set "
    '".spec.minAvailable" field of the PDB to an integer value.'
)


class NoScale(Exception):
    """A pod's controller has no size, so a percentage means nothing."""


class DisruptionController(Controller):
    """Counts healthy pods."""

    name = "disruption-controller"
    component = "controllermanager"

    def setup(self) -> None:
        self.watch(BUDGETS, self.enqueue_object)
        self.watch("pods", self._pod_changed)
        for resource in scales.BUILT_IN.values():
            self.watch(resource, self._scale_changed)

    def _pod_changed(self, event: Event) -> None:
        if (
            event.old is not None
            and event.type is EventType.MODIFIED
            and _matters(event.obj.data) == _matters(event.old.data)
        ):
            return
        every = [objects.labels_of(event.obj.data)]
        if event.old is not None:
            every.append(objects.labels_of(event.old.data))
        mine = []
        for stored in self.client.store.list(BUDGETS, event.obj.key.namespace):
            selector = from_object(stored.data["spec"].get("selector"))
            if any(selector.matches(labels) for labels in every):
                self.enqueue(*stored.key[1:])
            if selector.matches(every[0]):
                mine.append(stored.key.name)
        if len(mine) > 1:
            pod = f'"{event.obj.key.namespace}"/"{event.obj.key.name}"'
            text = f'Pod {pod} matches multiple PodDisruptionBudgets.  Chose "{mine[0]}" arbitrarily.'
            self.client.record(event.obj.data, "Warning", "MultiplePodDisruptionBudgets", text, self.component)

    def _scale_changed(self, event: Event) -> None:
        old = event.old.data["spec"].get("replicas") if event.old else None
        if event.old is None or old != event.obj.data["spec"].get("replicas"):
            for stored in self.client.store.list(BUDGETS, event.obj.key.namespace):
                self.enqueue(*stored.key[1:])

    async def reconcile(self, namespace: str, name: str) -> None:
        budget = self.client.get(BUDGETS, namespace, name)
        if budget is None:
            return
        selector = from_object(budget["spec"].get("selector"))
        chosen = [pod for pod in self.client.list("pods", namespace) if selector.matches(objects.labels_of(pod))]
        if not chosen:
            self.client.record(budget, "Normal", "NoPods", "No matching pods found", self.component)
        now = self.clock.now()
        try:
            status = self._status(budget, chosen, now)
        except NoScale as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            self.client.record(budget, "Warning", "CalculateExpectedPodCountFailed", text, self.component)
            counts = dict.fromkeys(("currentHealthy", "desiredHealthy", "expectedPods"), 0)
            status = counts | (budget.get("status") or {}) | {"disruptionsAllowed": 0}
            seen = status.get("observedGeneration", 0)
            status["conditions"] = self._condition(budget, seen, "False", "SyncFailed", str(error), now)
        else:
            if _by_share(budget) and any(objects.controller_of(pod) is None for pod in chosen):
                text = UNMANAGED.format(go_selector(budget["spec"].get("selector")))
                self.client.record(budget, "Warning", "UnmanagedPods", text, self.component)
        if status != (budget.get("status") or {}):
            await self.client.update_status(BUDGETS, objects.with_status(budget, status))
        if status.get("disruptedPods"):
            self.enqueue_after(namespace, name, DELETION_TIMEOUT.total_seconds())

    def _status(self, budget: Obj, chosen: list[Obj], now: datetime) -> Obj:
        expected, desired = self._counts(budget, chosen)
        disrupted = self._disrupted(budget, chosen, now)
        healthy = sum(
            pods.ready(pod) and objects.name_of(pod) not in disrupted and not objects.being_deleted(pod)
            for pod in chosen
        )
        allowed = max(0, healthy - desired) if expected > 0 else 0
        reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
        status: Obj = {
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": allowed,
            "expectedPods": expected,
            "observedGeneration": budget["metadata"].get("generation", 1),
            "conditions": self._condition(budget, budget["metadata"].get("generation", 1), *reason, "", now),
        }
        if disrupted:
            status["disruptedPods"] = disrupted
        return status

    def _condition(
        self, budget: Obj, generation: int, status: str, reason: str, message: str, now: datetime
    ) -> list[Obj]:
        new = new_condition("DisruptionAllowed", status, reason, message, now) | {"message": message}
        if generation:
            new["observedGeneration"] = generation
        old = objects.condition((budget.get("status") or {}).get("conditions"), "DisruptionAllowed")
        if old is not None and old["status"] == status:
            new["lastTransitionTime"] = old["lastTransitionTime"]
        return [new]

    def _disrupted(self, budget: Obj, chosen: list[Obj], now: datetime) -> dict[str, str]:
        """Evicted pods that are not being deleted yet, as the API has noted them."""
        there = {objects.name_of(pod): pod for pod in chosen}
        return {
            name: moment
            for name, moment in ((budget.get("status") or {}).get("disruptedPods") or {}).items()
            if name in there and not objects.being_deleted(there[name]) and parse_time(moment) + DELETION_TIMEOUT > now
        }

    def _counts(self, budget: Obj, chosen: list[Obj]) -> tuple[int, int]:
        """Pods that should be there and pods that have to be healthy. Raises NoScale."""
        spec = budget["spec"]
        most, least = spec.get("maxUnavailable"), spec.get("minAvailable")
        if not _by_share(budget):
            return len(chosen), int(least or 0)
        expected = self._expected(chosen)
        if most is not None:
            return expected, max(0, expected - scaled(most, expected, True))
        return expected, scaled(least, expected, True)

    def _expected(self, chosen: list[Obj]) -> int:
        """The sizes of the pods' controllers, each once; a pod without one counts for nothing. Raises NoScale."""
        sizes: dict[str, int] = {}
        for pod in chosen:
            ref = objects.controller_of(pod)
            if ref is None or ref["uid"] in sizes:
                continue
            uid, size = self._scale(pod, ref)
            sizes[uid] = size
        return sum(sizes.values())

    def _scale(self, pod: Obj, ref: Obj) -> tuple[str, int]:
        """Whose size it is that counts, and the size."""
        namespace = objects.namespace_of(pod)
        kind = scales.find(self.client, ref["apiVersion"], ref["kind"])
        if kind is None:
            raise NoScale(f'no matches for kind "{ref["kind"]}" in version "{ref["apiVersion"]}"')
        if kind.paths is None:
            raise NoScale(f"{kind.resource} does not implement the scale subresource")
        owner = self.client.get(kind.resource, namespace, ref["name"])
        if owner is None or objects.uid_of(owner) != ref["uid"]:
            raise NoScale(f'found no controllers for pod "{objects.name_of(pod)}"')
        above = objects.controller_of(owner)
        if ref["kind"] == "ReplicaSet" and above is not None and above["kind"] == "Deployment":
            deployment = self.client.get("deployments.apps", namespace, above["name"])
            owner = deployment if deployment is not None else owner
        return objects.uid_of(owner), kind.wanted(owner)


def _by_share(budget: Obj) -> bool:
    """Whether the budget asks how many pods there should be."""
    least = budget["spec"].get("minAvailable")
    return budget["spec"].get("maxUnavailable") is not None or (least is not None and is_percent(least))


def _matters(pod: Obj) -> tuple[Any, ...]:
    return pods.ready(pod), objects.being_deleted(pod), objects.labels_of(pod), objects.owners(pod)
