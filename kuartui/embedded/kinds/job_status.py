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
_EXCLUSIVE = (
    ("Complete", "Failed", "cannot set Complete=True and Failed=true conditions"),
    ("Complete", "FailureTarget", "cannot set Complete=True and FailureTarget=true conditions"),
    ("SuccessCriteriaMet", "Failed", "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
    ("SuccessCriteriaMet", "FailureTarget", "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
)
_NEEDED = (
    ("Failed", "FailureTarget", "cannot set Failed=True condition without the FailureTarget=true condition"),
    (
        "Complete",
        "SuccessCriteriaMet",
        "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    ),
)


def errors(new: Obj, old: Obj) -> list[FieldError]:
    """What is wrong with an update of a job's status."""
    after, before = new.get("status") or {}, old.get("status") or {}
    found = non_negative(after, _STATUS, "active", "succeeded", "failed", "ready", "terminating")
    found += _uncounted(after.get("uncountedTerminatedPods") or {})
    found += _conditions(_true(after), _true(before))
    found += _times(after, before)
    if (_true(after) ^ _true(before)) & {"Complete", "Failed"}:
        found += _finished(after)
    found += _indexes(after, before, new["spec"])
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


def _conditions(after: set[str], before: set[str]) -> list[FieldError]:
    changed = after ^ before
    found = [
        without_value(_CONDITIONS, text)
        for one, other, text in _EXCLUSIVE
        if {one, other} <= after and changed & {one, other}
    ]
    found += [
        without_value(_CONDITIONS, text)
        for one, other, text in _NEEDED
        if one in after and other not in after and changed & {one, other}
    ]
    return found


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


def _finished(status: Obj) -> list[FieldError]:
    """A job that ends has nothing left to do."""
    if not _true(status) & {"Complete", "Failed"}:
        return []
    found = []
    if status.get("active", 0) > 0:
        found.append(invalid(_STATUS / "active", status["active"], "active>0 is invalid for finished job"))
    if not status.get("startTime"):
        found.append(required(_STATUS / "startTime", "startTime is required for finished job"))
    pods = status.get("uncountedTerminatedPods") or {}
    if pods.get("succeeded") or pods.get("failed"):
        shown = {"Succeeded": pods.get("succeeded"), "Failed": pods.get("failed")}
        found.append(invalid(_STATUS / "uncountedTerminatedPods", shown, "must be empty for finished job"))
    if (status.get("terminating") or 0) > 0:
        found.append(
            invalid(_STATUS / "terminating", status["terminating"], "terminating>0 is invalid for finished job")
        )
    return found


def _indexes(after: Obj, before: Obj, spec: Obj) -> list[FieldError]:
    done, failed = after.get("completedIndexes") or "", after.get("failedIndexes")
    done_changed = done != (before.get("completedIndexes") or "")
    failed_changed = failed != before.get("failedIndexes")
    completions = spec.get("completions")
    found: list[FieldError] = []
    for field, text, changed in (("completedIndexes", done, done_changed), ("failedIndexes", failed, failed_changed)):
        if changed and completions is not None and text:
            try:
                count_indexes(text, completions)
            except ValueError as error:
                found.append(invalid(_STATUS / field, text, f"error parsing {field}: {error}"))
    if done_changed and done and spec.get("completionMode") != "Indexed":
        text = "cannot set non-empty completedIndexes when non-indexed completion mode"
        found.append(invalid(_STATUS / "completedIndexes", done, text))
    if failed_changed and failed is not None and spec.get("backoffLimitPerIndex") is None:
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
