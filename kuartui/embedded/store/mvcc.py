"""The index: objects by key, the history of changes, watches.

Objects are immutable once stored: `Stored.data` must never be changed in place; take `Stored.mutable()` for a copy.
All calls are synchronous and run on the event loop's thread; a write is durable when the call returns.
"""

from __future__ import annotations

import asyncio
import builtins
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import orjson
from msgspec import Struct

Obj = dict[str, Any]

HEAD = ("kind", "apiVersion", "metadata")
HISTORY = 8_000  # changes kept for watches that resume; an older resourceVersion is answered with 410 Gone
BACKLOG = 10_000  # changes that a slow watcher may lag behind before it is cut off


class StoreError(Exception):
    """What the store refuses. The API layer words it for clients."""


class NotFound(StoreError):
    """No object has this key."""


class AlreadyExists(StoreError):
    """An object has this key already."""


class Conflict(StoreError):
    """The object was changed since the revision that the writer has seen."""


class Compacted(StoreError):
    """The history does not reach back to the asked revision."""


class WatchOverflow(StoreError):
    """The watcher was too slow and has lost changes."""


class Key(NamedTuple):
    """`resource` is the group resource as Kubernetes prints it: "pods", "deployments.apps"."""

    resource: str
    namespace: str  # "" for cluster-scoped objects
    name: str


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


def encode(obj: Obj, option: int = 0) -> bytes:
    """An object as JSON that begins with its kind and apiVersion, as Kubernetes writes it. `option` is orjson's."""
    return orjson.dumps({**{name: obj[name] for name in HEAD if name in obj}, **obj}, option=option)


class Stored:
    """One version of one object, in its storage version."""

    __slots__ = ("_raw", "cache", "complete", "data", "key", "rv")

    def __init__(self, key: Key, data: Obj, rv: int, raw: bytes | None = None) -> None:
        self.key = key
        self.data = data
        self.rv = rv
        self._raw = raw
        self.complete = False
        """Whether the writer has set all defaults: then doing it again changes nothing."""
        self.cache: dict[Any, Any] = {}
        """For what is computed from this version and costs time: table rows, converted bytes."""

    @property
    def raw(self) -> bytes:
        """The object as JSON."""
        if self._raw is None:
            self._raw = encode(self.data)
        return self._raw

    def mutable(self) -> Obj:
        """A private deep copy."""
        copy: Obj = orjson.loads(self.raw)
        return copy

    @property
    def uid(self) -> str:
        uid: str = self.data["metadata"].get("uid", "")
        return uid


class Event(Struct, frozen=True):
    """One change. For DELETED, `obj` is the last state, with the revision of the deletion."""

    type: EventType
    obj: Stored
    old: Stored | None

    @property
    def rv(self) -> int:
        return self.obj.rv


class Journal(Protocol):
    """What makes writes durable."""

    def load(self) -> tuple[int, Iterable[tuple[Key, int, bytes]]]:
        """The last revision ever given out, and every live object."""
        ...

    def put(self, key: Key, rv: int, raw: bytes) -> None: ...

    def remove(self, key: Key, rv: int) -> None: ...

    def batch(self) -> AbstractContextManager[None]:
        """Within it, changes are durable together, when it ends."""
        ...

    def close(self) -> None: ...


class Watch:
    """A stream of the changes of one resource, from a revision on.

    Iterate it with `async for`; `close` ends the iteration. Raises WatchOverflow in the reader who is too slow.
    """

    def __init__(self, store: Store, resource: str, namespace: str | None) -> None:
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._overflow = False

    def _offer(self, event: Event) -> None:
        if self._namespace is not None and event.obj.key.namespace != self._namespace:
            return
        if len(self._events) >= BACKLOG:
            self._overflow = True
            self.close()
            return
        self._events.append(event)
        self._wake.set()

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._overflow:
                raise WatchOverflow
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    def take(self) -> list[Event]:
        """Everything that is queued, without waiting. Raises WatchOverflow."""
        if self._overflow and not self._events:
            raise WatchOverflow
        events = list(self._events)
        self._events.clear()
        return events

    async def ready(self) -> None:
        """Wait until there may be something to take, the watch was closed, or somebody nudged it."""
        self._wake.clear()
        await self._wake.wait()

    def nudge(self) -> None:
        """Let `ready` return."""
        self._wake.set()

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """End the iteration once what is queued was read."""
        self._closed = True
        self._store._forget(self._resource, self)
        self._wake.set()


class Store:
    """The cluster's objects. `journal` makes it durable; without one it lives in memory only."""

    def __init__(self, journal: Journal | None = None, history: int = HISTORY) -> None:
        self._journal = journal
        self._objects: dict[str, dict[tuple[str, str], Stored]] = {}
        self._by_namespace: dict[tuple[str, str], dict[str, Stored]] = {}
        self._indexes: dict[str, dict[str, _Index]] = {}
        self._history: deque[Event] = deque(maxlen=history)
        self._watches: dict[str, list[Watch]] = {}
        self._listeners: dict[str, list[Callable[[Event], None]]] = {}
        self._all_listeners: list[Callable[[Event], None]] = []
        self._compacted = 0
        self._forgotten = 0
        """Lists are exact from this revision on; watches go back further, as kube-apiserver's cache lets them."""
        self.revision = 1
        if journal:
            self.revision, objects = journal.load()
            self._compacted = self.revision
            for key, rv, raw in objects:
                self._index(Stored(key, orjson.loads(raw), rv, raw))

    # Reading

    def get(self, resource: str, namespace: str, name: str) -> Stored | None:
        return self._objects.get(resource, {}).get((namespace, name))

    def list(self, resource: str, namespace: str | None = None) -> list[Stored]:
        """All objects, or those of one namespace, by namespace and name."""
        if namespace is None:
            found = self._objects.get(resource, {})
            return [found[key] for key in sorted(found)]
        inside = self._by_namespace.get((resource, namespace), {})
        return [inside[name] for name in sorted(inside)]

    def list_at(self, resource: str, namespace: str | None, revision: int) -> builtins.list[Stored]:
        """The objects as they were at an earlier revision. Raises Compacted if the history is too short."""
        oldest = max(self._compacted, self._forgotten)
        if revision < oldest:
            raise Compacted(revision, oldest)
        found = dict(self._objects.get(resource, {}))
        for event in reversed(self._history):
            if event.rv <= revision:
                break
            if event.obj.key.resource != resource:
                continue
            place = event.obj.key.namespace, event.obj.key.name
            if event.old is None:
                found.pop(place, None)
            else:
                found[place] = event.old
        return [found[place] for place in sorted(found) if namespace is None or place[0] == namespace]

    def compact(self, revision: int) -> None:
        """Have no lists of earlier revisions any more."""
        self._forgotten = max(self._forgotten, revision)

    def count(self, resource: str) -> int:
        return len(self._objects.get(resource, ()))

    def resources(self) -> builtins.list[str]:
        """Every resource that has at least one object."""
        return sorted(resource for resource, objects in self._objects.items() if objects)

    def add_index(self, resource: str, name: str, values: Callable[[Obj], Iterable[str]]) -> None:
        """Keep objects findable by what `values` says of them."""
        index = self._indexes.setdefault(resource, {})[name] = _Index(values)
        for stored in self._objects.get(resource, {}).values():
            index.add(stored)

    def by_index(self, resource: str, name: str, value: str) -> builtins.list[Stored]:
        found = self._indexes[resource][name].found.get(value, {})
        return [found[key] for key in sorted(found)]

    # Writing

    def batch(self) -> AbstractContextManager[None]:
        """Many writes at once: they are durable when it ends, all or none. For a start, while nobody is answered yet."""
        return self._journal.batch() if self._journal else nullcontext()

    def create(self, resource: str, namespace: str, name: str, data: Obj) -> Stored:
        """Store a new object; its metadata.resourceVersion is set here. Raises AlreadyExists."""
        key = Key(resource, namespace, name)
        if (namespace, name) in self._objects.get(resource, {}):
            raise AlreadyExists(key)
        return self._write(EventType.ADDED, key, data, None)

    def update(self, resource: str, namespace: str, name: str, data: Obj, expect: int | None) -> Stored:
        """Replace an object if it still has revision `expect` (None: whatever it has). Raises NotFound, Conflict."""
        old = self._current(Key(resource, namespace, name), expect)
        return self._write(EventType.MODIFIED, old.key, data, old)

    def delete(self, resource: str, namespace: str, name: str, expect: int | None = None) -> Stored:
        """Remove an object; give its last state with the deletion's revision. Raises NotFound, Conflict."""
        old = self._current(Key(resource, namespace, name), expect)
        rv = self.revision + 1
        data = {**old.data, "metadata": {**old.data["metadata"], "resourceVersion": str(rv)}}
        if self._journal:
            self._journal.remove(old.key, rv)
        self.revision = rv
        gone = Stored(old.key, data, rv)
        self._unindex(old)
        self._publish(Event(EventType.DELETED, gone, old))
        return gone

    def _current(self, key: Key, expect: int | None) -> Stored:
        old = self._objects.get(key.resource, {}).get((key.namespace, key.name))
        if old is None:
            raise NotFound(key)
        if expect is not None and old.rv != expect:
            raise Conflict(key)
        return old

    def _write(self, type_: EventType, key: Key, data: Obj, old: Stored | None) -> Stored:
        rv = self.revision + 1
        data["metadata"]["resourceVersion"] = str(rv)
        stored = Stored(key, data, rv)
        if self._journal:
            self._journal.put(key, rv, stored.raw)
        self.revision = rv
        if old:
            self._unindex(old)
        self._index(stored)
        self._publish(Event(type_, stored, old))
        return stored

    def _index(self, stored: Stored) -> None:
        resource, namespace, name = stored.key
        self._objects.setdefault(resource, {})[namespace, name] = stored
        self._by_namespace.setdefault((resource, namespace), {})[name] = stored
        for index in self._indexes.get(resource, {}).values():
            index.add(stored)

    def _unindex(self, stored: Stored) -> None:
        resource, namespace, name = stored.key
        del self._objects[resource][namespace, name]
        inside = self._by_namespace[resource, namespace]
        del inside[name]
        if not inside:
            del self._by_namespace[resource, namespace]
        for index in self._indexes.get(resource, {}).values():
            index.remove(stored)

    # Watching

    def watch(self, resource: str, namespace: str | None, since: int | None) -> Watch:
        """Changes after revision `since`, or from now on. Raises Compacted if the history is too short."""
        watch = Watch(self, resource, namespace)
        if since is not None and since < self.revision:
            if since < self._compacted:
                raise Compacted(since, self._compacted)
            for event in self._since(since):
                if event.obj.key.resource == resource:
                    watch._offer(event)
        self._watches.setdefault(resource, []).append(watch)
        return watch

    def end_watches(self, resource: str) -> None:
        """Close all watches of a resource that is served no longer."""
        for watch in list(self._watches.get(resource, ())):
            watch.close()

    def listen(self, resource: str | None, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` inside each write of a resource (None: of all); it must be quick and not write itself.

        Gives a function that ends it.
        """
        listeners = self._all_listeners if resource is None else self._listeners.setdefault(resource, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    def _since(self, revision: int) -> Iterator[Event]:
        newer: deque[Event] = deque()
        for event in reversed(self._history):
            if event.rv <= revision:
                break
            newer.appendleft(event)
        return iter(newer)

    def _publish(self, event: Event) -> None:
        if self._history.maxlen is not None and len(self._history) == self._history.maxlen and self._history:
            self._compacted = self._history[0].rv
        self._history.append(event)
        resource = event.obj.key.resource
        for watch in list(self._watches.get(resource, ())):
            watch._offer(event)
        for listener in list(self._listeners.get(resource, ())):
            listener(event)
        for listener in list(self._all_listeners):
            listener(event)

    def _forget(self, resource: str, watch: Watch) -> None:
        watches = self._watches.get(resource, [])
        if watch in watches:
            watches.remove(watch)

    def end_all_watches(self) -> None:
        """Close every watch."""
        for resource in list(self._watches):
            self.end_watches(resource)

    def close(self) -> None:
        """End all watches and close the journal."""
        self.end_all_watches()
        if self._journal:
            self._journal.close()


class _Index:
    """Objects by one computed property."""

    def __init__(self, values: Callable[[Obj], Iterable[str]]) -> None:
        self.values = values
        self.found: dict[str, dict[tuple[str, str], Stored]] = {}

    def add(self, stored: Stored) -> None:
        for value in self.values(stored.data):
            self.found.setdefault(value, {})[stored.key.namespace, stored.key.name] = stored

    def remove(self, stored: Stored) -> None:
        for value in self.values(stored.data):
            inside = self.found.get(value, {})
            inside.pop((stored.key.namespace, stored.key.name), None)
            if not inside:
                self.found.pop(value, None)
