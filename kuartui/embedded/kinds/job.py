"""Jobs: the generated selector, defaults, the row (pkg/apis/batch, pkg/registry/batch/job, printJob)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, job_rules, job_status, workload
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.meta.fielderr import FieldError
from kuartui.embedded.meta.time import human_duration, parse_time

_UNLIMITED = 2**31 - 1
_STATES = ("Complete", "Failed")
_LATER_STATES = (
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


@register("jobs.batch")
class Jobs(Strategy):
    orphans = True
    orphans_warning = (
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
        "or set propagationPolicy=Orphan to suppress this warning"
    )

    def default(self, obj: Obj) -> None:
        spec = workload.default_workload(obj)
        if spec.get("completions") is None and spec.get("parallelism") is None:
            spec["completions"] = spec["parallelism"] = 1
        missing(
            spec,
            parallelism=1,
            backoffLimit=_UNLIMITED if spec.get("backoffLimitPerIndex") is not None else 6,
            completionMode="NonIndexed",
            suspend=False,
            manualSelector=False,
            podReplacementPolicy="Failed" if spec.get("podFailurePolicy") is not None else "TerminatingOrFailed",
        )
        default_failure_policy(spec)
        _labels_from_template(obj)

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        if not obj["spec"].get("manualSelector"):
            _generate_selector(obj)
        _labels_from_template(obj)

    def validate(self, obj: Obj) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = job_rules.generated_selector(obj, workload.SPEC) + job_rules.spec_errors(spec, workload.SPEC)
        return errors + job_rules.selector_matches(spec, workload.SPEC) + job_rules.host_name(obj)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self.validate(new) + job_rules.update_errors(new, old, workload.SPEC)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return job_status.errors(new, old)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        found = workload.name_warnings(obj, old)
        if old is None or old["metadata"].get("generation") != obj["metadata"].get("generation"):
            found += job_rules.warnings(obj["spec"])
        return found + workload.template_warnings(obj, old, obj["spec"]["template"])

    def fields(self, obj: Obj) -> dict[str, str]:
        return {"status.successful": str((obj.get("status") or {}).get("succeeded", 0))}

    def unknown_field(self, field: str) -> str:
        return f'field label "{field}" not supported for batchv1.Job'

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        done = status.get("succeeded", 0)
        if spec.get("completions") is not None:
            completions = f"{done}/{spec['completions']}"
        elif spec.get("parallelism", 0) > 1:
            completions = f"{done}/1 of {spec['parallelism']}"
        else:
            completions = f"{done}/1"
        return [
            cells.name(obj),
            _state(obj),
            completions,
            _duration(status, now),
            cells.age(obj, now),
            *cells.containers((spec.get("template") or {}).get("spec")),
            cells.selector_or_none(spec.get("selector")),
        ]


def default_failure_policy(spec: Obj) -> None:
    """SetDefaults_PodFailurePolicyOnPodConditionsPattern; cron jobs get it too."""
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or []:
        for pattern in rule.get("onPodConditions") or []:
            if not pattern.get("status"):
                pattern["status"] = "True"


def _labels_from_template(obj: Obj) -> None:
    labels = (obj["spec"]["template"].get("metadata") or {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def _generate_selector(obj: Obj) -> None:
    metadata, spec = obj["metadata"], obj["spec"]
    template = spec["template"].setdefault("metadata", {})
    labels = template["labels"] = template.get("labels") or {}
    for label in job_rules.NAME_LABELS:
        labels.setdefault(label, metadata.get("name", ""))
    for label in job_rules.UID_LABELS:
        labels.setdefault(label, metadata.get("uid", ""))
    selector = spec["selector"] = spec.get("selector") or {}
    selector["matchLabels"] = selector.get("matchLabels") or {}
    selector["matchLabels"].setdefault(job_rules.UID_LABEL, metadata.get("uid", ""))


def _state(obj: Obj) -> str:
    conditions = (obj.get("status") or {}).get("conditions") or []
    true = {condition.get("type") for condition in conditions if condition.get("status") == "True"}
    for state in _STATES:
        if state in true:
            return state
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next((state for type_, state in _LATER_STATES if type_ in true), "Running")


def _duration(status: Obj, now: datetime) -> str:
    if not status.get("startTime"):
        return ""
    end = parse_time(status["completionTime"]) if status.get("completionTime") else now
    return human_duration((end - parse_time(status["startTime"])).total_seconds())
