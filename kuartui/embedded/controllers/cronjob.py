"""Starts jobs by the clock, after pkg/controller/cronjob/cronjob_controllerv2.go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.pods import namespace_terminating
from kuartui.embedded.controllers.workload import WorkloadController
from kuartui.embedded.meta import cron
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import format_time, parse_time

Obj = dict[str, Any]

CRONJOBS, JOBS = "cronjobs.batch", "jobs.batch"
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
LATE = 0.1  # seconds after the scheduled moment at which we look
TOO_MANY = 100
MISSED = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"


class CronJobController(WorkloadController):
    """Keeps the jobs of cron jobs."""

    name = "cronjob-controller"
    resource = CRONJOBS
    kind = "CronJob"
    group = "batch"

    def setup(self) -> None:
        self.watch(CRONJOBS, self.enqueue_object)
        self.watch(JOBS, self.owned)

    def selector(self, owner: Obj) -> Obj | None:
        """Cron jobs adopt nothing."""
        return None

    async def reconcile(self, namespace: str, name: str) -> None:
        cronjob = self.client.get(CRONJOBS, namespace, name)
        if cronjob is None:
            return
        jobs = [
            job for job in self.client.owned_by(JOBS, objects.uid_of(cronjob)) if objects.controlled_by(job, cronjob)
        ]
        status = objects.copy(cronjob.get("status") or {})
        self._follow(cronjob, jobs, status)
        await self._clean_up(cronjob, jobs)
        if not objects.being_deleted(cronjob):
            await self._start_if_due(cronjob, status)
        if not status.get("active"):
            status.pop("active", None)
        if status != (cronjob.get("status") or {}):
            current = self.client.get(CRONJOBS, namespace, name)
            if current is not None:
                await self.client.update_status(CRONJOBS, objects.with_status(current, status))

    def _follow(self, cronjob: Obj, jobs: list[Obj], status: Obj) -> None:
        """Bring the list of active jobs up to date."""
        active = {ref["uid"]: ref for ref in status.get("active") or ()}
        for job in jobs:
            uid, end = objects.uid_of(job), _end(job)
            if uid not in active and end is None:
                text = f"Saw a job that the controller did not create or forgot: {objects.name_of(job)}"
                self.record(cronjob, "Warning", "UnexpectedJob", text)
            elif uid in active and end is not None:
                del active[uid]
                text = f"Saw completed job: {objects.name_of(job)}, condition: {end}"
                self.record(cronjob, "Normal", "SawCompletedJob", text)
            completed = job.get("status", {}).get("completionTime")
            if end == "Complete" and completed and completed > status.get("lastSuccessfulTime", ""):
                status["lastSuccessfulTime"] = completed
        known = {objects.uid_of(job) for job in jobs}
        for uid, ref in list(active.items()):
            if uid not in known and self.client.get(JOBS, objects.namespace_of(cronjob), ref["name"]) is None:
                del active[uid]
                self.record(cronjob, "Normal", "MissingJob", f"Active job went missing: {ref['name']}")
        status["active"] = list(active.values())

    async def _clean_up(self, cronjob: Obj, jobs: list[Obj]) -> None:
        """Delete the oldest finished jobs beyond the history limits."""
        spec = cronjob["spec"]
        limits = (("Complete", spec.get("successfulJobsHistoryLimit")), ("Failed", spec.get("failedJobsHistoryLimit")))
        for type_, limit in limits:
            ended = [job for job in jobs if _end(job) == type_ and not objects.being_deleted(job)]
            ended.sort(key=lambda job: (job.get("status", {}).get("startTime") or "", objects.name_of(job)))
            for job in ended[: max(0, len(ended) - limit)] if limit is not None else ():
                await self._delete(cronjob, job)

    async def _start_if_due(self, cronjob: Obj, status: Obj) -> None:
        spec, now = cronjob["spec"], self.clock.now()
        if spec.get("suspend"):
            return
        try:
            zone: tzinfo = ZoneInfo(spec["timeZone"]) if spec.get("timeZone") else UTC
        except (ZoneInfoNotFoundError, ValueError):
            text = f'invalid timeZone: "{spec["timeZone"]}": unknown time zone {spec["timeZone"]}'
            self.record(cronjob, "Warning", "UnknownTimeZone", text)
            return
        try:
            schedule = cron.parse(spec["schedule"])
        except ValueError as error:
            text = f'unparseable schedule: "{spec["schedule"]}" : {error}'
            self.record(cronjob, "Warning", "UnparseableSchedule", text)
            return
        if schedule.next(now.astimezone(zone)) is None:  # the 31st of February
            text = f"invalid schedule: {spec['schedule']} : time difference between two schedules is less than 1 second"
            self.record(cronjob, "Warning", "InvalidSchedule", text)
            return
        calendar = Calendar(cronjob, schedule, now, zone)
        due, missed = calendar.due(status)
        if missed > TOO_MANY:
            self.record(cronjob, "Warning", "TooManyMissedTimes", MISSED)
        if due is not None:
            await self._start(cronjob, status, due.astimezone(zone), now)
        following = calendar.following(status)
        if following is not None:
            wait = (following - now).total_seconds() + LATE
            self.enqueue_after(objects.namespace_of(cronjob), objects.name_of(cronjob), wait)

    async def _start(self, cronjob: Obj, status: Obj, due: datetime, now: datetime) -> None:
        patience = cronjob["spec"].get("startingDeadlineSeconds")
        if patience is not None and (now - due).total_seconds() > patience:
            text = f"Missed scheduled time to start a job: {due.astimezone(UTC).strftime('%a, %d %b %Y %H:%M:%S %z')}"
            self.record(cronjob, "Warning", "MissSchedule", text)
            return
        name = f"{objects.name_of(cronjob)}-{int(due.timestamp()) // 60}"
        moment = format_time(due)
        if status.get("lastScheduleTime") == moment or any(ref["name"] == name for ref in status["active"]):
            return
        policy = cronjob["spec"].get("concurrencyPolicy", "Allow")
        if policy == "Forbid" and status["active"]:
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.record(cronjob, "Normal", "JobAlreadyActive", text)
            return
        if policy == "Replace":
            for ref in status["active"]:
                job = self.client.get(JOBS, objects.namespace_of(cronjob), ref["name"])
                if job is not None:
                    await self._delete(cronjob, job)
            status["active"] = []
        job = await self._create(cronjob, name, due)
        if job is None:
            return
        ref = {"apiVersion": "batch/v1", "kind": "Job", "namespace": objects.namespace_of(job), "name": name}
        ref |= {"uid": objects.uid_of(job), "resourceVersion": job["metadata"]["resourceVersion"]}
        status["active"] = [*status["active"], ref]
        status["lastScheduleTime"] = moment

    async def _create(self, cronjob: Obj, name: str, due: datetime) -> Obj | None:
        template = cronjob["spec"]["jobTemplate"]
        given = template.get("metadata") or {}
        stamp = due.isoformat() if due.utcoffset() else format_time(due)
        meta: Obj = {
            "name": name,
            "namespace": objects.namespace_of(cronjob),
            "annotations": {**(given.get("annotations") or {}), SCHEDULED: stamp},
            "ownerReferences": [objects.controller_reference(cronjob)],
        }
        if given.get("labels"):
            meta["labels"] = given["labels"]
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template["spec"]}
        try:
            made = await self.client.create(JOBS, objects.copy(job))
        except StatusError as error:
            if namespace_terminating(error):
                return None
            if error.reason == "AlreadyExists":
                found = self.client.get(JOBS, objects.namespace_of(cronjob), name)
                return found if found is not None and objects.controlled_by(found, cronjob) else None
            self.record(cronjob, "Warning", "FailedCreate", f"Error creating job: {error}")
            raise
        self.record(cronjob, "Normal", "SuccessfulCreate", f"Created job {name}")
        return made

    async def _delete(self, cronjob: Obj, job: Obj) -> None:
        name = objects.name_of(job)
        try:
            await self.client.delete(JOBS, objects.namespace_of(job), name, propagation="Background")
        except StatusError as error:
            if error.code != 404:
                self.record(cronjob, "Warning", "FailedDelete", f"Deleted job: {error}")
                raise
            return
        self.record(cronjob, "Normal", "SuccessfulDelete", f"Deleted job {name}")


def _end(job: Obj) -> str | None:
    """Complete, Failed, or None while it runs."""
    for type_ in ("Complete", "Failed"):
        if objects.condition_true(job, type_):
            return type_
    return None


class Calendar:
    """The scheduled moments of a cron job, in UTC: clocks of zones go back. `status` says when it was started last."""

    def __init__(self, cronjob: Obj, schedule: cron.Schedule, now: datetime, zone: tzinfo) -> None:
        self._cronjob = cronjob
        self._schedule = schedule
        self._now = now
        self._zone = zone

    def _after(self, moment: datetime) -> datetime | None:
        found = self._schedule.next(moment.astimezone(self._zone))
        return found.astimezone(UTC) if found is not None else None

    def due(self, status: Obj) -> tuple[datetime | None, int]:
        """The last moment that has passed since the last start and is not too late, and how many there were."""
        since = self._last_start(status)
        patience = self._cronjob["spec"].get("startingDeadlineSeconds")
        if patience is not None:
            since = max(since, self._now - timedelta(seconds=patience))
        latest, missed = self._missed(since)
        return latest, missed if latest else 0

    def following(self, status: Obj) -> datetime | None:
        """The next moment. Where a schedule counts from its last moment (`@every`), it has to count from there."""
        since = self._last_start(status)
        latest, missed = self._missed(since)
        return self._after(latest or (self._now if missed else since))

    def _last_start(self, status: Obj) -> datetime:
        return parse_time(status.get("lastScheduleTime") or self._cronjob["metadata"]["creationTimestamp"])

    def _missed(self, since: datetime) -> tuple[datetime | None, int]:
        """mostRecentScheduleTime: the number is a guess from the first two, and the last one is looked for near it."""
        first = self._after(since)
        if first is None or first > self._now:
            return None, 0
        second = self._after(first)
        if second is None or second > self._now:
            return first, 1
        period = second - first
        missed = int((self._now - first) / period) + 1
        latest, moment = None, self._after(first + (missed - 2) * period)
        while moment is not None and moment <= self._now:
            latest, moment = moment, self._after(moment)
        return latest, missed
