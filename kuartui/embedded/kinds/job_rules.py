"""What jobs, and the jobs of cron jobs, must fulfil (pkg/apis/batch/validation)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kuartui.embedded.kinds import job_policies
from kuartui.embedded.kinds.checks import (
    domain_prefixed_path,
    immutable,
    label_selector,
    non_negative,
    shown_selector,
)
from kuartui.embedded.kinds.checks import (
    selector_matches as matches_template,
)
from kuartui.embedded.kinds.go_structs import render_pod_spec
from kuartui.embedded.kinds.pod_spec import template_errors
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import (
    FieldError,
    Path,
    invalid,
    not_supported,
    required,
    too_long,
)

Obj = dict[str, Any]

NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")
UID_LABEL = "batch.kubernetes.io/controller-uid"
UID_LABELS = (UID_LABEL, "controller-uid")
_RESTART_POLICIES = ("OnFailure", "Never")
_MANY, _FEWER = 100_000, 10_000  # indexes
_MAX_MANAGED_BY = 63
MISMATCH = "`selector` does not match template `labels`"


def generated_selector(obj: Obj, path: Path) -> list[FieldError]:
    """Labels and selector that the server made: a writer must not have set others."""
    spec, metadata = obj["spec"], obj["metadata"]
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return []
    uid, name = metadata.get("uid", ""), metadata.get("name", "")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    wanted = {"controller-uid": uid, "job-name": name, UID_LABEL: uid, NAME_LABELS[0]: name}
    errors = []
    for key, value in wanted.items():
        at, text = (path / "template" / "metadata" / "labels").key(key), f"must be '{value}'"
        if key not in labels:
            errors.append(required(at, text))
        elif labels[key] != value:
            errors.append(invalid(at, dict(sorted(labels.items())), text))
    if matches_template(selector, {"metadata": {"labels": wanted}}) is False:
        errors.append(invalid(path / "selector", shown_selector(selector), "`selector` not auto-generated"))
    return errors


def host_name(obj: Obj) -> list[FieldError]:
    """The pods of an Indexed job are called by its name and their index, as hosts too."""
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    if spec.get("completionMode") != "Indexed" or (spec.get("completions") or 0) <= 0:
        return []
    longest = f"{name}-{spec['completions'] - 1}"
    if not names.dns1123_label(longest):
        return []
    return [invalid("metadata.name", name, f"will not able to create pod with invalid DNS label: {longest}")]


def selector_matches(spec: Obj, path: Path) -> list[FieldError]:
    """The selector takes the job's pods."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector is None:
        return [required(path / "selector")]
    if matches_template(selector, template) is not False:
        return []
    labels = (template.get("metadata") or {}).get("labels")
    at = path / "template" / "metadata" / "labels"
    return [invalid(at, dict(sorted(labels.items())) if labels else None, MISMATCH)]


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
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        errors.append(required(path / "backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    errors += _managed_by(spec, path / "managedBy")
    errors += _completion_mode(spec, path)
    errors += job_policies.failure(spec, path)
    errors += job_policies.success(spec, path)
    policy = spec.get("podReplacementPolicy")
    if policy is not None:
        if spec.get("podFailurePolicy") is not None:
            if policy != "Failed":
                errors.append(not_supported(path / "podReplacementPolicy", policy, ("Failed",)))
        elif policy not in ("TerminatingOrFailed", "Failed"):
            errors.append(not_supported(path / "podReplacementPolicy", policy, ("Failed", "TerminatingOrFailed")))
    template = spec.get("template") or {}
    errors += template_errors(template, path / "template")
    errors += _restart_policy(spec, template, path / "template" / "spec" / "restartPolicy")
    if not in_cron_job:
        return errors + label_selector(spec.get("selector"), path / "selector")
    if spec.get("selector") is not None:
        errors.append(invalid(path / "selector", shown_selector(spec["selector"]), "`selector` will be auto-generated"))
    if spec.get("manualSelector"):
        supported = 'supported values: "nil", "false"'
        errors.append(FieldError("Unsupported value", str(path / "manualSelector"), "true", supported))
    return errors


def _managed_by(spec: Obj, path: Path) -> list[FieldError]:
    manager = spec.get("managedBy")
    if manager is None:
        return []
    errors = domain_prefixed_path(manager, path)
    if len(manager.encode()) > _MAX_MANAGED_BY:
        errors.append(too_long(path, _MAX_MANAGED_BY))
    return errors


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
    if mode not in (None, "NonIndexed", "Indexed"):
        errors.append(not_supported(path / "completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        errors += _indexed(spec, path)
    if mode in (None, "NonIndexed"):
        errors += [
            invalid(path / field, spec[field], "requires indexed completion mode")
            for field in ("backoffLimitPerIndex", "maxFailedIndexes")
            if spec.get(field) is not None
        ]
    return errors


def _indexed(spec: Obj, path: Path) -> list[FieldError]:
    """How many indexes there may be, at once and failed, so that the status has room for them."""
    completions, parallelism, most = (spec.get(f) for f in ("completions", "parallelism", "maxFailedIndexes"))
    errors = []
    if completions is None:
        errors.append(required(path / "completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > _MANY:
        text = f"must be less than or equal to {_MANY} when completion mode is Indexed"
        errors.append(invalid(path / "parallelism", parallelism, text))
    if completions is not None and most is not None and most > completions:
        errors.append(invalid(path / "maxFailedIndexes", most, "must be less than or equal to completions"))
    if most is not None and most > _MANY:
        errors.append(invalid(path / "maxFailedIndexes", most, f"must be less than or equal to {_MANY}"))
    if completions is None or completions <= _MANY or spec.get("backoffLimitPerIndex") is None:
        return errors
    if most is None:
        text = f"must be specified when completions is above {_MANY}"
        errors.append(required(path / "maxFailedIndexes", text))
    text = f"must be less than or equal to {_FEWER} when completions are above {_MANY} and used with backoff limit per index"
    for field, number in (("parallelism", parallelism), ("maxFailedIndexes", most)):
        if number is not None and number > _FEWER:
            errors.append(invalid(path / field, number, text))
    return errors


def warnings(spec: Obj) -> list[str]:
    """An Indexed job that is too big to keep count of."""
    indexed = spec.get("completionMode") == "Indexed"
    if not indexed or (spec.get("completions") or 0) <= _MANY or (spec.get("parallelism") or 0) <= _FEWER:
        return []
    text = (
        "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
        "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
    )
    return [f"spec: {text}"]


def update_errors(new: Obj, old: Obj, path: Path) -> list[FieldError]:
    """What stays as it is once a job exists."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    completions, at = spec.get("completions"), path / "completions"
    if spec.get("completionMode") != "Indexed":
        errors += immutable(completions, before.get("completions"), at)
    elif completions is not None and completions not in (before.get("completions"), spec.get("parallelism")):
        errors.append(invalid(at, completions, "can only be modified in tandem with spec.parallelism"))
    selectors = shown_selector(spec.get("selector")), shown_selector(before.get("selector"))
    errors += immutable(*selectors, path / "selector")
    errors += _template_update(new, old, path / "template")
    errors += immutable(spec.get("completionMode"), before.get("completionMode"), path / "completionMode")
    shown: list[tuple[str, Callable[[Any], Any]]] = [
        ("podFailurePolicy", job_policies.render_failure),
        ("backoffLimitPerIndex", _as_it_is),
        ("managedBy", _as_it_is),
        ("successPolicy", job_policies.render_success),
    ]
    for field, render in shown:
        errors += immutable(render(spec.get(field)), render(before.get(field)), path / field)
    return errors


def _as_it_is(value: Any) -> Any:
    return value


def _template_update(new: Obj, old: Obj, path: Path) -> list[FieldError]:
    """While a job is suspended, what its next pods ask for and where they run may still change."""
    after, before = ((one.get("spec") or {}).get("template") or {} for one in (new, old))
    if (old.get("spec") or {}).get("suspend"):
        at_rest = _at_rest(old.get("status") or {})
        if at_rest or not (old.get("status") or {}).get("startTime"):
            before = _with_placement_of(after, before)
        if at_rest:  # nothing but the spec is looked at then
            spec = after.get("spec") or {}
            if spec == (_with_resources_of(after, before).get("spec") or {}):
                return []
            return [invalid(path / "spec", render_pod_spec(spec), "field is immutable")]
    if after == before:
        return []
    metadata = {
        key: dict(sorted(value.items())) if isinstance(value, dict) else value
        for key, value in (after.get("metadata") or {}).items()
    }
    shown = {**metadata, "Spec": render_pod_spec(after.get("spec") or {})}
    return [invalid(path, shown, "field is immutable")]


def _at_rest(status: Obj) -> bool:
    """The controller says that the job is suspended, and the last of its pods has gone."""
    conditions = status.get("conditions") or []
    told = any(one.get("type") == "Suspended" and one.get("status") == "True" for one in conditions)
    return told and not status.get("active")


def _with_placement_of(after: Obj, before: Obj) -> Obj:
    """`before`, but placed as `after` is. Of the affinity only that to nodes may change."""
    asked = after.get("spec") or {}
    spec = _taken(before.get("spec") or {}, asked, ("nodeSelector", "tolerations", "schedulingGates"))
    now = asked.get("affinity")
    affinity = _taken(spec.pop("affinity", None) or {}, now or {}, ("nodeAffinity",))
    if affinity or now is not None:
        spec["affinity"] = affinity
    metadata = _taken(before.get("metadata") or {}, after.get("metadata") or {}, ("labels", "annotations"))
    return {**_taken(before, {}, ("metadata",)), **({"metadata": metadata} if metadata else {}), "spec": spec}


def _with_resources_of(after: Obj, before: Obj) -> Obj:
    """`before`, but its containers ask for what those of `after` do; they are told apart by their place."""
    spec, asked = dict(before.get("spec") or {}), after.get("spec") or {}
    for field in ("containers", "initContainers"):
        mine, theirs = spec.get(field) or [], asked.get(field) or []
        if mine and len(mine) == len(theirs):
            spec[field] = [_taken(one, other, ("resources",)) for one, other in zip(mine, theirs, strict=True)]
    return {**before, "spec": spec}


def _taken(into: Obj, source: Obj, fields: tuple[str, ...]) -> Obj:
    """A copy of `into` whose `fields` are those of `source`, also where it has none."""
    kept = {key: value for key, value in into.items() if key not in fields}
    return {**kept, **{key: source[key] for key in fields if key in source}}
