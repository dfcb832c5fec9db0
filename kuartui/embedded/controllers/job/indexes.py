"""Completion indexes of Indexed jobs: which are done, which failed, which come next. Pure functions.

After pkg/controller/job/indexed_job_utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kuartui.embedded.controllers import objects

Obj = dict[str, Any]

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


def is_indexed(job: Obj) -> bool:
    """completionMode: Indexed."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def completions(job: Obj) -> int | None:
    """spec.completions; None for a work queue."""
    found = job["spec"].get("completions")
    return None if found is None else int(found)


def index_of(pod: Obj) -> int:
    """The pod's completion index; -1 if it has none."""
    try:
        return int(objects.annotations_of(pod)[INDEX])
    except (KeyError, ValueError):
        return -1


def parse(text: str | None, limit: int) -> set[int]:
    """Read "1,3-5", leaving out what is not below `limit`."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            found |= set(range(int(first), min(int(last or first), limit - 1) + 1))
    return found


def write(indexes: Iterable[int]) -> str:
    """Write "1,3-5": two in a row are listed, three or more make a range."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    parts = []
    for first, last in runs:
        if first == last:
            parts.append(str(first))
        elif last == first + 1:
            parts.append(f"{first},{last}")
        else:
            parts.append(f"{first}-{last}")
    return ",".join(parts)


def pending(job: Obj, active: Iterable[Obj], done: set[int], count: int) -> list[int]:
    """The lowest indexes without a pod, at most `count`."""
    taken = {index_of(pod) for pod in active} | done
    found: list[int] = []
    for index in range(completions(job) or 0):
        if len(found) == count:
            break
        if index not in taken:
            found.append(index)
    return found


def failures_before(pod: Obj) -> int:
    """How often the pod's index had failed when the pod was made, as far as that counts."""
    return _number(pod, FAILURES)


def ignored_before(pod: Obj) -> int:
    """Failures of the pod's index before it that do not count."""
    return _number(pod, IGNORED)


def tries(pod: Obj) -> int:
    """How often the index was tried, the pod included, whatever counts."""
    return failures_before(pod) + ignored_before(pod) + 1


def _number(pod: Obj, annotation: str) -> int:
    text = objects.annotations_of(pod).get(annotation, "0")
    return int(text) if text.isdigit() else 0
