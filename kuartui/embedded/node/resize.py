"""In-place resize: from what a pod's spec asks to what its running containers have.

After pkg/kubelet/allocation and `computePodResizeAction`: a resize is allocated if the node has room, then each
container's cgroup follows, or the container restarts if its resizePolicy says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import orjson

from kuartui.embedded.node import spec
from kuartui.embedded.node.resources import amounts, cgroup_limits, pod_requests, total_requests
from kuartui.embedded.node.state import PodState, Run
from kuartui.embedded.node.wording import quoted

Obj = dict[str, Any]

RESIZABLE = ("cpu", "memory")


def whole(pod: Obj) -> Obj:
    """The resources of the pod as a whole."""
    resources: Obj = pod["spec"].get("resources") or {}
    return resources


def pending(pod: Obj, state: PodState) -> bool:
    """Whether the spec asks for other resources than the pod or one of its running containers has."""
    return bool(outdated(pod, state)) or state.resources != whole(pod)


def outdated(pod: Obj, state: PodState) -> list[tuple[Obj, Run]]:
    """Running containers whose resources are not those of the spec, or whose limits are the pod's former ones."""
    found = []
    for kind, container in spec.all_containers(pod):
        run = state.last(container["name"])
        if kind == spec.EPHEMERAL or run is None or not run.running:
            continue
        if run.resources != (container.get("resources") or {}) or run.living.limits != cgroup_limits(pod, container):
            found.append((container, run))
    return found


def restarts_for(pod: Obj, container: Obj, run: Run) -> bool:
    """Whether one of the changed resources, or of the pod's limits that the container goes by, has the policy
    RestartContainer."""
    policies = {one["resourceName"]: one["restartPolicy"] for one in container.get("resizePolicy") or ()}
    wanted = container.get("resources") or {}
    before, after = run.living.limits, cgroup_limits(pod, container)
    changed = {
        name
        for name in RESIZABLE
        for part in ("requests", "limits")
        if (wanted.get(part) or {}).get(name) != (run.resources.get(part) or {}).get(name)
    }
    if before.cpu_limit != after.cpu_limit:
        changed.add("cpu")
    if before.memory_limit != after.memory_limit:
        changed.add("memory")
    return any(policies.get(name) == "RestartContainer" for name in changed)


def below_usage(pod: Obj, state: PodState) -> str:
    """Why a limit of memory can't be lowered now: a running container uses more. "" if it can.

    After `validateMemoryResizeAction`: the kernel would kill the container.
    """
    errors = []
    for container, run in outdated(pod, state):
        limit, before, used = (
            cgroup_limits(pod, container).memory_limit,
            run.living.limits.memory_limit,
            run.living.memory,
        )
        lowered = limit is not None and (before is None or limit < before)
        if limit is not None and lowered and used >= limit and not restarts_for(pod, container, run):
            errors.append(
                f"attempting to set container {quoted(run.name)} memory limit ({limit}) below current usage ({used})"
            )
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]" if errors else ""


def summary(pod: Obj, error: str = "") -> str:
    """What events about a resize tell: the resources that are asked for, and what is in the way."""
    told: dict[str, Any] = {}
    for kind, container in spec.all_containers(pod):
        if kind != spec.EPHEMERAL:
            resources = container.get("resources") or {}
            shown = {part: resources[part] for part in ("limits", "requests") if resources.get(part)}
            told.setdefault(kind, []).append({"name": container["name"], "resources": shown})
    ordered = {kind: told[kind] for kind in (spec.INIT, spec.REGULAR) if kind in told}
    ordered["generation"] = pod["metadata"].get("generation", 1)
    if error:
        ordered["error"] = error
    return orjson.dumps(ordered).decode()


def obstacle(pod: Obj, node: Obj, others: Iterable[Obj]) -> tuple[str, str] | None:
    """Why a resize can't be allocated: Deferred or Infeasible, and the message; None if it can."""
    allocatable = amounts(node.get("status", {}).get("allocatable"))
    wanted, used = pod_requests(pod), total_requests(others)

    def numbers(name: str) -> tuple[int, int, int]:
        """What is wanted, used and there."""
        scale = 1000 if name == "cpu" else 1
        found = (wanted.get(name), used.get(name), allocatable.get(name))
        ask, taken, room = (int((amount or Decimal(0)) * scale) for amount in found)
        return ask, taken, room

    for name in reversed(RESIZABLE):  # what can never be goes first, and of that memory
        ask, _, room = numbers(name)
        if ask > room:
            return "Infeasible", f"Node didn't have enough capacity: {name}, requested: {ask}, capacity: {room}"
    for name in RESIZABLE:
        ask, taken, room = numbers(name)
        if ask > room - taken:
            what = f"Node didn't have enough resource: {name}, requested: {ask}, used: {taken}, capacity: {room}"
            return "Deferred", what
    return None
