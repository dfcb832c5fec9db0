"""What a job's policies make of its pods: podFailurePolicy and successPolicy. Pure functions.

After pkg/controller/job/{pod_failure_policy,success_policy}.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.job import indexes

Obj = dict[str, Any]


class Verdict(Struct, frozen=True):
    """What a rule says of a failed pod. `message` is set for FailJob."""

    action: str = "Count"
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts against backoffLimit."""
        return self.action != "Ignore"


def judge(job: Obj, pod: Obj) -> Verdict:
    """The first rule that matches a failed pod; Count if none does."""
    for number, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or ()):
        if rule["action"] == "FailIndex" and job["spec"].get("backoffLimitPerIndex") is None:
            continue
        matched = _matched(rule, pod)
        if matched is not None:
            message = (
                f"{matched} matching {rule['action']} rule at index {number}" if rule["action"] == "FailJob" else ""
            )
            return Verdict(rule["action"], message)
    return Verdict()


def _matched(rule: Obj, pod: Obj) -> str | None:
    """What of the pod a rule matched, in words."""
    where = f"{objects.namespace_of(pod)}/{objects.name_of(pod)}"
    codes = rule.get("onExitCodes")
    if codes:
        for status in _statuses(pod):
            code = ((status.get("state") or {}).get("terminated") or {}).get("exitCode") or 0
            named = codes.get("containerName") in (None, "", status["name"])
            if code and named and (code in codes["values"]) == (codes["operator"] == "In"):
                return f"Container {status['name']} for pod {where} failed with exit code {code}"
        return None
    for pattern in rule.get("onPodConditions") or ():
        found = objects.condition(pod.get("status", {}).get("conditions"), pattern["type"])
        if found is not None and found["status"] == (pattern.get("status") or "True"):
            return f"Pod {where} has condition {pattern['type']}"
    return None


def _statuses(pod: Obj) -> Iterable[Obj]:
    status = pod.get("status", {})
    return [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]


def success(job: Obj, done: set[int]) -> str | None:
    """The message of the first success rule that the finished indexes meet."""
    for number, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or ()):
        wanted = done
        if rule.get("succeededIndexes"):
            listed = indexes.parse(rule["succeededIndexes"], indexes.completions(job) or 0)
            wanted = done & listed
            if rule.get("succeededCount") is None and wanted != listed:
                continue
        if rule.get("succeededCount") is not None and len(wanted) < rule["succeededCount"]:
            continue
        return f"Matched rules at index {number}"
    return None
