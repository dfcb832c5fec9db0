"""A job's pods by what they mean for it, and the making of new ones.

After getNewFinishedPods, isPodFailed and newPodTemplate of pkg/controller/job/job_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.job import indexes, policy
from kuartui.embedded.meta.time import parse_time

Obj = dict[str, Any]

FINALIZER = "batch.kubernetes.io/job-tracking"


class PodSets(Struct):
    """`fresh` means ended and not counted yet: it still has the finalizer and the status does not list it."""

    every: list[Obj]
    active: list[Obj] = field(default_factory=list)
    terminating: list[Obj] = field(default_factory=list)
    fresh_succeeded: list[Obj] = field(default_factory=list)
    fresh_failed: list[Obj] = field(default_factory=list)


def sort_out(job: Obj, owned: list[Obj]) -> PodSets:
    """Look at each pod once."""
    sets = PodSets(owned)
    uncounted = job.get("status", {}).get("uncountedTerminatedPods") or {}
    listed = set(uncounted.get("succeeded") or ()) | set(uncounted.get("failed") or ())
    for pod in owned:
        if pods.active(pod):
            sets.active.append(pod)
        elif pods.terminating(pod):
            sets.terminating.append(pod)
        if FINALIZER not in objects.finalizers(pod) or objects.uid_of(pod) in listed:
            continue
        if pods.phase(pod) == "Succeeded":
            sets.fresh_succeeded.append(pod)
        elif failed(job, pod):
            sets.fresh_failed.append(pod)
    return sets


def failed(job: Obj, pod: Obj) -> bool:
    """Failed, or deleted before it could end (unless replacements wait for that)."""
    if pods.phase(pod) == "Failed":
        return True
    if replaces_failed_only(job):
        return False
    return objects.being_deleted(pod) and pods.phase(pod) != "Succeeded"


def replaces_failed_only(job: Obj) -> bool:
    """podReplacementPolicy: Failed; the default with a podFailurePolicy."""
    given = job["spec"].get("podReplacementPolicy")
    return bool(given == "Failed" or (given is None and job["spec"].get("podFailurePolicy")))


def counted_failures(job: Obj, failed_pods: list[Obj]) -> list[Obj]:
    """Those that the failure policy does not ignore."""
    return [pod for pod in failed_pods if policy.judge(job, pod).counts]


def awaiting_replacement(job: Obj, sets: PodSets, settled: set[int]) -> dict[int, Obj]:
    """With backoffLimitPerIndex, the last failed pod of each index that has no pod now and is not `settled`.

    It remembers how often the index failed: neither counted nor released until the next pod does.
    """
    if job["spec"].get("backoffLimitPerIndex") is None:
        return {}
    taken = {indexes.index_of(pod) for pod in sets.active} | settled | {-1}
    last: dict[int, Obj] = {}
    for pod in sets.every:
        index = indexes.index_of(pod)
        if index in taken or FINALIZER not in objects.finalizers(pod) or not failed(job, pod):
            continue
        if index not in last or indexes.tries(pod) >= indexes.tries(last[index]):
            last[index] = pod
    return last


def without_failed(sets: PodSets, held: Iterable[Obj]) -> PodSets:
    """The same but for failed pods that are not to be counted yet."""
    uids = {objects.uid_of(pod) for pod in held}
    fresh = [pod for pod in sets.fresh_failed if objects.uid_of(pod) not in uids]
    return PodSets(sets.every, sets.active, sets.terminating, sets.fresh_succeeded, fresh)


def finished_at(pod: Obj) -> datetime:
    """When the last container ended, else when it stopped being ready or was told to go, else when it was made."""
    ends = [str(_terminated(one).get("finishedAt") or "") for one in _containers(pod)]
    if ends and all(ends):
        return parse_time(max(ends))
    ready = objects.condition(pod.get("status", {}).get("conditions"), "Ready")
    if ready and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return parse_time(ready["lastTransitionTime"])
    meta = pod["metadata"]
    if meta.get("deletionTimestamp"):
        return parse_time(meta["deletionTimestamp"]) - timedelta(seconds=meta.get("deletionGracePeriodSeconds") or 0)
    return parse_time(meta["creationTimestamp"])


def _containers(pod: Obj) -> list[Obj]:
    return pod.get("status", {}).get("containerStatuses") or []


def _terminated(container: Obj) -> Obj:
    return (container.get("state") or {}).get("terminated") or {}


def new_pod(job: Obj, index: int | None, replaced: Obj | None = None) -> Obj:
    """A pod of the job, tracked by a finalizer; `replaced` is the one of its index that failed last."""
    pod = pods.from_template(job["spec"]["template"], job)
    meta, spec = pod["metadata"], pod["spec"]
    meta["finalizers"] = [*(meta.get("finalizers") or ()), FINALIZER]
    if index is None:
        return pod
    name = objects.name_of(job)
    annotations = {**(meta.get("annotations") or {}), indexes.INDEX: str(index)}
    if job["spec"].get("backoffLimitPerIndex") is not None:
        annotations |= _failures_so_far(job, replaced)
    meta["annotations"] = annotations
    meta["labels"] = {**(meta.get("labels") or {}), indexes.INDEX: str(index)}
    meta["generateName"] = pods.prefix_of(f"{name}-{index}")
    spec["hostname"] = f"{name}-{index}"
    for container in [*spec["containers"], *(spec.get("initContainers") or ())]:
        if all(variable["name"] != "JOB_COMPLETION_INDEX" for variable in container.get("env") or ()):
            source = {"fieldRef": {"fieldPath": f"metadata.labels['{indexes.INDEX}']"}}
            variable = {"name": "JOB_COMPLETION_INDEX", "valueFrom": source}
            container["env"] = [*(container.get("env") or ()), variable]
    return pod


def _failures_so_far(job: Obj, replaced: Obj | None) -> dict[str, str]:
    """What a new pod has to remember of its index."""
    if replaced is None:
        return {indexes.FAILURES: "0"}
    counts = policy.judge(job, replaced).counts
    ignored = indexes.ignored_before(replaced) + (not counts)
    made = {indexes.FAILURES: str(indexes.failures_before(replaced) + counts)}
    return made | ({indexes.IGNORED: str(ignored)} if ignored else {})
