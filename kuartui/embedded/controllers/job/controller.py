"""Runs jobs to their end, after pkg/controller/job/job_controller.go.

Every pod of a job has a finalizer until its end is counted in the status, so none is ever lost or counted twice: first
the status lists the pod as uncounted, then the finalizer goes, then the number grows.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.adoption import claim
from kuartui.embedded.controllers.job import indexes, outcome, policy
from kuartui.embedded.controllers.job.backoff import Backoff, remaining
from kuartui.embedded.controllers.job.outcome import Count, End
from kuartui.embedded.controllers.job.podsets import (
    FINALIZER,
    PodSets,
    awaiting_replacement,
    counted_failures,
    failed,
    finished_at,
    new_pod,
    replaces_failed_only,
    sort_out,
    without_failed,
)
from kuartui.embedded.controllers.job.tracking import Tracker
from kuartui.embedded.controllers.workload import WorkloadController
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

JOBS = "jobs.batch"
BURST = 500
OWN = "kubernetes.io/job-controller"


class JobController(WorkloadController):
    """Keeps the pods of jobs."""

    name = "job-controller"
    resource = JOBS
    kind = "Job"
    group = "batch"
    first_retry = 1.0  # DefaultJobApiBackOff

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._backoffs: dict[str, Backoff] = {}

    def setup(self) -> None:
        self.watch(JOBS, self._job_changed)
        self.watch("pods", self._pod_changed)

    def _job_changed(self, event: Event) -> None:
        if event.type is EventType.DELETED:
            self._backoffs.pop(event.obj.uid, None)
            for pod in self.client.owned_by("pods", event.obj.uid):
                self._enqueue_orphan(pod)
        self.enqueue_object(event)

    def _pod_changed(self, event: Event) -> None:
        self.owned(event)
        if event.type is not EventType.DELETED:
            self._enqueue_orphan(event.obj.data)

    def _enqueue_orphan(self, pod: Obj) -> None:
        """A tracked pod whose job is gone: its finalizer has nobody to wait for. Its key starts with a slash."""
        if FINALIZER not in objects.finalizers(pod):
            return
        ref = objects.controller_of(pod)
        job = self.client.get(JOBS, objects.namespace_of(pod), ref["name"]) if ref and ref["kind"] == "Job" else None
        if job is None or not objects.controlled_by(pod, job):
            self.enqueue(objects.namespace_of(pod), f"/{objects.name_of(pod)}")

    async def reconcile(self, namespace: str, name: str) -> None:
        if name.startswith("/"):
            await self._release_orphan(namespace, name[1:])
            return
        job = self.client.get(JOBS, namespace, name)
        if job is None or job["spec"].get("managedBy", OWN) != OWN:
            return
        selector = self.selector(job)
        owned = await claim(self.client, "pods", job, selector, self.candidates("pods", job))
        if outcome.finished(job):
            await Tracker(self.client, job).release_all(owned)
            return
        await self._sync(job, sort_out(job, owned))

    async def _release_orphan(self, namespace: str, name: str) -> None:
        pod = self.client.get("pods", namespace, name)
        ref = objects.controller_of(pod) if pod else None
        job = self.client.get(JOBS, namespace, ref["name"]) if ref and ref["kind"] == "Job" else None
        if pod is not None and (job is None or not objects.controlled_by(pod, job)):
            await Tracker(self.client, pod).release(pod)

    async def _sync(self, job: Obj, sets: PodSets) -> None:
        now = self.clock.now()
        status = objects.copy(job.get("status") or {})
        if not status.get("startTime") and not outcome.suspended(job):
            status["startTime"] = format_time(now)
        stored, job = job, {**job, "status": objects.copy(status)}
        count = self._count(job, sets)
        self._note_ends(job, sets)
        held = awaiting_replacement(job, sets, count.done | count.failed_indexes)
        end = outcome.decided(job) or outcome.failure(job, sets, count, now)
        if end is None and job["spec"].get("successPolicy"):
            message = policy.success(job, count.done)
            end = End(True, "SuccessPolicy", message) if message else None
        error: StatusError | None = None
        managed = False
        if end is not None:
            await self._stop_all(job, sets)
        elif not objects.being_deleted(job):
            try:
                managed = True
                await self._manage(job, sets, count, held, now)
            except StatusError as failure:
                error = None if pods.namespace_terminating(failure) else failure
            active = [pod for pod in await self._fresh(job) if pods.active(pod)]
            end = outcome.completed(job, count, len(active))
        if managed and end is None:
            self._mark_suspension(job, status, now)
        tracker = Tracker(self.client, stored)
        if end is None and not objects.being_deleted(job):
            sets = without_failed(sets, held.values())
        await tracker.track(status, sets, count, end, await self._fresh(job))
        for reason, message in tracker.news:
            self.record(job, "Normal" if reason == "Completed" else "Warning", reason, message)
        until = outcome.deadline({**job, "status": status})
        if until is not None and end is None:
            self.enqueue_after(objects.namespace_of(job), objects.name_of(job), (until - now).total_seconds())
        if error is not None:
            raise error

    async def _fresh(self, job: Obj) -> list[Obj]:
        found = self.client.owned_by("pods", objects.uid_of(job))
        return [pod for pod in found if objects.controlled_by(pod, job)]

    def _count(self, job: Obj, sets: PodSets) -> Count:
        status = job.get("status", {})
        uncounted = status.get("uncountedTerminatedPods") or {}
        failed = status.get("failed", 0) + len(uncounted.get("failed") or ())
        failed += len(counted_failures(job, sets.fresh_failed))
        if not indexes.is_indexed(job):
            succeeded = status.get("succeeded", 0) + len(uncounted.get("succeeded") or ()) + len(sets.fresh_succeeded)
            return Count(succeeded, failed, set(), set())
        limit = indexes.completions(job) or 0
        done = indexes.parse(status.get("completedIndexes"), limit)
        done |= {index for pod in sets.fresh_succeeded if 0 <= (index := indexes.index_of(pod)) < limit}
        lost = indexes.parse(status.get("failedIndexes"), limit) | self._lost_indexes(job, sets)
        return Count(len(done), failed, done, lost - done)

    def _lost_indexes(self, job: Obj, sets: PodSets) -> set[int]:
        """Indexes that have failed too often."""
        most = job["spec"].get("backoffLimitPerIndex")
        if most is None:
            return set()
        ended = [pod for pod in sets.every if FINALIZER in objects.finalizers(pod) and failed(job, pod)]
        judged = [(pod, policy.judge(job, pod)) for pod in ended]
        return {
            index
            for pod, verdict in judged
            if verdict.action == "FailIndex" or (verdict.counts and indexes.failures_before(pod) >= most)
            if 0 <= (index := indexes.index_of(pod)) < (indexes.completions(job) or 0)
        }

    def _note_ends(self, job: Obj, sets: PodSets) -> None:
        """Feed the back-off, in the order of the ends."""
        backoff = self._backoffs.setdefault(objects.uid_of(job), Backoff())
        ends = [(finished_at(pod), True, pod) for pod in sets.fresh_succeeded]
        ends += [(finished_at(pod), False, pod) for pod in counted_failures(job, sets.fresh_failed)]
        for ended, success, pod in sorted(ends, key=lambda one: (one[0], objects.name_of(one[2]))):
            backoff.note(objects.uid_of(pod), ended, success=success)

    async def _stop_all(self, job: Obj, sets: PodSets) -> None:
        for pod in sets.active:
            await self.pod_control.delete(job, pod)

    async def _manage(self, job: Obj, sets: PodSets, count: Count, held: dict[int, Obj], now: datetime) -> None:
        """Bring the number of active pods nearer to what it should be. `held`: who failed last, by index."""
        parallelism = job["spec"].get("parallelism", 1)
        wanted = 0 if outcome.suspended(job) else self._wanted(job, sets, count, parallelism)
        surplus = len(sets.active) - wanted
        doomed = self._removable(job, sets, count, max(0, surplus))
        if doomed:
            tracker = Tracker(self.client, job)
            for pod in doomed[:BURST]:
                await tracker.release(pod)  # what we take away ourselves is no failure
                await self.pod_control.delete(job, pod)
            return
        if replaces_failed_only(job):
            wanted -= len(sets.terminating)
        missing = min(wanted - len(sets.active), BURST)
        if missing <= 0 or outcome.suspended(job):
            return
        wait = 0.0
        if job["spec"].get("backoffLimitPerIndex") is None:
            wait = self._backoffs[objects.uid_of(job)].remaining(now)
        if wait > 0:
            self.enqueue_after(objects.namespace_of(job), objects.name_of(job), wait)
            return
        if not indexes.is_indexed(job):
            await pods.slowly(missing, lambda _: self.pod_control.create(job, new_pod(job, None)))
            return
        pending = indexes.pending(job, sets.active, count.done | count.failed_indexes, missing)
        waits = {index: _remaining(held.get(index), now) for index in pending}
        due = [index for index, left in waits.items() if not left]

        def make(number: int) -> Awaitable[object]:
            return self.pod_control.create(job, new_pod(job, due[number], held.get(due[number])))

        await pods.slowly(len(due), make)
        if waits and not due:
            self.enqueue_after(objects.namespace_of(job), objects.name_of(job), min(waits.values()))

    def _wanted(self, job: Obj, sets: PodSets, count: Count, parallelism: int) -> int:
        completions = indexes.completions(job)
        if completions is None:
            return len(sets.active) if count.succeeded else parallelism
        return max(0, min(parallelism, completions - count.succeeded - len(count.failed_indexes)))

    def _removable(self, job: Obj, sets: PodSets, count: Count, at_least: int) -> list[Obj]:
        """Active pods that are too many: doubled and finished indexes first, then the least useful."""
        doomed: list[Obj] = []
        left = sets.active
        if indexes.is_indexed(job):
            seen = set(count.done) | count.failed_indexes
            left = []
            for pod in sorted(sets.active, key=objects.created):
                index = indexes.index_of(pod)
                unwanted = index < 0 or index in seen or index >= (indexes.completions(job) or 0)
                (doomed if unwanted else left).append(pod)
                seen.add(index)
        more = at_least - len(doomed)
        return doomed + pods.deletion_order(left, {}, self.clock.now())[: max(0, more)]

    def _mark_suspension(self, job: Obj, status: Obj, now: datetime) -> None:
        conditions = status.get("conditions") or []
        current = objects.condition(conditions, "Suspended")
        is_suspended = outcome.suspended(job)
        if is_suspended == bool(current and current["status"] == "True"):
            return
        word = "suspended" if is_suspended else "resumed"
        reason, message = f"Job{word.capitalize()}", f"Job {word}"
        new = outcome.condition("Suspended", str(is_suspended), reason, message, now)
        status["conditions"] = [*(one for one in conditions if one is not current), new]
        if is_suspended:
            status.pop("startTime", None)
        else:
            status["startTime"] = format_time(now)
        self.record(job, "Normal", word.capitalize(), message)


def _remaining(last: Obj | None, now: datetime) -> float:
    """Seconds until an index whose pod `last` failed may have another."""
    if last is None:
        return 0.0
    return remaining(indexes.tries(last), finished_at(last), now)
