"""Making room: which less important pods would have to go, and on which node that hurts least.

After pkg/scheduler/framework/preemption and plugins/defaultpreemption.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.disruption import conditions_of_disrupted
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.labels import from_object
from kuartui.embedded.scheduler import filtering
from kuartui.embedded.scheduler.framework import Diagnosis, Refusal, Trial
from kuartui.embedded.scheduler.nodes import NodeInfo, PodOnNode

Obj = dict[str, Any]

NAME = "DefaultPreemption"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
BUDGETS = "poddisruptionbudgets.policy"
LOWEST = 1 << 31  # what to add to a priority to have it above zero


class Candidate(Struct):
    """A node and the pods that would have to go from it, most important first."""

    node: str
    victims: list[PodOnNode]
    violations: int
    """How many of them a disruption budget protects."""


class Outcome(Struct):
    """What came of it: a candidate, or why there is none."""

    candidate: Candidate | None = None
    message: str = ""


def find(trial: Trial, diagnosis: Diagnosis, nominated: filtering.Nominated) -> Outcome:
    """Look for the node where making room hurts least."""
    if trial.pod["spec"].get("preemptionPolicy") == "Never":
        return Outcome(message="not eligible due to preemptionPolicy=Never.")
    if _room_is_coming(trial, diagnosis):
        return Outcome(message="not eligible due to a terminating pod on the nominated node.")
    budgets = trial.client.list(BUDGETS)
    candidates = []
    verdict = Diagnosis(diagnosis.total)
    for name, refusal in diagnosis.by_node.items():
        if refusal.final:
            verdict.by_node[name] = Refusal((NOT_HELPFUL,), NAME)
            continue
        found = _victims(trial, trial.nodes[name], nominated.get(name, []), budgets)
        if isinstance(found, Candidate):
            candidates.append(found)
        else:
            verdict.by_node[name] = found
    if not candidates:
        return Outcome(message=verdict.message())
    return Outcome(min(candidates, key=_cost))


def _room_is_coming(trial: Trial, diagnosis: Diagnosis) -> bool:
    """Whether pods that were told to go for this pod are still going."""
    name = trial.pod.get("status", {}).get("nominatedNodeName")
    info = trial.nodes.get(name) if name else None
    if info is None:
        return False
    refusal = diagnosis.by_node.get(info.name)
    if refusal is not None and refusal.final:
        return False
    return any(
        entry.terminating
        and entry.priority < trial.entry.priority
        and objects.condition_true(entry.pod, "DisruptionTarget")
        for entry in info.pods.values()
    )


def _victims(trial: Trial, info: NodeInfo, nominated: list[PodOnNode], budgets: list[Obj]) -> Candidate | Refusal:
    lesser = [entry for entry in info.pods.values() if entry.priority < trial.entry.priority]
    if not lesser:
        return Refusal((NO_VICTIMS,), NAME)
    emptied = info.copy()
    for entry in lesser:
        emptied.remove(entry.uid)
    refusal = _fits(trial, emptied, nominated)
    if refusal is not None:
        return refusal
    victims = []
    violations = 0
    protected, free = _by_budget(sorted(lesser, key=_importance), budgets)
    for entry, guarded in [*((one, True) for one in protected), *((one, False) for one in free)]:
        emptied.add(entry)
        if _fits(trial, emptied, nominated) is not None:
            emptied.remove(entry.uid)
            victims.append(entry)
            violations += guarded
    return Candidate(info.name, sorted(victims, key=_importance), violations)


def _fits(trial: Trial, info: NodeInfo, nominated: list[PodOnNode]) -> Refusal | None:
    attempt = trial.with_node(info)
    filtering.prepare(attempt)
    return filtering.check_with_nominated(attempt, info, nominated)


def _importance(entry: PodOnNode) -> tuple[int, str]:
    """Sort key: higher priority first, then who started earlier."""
    return -entry.priority, entry.pod.get("status", {}).get("startTime") or ""


def _by_budget(pods: list[PodOnNode], budgets: list[Obj]) -> tuple[list[PodOnNode], list[PodOnNode]]:
    """Pods whose going would break a disruption budget, and the others."""
    allowed = [int(budget.get("status", {}).get("disruptionsAllowed") or 0) for budget in budgets]
    protected: list[PodOnNode] = []
    free: list[PodOnNode] = []
    for entry in pods:
        broken = False
        for index, budget in enumerate(budgets):
            if objects.namespace_of(budget) != entry.namespace or not entry.labels:
                continue
            selector = budget["spec"].get("selector")
            if not selector or not from_object(selector).matches(entry.labels):
                continue
            if objects.name_of(entry.pod) in (budget.get("status", {}).get("disruptedPods") or {}):
                continue
            allowed[index] -= 1
            broken = broken or allowed[index] < 0
        (protected if broken else free).append(entry)
    return protected, free


def _cost(candidate: Candidate) -> tuple[Any, ...]:
    """What is compared, in this order (pickOneNodeForPreemption)."""
    priorities = [entry.priority for entry in candidate.victims]
    top = [entry for entry in candidate.victims if entry.priority == max(priorities)]
    earliest = min((_importance(entry)[1] for entry in top), default="")
    return (
        candidate.violations,
        max(priorities, default=0),
        sum(priority + LOWEST for priority in priorities),  # so that of like pods fewer are less, also below zero
        len(candidate.victims),
        _Descending(earliest),
        candidate.node,
    )


class _Descending(str):
    """Text that sorts the other way round: the later the better."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)

    def __gt__(self, other: str) -> bool:
        return str.__lt__(self, other)


async def evict(client: Client, pod: Obj, candidate: Candidate, component: str) -> None:
    """Delete the victims, telling them why."""
    for entry in candidate.victims:
        if entry.terminating:
            continue
        victim = entry.pod
        namespace, name = entry.namespace, objects.name_of(victim)
        text = f"{pod['spec'].get('schedulerName', component)}: preempting to accommodate a higher priority pod"
        conditions = conditions_of_disrupted(victim, "PreemptionByScheduler", text, client.clock.now())
        try:
            await client.patch("pods", namespace, name, {"status": {"conditions": conditions}}, "status")
            await client.delete("pods", namespace, name, uid=entry.uid)
        except StatusError as error:
            if error.code not in (404, 409):
                raise
        message = f"Preempted by pod {objects.uid_of(pod)} on node {candidate.node}"
        client.record(victim, "Normal", "Preempted", message, component)
