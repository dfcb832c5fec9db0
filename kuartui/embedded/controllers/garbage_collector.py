"""The garbage collector: what has only absent owners goes; foreground and orphan deletion.

After pkg/controller/garbagecollector. The graph is kept from the store's own changes, so owners are never guessed: an
object is where its uid says. Keys of the queue are uids.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event, EventType, Key

Obj = dict[str, Any]

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
IGNORED = {"events"}


class GarbageCollector(Controller):
    """Follows owner references through all resources."""

    name = "generic-garbage-collector"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._where: dict[str, Key] = {}
        self._dependents: dict[str, set[str]] = {}
        self._namespaced: set[tuple[str, str]] = set()
        """Groups and kinds that live in namespaces, as far as seen."""

    def setup(self) -> None:
        store = self.client.store
        for resource in store.resources():
            for stored in store.list(resource):
                self._changed(Event(EventType.ADDED, stored, None))
        self._stops.append(store.listen(None, self._changed))

    # The graph

    def _changed(self, event: Event) -> None:
        if event.obj.key.resource in IGNORED:
            return
        obj, uid = event.obj.data, event.obj.uid
        if event.type is EventType.DELETED:
            self._removed(obj, uid)
            return
        self._where[uid] = event.obj.key
        if event.obj.key.namespace:
            self._namespaced.add((_group(obj["apiVersion"]), obj["kind"]))
        refs = objects.owners(obj)
        before = objects.owners(event.old.data) if event.old else []
        if refs != before:
            for ref in before:
                self._unlink(ref["uid"], uid)
            for ref in refs:
                self._dependents.setdefault(ref["uid"], set()).add(uid)
            if any(self._owner(obj, ref) is None or _foreground(self._owner(obj, ref)) for ref in refs):
                self._look(uid)
            for ref in before:
                self._owner_may_go(ref["uid"])
        if objects.being_deleted(obj) and {FOREGROUND, ORPHAN} & set(objects.finalizers(obj)):
            self._look(uid)

    def _removed(self, obj: Obj, uid: str) -> None:
        self._where.pop(uid, None)
        for ref in objects.owners(obj):
            self._unlink(ref["uid"], uid)
            self._owner_may_go(ref["uid"])
        for dependent in sorted(self._dependents.get(uid, ())):
            self._look(dependent)

    def _unlink(self, owner: str, dependent: str) -> None:
        linked = self._dependents.get(owner)
        if linked is not None:
            linked.discard(dependent)
            if not linked:
                del self._dependents[owner]

    def _owner_may_go(self, uid: str) -> None:
        """An owner that waits for its dependents has one less."""
        owner = self._get(uid)
        if owner is not None and _foreground(owner):
            self._look(uid)

    def _look(self, uid: str) -> None:
        self.enqueue("", uid)

    def _get(self, uid: str) -> Obj | None:
        key = self._where.get(uid)
        if key is None:
            return None
        return self.client.get(*key)

    def _owner(self, obj: Obj, ref: Obj) -> Obj | None:
        """The living object that a reference names; None if there is none (in this namespace, if it has one)."""
        owner = self._get(ref["uid"])
        if owner is None or owner["kind"] != ref["kind"] or objects.name_of(owner) != ref["name"]:
            return None
        if _group(owner["apiVersion"]) != _group(ref["apiVersion"]):
            return None
        namespace = objects.namespace_of(owner)
        return owner if namespace in ("", objects.namespace_of(obj)) else None

    def _dependents_of(self, uid: str) -> list[Obj]:
        found = (self._get(dependent) for dependent in sorted(self._dependents.get(uid, ())))
        return [obj for obj in found if obj is not None]

    # The work

    async def reconcile(self, namespace: str, name: str) -> None:
        obj = self._get(name)
        if obj is None:
            return
        if objects.being_deleted(obj):
            if ORPHAN in objects.finalizers(obj):
                await self._orphan_dependents(obj)
            elif FOREGROUND in objects.finalizers(obj):
                await self._delete_dependents(obj)
            return
        await self._collect(obj)

    async def _orphan_dependents(self, owner: Obj) -> None:
        uid = objects.uid_of(owner)
        for dependent in self._dependents_of(uid):
            await self._drop_references(dependent, {uid})
        await self._remove_finalizer(owner, ORPHAN)

    async def _delete_dependents(self, owner: Obj) -> None:
        uid = objects.uid_of(owner)
        blocking = [one for one in self._dependents_of(uid) if _blocks(one, uid)]
        if not blocking:
            await self._remove_finalizer(owner, FOREGROUND)
            for dependent in self._dependents_of(uid):
                self._look(objects.uid_of(dependent))
        for dependent in self._dependents_of(uid):
            if not _foreground(dependent):
                self._look(objects.uid_of(dependent))

    async def _collect(self, obj: Obj) -> None:
        """Delete an object whose owners are all gone or going; forget single ones that are."""
        refs = objects.owners(obj)
        if not refs:
            return
        dangling, waiting, solid = set(), set(), set()
        for ref in refs:
            owner = self._owner(obj, ref)
            if owner is None:
                if not objects.namespace_of(obj) and self._misplaced(ref):
                    self._complain(obj, ref)
                    return
                dangling.add(ref["uid"])
            elif _foreground(owner):
                waiting.add(ref["uid"])
            else:
                solid.add(ref["uid"])
        if solid:
            if dangling or waiting:
                await self._drop_references(obj, dangling | waiting)
            return
        if dangling and self._elsewhere(refs):
            self._complain(obj, next(ref for ref in refs if ref["uid"] in dangling))
        finalizers = objects.finalizers(obj)
        policy = "Background"
        dependents = self._dependents_of(objects.uid_of(obj)) if waiting else []
        if any(_foreground(one) for one in dependents):  # as good as a circle: somebody has to stop waiting
            await self._unblock_owners(obj)
        if dependents or FOREGROUND in finalizers:
            policy = "Foreground"
        elif ORPHAN in finalizers:
            policy = "Orphan"
        await self._delete(obj, policy)

    def _misplaced(self, ref: Obj) -> bool:
        """Whether a cluster-scoped object names a namespaced owner: that can't be resolved, so nothing is done."""
        return (_group(ref["apiVersion"]), ref["kind"]) in self._namespaced

    def _elsewhere(self, refs: list[Obj]) -> bool:
        return any(ref["uid"] in self._where for ref in refs)

    def _complain(self, obj: Obj, ref: Obj) -> None:
        where = f"ownerRef [{ref['apiVersion']}/{ref['kind']}, namespace: {objects.namespace_of(obj)}, "
        message = (
            f'{where}name: {ref["name"]}, uid: {ref["uid"]}] does not exist in namespace "{objects.namespace_of(obj)}"'
        )
        self.client.record(obj, "Warning", "OwnerRefInvalidNamespace", message, "garbage-collector-controller")

    # Writing

    async def _delete(self, obj: Obj, policy: str) -> None:
        key = self._where.get(objects.uid_of(obj))
        if key is None:
            return
        resource, namespace, name = key
        try:
            await self.client.delete(resource, namespace, name, uid=objects.uid_of(obj), propagation=policy)
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    async def _remove_finalizer(self, obj: Obj, finalizer: str) -> None:
        left = [one for one in objects.finalizers(obj) if one != finalizer]
        await self._patch_meta(obj, {"finalizers": left or None})

    async def _drop_references(self, obj: Obj, uids: set[str]) -> None:
        left = [ref for ref in objects.owners(obj) if ref["uid"] not in uids]
        await self._patch_meta(obj, {"ownerReferences": left or None})

    async def _unblock_owners(self, obj: Obj) -> None:
        refs = objects.owners(obj)
        if any(ref.get("blockOwnerDeletion") for ref in refs):
            await self._patch_meta(obj, {"ownerReferences": [{**ref, "blockOwnerDeletion": False} for ref in refs]})

    async def _patch_meta(self, obj: Obj, fields: Obj) -> None:
        key = self._where.get(objects.uid_of(obj))
        if key is None:
            return
        resource, namespace, name = key
        meta = {"uid": objects.uid_of(obj), "resourceVersion": obj["metadata"]["resourceVersion"], **fields}
        try:
            await self.client.patch(resource, namespace, name, {"metadata": meta})
        except StatusError as error:
            if error.code != 404:
                raise


def _foreground(obj: Obj | None) -> bool:
    """Whether an object waits for its dependents to go first."""
    return obj is not None and objects.being_deleted(obj) and FOREGROUND in objects.finalizers(obj)


def _blocks(dependent: Obj, owner: str) -> bool:
    return any(ref["uid"] == owner and ref.get("blockOwnerDeletion") for ref in objects.owners(dependent))


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]
