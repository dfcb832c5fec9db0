"""ReplicaSets and ReplicationControllers: so many pods that match a selector, no more, no fewer.

After pkg/controller/replicaset. Reads come from the store itself, so upstream's expectations (which bridge the lag of
an informer cache) are not needed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.adoption import claim
from kuartui.embedded.controllers.conditions import new_condition, put, without
from kuartui.embedded.controllers.workload import WorkloadController
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.labels import from_map

Obj = dict[str, Any]

BURST = 500
FAILURE = "ReplicaFailure"


class ReplicaSetController(WorkloadController):
    """Keeps the pods of ReplicaSets."""

    name = "replicaset-controller"
    resource = "replicasets.apps"
    kind = "ReplicaSet"

    def setup(self) -> None:
        self.watch(self.resource, self.enqueue_object)
        self.watch("pods", self.owned)

    async def reconcile(self, namespace: str, name: str) -> None:
        owner = self.client.get(self.resource, namespace, name)
        if owner is None:
            return
        candidates = [pod for pod in self.candidates("pods", owner) if not pods.finished(pod)]
        leaving = [pod for pod in candidates if objects.being_deleted(pod) and objects.controlled_by(pod, owner)]
        alive = [pod for pod in candidates if not objects.being_deleted(pod)]
        owned = await claim(self.client, "pods", owner, self.selector(owner), alive)
        error = None
        if not objects.being_deleted(owner):
            error = await self._manage(owner, owned)
        now = self.clock.now()
        status = self._status(owner, owned, len(leaving), error, now)
        if status != owner.get("status", {}):
            owner = await self.client.update_status(self.resource, objects.with_status(owner, status))
        if error is not None:
            raise error
        wait = pods.next_availability(owned, _min_ready(owner), now)
        if wait is not None:
            self.enqueue_after(namespace, name, wait)

    async def _manage(self, owner: Obj, owned: list[Obj]) -> StatusError | None:
        """Create what is missing or delete what is too much; the first failure."""
        missing = _replicas(owner) - len(owned)
        try:
            if missing > 0:
                await self._create(owner, min(missing, BURST))
            elif missing < 0:
                doomed = pods.deletion_order(owned, self._related(owner), self.clock.now())
                for pod in doomed[: min(-missing, BURST)]:
                    await self.pod_control.delete(owner, pod)
        except StatusError as error:
            return None if pods.namespace_terminating(error) else error
        return None

    async def _create(self, owner: Obj, count: int) -> None:
        template = owner["spec"]["template"]
        await pods.slowly(count, lambda _: self.pod_control.create(owner, pods.from_template(template, owner)))

    def _related(self, owner: Obj) -> dict[str, int]:
        """Pods per node of all ReplicaSets with the same controller; none if it has none."""
        ref = objects.controller_of(owner)
        if ref is None:
            return {}
        family = [rs for rs in self.client.owned_by(self.resource, ref["uid"]) if objects.controller_of(rs) == ref]
        count: dict[str, int] = {}
        for rs in family:
            for pod in self.client.owned_by("pods", objects.uid_of(rs)):
                node = pod["spec"].get("nodeName")
                if node and pods.active(pod):
                    count[node] = count.get(node, 0) + 1
        return count

    def _status(self, owner: Obj, owned: list[Obj], leaving: int, error: StatusError | None, now: datetime) -> Obj:
        old = owner.get("status", {})
        full = from_map((owner["spec"]["template"].get("metadata") or {}).get("labels"))
        min_ready = _min_ready(owner)
        status = objects.nonzero(
            {
                "fullyLabeledReplicas": sum(full.matches(objects.labels_of(pod)) for pod in owned),
                "readyReplicas": sum(map(pods.ready, owned)),
                "availableReplicas": sum(pods.available(pod, min_ready, now) for pod in owned),
                "observedGeneration": owner["metadata"].get("generation", 0),
            }
        )
        status["replicas"] = len(owned)
        self._count_leaving(status, leaving)
        conditions = _conditions(old.get("conditions") or [], len(owned) - _replicas(owner), error, now)
        if conditions:
            status["conditions"] = conditions
        return status

    def _count_leaving(self, status: Obj, leaving: int) -> None:
        status["terminatingReplicas"] = leaving


class ReplicationController(ReplicaSetController):
    """The same for the older kind, whose selector is a plain map."""

    name = "replication-controller"
    resource = "replicationcontrollers"
    kind = "ReplicationController"
    group = ""

    def selector(self, owner: Obj) -> Obj | None:
        selector = owner["spec"].get("selector")
        return {"matchLabels": selector} if selector else None

    def _count_leaving(self, status: Obj, leaving: int) -> None:
        """v1 has no such field."""


def _conditions(old: list[Obj], surplus: int, error: StatusError | None, now: datetime) -> list[Obj]:
    failing = objects.condition(old, FAILURE)
    if error is None:
        return without(old, FAILURE) if failing else old
    if failing or not surplus:
        return old
    reason = "FailedCreate" if surplus < 0 else "FailedDelete"
    return put(old, new_condition(FAILURE, "True", reason, str(error), now))


def _replicas(owner: Obj) -> int:
    found = owner["spec"].get("replicas")
    return 1 if found is None else int(found)


def _min_ready(owner: Obj) -> int:
    return int(owner["spec"].get("minReadySeconds") or 0)
