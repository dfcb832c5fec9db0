"""CronJobs (pkg/apis/batch, pkg/registry/batch/cronjob, printCronJob)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kuartui.embedded.kinds import cells, job_rules, workload
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import non_negative, one_of
from kuartui.embedded.kinds.fill import empty, missing
from kuartui.embedded.kinds.job import default_failure_policy
from kuartui.embedded.kinds.pod_defaults import default_template
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, required
from kuartui.embedded.meta.time import age as since

_POLICIES = ("Allow", "Forbid", "Replace")
_MAX_NAME = 52  # pods and jobs get longer names
_JOB = workload.SPEC / "jobTemplate"
_ZONE_PART = re.compile(r"(?!-|\.{1,2}$)[A-Za-z.\-_0-9+]{1,14}")


@register("cronjobs.batch")
class CronJobs(Strategy):
    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        empty(spec, concurrencyPolicy="Allow")
        missing(spec, suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1, jobTemplate={})
        job = spec["jobTemplate"]
        missing(job, metadata={}, spec={})
        missing(job["spec"], template={})
        default_template(job["spec"]["template"])
        default_failure_policy(job["spec"])

    def validate(self, obj: Obj) -> list[FieldError]:
        errors = self.validate_update(obj, obj)
        name = obj["metadata"].get("name", "")
        if len(name) > _MAX_NAME:
            errors.append(invalid("metadata.name", name, f"must be no more than {_MAX_NAME} characters"))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        spec, path = new.get("spec") or {}, workload.SPEC
        errors = _schedule(spec, path / "schedule")
        errors += non_negative(spec, path, "startingDeadlineSeconds")
        errors += _time_zone(spec, path / "timeZone")
        errors += one_of(spec.get("concurrencyPolicy"), path / "concurrencyPolicy", _POLICIES)
        job = (spec.get("jobTemplate") or {}).get("spec") or {}  # its metadata is checked when a job is made
        errors += job_rules.spec_errors(job, _JOB / "spec", in_cron_job=True)
        return errors + non_negative(spec, path, "successfulJobsHistoryLimit", "failedJobsHistoryLimit")

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        found = workload.name_warnings(obj, old)
        template = obj["spec"]["jobTemplate"]["spec"]["template"]
        found += workload.template_warnings(obj, old, template, _JOB / "spec" / "template")
        if "TZ" in obj["spec"].get("schedule", ""):
            text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            found.append(f"spec.schedule: {text}")
        return found

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        job = (spec.get("jobTemplate") or {}).get("spec") or {}
        last = status.get("lastScheduleTime")
        return [
            cells.name(obj),
            spec.get("schedule", ""),
            cells.NONE if spec.get("timeZone") is None else spec["timeZone"],
            cells.flag(spec.get("suspend")),
            len(status.get("active") or []),
            since(last, now) if last else cells.NONE,
            cells.age(obj, now),
            *cells.containers((job.get("template") or {}).get("spec")),
            cells.selector_or_none(job.get("selector")),
        ]


def _schedule(spec: Obj, path: Path) -> list[FieldError]:
    from kuartui.embedded.meta import cron

    schedule = spec.get("schedule", "")
    if not schedule:
        return [required(path)]
    errors = []
    try:
        cron.parse(schedule)
    except ValueError as error:
        errors.append(invalid(path, schedule, str(error)))
    if "TZ" in schedule:
        errors.append(invalid(path, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
    return errors


def _time_zone(spec: Obj, path: Path) -> list[FieldError]:
    zone = spec.get("timeZone")
    if zone is None:
        return []
    if not zone:
        return [invalid(path, zone, "timeZone must be nil or non-empty string")]
    if not all(_ZONE_PART.fullmatch(part) for part in zone.split("/")):
        return [invalid(path, zone, f"unknown time zone {zone}")]
    errors = []
    if zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.append(invalid(path, zone, text))
    if zone != "Local" and not _known(zone):
        errors.append(invalid(path, zone, f"unknown time zone {zone}"))
    return errors


def _known(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
