"""What the status of a job may become (validateJobStatus and ValidateJobStatusUpdate of pkg/apis/batch/validation).

Most rules are for what a write changes: a job that breaks one already can still be written.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.checks import non_negative
from kuartui.embedded.kinds.job_policies import count_indexes, index_interval
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, invalid, required, without_value

Obj = dict[str, Any]

_STATUS = Path("status")
_CONDITIONS = _STATUS / "conditions"
_ENDS = ("Complete", "Failed")


def errors(new: Obj, old: Obj) -> list[FieldError]:
    """What is wrong with an update of a job's status."""
    after, before = new.get("status") or {}, old.get("status") or {}
    found = non_negative(after, _STATUS, "active", "succeeded", "failed", "ready", "terminating")
    found += _uncounted(after.get("uncountedTerminatedPods") or {})
    changed = _true(after) ^ _true(before)
    found += _both(after, "Complete", "Failed", changed)
    found += _both(after, "Complete", "FailureTarget", changed)
    found += _times(after, before)
    found += _alone(after, "Failed", "FailureTarget", changed)
    found += _alone(after, "Complete", "SuccessCriteriaMet", changed)
    found += _finished(after, before) + _indexes(after, before, new["spec"]) + _pods(after, before)
    found += _both(after, "SuccessCriteriaMet", "Failed")
    found += _both(after, "SuccessCriteriaMet", "FailureTarget")
    if new["spec"].get("successPolicy") is not None and _alone(after, "Complete", "SuccessCriteriaMet"):
        text = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        found.append(without_value(_CONDITIONS, text))
    return found + _transitions(after, before, new["spec"])


def _true(status: Obj) -> set[str]:
    return {one.get("type", "") for one in status.get("conditions") or [] if one.get("status") == "True"}


def _uncounted(pods: Obj) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate(pods.get(field) or []):
            at = (_STATUS / "uncountedTerminatedPods" / field).index(index)
            if not uid:
                found.append(invalid(at, uid, "must not be empty"))
            elif uid in seen:
                found.append(duplicate(at, uid))
            seen.add(uid)
    return found


def _both(status: Obj, one: str, other: str, changed: set[str] | None = None) -> list[FieldError]:
    """Two conditions that exclude each other; with `changed`, only where the write touches one of them."""
    both = {one, other}
    if not both <= _true(status) or (changed is not None and not both & changed):
        return []
    return [without_value(_CONDITIONS, f"cannot set {one}=True and {other}=true conditions")]


def _alone(status: Obj, one: str, needed: str, changed: set[str] | None = None) -> list[FieldError]:
    """A condition without the one that comes before it."""
    true = _true(status)
    if one not in true or needed in true or (changed is not None and not {one, needed} & changed):
        return []
    return [without_value(_CONDITIONS, f"cannot set {one}=True condition without the {needed}=true condition")]


def _times(after: Obj, before: Obj) -> list[FieldError]:
    start, end = after.get("startTime"), after.get("completionTime")
    complete = "Complete" in _true(after)
    at, found = _STATUS / "completionTime", []
    ended = end != before.get("completionTime")
    if ended or complete != ("Complete" in _true(before)):
        if end and not complete:
            found.append(invalid(at, end, "cannot set completionTime when there is no Complete=True condition"))
        if complete and not end:
            found.append(required(at, "completionTime is required for Complete jobs"))
    if (ended or start != before.get("startTime")) and start and end and end < start:
        found.append(invalid(at, end, "must be equal to or after `startTime`"))
    return found


def _ended(status: Obj) -> bool:
    return any(type_ in _true(status) for type_ in _ENDS)


def _finished(after: Obj, before: Obj) -> list[FieldError]:
    """A job that ends has nothing left to do."""
    if not _ended(after):
        return []
    found = []
    if after.get("active", 0) > 0 and _touched(after, before, "active"):
        found.append(invalid(_STATUS / "active", after["active"], "active>0 is invalid for finished job"))
    if not after.get("startTime") and _touched(after, before, "startTime"):
        found.append(required(_STATUS / "startTime", "startTime is required for finished job"))
    pods = after.get("uncountedTerminatedPods") or {}
    if (pods.get("succeeded") or pods.get("failed")) and _touched(after, before, "uncountedTerminatedPods"):
        shown = {"Succeeded": pods.get("succeeded"), "Failed": pods.get("failed")}
        found.append(invalid(_STATUS / "uncountedTerminatedPods", shown, "must be empty for finished job"))
    return found


def _touched(after: Obj, before: Obj, field: str) -> bool:
    """Whether a write says anew that a job is finished, or changes what a finished job must not have."""
    return not _ended(before) or after.get(field) != before.get(field)


def _pods(after: Obj, before: Obj) -> list[FieldError]:
    """Pods that may not be there."""
    found = []
    terminating, ready, active = after.get("terminating") or 0, after.get("ready") or 0, after.get("active", 0)
    if terminating > 0 and _ended(after) and _touched(after, before, "terminating"):
        found.append(invalid(_STATUS / "terminating", terminating, "terminating>0 is invalid for finished job"))
    changed = after.get("ready") != before.get("ready") or active != before.get("active", 0)
    if changed and ready > active:
        found.append(invalid(_STATUS / "ready", ready, "cannot set more ready pods than active"))
    return found


def _indexes(after: Obj, before: Obj, spec: Obj) -> list[FieldError]:
    done, failed = after.get("completedIndexes") or "", after.get("failedIndexes")
    done_changed = done != (before.get("completedIndexes") or "")
    failed_changed = failed != before.get("failedIndexes")
    completions = spec.get("completions")
    per_index = spec.get("backoffLimitPerIndex") is not None
    found: list[FieldError] = []
    for field, text, changed in (
        ("completedIndexes", done, done_changed),
        ("failedIndexes", failed, failed_changed and per_index),
    ):
        if changed and completions is not None and text:
            try:
                count_indexes(text, completions)
            except ValueError as error:
                found.append(invalid(_STATUS / field, text, f"error parsing {field}: {error}"))
    if done_changed and done and spec.get("completionMode") != "Indexed":
        text = "cannot set non-empty completedIndexes when non-indexed completion mode"
        found.append(invalid(_STATUS / "completedIndexes", done, text))
    if failed_changed and failed is not None and not per_index:
        text = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        found.append(invalid(_STATUS / "failedIndexes", failed, text))
    if (done_changed or failed_changed) and completions is not None and failed:
        both = _intervals(done, completions) & _intervals(failed, completions)
        if both:
            text = f"failedIndexes and completedIndexes overlap at index: {min(both)}"
            found.append(invalid(_STATUS / "failedIndexes", failed, text))
    return found


def _intervals(text: str, completions: int) -> set[int]:
    """The indexes that can be read; what cannot is told elsewhere."""
    found: set[int] = set()
    for interval in text.split(",") if text else ():
        try:
            first, last = index_interval(interval, completions)
        except ValueError:
            continue
        found |= set(range(first, last + 1))
    return found


def _transitions(after: Obj, before: Obj, spec: Obj) -> list[FieldError]:
    """What cannot be undone."""
    lost = _true(before) - _true(after)
    found = [
        without_value(_CONDITIONS, f"cannot disable the terminal {type_}=True condition")
        for type_ in ("Failed", "Complete", "FailureTarget")
        if type_ in lost
    ]
    elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    for field in ("failed", "succeeded"):
        number = after.get(field, 0)
        if number < before.get(field, 0) and not (elastic and field == "succeeded"):
            found.append(invalid(_STATUS / field, number, f"cannot decrease the {field} counter"))
    ended = after.get("completionTime"), before.get("completionTime")
    if all(ended) and ended[0] != ended[1]:
        found.append(invalid(_STATUS / "completionTime", ended[0], "field is immutable"))
    started = before.get("startTime")
    if started and started != after.get("startTime") and not spec.get("suspend"):
        text = "field is immutable for unsuspended job once set"
        found.append(invalid(_STATUS / "startTime", after.get("startTime"), text))
    if "SuccessCriteriaMet" in lost:
        found.append(without_value(_CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition"))
    return found
