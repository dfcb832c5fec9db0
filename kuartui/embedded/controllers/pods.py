"""What controllers ask of pods, and how they make and remove them.

After pkg/api/v1/pod/util.go and pkg/controller/controller_utils.go.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import parse_time

Obj = dict[str, Any]

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def phase(pod: Obj) -> str:
    """status.phase, "Pending" while there is none."""
    found: str = pod.get("status", {}).get("phase") or "Pending"
    return found


def finished(pod: Obj) -> bool:
    """Succeeded or Failed."""
    return phase(pod) in ("Succeeded", "Failed")


def active(pod: Obj) -> bool:
    """Neither finished nor being deleted: what controllers count."""
    return not finished(pod) and not objects.being_deleted(pod)


def terminating(pod: Obj) -> bool:
    """Being deleted and still running."""
    return not finished(pod) and objects.being_deleted(pod)


def ready(pod: Obj) -> bool:
    """The Ready condition."""
    return objects.condition_true(pod, "Ready")


def ready_since(pod: Obj) -> datetime | None:
    """When the pod became ready; None if it is not."""
    found = objects.condition(pod.get("status", {}).get("conditions"), "Ready")
    if found is None or found["status"] != "True" or not found.get("lastTransitionTime"):
        return None
    return parse_time(found["lastTransitionTime"])


def available_in(pod: Obj, min_ready: int, now: datetime) -> float | None:
    """Seconds until the pod counts as available (0: it does already); None if it is not ready."""
    if not ready(pod):
        return None
    if not min_ready:
        return 0.0
    since = ready_since(pod)
    return 0.0 if since is None else max(0.0, min_ready - (now - since).total_seconds())


def available(pod: Obj, min_ready: int, now: datetime) -> bool:
    """Ready for minReadySeconds."""
    return available_in(pod, min_ready, now) == 0.0


def next_availability(pods: Iterable[Obj], min_ready: int, now: datetime) -> float | None:
    """Seconds until the next ready pod becomes available by time alone."""
    waits = [wait for pod in pods if (wait := available_in(pod, min_ready, now))]
    return min(waits, default=None)


def restarts(pod: Obj) -> tuple[int, int]:
    """The highest restart counts of its containers and of its sidecars."""
    status = pod.get("status", {})
    sidecars = {one["name"] for one in pod["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"}
    beside = [one for one in status.get("initContainerStatuses") or () if one["name"] in sidecars]
    return _most_restarts(status.get("containerStatuses") or ()), _most_restarts(beside)


def _most_restarts(statuses: Iterable[Obj]) -> int:
    return max((one.get("restartCount", 0) for one in statuses), default=0)


def from_template(template: Obj, owner: Obj) -> Obj:
    """A pod as the template says, owned by `owner`, with a name to be generated (GetPodFromTemplate)."""
    meta: Obj = {
        "generateName": prefix_of(objects.name_of(owner)),
        "namespace": objects.namespace_of(owner),
        "ownerReferences": [objects.controller_reference(owner)],
    }
    given = template.get("metadata") or {}
    for field in ("labels", "annotations", "finalizers"):
        if given.get(field):
            meta[field] = given[field]
    return objects.copy({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]})


def prefix_of(name: str) -> str:
    """The start of pod names of a controller: its name and a dash, if that is a valid prefix."""
    return f"{name}-"


class PodControl:
    """Makes and deletes pods for a controller, with the events that tell of it."""

    def __init__(self, client: Client, component: str) -> None:
        self._client = client
        self._component = component

    async def create(self, owner: Obj, pod: Obj) -> Obj:
        """Create a pod; raises StatusError after an event FailedCreate."""
        try:
            made = await self._client.create("pods", pod)
        except StatusError as error:
            if not namespace_terminating(error):
                self._record(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._record(owner, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return made

    async def delete(self, owner: Obj, pod: Obj) -> None:
        """Delete a pod; one that is gone already is fine."""
        name = objects.name_of(pod)
        try:
            await self._client.delete("pods", objects.namespace_of(pod), name)
        except StatusError as error:
            if error.code == 404:
                return
            self._record(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        self._record(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

    def _record(self, owner: Obj, type_: str, reason: str, message: str) -> None:
        self._client.record(owner, type_, reason, message, self._component)


async def slowly(count: int, make: Callable[[int], Awaitable[object]]) -> None:
    """Call `make` with 0, 1, … in batches of 1, 2, 4, …: after a batch in which one failed, no other begins.

    Raises the first StatusError of a batch (slowStartBatch).
    """
    begin, size = 0, 1
    while begin < count:
        failure: StatusError | None = None
        for number in range(begin, min(begin + size, count)):
            try:
                await make(number)
            except StatusError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        begin, size = begin + size, 2 * size


def namespace_terminating(error: StatusError) -> bool:
    """Whether a create failed since its namespace is on its way out: no reason for an event or a retry."""
    causes = error.details.get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


def deletion_order(pods: Iterable[Obj], doubled: dict[str, int], now: datetime) -> list[Obj]:
    """Pods in the order in which a ReplicaSet gives them up (ActivePodsWithRanks).

    `doubled` counts related pods by node: of two, the one on the fuller node goes first.
    """

    def rank(pod: Obj) -> tuple[Any, ...]:
        node = pod["spec"].get("nodeName", "")
        own, beside = restarts(pod)
        return (
            bool(node),
            PHASES.get(phase(pod), 1),
            ready(pod),
            _cost(pod),
            -doubled.get(node, 0),
            _age_rank(ready_since(pod), now),
            -own,
            -beside,
            _age_rank(parse_time(pod["metadata"]["creationTimestamp"]), now),
            objects.uid_of(pod),
        )

    return sorted(pods, key=rank)


def _cost(pod: Obj) -> int:
    try:
        return int(objects.annotations_of(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _age_rank(since: datetime | None, now: datetime) -> int:
    """Ages on a logarithmic scale, so that the choice within one bucket is as good as random (LogarithmicScaleDown)."""
    seconds = (now - since).total_seconds() if since else 0.0
    return int(math.log2(seconds * 1e9)) if seconds > 0 else -1
