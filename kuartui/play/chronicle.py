"""What changed in a level's cluster, in words: the player's own writes, and what the cluster made of them.

Taken from watches, so that it works on every cluster. Who wrote is what `metadata.managedFields` says; who deleted,
nothing says, so a deletion counts as the player's unless a controller owns the object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

from kuartui.cluster.rest import Obj
from kuartui.cluster.watch import Change
from kuartui.translate import tr, trn

Entry = tuple[float, str, str]  # seconds on the attempt's clock, write | reaction | warning, text
Kind = Literal["write", "reaction", "warning"]
MOST_PATHS = 3  # of one write
LONGEST = 40  # letters of a value
SECRET = ("Secret", "ConfigMap")  # whose values are nobody's business here, or too long
#: managers that are no player: the control plane, and ours
SYSTEM = ("kube-", "kubelet", "kuartui", "endpoint", "coredns", "local-path", "kindnet", "metrics-server")
UNTOLD = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Chronicle:
    """`heard` is a listener of watches; `take` gives what was put into words since the last time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._fresh: list[Entry] = []

    def heard(self, change: Change) -> None:
        if not change.listed:
            self._fresh += [(self._now(), kind, text) for kind, text in tell(change)]

    def take(self) -> list[Entry]:
        fresh, self._fresh = self._fresh, []
        return fresh


def tell(change: Change) -> Iterator[tuple[Kind, str]]:
    """A change in words; nothing for what nobody would miss."""
    obj, before = change.object, change.before
    if obj.get("kind") == "Event":
        if change.what == "ADDED" and obj.get("type") == "Warning":
            about = obj.get("involvedObject") or obj.get("regarding") or {}
            what = f"{about.get('kind', '')} {about.get('name', '')}".strip()
            yield "warning", f"{what}: {obj.get('reason', '')}: {obj.get('message') or obj.get('note') or ''}"
        return
    name = f"{obj['kind']} {obj['metadata']['name']}"
    if change.what == "DELETED":
        if obj["kind"] not in ("EndpointSlice", "ReplicaSet"):
            yield ("reaction" if _owned(obj) else "write"), tr("{name} is gone", name=name)
        return
    writer = author(obj, before)
    if writer:
        verb = (
            tr("{writer} created {name}", writer=writer, name=name)
            if before is None
            else tr("{writer} changed {name}", writer=writer, name=name)
        )
        changed = differences(before, obj) if before is not None else []
        if before is None or changed:
            more = f" (+{len(changed) - MOST_PATHS})" if len(changed) > MOST_PATHS else ""
            yield "write", verb + (": " + ", ".join(changed[:MOST_PATHS]) + more if changed else "")
    was, now = (state(before) if before is not None else ""), state(obj)
    if now and now != was:
        yield "reaction", f"{name}: {now}"


def author(obj: Obj, before: Obj | None) -> str:
    """Who of those that are no part of the cluster wrote this version; "" when none did."""
    old = _managers(before) if before is not None else {}
    for key, entry in _managers(obj).items():
        manager = key[0]
        if old.get(key) != entry and not manager.startswith(SYSTEM):
            return manager
    return ""


def _managers(obj: Obj) -> dict[tuple[str, str, str], tuple[Any, Any]]:
    return {
        (str(item.get("manager")), str(item.get("operation")), str(item.get("subresource", ""))): (
            item.get("time"),
            item.get("fieldsV1"),
        )
        for item in obj["metadata"].get("managedFields") or []
    }


def _owned(obj: Obj) -> bool:
    return any(owner.get("controller") for owner in obj["metadata"].get("ownerReferences") or [])


def differences(before: Obj, after: Obj) -> list[str]:
    """What differs outside of the status: `spec.selector.app: old → new`."""
    hidden = after.get("kind") in SECRET
    return [
        path if hidden else f"{path}: {_short(old)} → {_short(new)}"
        for path, old, new in _walk(before, after, "")
        if not path.startswith("status")
    ]


def _walk(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            if (path == "metadata" and key in UNTOLD) or key == LAST_APPLIED:
                continue
            yield from _walk(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            label = new.get("name", index) if isinstance(new, dict) else index
            yield from _walk(old, new, f"{path}[{label}]")
    else:
        yield path, before, after


def _short(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", " ")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def state(obj: Obj) -> str:
    """What of an object's status is worth a line when it changes."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    match obj["kind"]:
        case "Pod":
            return _pod(obj, status)
        case "Deployment" | "StatefulSet":
            return tr("{now}/{wanted} ready", now=status.get("readyReplicas", 0), wanted=spec.get("replicas", 1))
        case "DaemonSet":
            return tr(
                "{now}/{wanted} ready", now=status.get("numberReady", 0), wanted=status.get("desiredNumberScheduled", 0)
            )
        case "EndpointSlice":
            ends = [end for end in obj.get("endpoints") or [] if (end.get("conditions") or {}).get("ready")]
            return trn("{n} ready address", "{n} ready addresses", len(ends))
        case "PersistentVolumeClaim" | "PersistentVolume" | "Namespace":
            return str(status.get("phase", ""))
        case "Job":
            done = [item["type"] for item in status.get("conditions") or [] if item.get("status") == "True"]
            return done[-1] if done else ""
        case "Node":
            ready = [item["status"] for item in status.get("conditions") or [] if item["type"] == "Ready"]
            return "Ready" if ready == ["True"] else "NotReady"
    return ""


def _pod(pod: Obj, status: Obj) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return str(waiting["reason"])
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or [])
    phase = str(status.get("phase", ""))
    return "ready" if ready and phase == "Running" else phase
