"""Reading a pod's spec as the kubelet does: which containers there are, and which may start again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Obj = dict[str, Any]

STORAGE = "ephemeral-storage"
RESTART_ALL = "RestartAllContainers"  # an action of restartPolicyRules
INIT, REGULAR, EPHEMERAL = "initContainers", "containers", "ephemeralContainers"


def containers(pod: Obj, kind: str = REGULAR) -> list[Obj]:
    """The containers of one kind, in order."""
    found: list[Obj] = pod["spec"].get(kind) or []
    return found


def all_containers(pod: Obj) -> Iterator[tuple[str, Obj]]:
    """Every container with its kind."""
    for kind in (INIT, REGULAR, EPHEMERAL):
        for container in containers(pod, kind):
            yield kind, container


def container(pod: Obj, name: str) -> tuple[str, Obj] | None:
    """A container by name, with its kind."""
    return next(((kind, found) for kind, found in all_containers(pod) if found["name"] == name), None)


def sidecar(kind: str, container: Obj) -> bool:
    """Whether this is a restartable init container."""
    return kind == INIT and container.get("restartPolicy") == "Always"


def limits_storage(pod: Obj) -> bool:
    """Whether a container may use only so much of its node's disk."""
    return any(STORAGE in ((one.get("resources") or {}).get("limits") or {}) for one in containers(pod))


def bounds_disk(pod: Obj) -> bool:
    """Whether a pod can use more of its node's disk than it may; nothing of this can be changed later."""
    empty = [volume["emptyDir"] for volume in pod["spec"].get("volumes") or () if volume.get("emptyDir")]
    return limits_storage(pod) or any(volume.get("sizeLimit") for volume in empty)


def field_path(kind: str, container: Obj) -> str:
    """Where an event about a container points: "spec.containers{web}"."""
    return f"spec.{kind}{{{container['name']}}}"


def identity(container: Obj) -> tuple[str, str]:
    """What makes a running container outdated when it changes (upstream hashes the same two fields)."""
    return container["name"], container.get("image", "")


def restarts_after(pod: Obj, kind: str, container: Obj, exit_code: int | None) -> bool:
    """Whether a container that ended (None: never ran) is to run (again), before any back-off."""
    if kind == EPHEMERAL:
        return exit_code is None
    if pod["metadata"].get("deletionTimestamp"):
        return False
    if exit_code is None or sidecar(kind, container):
        return True
    rule = _rule(container, exit_code)
    if rule:
        return True
    policy = container.get("restartPolicy") or pod["spec"].get("restartPolicy", "Always")
    if kind == INIT and policy == "Always":
        policy = "OnFailure"
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _rule(container: Obj, exit_code: int) -> str | None:
    for rule in container.get("restartPolicyRules") or ():
        wanted = rule.get("exitCodes") or {}
        listed = exit_code in (wanted.get("values") or ())
        if listed if wanted.get("operator") == "In" else not listed:
            action: str = rule.get("action", "Restart")
            return action
    return None


def could_restart_all(pod: Obj) -> bool:
    """Whether a container of the pod may have all of them restart."""
    return any(
        rule.get("action") == RESTART_ALL
        for _, container in all_containers(pod)
        for rule in container.get("restartPolicyRules") or ()
    )


def restarts_all(container: Obj, exit_code: int) -> bool:
    """Whether all containers of the pod are to restart after this end of one."""
    return _rule(container, exit_code) == RESTART_ALL


def terminal(pod: Obj) -> bool:
    """Whether the recorded phase is final."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def on_host_network(pod: Obj) -> bool:
    return bool(pod["spec"].get("hostNetwork"))


def grace_period(pod: Obj) -> int:
    """Seconds that a stop of this pod's containers may take: the deletion's if there is one."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    if pod["metadata"].get("deletionTimestamp") and asked is not None:
        return int(asked)
    return int(pod["spec"].get("terminationGracePeriodSeconds", 30))
