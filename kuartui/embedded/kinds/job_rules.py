"""What jobs, and the jobs of cron jobs, must fulfil (pkg/apis/batch/validation)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.checks import (
    immutable,
    label_key,
    label_selector,
    non_negative,
    one_of,
)
from kuartui.embedded.kinds.checks import (
    selector_matches as matches_template,
)
from kuartui.embedded.kinds.go_structs import render_pod_spec
from kuartui.embedded.kinds.pod_spec import template_errors
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, not_supported, required

Obj = dict[str, Any]

NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")
UID_LABEL = "batch.kubernetes.io/controller-uid"
UID_LABELS = (UID_LABEL, "controller-uid")
_RESTART_POLICIES = ("OnFailure", "Never")
_MAX_INDEXED = 100_000
_MAX_INDEXED_PARALLEL = 100_000
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")


def generated_selector(obj: Obj, path: Path) -> list[FieldError]:
    """Labels and selector that the server made: a writer must not have set others."""
    spec, metadata = obj["spec"], obj["metadata"]
    if spec.get("manualSelector"):
        return []
    selector = spec.get("selector")
    if selector is None:
        return []
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    errors = []
    for keys, wanted in ((UID_LABELS, metadata.get("uid", "")), (NAME_LABELS, metadata.get("name", ""))):
        for key in keys:
            if labels.get(key) != wanted:
                at = (path / "template" / "metadata" / "labels").key(key)
                errors.append(invalid(at, labels.get(key, ""), f"must be '{wanted}'"))
    if (selector.get("matchLabels") or {}).get(UID_LABEL) != metadata.get("uid", ""):
        errors.append(invalid(path / "selector", selector, "`selector` not auto-generated"))
    return errors


def selector_matches(spec: Obj, path: Path) -> list[FieldError]:
    """The selector takes the job's pods."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector is None:
        return [required(path / "selector")]
    if matches_template(selector, template):
        return []
    labels = (template.get("metadata") or {}).get("labels")
    at = path / "template" / "metadata" / "labels"
    return [invalid(at, labels or None, "`selector` does not match template `labels`")]


def spec_errors(spec: Obj, path: Path, *, in_cron_job: bool = False) -> list[FieldError]:
    """A JobSpec."""
    errors = non_negative(
        spec,
        path,
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    )
    errors += _completion_mode(spec, path)
    if not in_cron_job:
        errors += label_selector(spec.get("selector"), path / "selector")
    errors += _failure_policy(spec, path)
    errors += _success_policy(spec, path)
    policy = spec.get("podReplacementPolicy")
    if policy is not None:
        if spec.get("podFailurePolicy") is not None:
            if policy != "Failed":
                errors.append(not_supported(path / "podReplacementPolicy", policy, ("Failed",)))
        elif policy not in ("TerminatingOrFailed", "Failed"):
            errors.append(not_supported(path / "podReplacementPolicy", policy, ("Failed", "TerminatingOrFailed")))
    if spec.get("managedBy") is not None:
        errors += label_key(spec["managedBy"], path / "managedBy")
    template = spec.get("template") or {}
    errors += template_errors(template, path / "template")
    return errors + _restart_policy(spec, template, path / "template" / "spec" / "restartPolicy")


def _restart_policy(spec: Obj, template: Obj, path: Path) -> list[FieldError]:
    policy = (template.get("spec") or {}).get("restartPolicy", "")
    if policy in ("", "Always"):
        return [required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in _RESTART_POLICIES:
        return [not_supported(path, policy, _RESTART_POLICIES)]
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        text = 'only "Never" is supported when podFailurePolicy is specified'
        return [invalid(path, policy, text)]
    return []


def _completion_mode(spec: Obj, path: Path) -> list[FieldError]:
    mode = spec.get("completionMode")
    errors = []
    if mode is not None:
        if mode not in ("NonIndexed", "Indexed"):
            errors.append(not_supported(path / "completionMode", mode, ("NonIndexed", "Indexed")))
        if mode == "Indexed":
            completions, parallelism = spec.get("completions"), spec.get("parallelism")
            if completions is None:
                errors.append(required(path / "completions", "when completion mode is Indexed"))
            elif completions > _MAX_INDEXED and (parallelism or 0) > 10_000:
                text = "must be less than or equal to 10000 when completions are above 100000"
                errors.append(invalid(path / "parallelism", parallelism, text))
            elif parallelism is not None and parallelism > _MAX_INDEXED_PARALLEL:
                text = f"must be less than or equal to {_MAX_INDEXED_PARALLEL} when completion mode is Indexed"
                errors.append(invalid(path / "parallelism", parallelism, text))
    if mode != "Indexed":
        if spec.get("backoffLimitPerIndex") is not None:
            text = "requires indexed completion mode"
            errors.append(invalid(path / "backoffLimitPerIndex", spec["backoffLimitPerIndex"], text))
        if spec.get("maxFailedIndexes") is not None:
            text = "requires indexed completion mode"
            errors.append(invalid(path / "maxFailedIndexes", spec["maxFailedIndexes"], text))
    return errors


def _failure_policy(spec: Obj, path: Path) -> list[FieldError]:
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return []
    names_known = {
        c.get("name")
        for field in ("containers", "initContainers")
        for c in ((spec.get("template") or {}).get("spec") or {}).get(field) or []
    }
    errors: list[FieldError] = []
    for index, rule in enumerate(policy.get("rules") or []):
        at = (path / "podFailurePolicy" / "rules").index(index)
        action = rule.get("action", "")
        errors += one_of(action, at / "action", _ACTIONS)
        if action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            text = "requires the backoffLimitPerIndex to be set"
            errors.append(invalid(at / "action", action, text))
        codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or []
        if codes is not None:
            errors += _exit_codes(codes, names_known, at / "onExitCodes")
        for place, pattern in enumerate(patterns):
            where = (at / "onPodConditions").index(place)
            errors += label_key(pattern.get("type", ""), where / "type")
            errors += one_of(pattern.get("status"), where / "status", ("False", "True", "Unknown"))
        if codes is not None and patterns:
            text = "specifying both OnExitCodes and OnPodConditions is not supported"
            errors.append(invalid(at, "", text))
        if codes is None and not patterns:
            text = "specifying one of OnExitCodes and OnPodConditions is required"
            errors.append(invalid(at, "", text))
    return errors


def _exit_codes(codes: Obj, known: set[Any], path: Path) -> list[FieldError]:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    errors = one_of(operator, path / "operator", ("In", "NotIn"))
    name = codes.get("containerName")
    if name is not None and name not in known:
        text = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(path / "containerName", name, text))
    if not values:
        errors.append(invalid(path / "values", values, "at least one value is required"))
    for index, value in enumerate(values):
        if value in values[:index]:
            errors.append(FieldError("Duplicate value", str((path / "values").index(index)), str(value), ""))
        if operator == "In" and value == 0:
            errors.append(invalid((path / "values").index(index), value, "must not be 0 for the In operator"))
    if values != sorted(values):
        errors.append(invalid(path / "values", values, "must be ordered"))
    return errors


def _success_policy(spec: Obj, path: Path) -> list[FieldError]:
    policy = spec.get("successPolicy")
    if policy is None:
        return []
    at = path / "successPolicy"
    if spec.get("completionMode") != "Indexed":
        return [invalid(at, {"Rules": policy.get("rules")}, "requires indexed completion mode")]
    rules = policy.get("rules") or []
    errors = (
        []
        if rules
        else [required(at / "rules", "at least one rules must be specified when the successPolicy is specified")]
    )
    completions = spec.get("completions") or 0
    for index, rule in enumerate(rules):
        where = (at / "rules").index(index)
        indexes, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        if indexes is None and count is None:
            errors.append(required(where, "at least one of succeededCount or succeededIndexes must be specified"))
        if count is not None and completions and count > completions:
            text = f"must be less than or equal to {completions} (the number of specified completions)"
            errors.append(invalid(where / "succeededCount", count, text))
    return errors


def update_errors(new: Obj, old: Obj, path: Path) -> list[FieldError]:
    """What stays as it is once a job exists."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    if before.get("completions") != spec.get("completions") and not (
        elastic and before.get("completions") is not None and before.get("completions") == before.get("parallelism")
    ):
        errors += immutable(spec.get("completions"), before.get("completions"), path / "completions")
    errors += immutable(spec.get("selector"), before.get("selector"), path / "selector")
    errors += _template_update(new, old, path / "template")
    for field in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        errors += immutable(spec.get(field), before.get(field), path / field)
    return errors


def _template_update(new: Obj, old: Obj, path: Path) -> list[FieldError]:
    """A suspended job that never ran may still change where its pods run."""
    after, before = ((one.get("spec") or {}).get("template") or {} for one in (new, old))
    if after == before:
        return []
    if (old.get("spec") or {}).get("suspend") and not (old.get("status") or {}).get("startTime"):
        after, before = (_without_placement(one) for one in (after, before))
        if after == before:
            return []
    shown = {**(after.get("metadata") or {}), "Spec": render_pod_spec(after.get("spec") or {})}
    return [invalid(path, shown, "field is immutable")]


def _without_placement(template: Obj) -> Obj:
    spec = {
        k: v
        for k, v in (template.get("spec") or {}).items()
        if k not in ("nodeSelector", "tolerations", "schedulingGates", "affinity")
    }
    metadata = {k: v for k, v in (template.get("metadata") or {}).items() if k not in ("labels", "annotations")}
    return {**template, "metadata": metadata, "spec": spec}
