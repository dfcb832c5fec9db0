"""The kubelet's own conditions of a pod, with their reasons and transition times.

After pkg/kubelet/status/generate.go and the status manager's `updateLastTransitionTime`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.node import spec
from kuartui.embedded.node.state import PodState
from kuartui.embedded.node.wording import go_list

Obj = dict[str, Any]

OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
"""Condition types that the kubelet sets, in the order in which it reports them."""
OWN_AT_TIMES = ("PodResizePending", "PodResizeInProgress", "AllContainersRestarting")
"""Types that it sets while they hold and removes afterwards."""


def pod_conditions(pod: Obj, status: Obj, state: PodState, now: datetime) -> list[Obj]:
    """All conditions of a pod whose new `status` is complete but for them."""
    old = {condition["type"]: condition for condition in pod.get("status", {}).get("conditions") or ()}
    foreign = [condition for type_, condition in old.items() if type_ not in OWNED and type_ not in OWN_AT_TIMES]
    if state.disruption:
        foreign = [condition for condition in foreign if condition["type"] != "DisruptionTarget"]
    containers = containers_ready(pod, status)
    made = [
        *_at_times(state),
        _condition("PodReadyToStartContainers", state.sandbox),
        _initialized(pod, status),
        _ready(pod, containers, foreign),
        containers,
        _condition("PodScheduled", True),
        *_restarting(pod, status, state),
    ]
    generation = pod["metadata"].get("generation", 1)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    for condition in made:
        before = old.get(condition["type"])
        same = before and before["status"] == condition["status"]
        condition["lastTransitionTime"] = before["lastTransitionTime"] if before and same else stamp
        condition["lastProbeTime"] = None
        condition["observedGeneration"] = generation
    return foreign + made


def _restarting(pod: Obj, status: Obj, state: PodState) -> list[Obj]:
    """AllContainersRestarting, of pods that can come to it only."""
    if not spec.could_restart_all(pod):
        return []
    reason = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(status["phase"], "")
    return [_condition("AllContainersRestarting", state.restarting, reason)]


def _at_times(state: PodState) -> list[Obj]:
    made = []
    if state.disruption:
        made.append(_condition("DisruptionTarget", True, "TerminationByKubelet", state.disruption))
    if state.resize:
        made.append(_condition("PodResizePending", True, *state.resize))
    if state.resize_error:
        made.append(_condition("PodResizeInProgress", True, "Error", state.resize_error))
    return made


def _condition(type_: str, holds: bool, reason: str = "", message: str = "") -> Obj:
    condition: Obj = {"type": type_, "status": "True" if holds else "False"}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _statuses(status: Obj) -> dict[str, Obj]:
    both = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return {one["name"]: one for one in both}


def _initialized(pod: Obj, status: Obj) -> Obj:
    statuses = _statuses(status)
    unknown, incomplete = [], []
    for container in spec.containers(pod, spec.INIT):
        name = container["name"]
        found = statuses.get(name)
        if found is None:
            unknown.append(name)
        elif not (found.get("started") if spec.sidecar(spec.INIT, container) else found["ready"]):
            incomplete.append(name)
    if status["phase"] == "Succeeded" and not unknown:
        return _condition("Initialized", True, "PodCompleted")
    if any(_ever_started(statuses.get(container["name"])) for container in spec.containers(pod)):
        return _condition("Initialized", True)
    message = _message(unknown, ("incomplete", incomplete))
    if message:
        return _condition("Initialized", False, "ContainersNotInitialized", message)
    return _condition("Initialized", True)


def _ever_started(status: Obj | None) -> bool:
    if status is None:
        return False
    state = status["state"]
    return bool("running" in state or "terminated" in state or status.get("lastState", {}).get("terminated"))


def containers_ready(pod: Obj, status: Obj) -> Obj:
    """ContainersReady, before it has a transition time."""
    statuses = _statuses(status)
    unknown, unready = [], []
    lasting = [one for one in spec.containers(pod, spec.INIT) if spec.sidecar(spec.INIT, one)]
    for container in [*lasting, *spec.containers(pod)]:
        found = statuses.get(container["name"])
        if found is None:
            unknown.append(container["name"])
        elif not found["ready"]:
            unready.append(container["name"])
    if status["phase"] == "Succeeded" and not unknown:
        return _condition("ContainersReady", False, "PodCompleted")
    if status["phase"] == "Failed":
        return _condition("ContainersReady", False, "PodFailed")
    message = _message(unknown, ("unready", unready))
    if message:
        return _condition("ContainersReady", False, "ContainersNotReady", message)
    return _condition("ContainersReady", True)


def _ready(pod: Obj, containers: Obj, foreign: list[Obj]) -> Obj:
    if containers["status"] != "True":
        return {**containers, "type": "Ready"}
    told = {condition["type"]: condition["status"] for condition in foreign}
    missing = []
    for gate in pod["spec"].get("readinessGates") or ():
        type_ = gate["conditionType"]
        if type_ not in told:
            missing.append(f'corresponding condition of pod readiness gate "{type_}" does not exist.')
        elif told[type_] != "True":
            missing.append(f'the status of pod readiness gate "{type_}" is not "True", but {told[type_]}')
    if missing:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(missing))
    return _condition("Ready", True)


def _message(unknown: list[str], other: tuple[str, list[str]]) -> str:
    parts = []
    if unknown:
        parts.append(f"containers with unknown status: {go_list(unknown)}")
    if other[1]:
        parts.append(f"containers with {other[0]} status: {go_list(other[1])}")
    return ", ".join(parts)
