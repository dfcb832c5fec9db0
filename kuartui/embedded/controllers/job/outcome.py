"""Whether and how a job ends: backoff limit, deadline, policies, completions.

After the middle of syncJob in pkg/controller/job/job_controller.go. Pure functions.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.conditions import new_condition
from kuartui.embedded.controllers.job import indexes, policy
from kuartui.embedded.controllers.job.podsets import PodSets
from kuartui.embedded.meta.time import format_time, parse_time

Obj = dict[str, Any]

BACKOFF = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
DEADLINE = "DeadlineExceeded", "Job was active longer than specified deadline"
TOO_MANY_INDEXES = "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
FAILED_INDEXES = "FailedIndexes", "Job has failed indexes"
REACHED = "CompletionsReached", "Reached expected number of succeeded pods"


class End(Struct, frozen=True):
    """A job's end: `success` or not, reason and message."""

    success: bool
    reason: str
    message: str


class Count(Struct):
    """Where a job stands, what is not written to its status yet included."""

    succeeded: int
    failed: int
    done: set[int]
    failed_indexes: set[int]


def suspended(job: Obj) -> bool:
    """spec.suspend."""
    return bool(job["spec"].get("suspend"))


def finished(job: Obj) -> bool:
    """Complete or Failed."""
    return objects.condition_true(job, "Complete") or objects.condition_true(job, "Failed")


def decided(job: Obj) -> End | None:
    """The end that the status announces already (its pods are still on their way out)."""
    for type_, success in (("FailureTarget", False), ("SuccessCriteriaMet", True)):
        found = objects.condition(job.get("status", {}).get("conditions"), type_)
        if found is not None and found["status"] == "True":
            return End(success, found.get("reason", ""), found.get("message", ""))
    return None


def deadline(job: Obj) -> datetime | None:
    """When a running job runs out of time."""
    seconds, started = job["spec"].get("activeDeadlineSeconds"), job.get("status", {}).get("startTime")
    if seconds is None or not started or suspended(job):
        return None
    return parse_time(started) + timedelta(seconds=seconds)


def failure(job: Obj, sets: PodSets, count: Count, now: datetime) -> End | None:
    """Why the job has failed; None if it has not."""
    for pod in sets.fresh_failed:
        verdict = policy.judge(job, pod)
        if verdict.action == "FailJob":
            return End(False, "PodFailurePolicy", verdict.message)
    limit = job["spec"].get("backoffLimit", 6)
    if (limit is not None and count.failed > limit) or _restarted_too_often(job, sets.active, limit):
        return End(False, *BACKOFF)
    until = deadline(job)
    if until is not None and now >= until:
        return End(False, *DEADLINE)
    if indexes.is_indexed(job) and job["spec"].get("backoffLimitPerIndex") is not None:
        most = job["spec"].get("maxFailedIndexes")
        if most is not None and len(count.failed_indexes) > most:
            return End(False, *TOO_MANY_INDEXES)
        if count.failed_indexes and len(count.failed_indexes | count.done) >= (indexes.completions(job) or 0):
            return End(False, *FAILED_INDEXES)
    return None


def _restarted_too_often(job: Obj, active: list[Obj], limit: int | None) -> bool:
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure" or limit is None:
        return False
    restarts = 0
    for pod in active:
        if pods.phase(pod) in ("Running", "Pending"):
            status = pod.get("status", {})
            every = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
            restarts += sum(one.get("restartCount", 0) for one in every)
    return restarts > 0 if limit == 0 else restarts >= limit


def completed(job: Obj, count: Count, active: int) -> End | None:
    """Whether nothing is left to do."""
    wanted = indexes.completions(job)
    enough = count.succeeded > 0 if wanted is None else count.succeeded >= wanted
    return End(True, *REACHED) if enough and not active else None


def condition(type_: str, status: str, reason: str, message: str, now: datetime) -> Obj:
    """A job condition: they carry a probe time, too."""
    made = new_condition(type_, status, reason, message, now)
    return made | {"lastProbeTime": format_time(now)}
