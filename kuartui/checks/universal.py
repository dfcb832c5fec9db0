"""How the guards that hold in every level are watched (`kuartui.game.guards` says which there are).

Each takes a look at the cluster at the start and compares with it later. What the player may do is anything but these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from kuartui.checks.evidence import EVERYWHERE, Evidence, Obj, Verdict, digest
from kuartui.checks.state import reads
from kuartui.game.labels import LABEL_ATTEMPT, LABEL_CHECKER, RESTARTED, SYSTEM_NAMESPACE
from kuartui.game.level import Level
from kuartui.game.spec import HistorySpec, ResourceQuery, StateSpec
from kuartui.message import later
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.checks.world import World

SCALABLE = ("Deployment", "StatefulSet", "ReplicaSet")
JUDGED_BY_STATUS = (*SCALABLE, "DaemonSet", "Job", "CronJob", "PersistentVolumeClaim", "PersistentVolume")
HOST_FIELDS = ("hostPID", "hostNetwork", "hostIPC")


@dataclass(frozen=True, slots=True)
class UniversalKind:
    """`look` returns JSON-like data; `judge(start, now)` is pure."""

    reads: Callable[[Level], tuple[ResourceQuery, ...]]
    look: Callable[[World], Awaitable[Evidence]]
    judge: Callable[[Evidence, Evidence], Verdict]


def _everywhere(*kinds: str) -> tuple[ResourceQuery, ...]:
    return tuple(ResourceQuery(kind=kind, namespace=EVERYWHERE) for kind in kinds)


def _key(obj: Obj) -> str:
    metadata = obj["metadata"]
    return "/".join(part for part in (obj.get("kind"), metadata.get("namespace"), metadata["name"]) if part)


def _uid(obj: Obj) -> str:
    return str(obj["metadata"].get("uid", ""))


def _verdict(found: list[str], words: str) -> Verdict:
    return Verdict(not found, tr(words, names=", ".join(sorted(found)[:3])) if found else "")


def _lost(start: Evidence, now: Evidence) -> Verdict:
    return _verdict([key for key, uid in start.items() if now.get(key) != uid], later("gone or made anew: {names}"))


def _added(start: Evidence, now: Evidence) -> Verdict:
    return _verdict([key for key, uid in now.items() if start.get(key) != uid], later("new: {names}"))


# --- same-world ------------------------------------------------------------------------------------------------


async def _world(world: World) -> Evidence:
    namespaces = await world.objects.all(_everywhere("Namespace")[0])
    nodes = await world.objects.all(_everywhere("Node")[0])
    ours = [item for item in namespaces if LABEL_ATTEMPT in (item["metadata"].get("labels") or {})]
    return {_key(obj): _uid(obj) for obj in [*ours, *nodes]}


def _judge_world(start: Evidence, now: Evidence) -> Verdict:
    """A namespace without our label now is still the same one: players may label what they like."""
    return _lost(start, now)


# --- same-objects, keep-running, not-paused -----------------------------------------------------------------------


def _protected(level: Level) -> tuple[ResourceQuery, ...]:
    return tuple(
        ResourceQuery(kind=ref.kind, api_version=ref.api_version, name=ref.name, namespace=ref.namespace)
        for ref in level.protected
    )


async def _protected_uids(world: World) -> Evidence:
    found = [obj for query in _protected(world.level) for obj in await world.objects.all(query)]
    return {_key(obj): _uid(obj) for obj in found}


async def _running(world: World) -> Evidence:
    queries = [query for query in _protected(world.level) if query.kind in SCALABLE]
    found = [obj for query in queries for obj in await world.objects.all(query)]
    return {_key(obj): {"stopped": obj["spec"].get("replicas", 1) == 0, "serving": _serving(obj)} for obj in found}


def _serving(obj: Obj) -> bool:
    return bool((obj.get("status") or {}).get("readyReplicas"))


def _judge_running(start: Evidence, now: Evidence) -> Verdict:
    """Who serves nobody at the start may be stopped while it is mended."""
    found = [
        f"{key} {tr('scaled to zero')}"
        for key, flags in now.items()
        if flags["stopped"] and not start.get(key, {}).get("stopped") and start.get(key, {}).get("serving", True)
    ]
    return Verdict(not found, ", ".join(found))


async def _pauses(world: World) -> Evidence:
    queries = [query for query in _protected(world.level) if query.kind == "Deployment"]
    found = [obj for query in queries for obj in await world.objects.all(query)]
    return {_key(obj): _uid(obj) for obj in found if obj["spec"].get("paused")}


def _judge_pauses(start: Evidence, now: Evidence) -> Verdict:
    return _verdict([key for key in now if key not in start], tr("paused"))


# --- no-master-key -----------------------------------------------------------------------------------------------


async def _master_keys(world: World) -> Evidence:
    kinds = _everywhere("RoleBinding", "ClusterRoleBinding", "Role", "ClusterRole")
    bindings = [obj for query in kinds[:2] for obj in await world.objects.all(query)]
    roles = [obj for query in kinds[2:] for obj in await world.objects.all(query)]
    found = {_key(obj): _uid(obj) for obj in bindings if obj["roleRef"].get("name") == "cluster-admin"}
    return found | {
        _key(obj): _uid(obj) for obj in roles if any(_is_everything(rule) for rule in obj.get("rules") or [])
    }


def _is_everything(rule: Obj) -> bool:
    return "*" in (rule.get("verbs") or []) and "*" in (rule.get("resources") or [])


# --- no-host-access ----------------------------------------------------------------------------------------------


async def _host_pods(world: World) -> Evidence:
    pods = await world.objects.all(ResourceQuery(kind="Pod"))
    return {_key(pod): _uid(pod) for pod in pods if _uses_host(pod["spec"])}


def _uses_host(spec: Obj) -> bool:
    containers = [*spec.get("containers", []), *(spec.get("initContainers") or [])]
    containers += spec.get("ephemeralContainers") or []
    return (
        any(spec.get(field) for field in HOST_FIELDS)
        or any("hostPath" in volume for volume in spec.get("volumes") or [])
        or any((container.get("securityContext") or {}).get("privileged") for container in containers)
    )


# --- honest-status -----------------------------------------------------------------------------------------------


def _with_status(level: Level) -> tuple[ResourceQuery, ...]:
    """Pods and nodes, and whatever else the checks may believe by its status."""
    kinds = {"Pod", *(ref.kind for ref in level.protected if ref.kind in SCALABLE)}
    specs = [check.spec for check in level.checks if isinstance(check.spec, StateSpec | HistorySpec)]
    judged = {query: None for spec in specs for query in reads(spec) if query.kind in JUDGED_BY_STATUS}
    return (*(ResourceQuery(kind=kind) for kind in sorted(kinds)), *judged, *_everywhere("Node"))


async def _status_writers(world: World) -> Evidence:
    found = [obj for query in _with_status(world.level) for obj in await world.objects.all(query)]
    return {
        f"{_key(obj)} by {entry['manager']}": _uid(obj)
        for obj in found
        for entry in obj["metadata"].get("managedFields") or []
        if entry.get("subresource") == "status" and str(entry.get("manager", "")).startswith("kubectl")
    }


# --- own-business, system-as-was -----------------------------------------------------------------------------------


def _ours(_: Level) -> tuple[ResourceQuery, ...]:
    return tuple(
        ResourceQuery(kind=kind, namespace=SYSTEM_NAMESPACE, selector=f"{LABEL_CHECKER}=true")
        for kind in ("Pod", "Service")
    )


async def _own(world: World) -> Evidence:
    found = [obj for query in _ours(world.level) for obj in await world.objects.all(query)]
    return {_key(obj): _uid(obj) for obj in found if not obj["metadata"].get("deletionTimestamp")}


def _system(_: Level) -> tuple[ResourceQuery, ...]:
    return tuple(
        ResourceQuery(kind=kind, namespace="kube-system")
        for kind in ("Deployment", "DaemonSet", "Service", "ConfigMap")
    )


async def _system_objects(world: World) -> Evidence:
    found = [obj for query in _system(world.level) for obj in await world.objects.all(query)]
    return {_key(obj): _content(obj) for obj in found if not _leader_lock(obj)}


def _content(obj: Obj) -> str:
    """A digest of what an object says. A workload that was only restarted says the same as before."""
    kept: dict[str, Any] = {key: obj.get(key) for key in ("spec", "data", "binaryData")}
    return digest(orjson.dumps(_without_restart(kept), option=orjson.OPT_SORT_KEYS).decode())


def _without_restart(content: dict[str, Any]) -> dict[str, Any]:
    """Without the mark of `kubectl rollout restart`, and as if its map of annotations had not been there either."""
    template = (content["spec"] or {}).get("template") or {}
    metadata = template.get("metadata") or {}
    if RESTARTED not in (metadata.get("annotations") or {}):
        return content
    left = {name: value for name, value in metadata["annotations"].items() if name != RESTARTED}
    metadata = {name: value for name, value in metadata.items() if name != "annotations"}
    if left:
        metadata["annotations"] = left
    return {**content, "spec": {**content["spec"], "template": {**template, "metadata": metadata}}}


def _leader_lock(obj: Obj) -> bool:
    return "control-plane.alpha.kubernetes.io/leader" in (obj["metadata"].get("annotations") or {})


def _judge_system(start: Evidence, now: Evidence) -> Verdict:
    return _verdict([key for key, content in start.items() if now.get(key) != content], later("changed: {names}"))


UNIVERSAL: dict[str, UniversalKind] = {
    "same-world": UniversalKind(lambda _: _everywhere("Namespace", "Node"), _world, _judge_world),
    "same-objects": UniversalKind(_protected, _protected_uids, _lost),
    "keep-running": UniversalKind(_protected, _running, _judge_running),
    "not-paused": UniversalKind(_protected, _pauses, _judge_pauses),
    "no-master-key": UniversalKind(
        lambda _: _everywhere("RoleBinding", "ClusterRoleBinding", "Role", "ClusterRole"), _master_keys, _added
    ),
    "no-host-access": UniversalKind(lambda _: (ResourceQuery(kind="Pod"),), _host_pods, _added),
    "honest-status": UniversalKind(_with_status, _status_writers, _added),
    "own-business": UniversalKind(_ours, _own, _lost),
    "system-as-was": UniversalKind(_system, _system_objects, _judge_system),
}
