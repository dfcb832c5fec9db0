"""Finished jobs go after their ttlSecondsAfterFinished, after pkg/controller/ttlafterfinished."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import parse_time
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

JOBS = "jobs.batch"


class TTLController(Controller):
    """Deletes finished jobs in time."""

    name = "ttl-after-finished-controller"

    def setup(self) -> None:
        self.watch(JOBS, self._job_changed)

    def _job_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED and event.obj.data["spec"].get("ttlSecondsAfterFinished") is not None:
            self.enqueue_object(event)

    async def reconcile(self, namespace: str, name: str) -> None:
        job = self.client.get(JOBS, namespace, name)
        if job is None or objects.being_deleted(job):
            return
        ttl, ended = job["spec"].get("ttlSecondsAfterFinished"), _finished_at(job)
        if ttl is None or ended is None:
            return
        left = (parse_time(ended) + timedelta(seconds=ttl) - self.clock.now()).total_seconds()
        if left > 0:
            self.enqueue_after(namespace, name, left)
            return
        try:
            await self.client.delete(JOBS, namespace, name, uid=objects.uid_of(job), propagation="Foreground")
        except StatusError as error:
            if error.code != 404:
                raise


def _finished_at(job: Obj) -> str | None:
    for one in job.get("status", {}).get("conditions") or ():
        if one["type"] in ("Complete", "Failed") and one["status"] == "True":
            moment: str = one["lastTransitionTime"]
            return moment
    return None
