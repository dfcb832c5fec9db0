"""The live copies that questions read: one watch per kind (and namespace, on shared clusters), started on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from kuartui.checks.evidence import EVERYWHERE, Obj
from kuartui.checks.selectors import field_selector, label_selector
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import Api
from kuartui.cluster.watch import Change, Reflector
from kuartui.errors import ClusterError
from kuartui.game.spec import ResourceQuery

Listener = Callable[[Change], None]
SYNC_SECONDS = 10.0  # real time: how long to wait for a first list


class Objects:
    """`wide` watches each kind in all namespaces at once: cheaper, where the whole cluster is ours."""

    def __init__(self, api: Api, namespace: str, *, wide: bool) -> None:
        self.api, self.namespace, self.wide = api, namespace, wide
        self.on_problem: list[Callable[[str], None]] = []
        self._reflectors: dict[tuple[Resource, str], Reflector] = {}

    async def follow(self, queries: Iterable[ResourceQuery], listener: Listener | None = None) -> None:
        """Watch what these queries read, and wait for the first answer. ClusterError when none comes."""
        fresh = []
        for query in queries:
            reflector = self._reflector(await self.api.resource(query.kind, query.api_version), query)
            if listener is not None:
                reflector.on_change.append(_only(query, self._scope(reflector.resource, query), listener))
            fresh.append(reflector)
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                for reflector in fresh:
                    await reflector.synced.wait()
        except TimeoutError as error:
            problem = next((item.problem for item in fresh if item.problem), "the cluster does not answer")
            raise ClusterError(problem) from error

    async def look(self, query: ResourceQuery) -> Obj | list[Obj] | None:
        """What a query finds now: one object or None when it has a name, else a list ordered by namespace and name."""
        resource = await self.api.resource(query.kind, query.api_version)
        reflector = self._reflectors.get((resource, self._watched(resource, query)))
        if reflector is None:
            await self.follow([query])
            reflector = self._reflectors[(resource, self._watched(resource, query))]
        scope = self._scope(resource, query)
        if query.name and scope != EVERYWHERE:
            return reflector.objects.get((scope, query.name))
        return [
            reflector.objects[key] for key in sorted(reflector.objects) if _fits(reflector.objects[key], query, scope)
        ]

    async def all(self, query: ResourceQuery) -> list[Obj]:
        """The same, always as a list."""
        found = await self.look(query)
        return found if isinstance(found, list) else [found] if found else []

    @property
    def problem(self) -> str:
        """Why some copy may be out of date; empty when all is well."""
        return next((item.problem for item in self._reflectors.values() if item.problem), "")

    async def stop(self) -> None:
        await asyncio.gather(*(reflector.stop() for reflector in self._reflectors.values()))
        self._reflectors.clear()

    def _reflector(self, resource: Resource, query: ResourceQuery) -> Reflector:
        key = (resource, self._watched(resource, query))
        if key not in self._reflectors:
            reflector = Reflector(self.api, resource, key[1])
            reflector.on_problem.append(lambda _: self._trouble())
            self._reflectors[key] = reflector
            reflector.start()
        return self._reflectors[key]

    def _trouble(self) -> None:
        for listener in self.on_problem:
            listener(self.problem)

    def _scope(self, resource: Resource, query: ResourceQuery) -> str:
        return (query.namespace or self.namespace) if resource.namespaced else ""

    def _watched(self, resource: Resource, query: ResourceQuery) -> str:
        scope = self._scope(resource, query)
        return "" if self.wide or scope == EVERYWHERE else scope


def _fits(obj: Obj, query: ResourceQuery, scope: str) -> bool:
    metadata = obj.get("metadata", {})
    return (
        (scope in (EVERYWHERE, "") or metadata.get("namespace", "") == scope)
        and (not query.name or metadata.get("name") == query.name)
        and (not query.selector or label_selector(query.selector)(metadata.get("labels") or {}))
        and (not query.field_selector or field_selector(query.field_selector)(obj))
    )


def _only(query: ResourceQuery, scope: str, listener: Listener) -> Listener:
    """Pass on the changes of objects that the query finds, or found before."""

    def filtered(change: Change) -> None:
        if _fits(change.object, query, scope) or (change.before is not None and _fits(change.before, query, scope)):
            listener(change)

    return filtered
