"""A cluster of dictionaries: what the engine reads, without an API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from kuartui.checks.world import World
from kuartui.cluster.clock import SteppedClock
from kuartui.cluster.watch import Change
from kuartui.errors import NoKindError
from kuartui.game.level import Level
from kuartui.game.spec import ResourceQuery

Obj = dict[str, Any]


class FakeObjects:
    """Objects by kind, changed by hand; listeners hear of it as from a watch."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Obj]] = {}
        self.on_problem: list[Callable[[str], None]] = []
        self._listeners: list[tuple[str, Callable[[Change], None]]] = []
        self.problem = ""
        self.unserved: set[str] = set()

    async def follow(self, queries: Iterable[ResourceQuery], listener: Callable[[Change], None] | None = None) -> None:
        for query in queries:
            if query.kind in self.unserved:
                raise NoKindError(f"this cluster has no kind {query.kind}")
            if listener is not None:
                self._listeners.append((query.kind, listener))

    def forget_kinds(self) -> None:
        """Nothing is remembered."""

    def current(self, query: ResourceQuery) -> Obj | list[Obj] | None:
        scope = query.namespace or "here"
        found = self.found.get(query.kind, {})
        objects = {
            name: obj
            for name, obj in found.items()
            if scope == "*" or obj["metadata"].get("namespace", "here") == scope
        }
        return objects.get(query.name) if query.name else list(objects.values())

    async def look(self, query: ResourceQuery) -> Obj | list[Obj] | None:
        return self.current(query)

    async def all(self, query: ResourceQuery) -> list[Obj]:
        found = self.current(query)
        return found if isinstance(found, list) else [found] if found else []

    def put(self, kind: str, name: str, *, listed: bool = False, namespace: str = "here", **more: Any) -> None:
        obj = {"kind": kind, "metadata": {"name": name, "uid": f"uid-{name}", "namespace": namespace}, **more}
        before = self.found.setdefault(kind, {}).get(name)
        self.found[kind][name] = obj
        self._tell(kind, Change("MODIFIED" if before else "ADDED", obj, before, listed))

    def remove(self, kind: str, name: str) -> None:
        obj = self.found[kind].pop(name)
        self._tell(kind, Change("DELETED", obj, obj))

    def fail(self, problem: str) -> None:
        self.problem = problem
        for listener in self.on_problem:
            listener(problem)

    def _tell(self, kind: str, change: Change) -> None:
        for followed, listener in self._listeners:
            if followed == kind:
                listener(change)


def world(level: Level) -> tuple[World, FakeObjects, SteppedClock]:
    """A world on stepped time."""
    objects, clock = FakeObjects(), SteppedClock()
    return World(api=None, level=level, clock=clock, objects=objects), objects, clock  # type: ignore[arg-type]


async def calm() -> None:
    """Let everything that needs no time happen."""
    for _ in range(30):
        await asyncio.sleep(0)
