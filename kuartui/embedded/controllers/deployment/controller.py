"""Which Deployments to look at when, and what to do first.

After pkg/controller/deployment/deployment_controller.go.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers import pods as podfacts
from kuartui.embedded.controllers.adoption import claim
from kuartui.embedded.controllers.deployment import arithmetic
from kuartui.embedded.controllers.deployment import status as statuses
from kuartui.embedded.controllers.deployment.rollout import DEPLOYMENTS, SETS, Collision, Rollout
from kuartui.embedded.controllers.workload import WorkloadController
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]


class DeploymentController(WorkloadController):
    """Rolls pod templates out through ReplicaSets."""

    name = "deployment-controller"
    resource = DEPLOYMENTS
    kind = "Deployment"

    def setup(self) -> None:
        self.watch(DEPLOYMENTS, self.enqueue_object)
        self.watch(SETS, self.owned)
        self.watch("pods", self._pod_gone)

    def _pod_gone(self, event: Event) -> None:
        """Recreate waits for the last old pod."""
        if event.type is not EventType.DELETED:
            return
        ref = objects.controller_of(event.obj.data)
        if ref is None or ref["kind"] != "ReplicaSet":
            return
        rs = self.client.get(SETS, event.obj.key.namespace, ref["name"])
        owner = objects.controller_of(rs) if rs else None
        if owner is None or owner["kind"] != self.kind:
            return
        deployment = self.client.get(DEPLOYMENTS, event.obj.key.namespace, owner["name"])
        if deployment is not None and not arithmetic.is_rolling(deployment):
            self.enqueue(event.obj.key.namespace, owner["name"])

    async def reconcile(self, namespace: str, name: str) -> None:
        deployment = self.client.get(DEPLOYMENTS, namespace, name)
        if deployment is None:
            return
        if not deployment["spec"].get("selector"):
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self.record(deployment, "Warning", "SelectingAll", message)
            return
        candidates = self.candidates(SETS, deployment)
        sets = await claim(self.client, SETS, deployment, deployment["spec"]["selector"], candidates)
        rollout = Rollout(self.client, deployment, sets)
        rolling = False
        if not objects.being_deleted(deployment):
            try:
                rolling = await self._step(rollout)
            except Collision:
                self.enqueue_after(namespace, name, 0)
                return
        await self._finish(rollout, rolling=rolling)

    async def _step(self, rollout: Rollout) -> bool:
        """Do what may be done now; whether that was a step of a rollout, whose progress is watched."""
        changed = statuses.paused_change(rollout.deployment, self.clock.now())
        if changed is not None:
            await rollout.write_status(changed)
        paused = bool(rollout.deployment["spec"].get("paused"))
        if paused or rollout.scaled_by_user():
            await rollout.sync_revision(create=False)
            await rollout.scale()
            if paused:
                await rollout.clean_up()
            return False
        if arithmetic.is_rolling(rollout.deployment):
            await rollout.roll()
        else:
            await rollout.recreate(self._old_pods_remain(rollout))
        return True

    def _old_pods_remain(self, rollout: Rollout) -> bool:
        return any(
            not podfacts.finished(pod)
            for rs in rollout.old
            for pod in self.client.owned_by("pods", objects.uid_of(rs))
            if objects.controlled_by(pod, rs)
        )

    async def _finish(self, rollout: Rollout, *, rolling: bool) -> None:
        """Write the status; come back when a deadline may have passed."""
        now = self.clock.now()
        deployment, sets, new = rollout.deployment, rollout.sets, rollout.new
        status = statuses.calculate(deployment, sets, new, now)
        if rolling:
            status = statuses.with_progress(deployment, status, sets, new, now)
        await rollout.write_status(status)
        wait = statuses.check_again(rollout.deployment, status, now)
        if wait is not None:
            self.enqueue_after(objects.namespace_of(deployment), objects.name_of(deployment), wait)
