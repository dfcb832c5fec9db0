"""CronJobs (pkg/apis/batch, pkg/registry/batch/cronjob, printCronJob)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.kinds.job import default_failure_policy
from kuartui.embedded.kinds.pod_defaults import default_template
from kuartui.embedded.meta.time import age as since


@register("cronjobs.batch")
class CronJobs(Strategy):
    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("concurrencyPolicy"):
            spec["concurrencyPolicy"] = "Allow"
        missing(spec, suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1, jobTemplate={})
        job = spec["jobTemplate"]
        missing(job, metadata={}, spec={})
        missing(job["spec"], template={})
        default_template(job["spec"]["template"])
        default_failure_policy(job["spec"])

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
