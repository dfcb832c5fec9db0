"""Leaves a shared cluster as it was: what an attempt made is removed, and nothing else.

Three sources say what that is: the objects noted before they were made, the namespaces that carry the attempt's label,
and the difference between what was there before and what is there now, cluster-scoped objects included, which also
catches what the player made. Disposable clusters need none of this; proofs do it on them to show that it works.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypedDict

from kuartui.cluster.clock import Clock
from kuartui.cluster.fence import covers
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import Api, Obj
from kuartui.errors import ApiError, ClusterError
from kuartui.game.labels import LABEL_ATTEMPT, SYSTEM_NAMESPACE
from kuartui.game.level import Right
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
CHANGING = {"update", "patch", "delete", "create"}
CORDON = "node.kubernetes.io/unschedulable"
SYSTEM_TAINTS = "node.kubernetes.io/"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"  # the only one of those that people put there
SYSTEM_ACCOUNT = re.compile(r"(attempt|proof)-[0-9a-f]{12}")

Inventory = dict[str, str]  # "kind apiVersion namespace/name" -> uid
Key = tuple[str, str, str, str]  # kind, apiVersion, namespace, name


class Before(TypedDict):
    """What was there at the start; JSON, as the store keeps it. `objects` are those that the player may change."""

    inventory: Inventory
    objects: dict[str, Obj]


async def inventory(api: Api) -> Inventory:
    """Everything there is, in every namespace, that somebody may have made on purpose."""
    found: Inventory = {}
    for resource in await api.listable():
        if resource.kind in NOISE:
            continue
        for obj in await _items(api, resource):
            if resource.kind in DERIVED and obj["metadata"].get("ownerReferences"):
                continue
            found[_key(resource, obj)] = str(obj["metadata"].get("uid", ""))
    return found


async def take_stock(api: Api, rights: Iterable[Right], *, alone: bool) -> Before:
    """To be called before anything is made. `alone` says that the cluster is the attempt's and nobody else's."""
    objects = {}
    for right in () if alone else rights:
        if not CHANGING & {*right.verbs}:
            continue
        for resource in await api.listable():
            if resource.group_resource in right.resources:
                for obj in await _items(api, resource):
                    metadata = obj["metadata"]
                    if metadata.get("ownerReferences"):
                        continue  # its owner makes it anew
                    if covers(right, resource.group_resource, metadata.get("namespace", ""), metadata["name"]):
                        objects[_key(resource, obj)] = obj
    return {"inventory": await inventory(api), "objects": objects}


class Undo:
    """Removes the traces of an attempt. `alone`: everything that was not there before is one; else only what carries
    its label, what was noted, what the rights let the player make, and volumes of claims in the level's namespaces."""

    def __init__(
        self,
        api: Api,
        clock: Clock,
        attempt_id: str,
        *,
        made: Iterable[Made] = (),
        before: Before | None = None,
        rights: Iterable[Right] = (),
        alone: bool = True,
    ) -> None:
        self.api, self.clock, self.attempt_id, self.alone = api, clock, attempt_id, alone
        self.made, self.rights, self.before = list(made), tuple(rights), before
        self._gone: set[str] = set()

    async def run(self) -> list[str]:
        """What is still there afterwards and should not be (empty when all is well)."""
        namespaces = await self.api.resource("Namespace")
        await self._find_namespaces(namespaces)
        for item in self.made:
            if _custom(item.api_version):
                await self._let_go(item)
        for name in sorted(self._gone):
            await self.api.delete(namespaces, "", name)
        for item in self.made:
            if item.namespace not in self._gone and item.kind != "Namespace":
                await self._delete_noted(item)
        for kind, version, namespace, name in await self._left():
            await self._delete(kind, version, namespace, name)
        await self._restore()
        waited = 0.0
        while True:
            gone = sorted(self._gone)
            remaining = [f"namespace {name}" for name in gone if await self.api.read(namespaces, "", name) is not None]
            if not remaining or waited >= PATIENCE:  # to look through all kinds is dear: once the namespaces are gone
                remaining += [f"{kind} {namespace}/{name}" for kind, _, namespace, name in await self._left()]
            if not remaining or waited >= PATIENCE:
                await self._restore()  # anew: programs of the level lived on for a while, and may have changed it back
                return remaining
            await self.clock.sleep(POLL)
            waited += POLL

    def _was_there(self, key: str) -> bool:
        return self.before is not None and key in self.before["inventory"]

    async def _find_namespaces(self, namespaces: Resource) -> None:
        """Those with our label, and those that were noted before we made them: the label may be gone by now."""
        ours = await self.api.list(namespaces, selector=f"{LABEL_ATTEMPT}={self.attempt_id}")
        self._gone = {str(obj["metadata"]["name"]) for obj in ours.items}
        noted = {item.name for item in self.made if item.kind == "Namespace" and item.name != SYSTEM_NAMESPACE}
        if self.before is not None:
            self._gone |= {name for name in noted if not self._was_there(f"Namespace v1 /{name}")}
        if self.alone:
            self._gone |= {item.name for item in self.made if item.kind == "Namespace"}
        if self.api.fence is not None:
            for name in self._gone:
                self.api.fence.claim(name)

    async def _let_go(self, item: Made) -> None:
        """Take the finalizers off a custom object: whoever would do it, the level's own controller, goes as well."""
        try:
            resource = await self.api.resource(item.kind, item.api_version)
            live = await self.api.read(resource, item.namespace, item.name)
            if live is None or self._was_there(_key(resource, live)) or not self._is_ours(item, live):
                return
            if live["metadata"].get("finalizers"):
                await self.api.patch(resource, item.namespace, item.name, {"metadata": {"finalizers": None}})
        except ClusterError as error:
            if isinstance(error, ApiError) and error.code not in (403, 404, 405):
                raise  # else the kind is gone, and its objects with it

    def _is_ours(self, item: Made, live: Obj) -> bool:
        labels = live["metadata"].get("labels") or {}
        return (
            self.alone
            or labels.get(LABEL_ATTEMPT) == self.attempt_id
            or item.namespace in (*self._gone, SYSTEM_NAMESPACE)
        )

    async def _delete_noted(self, item: Made) -> None:
        """Noted is not made: somebody else may have one of that name. Ours carry our label."""
        try:
            resource = await self.api.resource(item.kind, item.api_version)
            live = await self.api.read(resource, item.namespace, item.name)
        except ClusterError:
            return  # the kind is gone, with its CustomResourceDefinition
        if live is None or self._was_there(_key(resource, live)):
            return
        if self._is_ours(item, live):
            await self._delete(item.kind, item.api_version, item.namespace, item.name)

    async def _left(self) -> list[Key]:
        """What is there now, was not before, and is a trace of the attempt; what goes with a namespace left out."""
        if self.before is None:
            return []
        known = self.before["inventory"]
        found = []
        for resource in await self.api.listable():
            if resource.kind in NOISE or not (self.alone or self._concerns(resource)):
                continue
            for obj in await _items(self.api, resource):
                metadata = obj["metadata"]
                namespace, name = metadata.get("namespace", ""), metadata["name"]
                if known.get(_key(resource, obj)) == str(metadata.get("uid", "")):
                    continue
                if resource.kind in DERIVED and metadata.get("ownerReferences"):
                    continue
                if namespace in self._gone or (resource.kind == "Namespace" and name in self._gone):
                    continue
                if self.alone or self._is_trace(resource, obj):
                    found.append((resource.kind, resource.api_version, namespace, name))
        return found

    def _concerns(self, resource: Resource) -> bool:
        """Whether a kind can hold traces: those of a cluster carry our label, or rights speak of them."""
        return not resource.namespaced or any(resource.group_resource in right.resources for right in self.rights)

    def _is_trace(self, resource: Resource, obj: Obj) -> bool:
        metadata = obj["metadata"]
        labels = metadata.get("labels") or {}
        if SYSTEM_ACCOUNT.fullmatch(metadata["name"]) and "Role" in resource.kind:
            return False  # the player's own, which goes last
        if labels.get(LABEL_ATTEMPT) == self.attempt_id:
            return True
        if resource.kind == "PersistentVolume":
            if (obj.get("spec", {}).get("claimRef") or {}).get("namespace") in self._gone:
                return True
        if _key(resource, obj) in self._before_objects():
            return False  # made anew under an old name: it is put back, not removed
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        return any(
            "create" in right.verbs and covers(right, resource.group_resource, namespace, name) for right in self.rights
        )

    def _before_objects(self) -> dict[str, Obj]:
        return self.before["objects"] if self.before is not None else {}

    async def _restore(self) -> None:
        """Put back what the player was allowed to change."""
        for key, old in self._before_objects().items():
            kind, version, place = key.split(" ", 2)
            namespace, _, name = place.partition("/")
            resource = await self.api.resource(kind, version)
            live = await self.api.read(resource, namespace, name)
            if live is not None and content(live) == content(old):
                continue
            body = restored(old, live)
            if live is None:
                await self.api.create(resource, body, namespace=namespace)
            else:
                params = {"fieldManager": "kuartui"}
                await self.api.request("PUT", resource.path(namespace, name), params=params, body=body)

    async def _delete(self, kind: str, version: str, namespace: str, name: str) -> None:
        try:
            await self.api.delete(await self.api.resource(kind, version), namespace, name)
        except ApiError as error:
            if error.code not in (403, 404, 405):
                raise
        except ClusterError:
            return  # the kind itself is gone by now, with its CustomResourceDefinition


def _custom(api_version: str) -> bool:
    group = api_version.rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def content(obj: Obj) -> Obj:
    """What somebody wrote on purpose; not what the cluster keeps in it by itself."""
    metadata = obj["metadata"]
    if obj.get("kind") == "Node":  # kubelets and controllers write into the rest all the time
        taints = [item for item in obj["spec"].get("taints") or [] if not _by_itself(item)]
        unschedulable = bool(obj["spec"].get("unschedulable"))
        return {"labels": metadata.get("labels") or {}, "taints": taints, "unschedulable": unschedulable}
    kept = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key not in ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision")
    }
    return {**kept, "labels": metadata.get("labels") or {}, "annotations": annotations}


def _by_itself(taint: Obj) -> bool:
    """Whether the cluster puts it there, and takes it away."""
    return bool(taint["key"].startswith(SYSTEM_TAINTS)) and taint["key"] != OUT_OF_SERVICE


def restored(old: Obj, live: Obj | None) -> Obj:
    """The object to write, so that it is as it was."""
    if live is not None and old.get("kind") == "Node":
        was = content(old)
        system = [item for item in live["spec"].get("taints") or [] if _by_itself(item)]
        spec = {**live["spec"], "taints": was["taints"] + [t for t in system if t["key"] != CORDON]}
        spec["unschedulable"] = was["unschedulable"]
        return {**live, "metadata": {**live["metadata"], "labels": was["labels"]}, "spec": spec}
    kept = {
        key: old["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in old["metadata"]
    }
    if live is not None:
        kept |= {
            key: live["metadata"][key] for key in ("resourceVersion", "uid", "finalizers") if key in live["metadata"]
        }
    body = {key: value for key, value in old.items() if key not in ("metadata", "status")}
    if live is not None and "status" in live:
        body["status"] = live["status"]
    return {**body, "metadata": kept}


async def _items(api: Api, resource: Resource) -> list[Obj]:
    try:
        return (await api.list(resource)).items
    except ApiError as error:
        if error.code in (403, 404, 405, 503):
            return []
        raise


def _key(resource: Resource, obj: Obj) -> str:
    metadata = obj["metadata"]
    return f"{resource.kind} {resource.api_version} {metadata.get('namespace', '')}/{metadata['name']}"
