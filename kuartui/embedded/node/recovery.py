"""What a kubelet finds after a reboot: containers that ran are gone, their record is in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.clock import Clock
from kuartui.embedded.node import spec
from kuartui.embedded.node.state import Phase, PodState, Run
from kuartui.embedded.node.status import STATUS_LISTS

Obj = dict[str, Any]


def recorded_state(pod: Obj, clock: Clock) -> PodState:
    """The state of a pod as its status tells it; what was running has died with the machine."""
    status = pod.get("status") or {}
    state = PodState()
    images = {container["name"]: container for _, container in spec.all_containers(pod)}
    for name in STATUS_LISTS.values():
        for one in status.get(name) or ():
            container = images.get(one["name"])
            if container is None or not one.get("containerID"):
                continue
            former = (one.get("lastState") or {}).get("terminated")
            if former:
                state.add(_ended(one, container, former, one.get("restartCount", 1) - 1, clock))
            now = one["state"].get("terminated")
            if now:
                state.add(_ended(one, container, now, one.get("restartCount", 0), clock))
            elif "running" in one["state"]:
                state.add(_lost(one, container, clock))
    if state.runs:
        state.sandboxes = 1
    if spec.terminal(pod):
        state.ended = True
        if status.get("reason"):
            state.failure = (status["reason"], status.get("message", ""))
    return state


def _run(status: Obj, container: Obj, restarts: int, clock: Clock) -> Run:
    return Run(
        name=status["name"],
        id=status["containerID"],
        restarts=max(0, restarts),
        image=status.get("image", ""),
        image_id=status.get("imageID", ""),
        identity=spec.identity(container),
        phase=Phase.EXITED,
        finished=clock.monotonic(),
    )


def _ended(status: Obj, container: Obj, terminated: Obj, restarts: int, clock: Clock) -> Run:
    run = _run(status, container, restarts, clock)
    run.id = terminated.get("containerID") or run.id
    run.exit_code, run.reason = terminated["exitCode"], terminated.get("reason", "")
    run.message = terminated.get("message", "")
    run.started_at, run.finished_at = _time(terminated.get("startedAt")), _time(terminated.get("finishedAt"))
    return run


def _lost(status: Obj, container: Obj, clock: Clock) -> Run:
    run = _run(status, container, status.get("restartCount", 0), clock)
    run.exit_code, run.reason = 255, "Unknown"
    run.started_at, run.finished_at = _time(status["state"]["running"].get("startedAt")), clock.now()
    return run


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
