"""From what runs on the node to the PodStatus that the API shows.

After `generateAPIPodStatus`, `convertToAPIContainerStatuses` and `getPhase` (pkg/kubelet/kubelet_pods.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kuartui.embedded.kinds.pod_resources import as_allocated, pod_total
from kuartui.embedded.meta import quantity
from kuartui.embedded.node import spec
from kuartui.embedded.node.conditions import pod_conditions
from kuartui.embedded.node.state import PodState, Run

Obj = dict[str, Any]

STATUS_LISTS = {
    spec.INIT: "initContainerStatuses",
    spec.REGULAR: "containerStatuses",
    spec.EPHEMERAL: "ephemeralContainerStatuses",
}
UNLIMITED = "9007199254740988Ki"  # what no limit looks like to a control group
RESTARTING_ALL = "RestartingAllContainers"
REMOVED = {
    "exitCode": 137,
    "reason": RESTARTING_ALL,
    "message": "The container is removed because RestartAllContainers in place",
    "startedAt": None,
    "finishedAt": None,
}
"""How a container ended that goes with all others of its pod, to start over."""
LOST = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
    "startedAt": None,
    "finishedAt": None,
}


def timestamp(moment: datetime) -> str:
    """A metav1.Time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def pod_status(pod: Obj, state: PodState, host_ips: list[str], now: datetime) -> Obj:
    """The status of a pod as its node sees it. `pod` is the newest object, its status the last reported one."""
    old = pod.get("status") or {}
    if state.rejected and state.failure:
        reason, message = state.failure
        began = old.get("startTime") or timestamp(now)
        generation = pod["metadata"].get("generation", 1)
        failed = {"phase": "Failed", "reason": reason, "message": message, "startTime": began}
        return old | failed | {"observedGeneration": generation}
    statuses: Obj = {}
    for kind, name in STATUS_LISTS.items():
        made = _container_statuses(pod, kind, state, old.get(name) or [])
        if made:
            statuses[name] = made
    if state.ended:
        _settle(pod, statuses)
    status = {
        **{key: old[key] for key in ("qosClass", "resize", "nominatedNodeName", "resourceClaimStatuses") if key in old},
        "observedGeneration": pod["metadata"].get("generation", 1),
        "hostIP": host_ips[0],
        "hostIPs": [{"ip": ip} for ip in host_ips],
        "startTime": old.get("startTime") or timestamp(now),
        **statuses,
    }
    ips = host_ips if spec.on_host_network(pod) else state.ips
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    status["phase"] = _final_phase(pod, old, statuses, state)
    if state.failure:
        status["phase"] = "Failed"
        status["reason"], status["message"] = state.failure
    elif status["phase"] == old.get("phase"):
        status |= {key: old[key] for key in ("reason", "message") if old.get(key)}
    status["conditions"] = pod_conditions(pod, status, state, now)
    _tell_pod_resources(pod, state.resources, status, waits=bool(state.resize))
    return status


def _quantities(given: Mapping[str, Any] | None) -> dict[str, quantity.Quantity]:
    return {name: quantity.parse(text) for name, text in (given or {}).items()}


def _tell_pod_resources(pod: Obj, allocated: Obj | None, status: Obj, *, waits: bool) -> None:
    """What the pod as a whole may use, as its control group says; memory has no limit unless all containers have one.

    `waits`: what its spec asks for is not granted yet.
    """
    given = [one.get("resources") or {} for one in (*spec.containers(pod, spec.INIT), *spec.containers(pod))]
    resources: Obj = {}
    limits: dict[str, quantity.Quantity] = {}
    for container in spec.containers(pod):
        for name, amount in _quantities((container.get("resources") or {}).get("limits")).items():
            limits[name] = limits.get(name, quantity.ZERO) + amount
    requests = pod_total(as_allocated(pod) if waits else pod, "requests", _quantities)
    for kind, total in (("limits", limits), ("requests", requests)):
        if total:
            resources[kind] = {name: str(amount) for name, amount in sorted(total.items())}
    if "limits" in resources and not all("memory" in (one.get("limits") or {}) for one in given):
        resources["limits"]["memory"] = UNLIMITED
    for kind, amounts in (
        (pod["spec"].get("resources") or {}) if allocated is None else allocated
    ).items():  # those of the pod go first
        if kind in ("limits", "requests"):
            resources[kind] = {**resources.get(kind, {}), **amounts}
    if "requests" in resources:
        status["allocatedResources"] = resources["requests"]
    status["resources"] = resources


def _final_phase(pod: Obj, old: Obj, statuses: Obj, state: PodState) -> str:
    phase = pod_phase(pod, statuses, state.ended)
    former: str = old.get("phase", "")
    if state.restarting:
        return former
    if state.doomed and not state.failure:
        return former
    return former if former in ("Succeeded", "Failed") else phase


def _container_statuses(pod: Obj, kind: str, state: PodState, old: list[Obj]) -> list[Obj]:
    before = {status["name"]: status for status in old}
    waiting = "PodInitializing" if spec.containers(pod, spec.INIT) else "ContainerCreating"
    return [
        _container_status(pod, kind, container, state, before.get(container["name"]), waiting)
        for container in spec.containers(pod, kind)
    ]


def _container_status(pod: Obj, kind: str, container: Obj, state: PodState, old: Obj | None, waiting: str) -> Obj:
    name = container["name"]
    if old and name in state.replacing:
        return {**old}
    runs = state.runs.get(name)
    if runs and len(runs) > 1 and runs[-1].fresh and old:
        # while a pod's worker starts a container anew it reports nothing: what was told of the last run stands
        status = {**old}
    elif runs and runs[-1].superseded and kind != spec.EPHEMERAL:
        status = {
            "name": name,
            "image": container.get("image", ""),
            "imageID": "",
            "state": {"waiting": {key: REMOVED[key] for key in ("reason", "message")}},
            "lastState": {"terminated": dict(REMOVED)},
            "restartCount": runs[-1].restarts + 1,
        }
    elif runs and not runs[-1].fresh:
        status = _of_run(runs[-1])
        if len(runs) > 1:
            status["lastState"] = {"terminated": dict(REMOVED) if runs[-2].superseded else _terminated(runs[-2])}
    elif old and "terminated" in old.get("state", {}):
        status = {**old}
    else:
        status = {
            "name": name,
            "image": container.get("image", ""),
            "imageID": "",
            "state": {"waiting": {"reason": waiting}},
            "lastState": (old or {}).get("lastState", {}),
            "restartCount": (old or {}).get("restartCount", 0),
        }
    run = runs[-1] if runs else None
    reason = state.waiting.get(name)
    if reason and _to_be_started(pod, kind, container, run):
        if "terminated" in status["state"]:
            status["lastState"] = status["state"]
        shown = {"reason": reason.reason}
        if reason.message:
            shown["message"] = reason.message
        status["state"] = {"waiting": shown}
    running = run if run and run.running and "running" in status["state"] else None
    if kind != spec.EPHEMERAL:
        status["started"] = _started(container, running)
    status["ready"] = _ready(kind, container, status, running)
    if run and not run.superseded and not run.fresh:
        _tell_resources(container, status, run)
    _tell_mounts(container, status)
    return status


def _to_be_started(pod: Obj, kind: str, container: Obj, run: Run | None) -> bool:
    if run and not run.exited:
        return False
    if kind == spec.INIT and run and run.exit_code == 0 and not spec.sidecar(kind, container):
        return False
    return spec.restarts_after(pod, kind, container, run.exit_code if run else None)


def _of_run(run: Run) -> Obj:
    status: Obj = {
        "name": run.name,
        "image": run.image,
        "imageID": run.image_id,
        "containerID": run.id,
        "restartCount": run.restarts,
        "lastState": {},
    }
    if run.running:
        status["state"] = {"running": {"startedAt": timestamp(run.started_at) if run.started_at else None}}
    else:
        status["state"] = {"terminated": _terminated(run)}
    return status


def _terminated(run: Run) -> Obj:
    terminated: Obj = {
        "exitCode": run.exit_code,
        "reason": run.reason,
        "startedAt": timestamp(run.started_at) if run.started_at else None,
        "finishedAt": timestamp(run.finished_at) if run.finished_at else None,
        "containerID": run.id,
    }
    if run.message:
        terminated["message"] = run.message
    return terminated


def _started(container: Obj, run: Run | None) -> bool:
    if run is None:
        return False
    return run.startup is True if container.get("startupProbe") else True


def _ready(kind: str, container: Obj, status: Obj, run: Run | None) -> bool:
    if kind == spec.EPHEMERAL:
        return False
    if kind == spec.INIT and not spec.sidecar(kind, container):
        return bool(status["state"].get("terminated", {}).get("exitCode", 1) == 0)
    if run is None or not status["started"]:
        return False
    return run.readiness is True if container.get("readinessProbe") else True


def _tell_resources(container: Obj, status: Obj, run: Run) -> None:
    """What the runtime allows a container that it knows."""
    resources = run.resources if run.running else container.get("resources") or {}
    if resources.get("requests"):
        status["allocatedResources"] = resources["requests"]
    status["resources"] = resources


def _tell_mounts(container: Obj, status: Obj) -> None:
    mounts = []
    for mount in container.get("volumeMounts") or ():
        told = {"name": mount["name"], "mountPath": mount["mountPath"]}
        if mount.get("readOnly"):
            recursive = mount.get("recursiveReadOnly") in ("Enabled", "IfPossible")
            told |= {"readOnly": True, "recursiveReadOnly": "Enabled" if recursive else "Disabled"}
        mounts.append(told)
    if mounts:
        status["volumeMounts"] = mounts


def _settle(pod: Obj, statuses: Obj) -> None:
    """No container of a pod that has ended is reported as waiting or running, but those that never had their turn."""
    for kind, name in STATUS_LISTS.items():
        listed = statuses.get(name) or []
        if kind == spec.REGULAR and not _initialized(pod, statuses):
            continue
        if kind == spec.INIT:
            reached = [index for index, status in enumerate(listed) if _verdict(status) in ("running", "stopped")]
            listed = listed[: max(reached, default=-1) + 1]
        for status in listed:
            if "terminated" in status["state"]:
                continue
            if "terminated" in status["lastState"] and "waiting" in status["state"]:
                status["state"], status["lastState"] = status["lastState"], {}
            else:
                status["state"] = {"terminated": dict(LOST)}
            status["ready"] = status["started"] = False


def _initialized(pod: Obj, statuses: Obj) -> bool:
    """Whether the regular containers had their turn."""
    if any(_verdict(status) in ("running", "stopped") for status in statuses.get("containerStatuses") or ()):
        return True
    init = _by_name(statuses.get("initContainerStatuses"))
    return all(
        (init.get(one["name"]) or {}).get("ready")
        for one in spec.containers(pod, spec.INIT)
        if not spec.sidecar(spec.INIT, one)
    )


def pod_phase(pod: Obj, statuses: Obj, ended: bool) -> str:
    """The phase of a pod with these container statuses; `ended` means that nothing will be restarted."""
    init = _by_name(statuses.get("initContainerStatuses"))
    pending_init, failed_init, waiting, running, unknown = 0, False, 0, 0, 0
    pending_sidecars = 0
    for container in spec.containers(pod, spec.INIT):
        status = init.get(container["name"])
        if spec.sidecar(spec.INIT, container):
            verdict = _verdict(status)
            if verdict in ("unknown", "waiting") or (verdict == "running" and not (status or {}).get("started")):
                pending_sidecars += 1
            running += verdict == "running"
            waiting += verdict == "waiting"
            unknown += verdict == "unknown"
            continue
        code = _exit_code(status)
        if code is None:
            pending_init += 1
        elif code:
            failed_init = failed_init or not _restarts(pod, spec.INIT, container, status, code)
    regular = _by_name(statuses.get("containerStatuses"))
    stopped = succeeded = restarting = 0
    for container in spec.containers(pod):
        status = regular.get(container["name"])
        verdict = _verdict(status)
        running += verdict == "running"
        waiting += verdict == "waiting"
        unknown += verdict == "unknown"
        if verdict == "stopped":
            stopped += 1
            code = _exit_code(status) or 0
            succeeded += code == 0 and "terminated" in (status or {}).get("state", {})
            restarting += _restarts(pod, spec.REGULAR, container, status, code)
    if failed_init:
        return "Failed"
    initialized = any(_verdict(status) in ("running", "stopped") for status in regular.values())
    if pending_init or (pending_sidecars and not initialized) or waiting:
        return "Pending"
    if running and not unknown:
        return "Running"
    if stopped and not unknown:
        if not ended and restarting:
            return "Running"
        return "Succeeded" if stopped == succeeded else "Failed"
    return "Pending"


def _restarts(pod: Obj, kind: str, container: Obj, status: Obj | None, code: int) -> bool:
    """Whether a container that ended runs again."""
    if spec.restarts_after(pod, kind, container, code):
        return True
    return (_end(status) or {}).get("reason") == RESTARTING_ALL


def _end(status: Obj | None) -> Obj | None:
    """How the last ended run ended; None if the container runs or never ended."""
    if status is None or "running" in status["state"]:
        return None
    found: Obj | None = status["state"].get("terminated") or status.get("lastState", {}).get("terminated")
    return found


def _by_name(statuses: list[Obj] | None) -> dict[str, Obj]:
    return {status["name"]: status for status in statuses or ()}


def _verdict(status: Obj | None) -> str:
    if status is None:
        return "unknown"
    state = status["state"]
    if "running" in state:
        return "running"
    if "terminated" in state or "terminated" in status.get("lastState", {}):
        return "stopped"
    return "waiting"


def _exit_code(status: Obj | None) -> int | None:
    ended = _end(status)
    return int(ended["exitCode"]) if ended else None
