"""Leaves a shared cluster as it was: what an attempt made is removed, and nothing else.

Three sources say what that is: the objects noted before they were made, the namespaces that carry the attempt's label,
and the difference between what was there before and what is there now, cluster-scoped objects included, which also
catches what the player made. Disposable clusters need none of this; proofs do it on them to show that it works.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from contextlib import aclosing
from typing import NotRequired, TypedDict

from kuartui.cluster.clock import Clock
from kuartui.cluster.fence import CLUSTERS_OWN, covers, labelled_by_us, may_change, verbs_on
from kuartui.cluster.holds import GATES, HELD_SECONDS, let_go, refused, take_off
from kuartui.cluster.identity import user_of
from kuartui.cluster.listing import all_listed, kept_by_the_server, listed
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import MANAGER, Api, Obj
from kuartui.errors import ApiError, ClusterError, NoKindError
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
CHANGING = {"update", "patch", "delete"}
INSISTENT = 15.0  # seconds for an API server to notice that a gate is gone
CONFLICTS = 5  # so often the cluster itself may be quicker with a write to what is put back
COREFILE = ("ConfigMap", "kube-system", "coredns")
DNS = "k8s-app=kube-dns"  # the label of its pods
DNS_SECONDS = 60.0  # that they may take to be ready again
RETAIN = "Retain"  # what is in a volume outlives its claim
REQUEST = "CertificateSigningRequest"  # they know who asked, and go by themselves
CORDON = "node.kubernetes.io/unschedulable"
SYSTEM_TAINTS = "node.kubernetes.io/"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"  # the only one of those that people put there
SYSTEM_ACCOUNT = re.compile(r"(attempt|proof)-[0-9a-f]{12}")

Inventory = dict[str, str]  # "kind apiVersion namespace/name" -> uid
Key = tuple[str, str, str, str, str]  # kind, apiVersion, namespace, name, uid


class Before(TypedDict):
    """What was there at the start; JSON, as the store keeps it. `objects` are those that the player may change, `free`
    the volumes that no claim had, and what becomes of each when a claim lets it go."""

    inventory: Inventory
    objects: dict[str, Obj]
    free: NotRequired[dict[str, str]]


async def inventory(api: Api, mind: Container[str] = ()) -> Inventory:
    """Everything there is, in every namespace, that somebody may have made on purpose. ApiError when one of the
    resources to `mind` cannot be listed: what is overlooked there would later pass for the attempt's."""
    found: Inventory = {}
    resources = [resource for resource in await api.listable() if resource.kind not in NOISE]
    async with aclosing(all_listed(api, resources, strict=lambda resource: resource.group_resource in mind)) as objects:
        async for resource, obj in objects:
            if resource.kind in DERIVED and obj["metadata"].get("ownerReferences"):
                continue
            found[_key(resource, obj)] = str(obj["metadata"].get("uid", ""))
    return found


async def take_stock(api: Api, rights: Iterable[Right], *, alone: bool) -> Before:
    """To be called before anything is made. `alone` says that the cluster is the attempt's and nobody else's."""
    objects, rights = {}, tuple(rights)
    for right in () if alone else rights:
        if not CHANGING & {*right.verbs}:
            continue
        for resource in await api.listable():
            if resource.group_resource in right.resources and resource.kind != REQUEST:
                for obj in await listed(api, resource, strict=True):
                    metadata = obj["metadata"]
                    if metadata.get("ownerReferences"):
                        continue  # its owner makes it anew
                    if LABEL_ATTEMPT in (metadata.get("labels") or {}):
                        continue  # of somebody who plays beside us, and removes it
                    if covers(right, resource.group_resource, metadata.get("namespace", ""), metadata["name"]):
                        objects[_key(resource, obj)] = obj
    # without the namespaces nobody knows later which cluster it was, and whose they are
    mind = set() if alone else {"namespaces", *(resource for right in rights for resource in right.resources)}
    free = {} if alone else await _free_volumes(api)
    return {"inventory": await inventory(api, mind), "objects": objects, "free": free}


async def _free_volumes(api: Api) -> dict[str, str]:
    """Any claim may take them, without a right on volumes."""
    return {
        volume["metadata"]["name"]: volume["spec"].get("persistentVolumeReclaimPolicy", RETAIN)
        for volume in await listed(api, await api.resource("PersistentVolume"), strict=False)
        if not volume["spec"].get("claimRef") and LABEL_ATTEMPT not in (volume["metadata"].get("labels") or {})
    }


def cluster_of(before: Before | None) -> str:
    """The uid of the cluster that it was found on, which is that of its kube-system; "" if nothing is known of it."""
    return before["inventory"].get("Namespace v1 /kube-system", "") if before is not None else ""


async def rights_to_restore(api: Api, before: Before | None) -> tuple[Right, ...]:
    """What a level, whose files are gone, must have let its player change: it was stored at the start."""
    rights = []
    for key in before["objects"] if before is not None else ():
        kind, version, place = key.split(" ", 2)
        namespace, _, name = place.partition("/")
        try:
            resource = await api.resource(kind, version)
        except NoKindError:
            continue  # there is nothing to put back any more
        rights.append(
            Right(
                verbs=("create", "update", "delete"),
                resources=(resource.group_resource,),
                names=(name,),
                namespaces=(namespace,) if namespace else (),
            )
        )
    return tuple(rights)


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
        left = await self._left()
        for key in left:
            if key[0] in GATES:
                await self._delete(*key)
        for item in self.made:
            if item.kind in GATES:
                await self._delete_noted(item)
        await self._restore(GATES)
        await self._disown()
        for item in self.made:
            if _custom(item.api_version):
                await self._let_go(item)
        for volume in await self._taken(self._gone):
            if volume["spec"].get("persistentVolumeReclaimPolicy") != RETAIN:
                await self._patch_volume(volume, {"persistentVolumeReclaimPolicy": RETAIN})
        for name in sorted(self._gone):
            await self._insist(namespaces, name)
        for item in self.made:
            if item.namespace not in self._gone and item.kind != "Namespace":
                await self._delete_noted(item)
        for key in left:
            await self._delete(*key)
        await self._restore()
        return await self._wait(namespaces)

    async def _wait(self, namespaces: Resource) -> list[str]:
        """Until nothing is left, or for as long as anybody would wait."""
        waited, held_until = 0.0, HELD_SECONDS
        while True:
            remaining = [name for name in sorted(self._gone) if await self.api.read(namespaces, "", name) is not None]
            left: list[Key] = []
            if not remaining or waited >= PATIENCE:  # to look through all kinds is dear: once the namespaces are gone
                left = await self._left()
            if (not remaining and not left) or waited >= PATIENCE:
                # anew: programs of the level lived on for a while, and may have changed it back
                words = await self._restore()
                await self._free()
                words += [f"{kind} {namespace}/{name}" for kind, _, namespace, name, _ in left]
                return [*(f"namespace {name}" for name in remaining), *words]
            for key in left:
                await self._delete(*key)
            if waited >= held_until:
                held_until = waited + HELD_SECONDS / 3
                await let_go(self.api, remaining)
                for kind, version, namespace, name, _ in left:
                    live = await self.api.read(await self.api.resource(kind, version), namespace, name)
                    if live is not None:
                        await take_off(self.api, {"kind": kind, "apiVersion": version, **live})
            await self.clock.sleep(POLL)
            waited += POLL

    async def _insist(self, namespaces: Resource, name: str) -> None:
        """Have a namespace go away. For a moment the API server may still ask a gate that is gone."""
        until = self.clock.monotonic() + INSISTENT
        while True:
            try:
                await self.api.delete(namespaces, "", name)
            except ApiError as error:
                if not refused(error) or self.clock.monotonic() > until:
                    raise
                await self.clock.sleep(POLL)
                continue
            return

    def _was_there(self, key: str) -> bool:
        return self.before is not None and key in self.before["inventory"]

    def _is_known(self, key: str, obj: Obj) -> bool:
        """Whether this very object was there before."""
        return self.before is not None and self.before["inventory"].get(key) == str(obj["metadata"].get("uid", ""))

    async def _find_namespaces(self, namespaces: Resource) -> None:
        """Those with our label, and those that were noted before we made them: the label may be gone by now."""
        ours = await self.api.list(namespaces, selector=f"{LABEL_ATTEMPT}={self.attempt_id}")
        self._gone = {
            str(obj["metadata"]["name"])
            for obj in ours.items
            if self.alone or (labelled_by_us(obj) and not self._is_known(_key(namespaces, obj), obj))
        } - CLUSTERS_OWN
        noted = [item for item in self.made if item.kind == "Namespace" and item.name != SYSTEM_NAMESPACE]
        for item in noted if self.before is not None and not self.alone else ():
            live = None if item.name in self._gone else await self.api.read(namespaces, "", item.name)
            if live is not None and live["metadata"].get("uid") == item.uid:
                self._gone.add(item.name)  # one of that name that somebody else made meanwhile has another uid
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
        """The probe in kuartui-system is not: it is for all who play, and goes with the last of them. What has the uid
        that was noted is, though a player may have taken the label away."""
        if item.uid and item.uid == live["metadata"].get("uid") and item.name != SYSTEM_NAMESPACE:
            if self.api.fence is not None:
                self.api.fence.claim(item.uid)
            return True
        labels = live["metadata"].get("labels") or {}
        return self.alone or labels.get(LABEL_ATTEMPT) == self.attempt_id or item.namespace in self._gone

    async def _delete_noted(self, item: Made) -> None:
        """Noted is not made: somebody else may have one of that name. Ours carry our label."""
        try:
            resource = await self.api.resource(item.kind, item.api_version)
            live = await self.api.read(resource, item.namespace, item.name)
        except NoKindError:
            return  # it is gone, with its CustomResourceDefinition
        except ApiError as error:
            if error.code in (403, 404, 405, 500, 503) and _custom(item.api_version):
                return  # the same, or nobody can convert it any more
            raise
        if live is None or self._was_there(_key(resource, live)):
            return
        if self._is_ours(item, live):
            uid = str(live["metadata"].get("uid", ""))
            await self._delete(item.kind, item.api_version, item.namespace, item.name, uid)

    async def _left(self) -> list[Key]:
        """What is there now, was not before, and is a trace of the attempt; what goes with a namespace left out."""
        if self.before is None:
            return []
        found = []
        resources = [
            resource
            for resource in await self.api.listable()
            if resource.kind not in NOISE and (self.alone or self._concerns(resource))
        ]
        async with aclosing(all_listed(self.api, resources, strict=kept_by_the_server)) as objects:
            async for resource, obj in objects:
                metadata = obj["metadata"]
                namespace, name = metadata.get("namespace", ""), metadata["name"]
                if self._is_known(_key(resource, obj), obj):
                    continue
                if resource.kind in DERIVED and metadata.get("ownerReferences"):
                    continue
                if namespace in self._gone or (resource.kind == "Namespace" and name in self._gone):
                    continue
                if self.alone or self._is_trace(resource, obj):
                    found.append((resource.kind, resource.api_version, namespace, name, str(metadata.get("uid", ""))))
        return found

    def _concerns(self, resource: Resource) -> bool:
        """Whether a kind can hold traces: those of a cluster carry our label, or rights speak of them."""
        return not resource.namespaced or any(resource.group_resource in right.resources for right in self.rights)

    def _is_trace(self, resource: Resource, obj: Obj) -> bool:
        metadata = obj["metadata"]
        labels = metadata.get("labels") or {}
        if SYSTEM_ACCOUNT.fullmatch(metadata["name"]) and "Role" in resource.kind:
            return False  # the player's own, which goes last
        if LABEL_ATTEMPT in labels and (labels[LABEL_ATTEMPT] != self.attempt_id or labelled_by_us(obj)):
            return bool(labels[LABEL_ATTEMPT] == self.attempt_id)  # else it is of somebody who plays beside us
        if resource.kind == "PersistentVolume" and (claim := obj.get("spec", {}).get("claimRef")):
            return claim.get("namespace") in self._gone  # else it was provisioned for somebody else meanwhile
        if resource.kind == REQUEST:
            users = {user_of(f"attempt-{self.attempt_id}"), user_of(f"proof-{self.attempt_id}")}
            return obj.get("spec", {}).get("username") in users  # kubelets ask for certificates, too
        if _key(resource, obj) in self._before_objects():
            return False  # made anew under an old name: it is put back, not removed
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        return any(
            "create" in right.verbs and covers(right, resource.group_resource, namespace, name) for right in self.rights
        )

    def _before_objects(self) -> dict[str, Obj]:
        return self.before["objects"] if self.before is not None else {}

    async def _taken(self, namespaces: Container[str]) -> list[Obj]:
        """Volumes of somebody else that were free, and that a claim in one of these namespaces took."""
        free = self._free_before()
        if not free or self.alone:
            return []
        volumes = await self.api.resource("PersistentVolume")
        return [
            volume
            for volume in (await self.api.list(volumes)).items
            if volume["metadata"]["name"] in free
            and self._is_known(_key(volumes, volume), volume)
            and (volume["spec"].get("claimRef") or {}).get("namespace") in namespaces
        ]

    def _free_before(self) -> dict[str, str]:
        return self.before.get("free", {}) if self.before is not None else {}

    async def _free(self) -> None:
        """Free those again whose claims are gone; what happens to them when they are let go is as it was."""
        claims = await self.api.resource("PersistentVolumeClaim")
        for volume in await self._taken(self._gone | {item.name for item in self.made if item.kind == "Namespace"}):
            claim = volume["spec"]["claimRef"]
            if await self.api.read(claims, claim["namespace"], claim["name"]) is None:
                policy = self._free_before()[volume["metadata"]["name"]]
                await self._patch_volume(volume, {"claimRef": None, "persistentVolumeReclaimPolicy": policy})

    async def _patch_volume(self, volume: Obj, spec: Obj) -> None:
        if self.api.fence is not None:
            self.api.fence.claim(volume["metadata"]["uid"])
        volumes = await self.api.resource("PersistentVolume")
        await self.api.patch(volumes, "", volume["metadata"]["name"], {"spec": spec})

    async def _disown(self) -> None:
        """Leave what is somebody else's no owner that may go now: it would go along. What had one at the start was not
        stored."""
        there = {*self.before["inventory"].values()} if self.before is not None else set()
        for key, old in self._before_objects().items():
            kind, version, place = key.split(" ", 2)
            namespace, _, name = place.partition("/")
            try:
                resource = await self.api.resource(kind, version)
            except NoKindError:
                continue
            live = await self.api.read(resource, namespace, name)
            verbs = verbs_on(self.rights, resource.group_resource, namespace, name)
            if live is None or live["metadata"].get("uid") != old["metadata"].get("uid"):
                continue
            owners = live["metadata"].get("ownerReferences") or []
            staying = [owner for owner in owners if owner["uid"] in there]
            if owners != staying and {"update", "patch"} & verbs:  # else it was not the player
                await self.api.patch(resource, namespace, name, {"metadata": {"ownerReferences": staying or None}})

    async def _restore(self, kinds: Container[str] = ()) -> list[str]:
        """Put back what the player was allowed to change; of these kinds only, if any are named. What could not be put
        back yet, because what stands in its place does not go."""
        waiting = []
        for key, old in self._before_objects().items():
            kind, version, place = key.split(" ", 2)
            namespace, _, name = place.partition("/")
            if kinds and kind not in kinds:
                continue
            try:
                resource = await self.api.resource(kind, version)
            except NoKindError:
                continue  # somebody removed its definition meanwhile, and all its objects with it
            for left in reversed(range(CONFLICTS)):
                try:
                    if not await self._put_back(resource, namespace, name, old):
                        waiting.append(f"{kind} {namespace}/{name}")
                except ApiError as error:
                    if error.code != 409 or not left:
                        raise
                    continue
                break
        return waiting

    async def _put_back(self, resource: Resource, namespace: str, name: str, old: Obj) -> bool:
        """False when something else of that name has to go first, and does not."""
        live = await self.api.read(resource, namespace, name)
        verbs = verbs_on(self.rights, resource.group_resource, namespace, name)
        if live is None:
            removed = self.alone or "delete" in verbs  # else somebody else did that
            if removed and not self._foreign(old):  # else it went with its claim
                await self.api.create(resource, restored(old, None), namespace=namespace)
            return True
        if self._foreign(live):  # bound meanwhile, or ever since: that is the cluster's doing
            old = {**old, "spec": {**old["spec"], "claimRef": live["spec"]["claimRef"]}}
        if content(live) != content(old) and (self.alone or may_change(verbs)):  # else that was somebody else
            params, body = {"fieldManager": MANAGER}, restored(old, live)
            try:
                await self.api.request("PUT", resource.path(namespace, name), params=params, body=body)
            except ApiError as error:
                if error.code != 422 or live["metadata"].get("uid") == old["metadata"].get("uid"):
                    raise
                return await self._put_in_place(resource, old, live)  # made anew by the player: no update leads there
            if (resource.kind, namespace, name) == COREFILE:
                await self._restart_dns(namespace)
        return True

    async def _put_in_place(self, resource: Resource, old: Obj, live: Obj) -> bool:
        """Whether what stands in the place of `old` is gone, and `old` is there again."""
        metadata = live["metadata"]
        namespace, name, uid = metadata.get("namespace", ""), metadata["name"], metadata["uid"]
        await self._delete(resource.kind, resource.api_version, namespace, name, uid)
        until = self.clock.monotonic() + INSISTENT
        while await self.api.read(resource, namespace, name) is not None:
            if self.clock.monotonic() > until:
                return False
            await self.clock.sleep(POLL)
        await self.api.create(resource, restored(old, None), namespace=namespace)
        return True

    async def _restart_dns(self, namespace: str) -> None:
        """Have CoreDNS read its file now. By itself it would take two minutes, kubelet's and its own, and whoever plays
        next would find no names until then."""
        pods = await self.api.resource("Pod")
        old = {}
        for pod in (await self.api.list(pods, namespace, selector=DNS)).items:
            old[pod["metadata"]["uid"]] = name = pod["metadata"]["name"]
            await self._delete("Pod", "v1", namespace, name, pod["metadata"]["uid"])
        until = self.clock.monotonic() + DNS_SECONDS
        while self.clock.monotonic() < until:
            found = (await self.api.list(pods, namespace, selector=DNS)).items
            if all(pod["metadata"]["uid"] not in old and _is_ready(pod) for pod in found):
                return
            await self.clock.sleep(POLL)

    def _foreign(self, obj: Obj) -> bool:
        """Whether it is a volume that belongs to a claim of somebody else's."""
        claim: Mapping[str, str] = (obj.get("spec") or {}).get("claimRef") or {}
        return obj.get("kind") == "PersistentVolume" and bool(claim) and claim.get("namespace") not in self._gone

    async def _delete(self, kind: str, version: str, namespace: str, name: str, uid: str) -> None:
        try:
            await self.api.delete(await self.api.resource(kind, version), namespace, name, uid=uid)
        except ApiError as error:
            if error.code not in (404, 405) and not refused(error):
                raise
        except ClusterError:
            return  # the kind itself is gone by now, with its CustomResourceDefinition


def _is_ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


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
        and not key.startswith("pv.kubernetes.io/")
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


def _key(resource: Resource, obj: Obj) -> str:
    metadata = obj["metadata"]
    return f"{resource.kind} {resource.api_version} {metadata.get('namespace', '')}/{metadata['name']}"
