"""One look at one StatefulSet: which pod to make, delete or wait for.

After updateStatefulSet of pkg/controller/statefulset/stateful_set_control.go.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.revisions import with_template
from kuartui.embedded.controllers.statefulset import identity
from kuartui.embedded.controllers.statefulset.claims import ClaimControl
from kuartui.embedded.meta.errors import StatusError

Obj = dict[str, Any]
Record = Callable[[Obj, str, str, str], None]


class Round:
    """Lives for one reconcile. `current` and `update` are the revisions to come from and to go to."""

    def __init__(
        self, client: Client, statefulset: Obj, owned: list[Obj], current: Obj, update: Obj, record: Record
    ) -> None:
        self._client = client
        self._set = statefulset
        self._current, self._update = objects.name_of(current), objects.name_of(update)
        self._as_current, self._as_update = with_template(statefulset, current), with_template(statefulset, update)
        self._record = record
        self.claims = ClaimControl(client, statefulset, record)
        self.pods = {number: pod for pod in owned if (number := identity.ordinal(statefulset, pod)) >= 0}
        self._min_ready = int(statefulset["spec"].get("minReadySeconds") or 0)
        first = identity.first_ordinal(statefulset)
        self._wanted = range(first, first + identity.replicas(statefulset))
        self._ordered: bool = statefulset["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"

    @property
    def now(self) -> datetime:
        return self._client.clock.now()

    def _available(self, pod: Obj) -> bool:
        return identity.running_and_ready(pod) and pods.available(pod, self._min_ready, self.now)

    def _healthy(self, pod: Obj) -> bool:
        return identity.running_and_ready(pod) and not objects.being_deleted(pod)

    async def take(self) -> None:
        """Do what may be done now. Raises StatusError if something could not be made or deleted."""
        if objects.being_deleted(self._set):
            return
        if await self._keep_wanted() or await self._drop_surplus():
            return
        if (self._set["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
            await self._roll()

    async def _keep_wanted(self) -> bool:
        """Make and repair the pods that should be; True if that is all for now."""
        if not self._ordered:  # nobody waits for anybody
            await pods.slowly(len(self._wanted), lambda index: self._keep(self._wanted[index]))
            return False
        for number in self._wanted:
            if await self._keep(number):
                return True
        return False

    async def _keep(self, number: int) -> bool:
        """Make or repair one pod; True if the ones after it have to wait."""
        pod = self.pods.get(number)
        if pod is None:
            return await self._create(number)
        if pods.finished(pod):
            if not objects.being_deleted(pod):
                await self._delete(pod)
                del self.pods[number]  # the next round makes it anew
            return True
        if pods.phase(pod) == "Pending":
            await self.claims.create(number)
        if self._ordered and not (self._healthy(pod) and self._available(pod)):
            return True
        await self._identify(number, pod)
        await self.claims.align(number, scaled_away=False)
        return False

    async def _identify(self, number: int, pod: Obj) -> None:
        """Give a pod back the labels that say who it is."""
        wanted = identity.labels(self._set, number)
        if wanted.items() <= objects.labels_of(pod).items():
            return
        name = objects.name_of(pod)
        patch = {"metadata": {"labels": wanted}}
        self.pods[number] = await self._client.patch("pods", objects.namespace_of(pod), name, patch)
        text = f"Update Pod {name} in StatefulSet {objects.name_of(self._set)} successful"
        self._record(self._set, "Normal", "SuccessfulUpdate", text)

    async def _create(self, number: int) -> bool:
        """Make a pod and its claims; True if others have to wait for it."""
        old_revision = self._needs_old_revision(number)
        source, revision = (self._as_current, self._current) if old_revision else (self._as_update, self._update)
        if self.claims.stale(number):
            return True
        pod = identity.new_pod(source, number, revision)
        name = objects.name_of(pod)
        try:
            await self.claims.create(number)
            self.pods[number] = await self._client.create("pods", pod)
        except StatusError as error:
            if error.reason != "AlreadyExists" and not pods.namespace_terminating(error):
                text = f"Create Pod {name} in StatefulSet {objects.name_of(self._set)} failed error: {error}"
                self._record(self._set, "Warning", "FailedCreate", text)
            raise
        text = f"Create Pod {name} in StatefulSet {objects.name_of(self._set)} successful"
        self._record(self._set, "Normal", "SuccessfulCreate", text)
        await self.claims.align(number, scaled_away=False)
        return bool(self._ordered)

    def _needs_old_revision(self, number: int) -> bool:
        strategy = self._set["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return False
        return bool(number < self._wanted.start + self._partition())

    def _partition(self) -> int:
        """How many of the lowest ordinals stay as they are, wherever the ordinals start."""
        strategy = self._set["spec"].get("updateStrategy") or {}
        return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)

    async def _drop_surplus(self) -> bool:
        """Delete what is beyond the wanted ordinals, highest first; True if that is all for now."""
        surplus = sorted((number for number in self.pods if number not in self._wanted), reverse=True)
        for number in surplus:
            await self.claims.align(number, scaled_away=True)
        unhealthy = [number for number in sorted(self.pods) if not self._healthy(self.pods[number])]
        for number in surplus:
            pod = self.pods[number]
            if objects.being_deleted(pod):
                if self._ordered:
                    return True
                continue
            if self._ordered and not self._available(pod) and unhealthy[:1] != [number]:
                return True
            await self._delete(pod)
            if self._ordered:
                return True
        return False

    async def _roll(self) -> None:
        """Delete pods of other revisions from the highest ordinal down, one at a time."""
        for number in reversed(self._wanted[self._partition() :]):
            pod = self.pods.get(number)
            if pod is None:
                return
            if identity.revision_of(pod) != self._update and not objects.being_deleted(pod):
                await self._delete(pod)
                return
            if not self._healthy(pod) or not self._available(pod):
                return

    async def _delete(self, pod: Obj) -> None:
        name = objects.name_of(pod)
        where = f"Pod {name} in StatefulSet {objects.name_of(self._set)}"
        try:
            await self._client.delete("pods", objects.namespace_of(pod), name, uid=objects.uid_of(pod))
        except StatusError as error:
            if error.code == 404:
                return
            self._record(self._set, "Warning", "FailedDelete", f"Delete {where} failed error: {error}")
            raise
        self._record(self._set, "Normal", "SuccessfulDelete", f"Delete {where} successful")

    def status(self, owned: list[Obj], collisions: int) -> Obj:
        """The numbers, from pods as they are by now."""
        alive = [pod for pod in owned if not objects.being_deleted(pod)]
        status = objects.nonzero(
            {
                "observedGeneration": self._set["metadata"].get("generation", 0),
                "currentRevision": self._current,
                "updateRevision": self._update,
                "readyReplicas": sum(map(identity.running_and_ready, owned)),
                "currentReplicas": sum(identity.revision_of(pod) == self._current for pod in alive),
                "updatedReplicas": sum(identity.revision_of(pod) == self._update for pod in alive),
            }
        )
        status |= {
            "replicas": len(owned),
            "availableReplicas": sum(map(self._available, owned)),
            "collisionCount": collisions,
        }
        size = len(self._wanted)
        done = status.get("updatedReplicas", 0) == size == status["replicas"] and status.get("readyReplicas", 0) == size
        rolling = (self._set["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
        if done and rolling:
            status["currentRevision"] = self._update
            if size:
                status["currentReplicas"] = size
        if self._set.get("status", {}).get("conditions"):
            status["conditions"] = self._set["status"]["conditions"]
        return status
