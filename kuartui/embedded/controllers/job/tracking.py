"""Counting a job's ended pods once, and writing its status.

After trackJobStatusAndRemoveFinalizers of pkg/controller/job/job_controller.go.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.job import indexes, outcome
from kuartui.embedded.controllers.job.outcome import Count, End
from kuartui.embedded.controllers.job.podsets import FINALIZER, PodSets, counted_failures
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]

JOBS = "jobs.batch"


class Tracker:
    """Writes the status of one job. `news` has reason and message of events to tell."""

    def __init__(self, client: Client, job: Obj) -> None:
        self._client = client
        self._job = job
        self.news: list[tuple[str, str]] = []

    async def track(self, status: Obj, sets: PodSets, count: Count, end: End | None, owned: list[Obj]) -> None:
        """Count what has ended, release it, and write the status (given as it should be but for the numbers)."""
        self._announce(status, end)
        active = [pod for pod in owned if pods.active(pod)]
        leaving = [pod for pod in owned if pods.terminating(pod)]
        self._set(status, "active", len(active))
        status["ready"] = sum(map(pods.ready, active))
        status["terminating"] = len(leaving)
        ended = [*sets.fresh_succeeded, *sets.fresh_failed]
        if end is not None and not end.success:
            known = {objects.uid_of(pod) for pod in ended}
            ended += [
                pod for pod in leaving if FINALIZER in objects.finalizers(pod) and objects.uid_of(pod) not in known
            ]
        await self._flush(status, sets, count, ended, stopping=end is not None and not end.success)
        if end is not None and not leaving and not active:
            self._finish(status, end)
        if status != (self._job.get("status") or {}):
            self._job = await self._client.update_status(JOBS, objects.with_status(self._job, status))
        if end is not None and outcome.finished(self._job):
            self.news.append(("Completed", "Job completed") if end.success else (end.reason, end.message))

    async def _flush(self, status: Obj, sets: PodSets, count: Count, ended: list[Obj], *, stopping: bool) -> None:
        """List the ended pods as uncounted, free them, then count them."""
        uncounted = status.get("uncountedTerminatedPods") or {}
        good, bad = list(uncounted.get("succeeded") or ()), list(uncounted.get("failed") or ())
        listed = {*good, *bad}  # and perhaps not released: who was at it has not come to the end
        counted = {objects.uid_of(pod) for pod in counted_failures(self._job, sets.fresh_failed)}
        succeeded = {objects.uid_of(pod) for pod in sets.fresh_succeeded}
        for pod in ended:
            uid = objects.uid_of(pod)
            if uid in succeeded:
                if not indexes.is_indexed(self._job):
                    good.append(uid)
            elif uid in counted or (stopping and pod not in sets.fresh_failed):
                bad.append(uid)
        if indexes.is_indexed(self._job):
            self._set(status, "completedIndexes", indexes.write(count.done))
            if self._job["spec"].get("backoffLimitPerIndex") is not None:
                status["failedIndexes"] = indexes.write(count.failed_indexes)
            self._set(status, "succeeded", len(count.done))
        if good or bad:
            lists = {"succeeded": good, "failed": bad}
            status["uncountedTerminatedPods"] = {key: value for key, value in lists.items() if value}
            self._job = await self._client.update_status(JOBS, objects.with_status(self._job, objects.copy(status)))
        await self._release_ended([*ended, *(pod for pod in sets.every if objects.uid_of(pod) in listed)])
        if good:
            status["succeeded"] = status.get("succeeded", 0) + len(good)
        if bad:
            status["failed"] = status.get("failed", 0) + len(bad)
        status["uncountedTerminatedPods"] = {}

    def _announce(self, status: Obj, end: End | None) -> None:
        """FailureTarget or SuccessCriteriaMet: the decision, before the pods are gone."""
        if end is None:
            return
        type_ = "SuccessCriteriaMet" if end.success else "FailureTarget"
        self._add_condition(status, type_, end)

    def _finish(self, status: Obj, end: End) -> None:
        """Complete or Failed."""
        self._add_condition(status, "Complete" if end.success else "Failed", end)
        if end.success:
            status["completionTime"] = format_time(self._client.clock.now())
        status.pop("active", None)

    def _add_condition(self, status: Obj, type_: str, end: End) -> None:
        conditions = status.get("conditions") or []
        if objects.condition(conditions, type_) is None:
            new = outcome.condition(type_, "True", end.reason, end.message, self._client.clock.now())
            status["conditions"] = [*conditions, new]

    def _set(self, status: Obj, field: str, value: Any) -> None:
        if value:
            status[field] = value
        else:
            status.pop(field, None)

    async def _release_ended(self, ended: list[Obj]) -> None:
        for pod in ended:
            await self.release(pod)

    async def release_all(self, owned: list[Obj]) -> None:
        """Free the pods of a finished job."""
        for pod in owned:
            if pods.finished(pod) or objects.being_deleted(pod):
                await self.release(pod)

    async def release(self, pod: Obj) -> None:
        """Take the finalizer off a pod."""
        namespace, name = objects.namespace_of(pod), objects.name_of(pod)
        current = self._client.get("pods", namespace, name)
        if current is None or objects.uid_of(current) != objects.uid_of(pod):
            return
        if FINALIZER not in objects.finalizers(current):
            return
        left = [one for one in objects.finalizers(current) if one != FINALIZER]
        try:
            await self._client.patch("pods", namespace, name, {"metadata": {"finalizers": left or None}})
        except StatusError as error:
            if error.code != 404:
                raise
