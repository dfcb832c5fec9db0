"""Which StatefulSets to look at when; their revisions and status."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.adoption import claim
from kuartui.embedded.controllers.revisions import REVISIONS, History
from kuartui.embedded.controllers.statefulset import identity
from kuartui.embedded.controllers.statefulset.control import Round
from kuartui.embedded.controllers.workload import WorkloadController
from kuartui.embedded.meta.errors import StatusError

Obj = dict[str, Any]

SETS = "statefulsets.apps"


class StatefulSetController(WorkloadController):
    """Keeps numbered pods with their own storage."""

    name = "statefulset-controller"
    resource = SETS
    kind = "StatefulSet"

    def setup(self) -> None:
        self.watch(SETS, self.enqueue_object)
        self.watch("pods", self.owned)

    async def reconcile(self, namespace: str, name: str) -> None:
        statefulset = self.client.get(SETS, namespace, name)
        if statefulset is None:
            return
        selector = self.selector(statefulset)
        owned = await self._owned_pods(statefulset, selector)
        stored = await claim(self.client, REVISIONS, statefulset, selector, self.candidates(REVISIONS, statefulset))
        history = History(self.client, statefulset, stored, "controller.kubernetes.io/hash")
        update = await history.current(objects.annotations_of(statefulset))
        named = statefulset.get("status", {}).get("currentRevision")
        current = next((one for one in history.revisions if objects.name_of(one) == named), update)
        turn = Round(self.client, statefulset, owned, current, update, self.record)
        error: StatusError | None = None
        try:
            await turn.take()
        except StatusError as failure:
            error = failure
        owned = await self._owned_pods(statefulset, selector)
        status = turn.status(owned, history.collisions)
        if status != statefulset.get("status", {}):
            statefulset = await self.client.update_status(SETS, objects.with_status(statefulset, status))
        live = {status["currentRevision"], status["updateRevision"], *map(identity.revision_of, owned)}
        await history.prune(live, statefulset["spec"].get("revisionHistoryLimit"))
        if error is not None and not pods.namespace_terminating(error):
            raise error
        min_ready = int(statefulset["spec"].get("minReadySeconds") or 0)
        wait = pods.next_availability(owned, min_ready, self.clock.now())
        if wait is not None:
            self.enqueue_after(namespace, name, wait)

    async def _owned_pods(self, statefulset: Obj, selector: Obj | None) -> list[Obj]:
        """Pods of the set; only those with its names can be adopted."""
        candidates = [
            pod
            for pod in self.candidates("pods", statefulset)
            if objects.controller_of(pod) or identity.ordinal(statefulset, pod) >= 0
        ]
        return await claim(self.client, "pods", statefulset, selector, candidates)
