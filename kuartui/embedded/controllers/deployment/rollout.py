"""One look at one Deployment: its ReplicaSets, and the steps that a rollout takes.

After pkg/controller/deployment/{sync,rolling,recreate}.go. A `Rollout` lives for one reconcile; it keeps what it has
written, so that each step sees the sizes that the step before has set.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.deployment import arithmetic, revisions
from kuartui.embedded.controllers.deployment import status as statuses
from kuartui.embedded.controllers.deployment.arithmetic import counted, replicas, wanted
from kuartui.embedded.controllers.pods import namespace_terminating
from kuartui.embedded.meta.errors import StatusError

Obj = dict[str, Any]

COMPONENT = "deployment-controller"
SETS = "replicasets.apps"
DEPLOYMENTS = "deployments.apps"


class Collision(Exception):
    """The name of the new ReplicaSet is taken; the next attempt uses another hash."""


class Rollout:
    """A Deployment and the ReplicaSets that it controls."""

    def __init__(self, client: Client, deployment: Obj, sets: list[Obj]) -> None:
        self.client = client
        self.deployment = deployment
        self._sets = {objects.uid_of(rs): rs for rs in sets}
        new = revisions.find_new(deployment, sets)
        self._new_uid = objects.uid_of(new) if new else ""

    @property
    def now(self) -> datetime:
        return self.client.clock.now()

    @property
    def sets(self) -> list[Obj]:
        """All of them, the old ones first, oldest first."""
        new = self.new
        return [*self.old, new] if new else self.old

    @property
    def new(self) -> Obj | None:
        """The one of the current template."""
        return self._sets.get(self._new_uid)

    @property
    def old(self) -> list[Obj]:
        """The others, oldest first."""
        return sorted((rs for uid, rs in self._sets.items() if uid != self._new_uid), key=objects.created)

    def _active(self, sets: list[Obj]) -> list[Obj]:
        return [rs for rs in sets if replicas(rs) > 0]

    # Revisions

    async def sync_revision(self, *, create: bool) -> None:
        """Have the new ReplicaSet annotated (and made, if asked to), the Deployment's revision with it."""
        new_revision = max((arithmetic.revision(rs) for rs in self.old), default=0) + 1
        new = self.new
        if new is not None:
            await self._refresh(new, new_revision)
        elif create:
            await self._create(new_revision)

    async def _refresh(self, new: Obj, new_revision: int) -> None:
        annotations = revisions.annotated(self.deployment, new, new_revision, exists=True)
        min_ready = self.deployment["spec"].get("minReadySeconds", 0)
        if annotations != objects.annotations_of(new) or min_ready != new["spec"].get("minReadySeconds", 0):
            changed = {**new, "metadata": {**new["metadata"], "annotations": annotations}}
            changed["spec"] = {key: value for key, value in new["spec"].items() if key != "minReadySeconds"}
            if min_ready:
                changed["spec"]["minReadySeconds"] = min_ready
            new = self._keep(await self.client.update(SETS, changed))
        await self._set_revision(arithmetic.revision(new))
        if statuses.has_deadline(self.deployment) and statuses.progressing(self.deployment.get("status", {})) is None:
            message = f'Found new replica set "{objects.name_of(new)}"'
            await self._write_progress("True", "FoundNewReplicaSet", message)

    async def _create(self, new_revision: int) -> None:
        rs = revisions.build(self.deployment, self.old, new_revision)
        name, size = objects.name_of(rs), replicas(rs)
        existed = False
        try:
            made = await self.client.create(SETS, rs)
        except StatusError as error:
            if error.reason == "AlreadyExists":
                made = await self._existing(rs)
                existed = True
            elif namespace_terminating(error):
                return
            else:
                message = f'Failed to create new replica set "{name}": {error}'
                if statuses.has_deadline(self.deployment):
                    await self._write_progress("False", "ReplicaSetCreateError", message)
                self._event("Warning", "ReplicaSetCreateError", message)
                raise
        self._new_uid = objects.uid_of(made)
        self._keep(made)
        if not existed and size:
            self._event("Normal", "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {size}")
        await self._set_revision(new_revision)
        if not existed and statuses.has_deadline(self.deployment):
            await self._write_progress("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')

    async def _existing(self, rs: Obj) -> Obj:
        """The ReplicaSet that has the name already if it is ours, else count a collision."""
        namespace, name = objects.namespace_of(rs), objects.name_of(rs)
        found = self.client.get(SETS, namespace, name)
        template = self.deployment["spec"]["template"]
        if (
            found is not None
            and objects.controlled_by(found, self.deployment)
            and revisions.same_template(found["spec"]["template"], template)
        ):
            return found
        status = self.deployment.get("status", {})
        await self.write_status({**status, "collisionCount": status.get("collisionCount", 0) + 1})
        raise Collision(name)

    async def _set_revision(self, revision: int) -> None:
        if objects.annotations_of(self.deployment).get(arithmetic.REVISION) == str(revision):
            return
        patch = {"metadata": {"annotations": {arithmetic.REVISION: str(revision)}}}
        namespace, name = objects.namespace_of(self.deployment), objects.name_of(self.deployment)
        self.deployment = await self.client.patch(DEPLOYMENTS, namespace, name, patch, "status")

    async def _write_progress(self, status: str, reason: str, message: str) -> None:
        old = self.deployment.get("status", {})
        conditions = old.get("conditions") or []
        conditions = statuses.progress(conditions, status, reason, message, self.now)
        await self.write_status({**old, "conditions": conditions})

    # Sizes

    async def resize(self, rs: Obj, size: int) -> bool:
        """Give a ReplicaSet another size (and the annotations that go with it); whether the size changed."""
        before = replicas(rs)
        annotations = {**objects.annotations_of(rs), **revisions.size_annotations(self.deployment)}
        if before == size and annotations == objects.annotations_of(rs):
            return False
        changed = {**rs, "metadata": {**rs["metadata"], "annotations": annotations}}
        changed["spec"] = {**rs["spec"], "replicas": size}
        self._keep(await self.client.update(SETS, changed))
        if before == size:
            return False
        direction = "up" if size > before else "down"
        message = f"Scaled {direction} replica set {objects.name_of(rs)} from {before} to {size}"
        self._event("Normal", "ScalingReplicaSet", message)
        return True

    async def _set_size(self, rs: Obj, size: int) -> bool:
        return replicas(rs) != size and await self.resize(rs, size)

    def scaled_by_user(self) -> bool:
        """Whether the Deployment's size changed since its ReplicaSets were last told."""
        desired = [arithmetic.number(rs, arithmetic.DESIRED) for rs in self._active(self.sets)]
        return any(one is not None and one != replicas(self.deployment) for one in desired)

    async def scale(self) -> None:
        """Follow spec.replicas without rolling anything out."""
        target = self._only_candidate()
        if target is not None:
            await self._set_size(target, replicas(self.deployment))
        elif arithmetic.is_saturated(self.deployment, self.new):
            for rs in self._active(self.old):
                await self._set_size(rs, 0)
        elif arithmetic.is_rolling(self.deployment):
            for rs, size in arithmetic.proportions(self.deployment, self._active(self.sets)):
                await self.resize(rs, size)

    def _only_candidate(self) -> Obj | None:
        """The active ReplicaSet if there is just one, the latest if there is none."""
        active = self._active(self.sets)
        if len(active) == 1:
            return active[0]
        if active or not self.sets:
            return None
        return self.new or self.old[-1]

    # Strategies

    async def roll(self) -> None:
        """A step of RollingUpdate."""
        await self.sync_revision(create=True)
        new = self.new
        if new is None:
            return
        size = min(replicas(self.deployment), arithmetic.new_set_replicas(self.deployment, self.sets, replicas(new)))
        if replicas(new) != replicas(self.deployment) and await self._set_size(new, size):
            return
        if await self._shrink_old():
            return
        if statuses.complete(self.deployment, self.deployment.get("status", {})):
            await self.clean_up()

    async def _shrink_old(self) -> bool:
        new = self.new
        old = self._active(self.old)
        if new is None or not old:
            return False
        at_least = replicas(self.deployment) - arithmetic.max_unavailable(self.deployment)
        new_unavailable = replicas(new) - counted([new], "availableReplicas")
        room = wanted([*old, new]) - at_least - new_unavailable
        if room <= 0 or any(counted([rs], "availableReplicas") > replicas(rs) for rs in old):
            return False  # none to spare, or a ReplicaSet has yet to tell how many it kept when it last shrank
        unhealthy = await self._take(old, room, lambda rs: replicas(rs) - counted([rs], "availableReplicas"))
        surplus = counted([*old, new], "availableReplicas") - at_least  # what was told to go before does not count
        healthy = await self._take(self._active(self.old), surplus, replicas)
        return unhealthy + healthy > 0

    async def _take(self, sets: list[Obj], most: int, removable: Any) -> int:
        """Shrink the oldest first, by what each can give; how many pods that takes."""
        taken = 0
        for rs in sets:
            share = min(most - taken, removable(rs))
            if share > 0 and await self._set_size(rs, replicas(rs) - share):
                taken += share
        return taken

    async def recreate(self, pods_remain: bool) -> None:
        """A step of Recreate: everything old goes before anything new comes. `pods_remain`: of old ReplicaSets."""
        await self.sync_revision(create=False)
        old = self._active(self.old)
        for rs in old:
            await self._set_size(rs, 0)
        if old or counted(self.old, "replicas") or pods_remain:
            return
        if self.new is None:
            await self.sync_revision(create=True)
        if self.new is not None:
            await self._set_size(self.new, replicas(self.deployment))
        if statuses.complete(self.deployment, self.deployment.get("status", {})):
            await self.clean_up()

    async def clean_up(self) -> None:
        """Delete the oldest revisions beyond revisionHistoryLimit."""
        limit = self.deployment["spec"].get("revisionHistoryLimit")
        if limit is None or limit == statuses.NO_DEADLINE:
            return
        removable = [rs for rs in self.old if not objects.being_deleted(rs)]
        surplus = len(removable) - limit
        for rs in sorted(removable, key=arithmetic.revision)[: max(0, surplus)]:
            seen = rs.get("status", {}).get("observedGeneration", 0) >= rs["metadata"].get("generation", 0)
            if replicas(rs) or counted([rs], "replicas") or not seen:
                continue
            try:
                await self.client.delete(SETS, objects.namespace_of(rs), objects.name_of(rs))
            except StatusError as error:
                if error.code != 404:
                    raise

    # Writing

    async def write_status(self, status: Obj) -> None:
        """Store a status if it says something new."""
        if status != self.deployment.get("status", {}):
            changed = objects.with_status(self.deployment, status)
            self.deployment = await self.client.update_status(DEPLOYMENTS, changed)

    def _keep(self, rs: Obj) -> Obj:
        self._sets[objects.uid_of(rs)] = rs
        return rs

    def _event(self, type_: str, reason: str, message: str) -> None:
        self.client.record(self.deployment, type_, reason, message, COMPONENT)
