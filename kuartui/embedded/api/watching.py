"""Watches: the changes of a list, as they happen.

A watch begins with what is there already (no resourceVersion, or sendInitialEvents) or after a revision. Bookmarks tell
the client where it is; a watcher that cannot keep up is cut off and starts again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from kuartui.embedded.api import negotiate, objects, reading, tables
from kuartui.embedded.api.negotiate import Wanted
from kuartui.embedded.api.request import JSON, Request, Response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest
from kuartui.embedded.api.selection import Selection, selection
from kuartui.embedded.clock import Clock
from kuartui.embedded.meta import errors, fielderr
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Compacted, Event, EventType, Stored, Watch, WatchOverflow

Obj = dict[str, Any]

DEFAULT_SECONDS = 1800.0  # min-request-timeout; the API server varies it up to the double
BOOKMARK_SECONDS = 60.0
INITIAL_END = "k8s.io/initial-events-end"


def watch(rest: Rest, endpoint: Endpoint, request: Request) -> Response:
    """Begin a watch. Raises 400, 422; a revision too old is the first event of the stream, as there."""
    want = negotiate.wanted(request)
    chosen = selection(request, endpoint)
    _check_options(request)
    stream = _Stream(rest, endpoint, request, want, chosen)
    content = want.content_type if want.as_ else JSON
    return Response(200, content_type=content, stream=stream.run())


def _check_options(request: Request) -> None:
    initial, match = request.param("sendInitialEvents"), request.param("resourceVersionMatch")
    problems = []
    if initial:
        if match != "NotOlderThan":
            text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            problems.append(fielderr.forbidden("resourceVersionMatch", text))
    elif match:
        text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        problems.append(fielderr.forbidden("resourceVersionMatch", text))
    asked = request.param("resourceVersion")
    if asked and not asked.isdigit():
        text = f"strconv.ParseUint: parsing {fielderr.quote(asked)}: invalid syntax"
        problems.append(fielderr.invalid("resourceVersion", asked, text))
    if problems:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", problems)


class _Stream:
    """One watch of one client."""

    def __init__(self, rest: Rest, endpoint: Endpoint, request: Request, want: Wanted, chosen: Selection) -> None:
        self._rest, self._endpoint, self._want, self._chosen = rest, endpoint, want, chosen
        self._include = request.param("includeObject", "Metadata")
        self._headers = True
        self._namespace = request.info.namespace if endpoint.resource.namespaced else ""
        self._initial = request.flag("sendInitialEvents")
        asked = request.param("resourceVersion")
        self._since = int(asked) if asked else 0
        self._bookmarks = request.flag("allowWatchBookmarks")
        self._seconds = float(reading.number(request, "timeoutSeconds")) or DEFAULT_SECONDS

    async def run(self) -> AsyncIterator[bytes]:
        """The events as lines."""
        store, resource = self._rest.store, self._endpoint.resource.stored
        space = self._namespace or None
        listing = self._initial or not self._since
        try:
            if self._since > store.revision:
                raise reading.too_large(self._since, store.revision)
            source = store.watch(resource, space, None if listing or not self._since else self._since)
        except Compacted as error:
            yield self._error(errors.expired(f"too old resource version: {error.args[0]} ({error.args[1]})"))
            return
        except StatusError as error:
            yield self._error(error)
            return
        try:
            if listing:
                revision = store.revision
                for stored in store.list(resource, space):
                    if self._chosen.matches(stored):
                        await self._rest.prepare(self._endpoint, [stored])
                        yield self._line("ADDED", stored)
                if self._initial and self._bookmarks:
                    yield self._bookmark(revision, {INITIAL_END: "true"})
            else:
                yield b""  # so that the answer's head goes out at once
            async for line in self._follow(source):
                yield line
        finally:
            source.close()

    async def _follow(self, source: Watch) -> AsyncIterator[bytes]:
        clock = self._rest.clock
        ends = clock.monotonic() + self._seconds
        ticks = _Ticks(clock, min(self._seconds, BOOKMARK_SECONDS))
        try:
            while True:
                events = await ticks.next(source)
                if events is None:
                    return
                await self._prepare(events)
                lines = [line for event in events if (line := self._event(event))]
                if lines:
                    yield b"".join(lines)
                elif not events:
                    if self._bookmarks:
                        yield self._bookmark(self._rest.store.revision, None)
                    left = ends - clock.monotonic()
                    if left <= 0:
                        return
                    ticks.again(min(left, BOOKMARK_SECONDS))
        except WatchOverflow:
            return
        finally:
            ticks.stop()

    async def _prepare(self, events: Sequence[Event]) -> None:
        if self._endpoint.strategy.conversion is not None:
            seen = [one for event in events for one in (event.obj, event.old) if one is not None]
            await self._rest.prepare(self._endpoint, seen)

    def _event(self, event: Event) -> bytes:
        """A change as this selection sees it."""
        now = self._chosen.everything or self._chosen.matches(event.obj)
        before = event.old is not None and (self._chosen.everything or self._chosen.matches(event.old))
        if event.type is EventType.DELETED:
            return self._line("DELETED", event.obj) if before else b""
        if now:
            return self._line("MODIFIED" if before else "ADDED", event.obj)
        if before and event.old is not None:
            last = objects.data_in(self._endpoint, event.old) if self._endpoint.custom else event.old.data
            gone = {**last, "metadata": {**last["metadata"], "resourceVersion": str(event.rv)}}
            return self._line("DELETED", Stored(event.obj.key, gone, event.rv))
        return b""

    def _line(self, kind: str, stored: Stored) -> bytes:
        if self._want.table:
            metadata = {"resourceVersion": str(stored.rv)}
            body = tables.table(
                self._endpoint,
                [stored],
                self._rest.clock.now(),
                self._want.version,
                self._include,
                metadata,
                headers=self._headers,
            )
            self._headers = False
        elif self._want.partial:
            body = tables.partial(stored.data, self._want.version)
        else:
            key = ("line", self._endpoint.api_version, kind, self._endpoint.strategy)
            line: bytes | None = stored.cache.get(key)
            if line is None:
                raw = objects.raw_in(self._endpoint, stored)
                line = stored.cache[key] = b'{"type":"%b","object":%b}\n' % (kind.encode(), raw)
            return line
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), body)

    def _bookmark(self, revision: int, annotations: Obj | None) -> bytes:
        metadata: Obj = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        obj: Obj = {"kind": self._endpoint.kind, "apiVersion": self._endpoint.api_version, "metadata": metadata}
        if self._want.table:
            inner = {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"meta.k8s.io/{self._want.version}",
                "metadata": metadata,
            }
            obj = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{self._want.version}",
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": tables.columns(self._endpoint) if self._headers else [],
                "rows": [{"cells": [], "object": inner}] if annotations else [],
            }
            self._headers = False
        elif self._want.partial:
            obj = {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"meta.k8s.io/{self._want.version}",
                "metadata": metadata,
            }
        return orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"

    def _error(self, error: StatusError) -> bytes:
        return orjson.dumps({"type": "ERROR", "object": error.status()}) + b"\n"


class _Ticks:
    """Waits for changes, and for time to pass on the cluster's clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._due = False
        self._source: Watch | None = None
        self._timer = clock.call_later(seconds, self._tick)

    def again(self, seconds: float) -> None:
        """Wind up once more."""
        self._due = False
        self._timer = self._clock.call_later(seconds, self._tick)

    def stop(self) -> None:
        self._timer.cancel()

    async def next(self, source: Watch) -> list[Event] | None:
        """All changes that have come, [] when time is up, None at the end."""
        self._source = source
        while True:
            events = source.take()
            if events:
                return events
            if source.closed:
                return None
            if self._due:
                return []
            await source.ready()

    def _tick(self) -> None:
        self._due = True
        if self._source is not None:
            self._source.nudge()
