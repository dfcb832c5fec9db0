"""The table row of a pod: the ladder that makes STATUS out of phase, conditions and container states.

After printPod in pkg/printers/internalversion/printers.go; `kubectl get pods` shows exactly this.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.meta.time import age as since

Obj = dict[str, Any]


def row(pod: Obj, now: datetime) -> list[Any]:
    """Name, ready, status, restarts, age; IP, node, nominated node, readiness gates."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    ready, total, reason, restarts, last = _summary(pod, spec, status)
    restarted = f"{restarts} ({since(last, now)} ago)" if restarts and last else str(restarts)
    addresses = status.get("podIPs") or [{}]
    return [
        cells.name(pod),
        f"{ready}/{total}",
        reason,
        restarted,
        cells.age(pod, now),
        addresses[0].get("ip") or cells.NONE,
        spec.get("nodeName") or cells.NONE,
        status.get("nominatedNodeName") or cells.NONE,
        _gates(spec, status),
    ]


def _summary(pod: Obj, spec: Obj, status: Obj) -> tuple[int, int, str, int, str]:
    """(ready, total, reason, restarts, last restart)."""
    conditions = status.get("conditions") or []
    phase = status.get("phase", "")
    reason = status.get("reason") or phase
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in conditions):
        reason = "SchedulingGated"
    sidecars = {c["name"] for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or []) + len(sidecars)

    looked_at, ready, init_reason = _init_state(spec, status, sidecars)
    reason = init_reason or reason
    counted = looked_at
    if not init_reason or _is_true(conditions, "Initialized"):
        counted = [s for s in looked_at if s.get("name") in sidecars] + (status.get("containerStatuses") or [])
        main_reason, main_ready = _main_state(status)
        reason = main_reason or reason
        ready += main_ready
        if reason == "Completed" and main_ready:
            reason = "Running" if _is_true(conditions, "Ready") else "NotReady"
    restarts = sum(s.get("restartCount", 0) for s in counted)
    ends = [((s.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or "" for s in counted]

    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif phase not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return ready, total, reason, restarts, max(ends, default="")


def _init_state(spec: Obj, status: Obj, sidecars: set[str]) -> tuple[list[Obj], int, str]:
    """(init containers up to the first that is not through, ready sidecars, reason, "" once all are through)."""
    ready = 0
    inits = status.get("initContainerStatuses") or []
    for index, container in enumerate(inits):
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if container.get("name") in sidecars and container.get("started"):
            ready += 1 if container.get("ready") else 0
            continue
        if terminated is not None:
            return inits[: index + 1], ready, "Init:" + _ending(terminated)
        if waiting is not None and waiting.get("reason") not in (None, "", "PodInitializing"):
            return inits[: index + 1], ready, "Init:" + waiting["reason"]
        return inits[: index + 1], ready, f"Init:{index}/{len(spec.get('initContainers') or [])}"
    return inits, ready, ""


def _main_state(status: Obj) -> tuple[str, int]:
    """(reason, ready containers): the reason of the first container that has one."""
    reason, ready = "", 0
    for container in reversed(status.get("containerStatuses") or []):
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting"), state.get("terminated")
        if waiting is not None and waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated is not None:
            reason = _ending(terminated)
        elif container.get("ready") and state.get("running") is not None:
            ready += 1
    return reason, ready


def _ending(terminated: Obj) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _is_true(conditions: list[Obj], type_: str) -> bool:
    return any(c.get("type") == type_ and c.get("status") == "True" for c in conditions)


def _gates(spec: Obj, status: Obj) -> str:
    gates = spec.get("readinessGates") or []
    if not gates:
        return cells.NONE
    conditions = status.get("conditions") or []
    return f"{sum(_is_true(conditions, gate.get('conditionType', '')) for gate in gates)}/{len(gates)}"
