"""Keeps a live copy of the objects of one kind: list, then watch, for ever (client-go calls this a reflector).

Whatever goes wrong (connection, 410 Gone, an answer that is no watch event), the copy stays as it was, `problem` says
so, and it lists again until it works. Listeners hear of each change and of problems coming and going.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import Api, Obj
from kuartui.errors import ApiError, ClusterError, KuartuiError
from kuartui.message import later

Key = tuple[str, str]
What = Literal["ADDED", "MODIFIED", "DELETED"]
RETRY = (0.05, 0.2, 0.5, 1.0, 2.0)  # seconds; the server's time does not pass while it is away, so ours counts
WATCH_SECONDS = 540  # bookmarks come every minute; rest.READ_TIMEOUT, longer than that, finds a watch that died
LONGEST_LINE = 2**23
LONGEST_WHAT = 100  # characters


@dataclass(frozen=True, slots=True)
class Change:
    """`before` is None for a new object; `object` is the last state of a deleted one. `listed` changes come from a list
    in no order that ever was: in between two of them the copy shows what nobody has seen."""

    what: What
    object: Obj
    before: Obj | None = None
    listed: bool = False


class Reflector:
    """The objects of `resource` in `namespace` ("" is all), by (namespace, name). A field that the server says is null
    is left out."""

    accept = ""  # in which form; "" is JSON

    def __init__(self, api: Api, resource: Resource, namespace: str = "") -> None:
        self.api, self.resource, self.namespace = api, resource, namespace if resource.namespaced else ""
        self.objects: dict[Key, Obj] = {}
        self.synced = asyncio.Event()
        self.problem = ""
        self.on_change: list[Callable[[Change], None]] = []
        self.on_problem: list[Callable[[str], None]] = []
        self._version = ""
        self._task: asyncio.Task[None] | None = None

    def go_on_from(self, other: Reflector) -> None:
        """Begin with what another one knows, of a cluster that this one's is a copy of."""
        self.objects, self._version = dict(other.objects), other._version
        self.synced.set()

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"watch {self.resource.group_resource}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                    failures = 0
                if not await self._watch():
                    await asyncio.sleep(RETRY[0])  # a server that closes each watch at once must not make us spin
            except KuartuiError as error:
                self._version = ""
                code = error.code if isinstance(error, ApiError) else 0
                if code == 404:  # somebody deleted the definition of this kind: there are none, until it comes back
                    self._empty()
                    await asyncio.sleep(RETRY[-1])
                elif code != 410:
                    self._trouble(error.message)
                    await asyncio.sleep(RETRY[min(failures, len(RETRY) - 1)])
                    failures += 1
            except (
                LookupError,
                TypeError,
                ValueError,
                AttributeError,
                RecursionError,
            ) as error:  # objects that are none
                self._version = ""
                what = f"{type(error).__name__}: {error}"
                self._trouble(
                    later(
                        "watching {group_resource}: the answer makes no sense ({what})",
                        group_resource=self.resource.group_resource,
                        what=what[:LONGEST_WHAT],
                    )
                )
                await asyncio.sleep(RETRY[min(failures, len(RETRY) - 1)])
                failures += 1

    async def _list(self) -> None:
        listing = await self.api.list(self.resource, self.namespace)
        drop_nulls(listing.items)
        found = {key_of(obj): obj for obj in listing.items}
        gone = [obj for key, obj in self.objects.items() if key not in found]
        for obj in gone:
            self._apply("DELETED", obj, listed=True)
        for key, obj in found.items():
            before = self.objects.get(key)
            if before is None or _state(before) != _state(obj):
                self._apply("ADDED" if before is None else "MODIFIED", obj, listed=True)
        self._version = listing.resource_version
        self.synced.set()
        self._trouble("")

    def _empty(self) -> None:
        for obj in list(self.objects.values()):
            self._apply("DELETED", obj, listed=True)
        self.synced.set()
        self._trouble("")

    async def _watch(self) -> bool:
        """Follow until the server ends it (it does so at times); whether anything came."""
        params = {"watch": "true", "resourceVersion": self._version, "allowWatchBookmarks": "true"}
        params["timeoutSeconds"] = str(WATCH_SECONDS)
        path = self.resource.path(self.namespace)
        async with self.api.stream("GET", path, params=params, accept=self.accept) as response:
            buffer, seen = bytearray(), False
            async for chunk in response.content.iter_any():
                buffer += chunk
                while (end := buffer.find(b"\n")) >= 0:
                    line = bytes(buffer[:end])
                    del buffer[: end + 1]
                    if line.strip():
                        self._event(line)
                        seen = True
                if len(buffer) > LONGEST_LINE:
                    raise ClusterError(
                        later(
                            "watching {group_resource}: a line without an end",
                            group_resource=self.resource.group_resource,
                        )
                    )
            return seen

    def _event(self, line: bytes) -> None:
        try:
            event = orjson.loads(line)
            what, obj = event["type"], event["object"]
            if what == "ERROR":
                raise ApiError(str(obj.get("message")), code=int(obj.get("code", 0)), reason=str(obj.get("reason", "")))
            version = str(obj["metadata"]["resourceVersion"])
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise ClusterError(
                later(
                    "watching {group_resource}: the answer makes no sense", group_resource=self.resource.group_resource
                )
            ) from error
        self._version = version
        if what != "BOOKMARK":
            if b"null" in line:
                drop_nulls(obj)
            self._apply(what, obj)

    def _apply(self, what: What, obj: Obj, *, listed: bool = False) -> None:
        key = key_of(obj)
        before = self.objects.get(key)
        if what == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = obj
        change = Change(what, obj, before, listed)
        for listener in self.on_change:
            listener(change)

    def _trouble(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            for listener in self.on_problem:
                listener(problem)


def drop_nulls(value: Any) -> None:
    """Take fields that are null out of it, in place: it is done for every object that comes. An API server writes an
    empty list of a field that Go does not omit so, as in `"endpoints": null` of a slice that has none; to whoever asks,
    it is as good as not there."""
    if isinstance(value, dict):
        if None in value.values():
            for key in [key for key, inner in value.items() if inner is None]:
                del value[key]
        for inner in value.values():
            if inner and isinstance(inner, dict | list):
                drop_nulls(inner)
    elif isinstance(value, list):
        for inner in value:
            if inner and isinstance(inner, dict | list):
                drop_nulls(inner)


def key_of(obj: Obj) -> Key:
    """(namespace, name)"""
    metadata = obj.get("metadata", {})
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _state(obj: Obj) -> tuple[str, str]:
    """Equal for two looks at the same state of the same object. Versions alone come again on a cluster that was made
    anew."""
    metadata = obj.get("metadata", {})
    return str(metadata.get("uid", "")), str(metadata.get("resourceVersion", ""))
