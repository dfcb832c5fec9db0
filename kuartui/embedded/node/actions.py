"""What to do next with a pod: which containers to start and which to kill.

After `computePodActions` and `computeInitContainerActions` (pkg/kubelet/kuberuntime/kuberuntime_manager.go). A pure
function of the spec and the state; back-off is the business of whoever starts the containers.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from kuartui.embedded.node import spec
from kuartui.embedded.node.state import PodState, Run

Obj = dict[str, Any]


class Kill(Struct):
    """A run to stop, why (for the Killing event), and the probe whose grace period applies."""

    run: Run
    kind: str
    container: Obj
    message: str
    probe: str = ""
    restart: bool = True
    """Whether it starts again in the same pass, whatever the pod's restart policy says of containers that end."""


class Actions(Struct):
    """Steps in the order in which the kubelet takes them."""

    end: bool = False
    """Nothing is left to run: stop what remains (sidecars) and take the sandbox down."""
    kill: list[Kill] = field(default_factory=list)
    ephemeral: list[Obj] = field(default_factory=list)
    init: list[Obj] = field(default_factory=list)
    regular: list[Obj] = field(default_factory=list)

    @property
    def starts(self) -> int:
        """How many containers to start, those that are killed first aside."""
        return len(self.ephemeral) + len(self.init) + len(self.regular)


def next_actions(pod: Obj, state: PodState) -> Actions:
    """The actions that bring a pod (not being deleted, with its sandbox up) nearer to its spec."""
    actions = Actions()
    for container in spec.containers(pod, spec.EPHEMERAL):
        if state.last(container["name"]) is None:
            actions.ephemeral.append(container)
    if _done(pod, state):
        actions.end = True
        return actions
    if not _init(pod, state, actions) or actions.end:
        return actions
    kept = 0
    for container in spec.containers(pod):
        run = state.valid(container["name"])
        if run is None or run.exited:
            if spec.restarts_after(pod, spec.REGULAR, container, run.exit_code if run else None):
                actions.regular.append(container)
        elif not _kill_if_wrong(pod, spec.REGULAR, container, run, actions):
            kept += 1
    if not kept and not actions.regular and not any(kill.kind == spec.REGULAR for kill in actions.kill):
        actions.end = True
        actions.init.clear()
    return actions


def _done(pod: Obj, state: PodState) -> bool:
    """Whether all regular containers have ended for good, whatever sidecars are at."""
    for container in spec.containers(pod):
        run = state.valid(container["name"])
        if run is None or not run.exited or spec.restarts_after(pod, spec.REGULAR, container, run.exit_code):
            return False
    return True


def start_over(pod: Obj, state: PodState) -> bool:
    """Whether a container ended in a way after which all of them are to restart."""
    for kind, container in spec.all_containers(pod):
        run = state.valid(container["name"]) if kind != spec.EPHEMERAL else None
        if run and run.exited and spec.restarts_all(container, run.exit_code):
            return not pod["metadata"].get("deletionTimestamp")
    return False


def _init(pod: Obj, state: PodState, actions: Actions) -> bool:
    """Plan init containers; whether the regular ones may run."""
    containers = spec.containers(pod, spec.INIT)
    regular = [state.current(one["name"]) for one in spec.containers(pod)]
    initialized = any(run is not None and not run.exited for run in regular)
    for container in containers:
        run = state.current(container["name"])
        if spec.sidecar(spec.INIT, container):
            if run is None or run.exited:
                actions.init.append(container)
                if run is None and not initialized:
                    return False
            elif run.running:
                _kill_if_wrong(pod, spec.INIT, container, run, actions)
                waits = bool(container.get("startupProbe")) and run.startup is not True
                if not initialized and waits:
                    return False
            if not initialized and not (run and run.running):
                return False
            continue
        if initialized:
            continue
        if run is None:
            actions.init.append(container)
            return False
        if not run.exited:
            return False
        if run.exit_code:
            if spec.restarts_after(pod, spec.INIT, container, run.exit_code):
                actions.init.append(container)
            else:
                actions.end = True
                actions.init.clear()
            return False
    return True


def _kill_if_wrong(pod: Obj, kind: str, container: Obj, run: Run, actions: Actions) -> bool:
    """Plan to kill (and perhaps restart) a running container; whether that is needed."""
    word = "Init container" if kind == spec.INIT else "Container"
    name, probe = container["name"], ""
    restart = (container.get("restartPolicy") or pod["spec"].get("restartPolicy")) != "Never"
    if run.identity != spec.identity(container):
        message, restart = f"{word} {name} definition changed", True
    elif run.liveness is False:
        message, probe = f"{word} {name} failed liveness probe", "livenessProbe"
    elif run.startup is False:
        message, probe = f"{word} {name} failed startup probe", "startupProbe"
    else:
        return False
    if restart and kind != spec.INIT:
        message = f"{message}, will be restarted"
    actions.kill.append(Kill(run, kind, container, message, probe, restart))
    return True
