"""Leaves a shared cluster as it was: what an attempt made is removed, and nothing else.

Three sources say what that is: the objects noted before they were made, the namespaces that carry the attempt's label,
and the difference between what was there before and what is there now, cluster-scoped objects included, which also
catches what the player made. Disposable clusters need none of this; proofs do it on them to show that it works.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kuartui.cluster.base import LABEL_ATTEMPT
from kuartui.cluster.clock import Clock
from kuartui.cluster.resources import Resource, from_discovery
from kuartui.cluster.rest import DISCOVERY, Api, Obj
from kuartui.errors import ApiError, ClusterError
from kuartui.progress.store import Made

#: written by the cluster itself, all the time
NOISE = {
    "Event",
    "Lease",
    "PodMetrics",
    "NodeMetrics",
    "ComponentStatus",
    "EndpointSlice",
    "Endpoints",
    "ControllerRevision",
}
DERIVED = {"Pod", "ReplicaSet", "Job"}  # go with their owners
POLL = 0.2
PATIENCE = 120.0  # seconds on the cluster's clock

Inventory = dict[str, str]  # "kind apiVersion namespace/name" -> uid


async def inventory(api: Api) -> Inventory:
    """Everything there is, in every namespace, that somebody may have made on purpose."""
    found: Inventory = {}
    for resource in await _listable(api):
        try:
            listing = await api.list(resource)
        except ApiError as error:
            if error.code in (403, 404, 405):
                continue
            raise
        for obj in listing.items:
            if resource.kind in DERIVED and obj["metadata"].get("ownerReferences"):
                continue
            found[_key(resource, obj)] = str(obj["metadata"].get("uid", ""))
    return found


async def undo(api: Api, clock: Clock, attempt_id: str, made: Iterable[Made], before: Inventory | None) -> list[str]:
    """Remove the traces of an attempt; what is still there afterwards and should not be (empty when all is well)."""
    mine = list(made)
    namespaces = await api.resource("Namespace")
    ours = await api.list(namespaces, selector=f"{LABEL_ATTEMPT}={attempt_id}")
    gone = {str(obj["metadata"]["name"]) for obj in ours.items}
    for item in mine:
        if item.kind == "Namespace":
            gone.add(item.name)
    for item in mine:
        if _custom(item.api_version):
            await _let_go(api, item)
    for name in sorted(gone):
        await api.delete(namespaces, "", name)
    for item in mine:
        if item.namespace not in gone and item.kind != "Namespace":
            await _delete(api, item.kind, item.api_version, item.namespace, item.name)
    left = await _left(api, before, gone)
    for kind, version, namespace, name in left:
        await _delete(api, kind, version, namespace, name)
    waited = 0.0
    while True:
        remaining = [f"namespace {name}" for name in sorted(gone) if await api.read(namespaces, "", name) is not None]
        remaining += [f"{kind} {namespace}/{name}" for kind, _, namespace, name in await _left(api, before, gone)]
        if not remaining or waited >= PATIENCE:
            return remaining
        await clock.sleep(POLL)
        waited += POLL


async def _left(api: Api, before: Inventory | None, gone: set[str]) -> list[tuple[str, str, str, str]]:
    """What is there now and was not before, outside of the namespaces that go away as a whole."""
    if before is None:
        return []
    now = await inventory(api)
    found = []
    for key, uid in now.items():
        if before.get(key) == uid:
            continue
        kind, version, place = key.split(" ", 2)
        namespace, _, name = place.partition("/")
        if namespace not in gone and not (kind == "Namespace" and name in gone):
            found.append((kind, version, namespace, name))
    return found


def _custom(api_version: str) -> bool:
    group = api_version.rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


async def _let_go(api: Api, item: Made) -> None:
    """Take the finalizers off a custom object: whoever would do it, the level's own controller, goes as well."""
    try:
        resource = await api.resource(item.kind, item.api_version)
        live = await api.read(resource, item.namespace, item.name)
        if live is not None and live["metadata"].get("finalizers"):
            await api.patch(resource, item.namespace, item.name, {"metadata": {"finalizers": None}})
    except ClusterError as error:
        if isinstance(error, ApiError) and error.code not in (403, 404, 405):
            raise  # else the kind is gone, and its objects with it


async def _delete(api: Api, kind: str, version: str, namespace: str, name: str) -> None:
    try:
        await api.delete(await api.resource(kind, version), namespace, name)
    except ApiError as error:
        if error.code not in (403, 404, 405):
            raise
    except ClusterError:
        return  # the kind itself is gone by now, with its CustomResourceDefinition


async def _listable(api: Api) -> list[Resource]:
    session = await api.session()
    session.headers["Accept"] = DISCOVERY
    try:
        documents: list[dict[str, Any]] = [await api.get("/api"), await api.get("/apis")]
    finally:
        session.headers["Accept"] = "application/json"
    resources: dict[tuple[str, str], Resource] = {}
    for document in documents:
        for resource in from_discovery(document, verb="list"):
            if resource.kind not in NOISE:
                resources.setdefault((resource.group, resource.kind), resource)
    return list(resources.values())


def _key(resource: Resource, obj: Obj) -> str:
    metadata = obj["metadata"]
    return f"{resource.kind} {resource.api_version} {metadata.get('namespace', '')}/{metadata['name']}"
