"""The in-process Client: reads from the store, writes through the registry, as controllers and kubelets do."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import orjson

from kuartui.embedded.api.events import EventRecorder
from kuartui.embedded.api.request import User
from kuartui.embedded.api.rest import Rest, Write
from kuartui.embedded.meta import labels, patch_merge
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]


class LocalClient:
    """Implements `embedded.client.Client` on a Rest."""

    def __init__(self, rest: Rest, recorder: EventRecorder, user: User, manager: str = "") -> None:
        self._rest, self._recorder, self._user = rest, recorder, user
        self._manager = manager or user.name.rpartition(":")[2]
        self.store = rest.store
        self.clock = rest.clock

    def as_user(self, user: str, *groups: str, manager: str = "") -> LocalClient:
        """The same cluster as somebody else."""
        found = groups
        if user.startswith("system:serviceaccount:") and not groups:
            found = ("system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}", "system:authenticated")
        return LocalClient(self._rest, self._recorder, User(user, found), manager)

    def _write(self, subresource: str = "") -> Write:
        return Write(self._user, self._manager, subresource=subresource)

    # Reading

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        found = self.store.get(resource, namespace, name)
        return found.data if found else None

    def list(self, resource: str, namespace: str | None = None, selector: Obj | None = None) -> list[Obj]:
        found = self.store.list(resource, namespace)
        if selector is None:
            return [stored.data for stored in found]
        matching = labels.from_object(selector)
        return [stored.data for stored in found if matching.matches(stored.data["metadata"].get("labels"))]

    def owned_by(self, resource: str, uid: str) -> builtins.list[Obj]:
        return [stored.data for stored in self.store.by_index(resource, OWNER_INDEX, uid)]

    def listen(self, resource: str, listener: Callable[[Event], None]) -> Callable[[], None]:
        for stored in self.store.list(resource):
            listener(Event(EventType.ADDED, stored, None))
        return self.store.listen(resource, listener)

    # Writing

    async def create(self, resource: str, obj: Obj) -> Obj:
        endpoint = self._rest.resources.storage(resource)
        copy: Obj = orjson.loads(orjson.dumps(obj))
        copy.setdefault("apiVersion", endpoint.api_version)
        copy.setdefault("kind", endpoint.kind)
        return await self._rest.create(endpoint, obj["metadata"].get("namespace", ""), copy, self._write())

    async def update(self, resource: str, obj: Obj) -> Obj:
        return await self._replace(resource, obj, "")

    async def update_status(self, resource: str, obj: Obj) -> Obj:
        return await self._replace(resource, obj, "status")

    async def _replace(self, resource: str, obj: Obj, subresource: str) -> Obj:
        endpoint = self._rest.resources.storage(resource)
        metadata = obj["metadata"]
        status = subresource == "status" and "status" in obj
        raw = orjson.dumps(obj["status"] if status else obj)

        def change(_: Obj) -> Obj:
            copy: Obj = orjson.loads(raw)
            # A write of status takes nothing else: no need to copy all of the object.
            return {**obj, "metadata": {**metadata}, "status": copy} if status else copy

        updated, _ = await self._rest.update(
            endpoint,
            metadata.get("namespace", ""),
            metadata["name"],
            change,
            self._write(subresource),
            copy=False,
        )
        return updated

    async def patch(self, resource: str, namespace: str, name: str, patch: Obj, subresource: str = "") -> Obj:
        endpoint = self._rest.resources.storage(resource)
        status = subresource == "status" and patch.keys() == {"status"}

        def change(current: Obj) -> Obj:
            if not status:
                merged: Obj = patch_merge.apply(current, patch)
                return merged
            # A write of status takes nothing else: no need to copy all of the object.
            changed = orjson.dumps(patch_merge.apply(current.get("status"), patch["status"]))
            return {**current, "metadata": {**current["metadata"]}, "status": orjson.loads(changed)}

        updated, _ = await self._rest.update(
            endpoint, namespace, name, change, self._write(subresource), copy=not status
        )
        return updated

    async def delete(
        self,
        resource: str,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        grace: int | None = None,
        propagation: str | None = None,
    ) -> None:
        options: Obj = {}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if propagation is not None:
            options["propagationPolicy"] = propagation
        await self._rest.delete(self._rest.resources.storage(resource), namespace, name, options, self._write())

    async def bind(self, namespace: str, pod: str, node: str) -> None:
        from kuartui.embedded.api.binding import bind

        await bind(self._rest, namespace, pod, {"target": {"kind": "Node", "name": node}}, self._write("binding"))

    def record(
        self, obj: Obj, type_: str, reason: str, message: str, component: str, host: str = "", field_path: str = ""
    ) -> None:
        self._recorder.record(obj, type_, reason, message, component, host, field_path)

    def expire_events(self) -> None:
        """Drop events older than an hour."""
        self._recorder.expire()


OWNER_INDEX = "owner"


def owner_uids(obj: Obj) -> list[str]:
    """For the store's index by owner."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()]
