"""The live copies that questions read: one watch per kind (and namespace, on shared clusters), started on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from kuartui.checks.evidence import EVERYWHERE, Obj
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import Api
from kuartui.cluster.watch import Change, Reflector
from kuartui.errors import ClusterError
from kuartui.game.selectors import field_selector, label_selector
from kuartui.game.spec import ResourceQuery
from kuartui.message import later

Listener = Callable[[Change], None]
SYNC_SECONDS = 10.0  # real time: how long to wait for a first list


class Objects:
    """`wide` watches each kind in all namespaces at once: cheaper, where the whole cluster is ours."""

    def __init__(self, api: Api, namespace: str, *, wide: bool) -> None:
        self.api, self.namespace, self.wide = api, namespace, wide
        self.on_problem: list[Callable[[str], None]] = []
        self._reflectors: dict[tuple[Resource, str], Reflector] = {}
        self._sources: dict[ResourceQuery, tuple[Reflector, str]] = {}

    async def follow(self, queries: Iterable[ResourceQuery], listener: Listener | None = None) -> None:
        """Watch what these queries read, and wait for the first answer. ClusterError when none comes."""
        waiting = []
        for query in queries:
            reflector, scope = self._sources.get(query) or await self._source(query)
            if listener is not None:
                reflector.on_change.append(_only(query, scope, listener))
            if not reflector.synced.is_set():
                waiting.append(reflector)
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                for reflector in waiting:
                    await reflector.synced.wait()
        except TimeoutError as error:
            problem = next((item.problem for item in waiting if item.problem), later("the cluster does not answer"))
            raise ClusterError(problem) from error

    def forget_kinds(self) -> None:
        """Ask the cluster anew for a kind that it did not know."""
        self.api.forget_kinds()

    def current(self, query: ResourceQuery) -> Obj | list[Obj] | None:
        """What a followed query finds now: one object or None when it has a name, else a list in order of names."""
        reflector, scope = self._sources[query]
        if query.name and scope != EVERYWHERE:
            return reflector.objects.get((scope, query.name))
        found = reflector.objects
        return [found[key] for key in sorted(found) if _fits(found[key], query, scope)]

    async def look(self, query: ResourceQuery) -> Obj | list[Obj] | None:
        """The same for any query; it is followed from now on."""
        if query not in self._sources:
            await self.follow([query])
        return self.current(query)

    async def all(self, query: ResourceQuery) -> list[Obj]:
        """The same, always as a list."""
        found = await self.look(query)
        return found if isinstance(found, list) else [found] if found else []

    @property
    def problem(self) -> str:
        """Why some copy may be out of date; empty when all is well."""
        return next((item.problem for item in self._reflectors.values() if item.problem), "")

    def again(self, api: Api) -> Objects:
        """The same copies, going on from what these know, on a cluster that is a copy of theirs."""
        objects = Objects(api, self.namespace, wide=self.wide)
        keys = {}
        for key, known in self._reflectors.items():
            keys[known] = objects._follow(key, known)
        objects._sources = {query: (keys[known], scope) for query, (known, scope) in self._sources.items()}
        return objects

    async def pause(self) -> None:
        """Stop, and keep what is known."""
        await asyncio.gather(*(reflector.stop() for reflector in self._reflectors.values()))

    async def stop(self) -> None:
        await self.pause()
        self._reflectors.clear()
        self._sources.clear()

    async def _source(self, query: ResourceQuery) -> tuple[Reflector, str]:
        resource = await self.api.resource(query.kind, query.api_version)
        scope = (query.namespace or self.namespace) if resource.namespaced else ""
        key = (resource, "" if self.wide or scope == EVERYWHERE else scope)
        if key not in self._reflectors:
            self._follow(key)
        self._sources[query] = (self._reflectors[key], scope)
        return self._sources[query]

    def _follow(self, key: tuple[Resource, str], known: Reflector | None = None) -> Reflector:
        reflector = Reflector(self.api, *key)
        if known is not None:
            reflector.go_on_from(known)
        reflector.on_problem.append(lambda _: self._trouble())
        self._reflectors[key] = reflector
        reflector.start()
        return reflector

    def _trouble(self) -> None:
        for listener in self.on_problem:
            listener(self.problem)


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
