"""Lists and watches: selectors, pages, revisions, bookmarks.

https://kubernetes.io/docs/reference/using-api/api-concepts/ and k8s.io/apiserver's etcd3 store and watch cache.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from kuartui.embedded.api import objects
from kuartui.embedded.api.request import Request
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest
from kuartui.embedded.meta import errors, fields, labels
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Compacted, Event, EventType, Stored, Watch, WatchOverflow

Obj = dict[str, Any]

BOOKMARK_SECONDS = 60.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
TOO_OLD = "too old resource version: {} ({})"


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list or watch lets through."""

    endpoint: Endpoint
    labels: labels.Selector
    fields: tuple[fields.Term, ...]
    name: str = ""

    def passes(self, stored: Stored) -> bool:
        if self.name and stored.key.name != self.name:
            return False
        if not self.labels.empty and not self.labels.matches(stored.data["metadata"].get("labels")):
            return False
        return not self.fields or fields.matches(self.fields, field_values(self.endpoint, stored))


def field_values(endpoint: Endpoint, stored: Stored) -> dict[str, str]:
    """Selectable fields of an object; computed once per version."""
    values = stored.cache.get("fields")
    if values is None:
        values = {"metadata.name": stored.key.name, "metadata.namespace": stored.key.namespace}
        values |= endpoint.strategy.fields(stored.data)
        stored.cache["fields"] = values
    return values


def selectable(endpoint: Endpoint) -> set[str]:
    """Names of the fields that a selector may use."""
    return {"metadata.name", "metadata.namespace", *endpoint.strategy.fields({"metadata": {}})}


def read_filter(endpoint: Endpoint, request: Request) -> Filter:
    """Raises 400 for selectors that make no sense."""
    try:
        label_selector = labels.parse(request.param("labelSelector"))
    except labels.SelectorError as error:
        raise errors.bad_request(f"unable to parse requirement: {error}") from error
    try:
        terms = fields.parse(request.param("fieldSelector"))
    except fields.FieldSelectorError as error:
        raise errors.bad_request(str(error)) from error
    if terms:
        _check_fields(endpoint, terms)
    return Filter(endpoint, label_selector, terms, request.info.name)


def _check_fields(endpoint: Endpoint, terms: tuple[fields.Term, ...]) -> None:
    """Kinds with selectable fields of their own refuse others in other words than those without."""
    own = endpoint.strategy.fields({"metadata": {}})
    known = selectable(endpoint)
    for field, _, _ in terms:
        if field in known:
            continue
        if own:
            raise errors.bad_request(f"field label not supported: {field}")
        raise errors.bad_request(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')


@dataclass(frozen=True, slots=True)
class Page:
    items: list[Stored]
    revision: int
    token: str = ""
    remaining: int | None = None


def list_page(rest: Rest, endpoint: Endpoint, namespace: str | None, request: Request) -> Page:
    """One page of a list. Raises 400 and 410."""
    passing = read_filter(endpoint, request)
    _check_revision(rest, request)
    found = [s for s in _candidates(rest, endpoint, namespace, passing) if passing.passes(s)]
    limit = _number(request, "limit")
    token = request.param("continue")
    revision = rest.store.revision
    if token:
        start, revision = _read_token(token, rest)
        found = [s for s in found if (s.key.namespace, s.key.name) > start]
    if not limit or len(found) <= limit:
        return Page(found, revision)
    page = found[:limit]
    exact = passing.labels.empty and not passing.fields
    remaining = len(found) - limit if exact else None
    return Page(page, revision, _write_token(page[-1], revision), remaining)


def _candidates(rest: Rest, endpoint: Endpoint, namespace: str | None, passing: Filter) -> list[Stored]:
    name = next((value for field, value, equal in passing.fields if field == "metadata.name" and equal), passing.name)
    if name and (namespace is not None or not endpoint.resource.namespaced):
        one = rest.store.get(endpoint.resource.stored, namespace or "", name)
        return [one] if one else []
    return rest.store.list(endpoint.resource.stored, namespace)


def _number(request: Request, name: str) -> int:
    text = request.param(name)
    if not text:
        return 0
    try:
        return max(0, int(text))
    except ValueError as error:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def _check_revision(rest: Rest, request: Request) -> None:
    text, match = request.param("resourceVersion"), request.param("resourceVersionMatch")
    if match and not text:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise _invalid_options("resourceVersionMatch", why)
    if match and match not in ("Exact", "NotOlderThan"):
        why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        raise _invalid_options("resourceVersionMatch", why, raw=True)
    if not text or text == "0":
        return
    if not text.isdigit():
        raise errors.bad_request(f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    revision = int(text)
    if revision > rest.store.revision:
        message = f"Too large resource version: {revision}, current: {rest.store.revision}"
        error = errors.timeout(message)
        error.details |= {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
        error.details["retryAfterSeconds"] = 1
        raise error
    if match == "Exact" and revision < rest.store.revision:
        raise errors.expired("The resourceVersion for the provided list is too old.")


def _invalid_options(field: str, why: str, raw: bool = False) -> StatusError:
    text = why if raw else f"Forbidden: {why}"
    message = f'ListOptions.meta.k8s.io "" is invalid: {field}: {text}'
    return StatusError(422, "Invalid", message, group="meta.k8s.io", kind="ListOptions")


def _write_token(last: Stored, revision: int) -> str:
    value = {"v": "meta.k8s.io/v1", "rv": revision, "start": [last.key.namespace, last.key.name]}
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


def _read_token(token: str, rest: Rest) -> tuple[tuple[str, str], int]:
    try:
        value = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = value["start"]
        return (str(namespace), str(name)), min(int(value["rv"]), rest.store.revision)
    except (ValueError, KeyError, TypeError) as error:
        raise errors.bad_request("continue key is not valid: illegal base64 data") from error


def list_bytes(endpoint: Endpoint, page: Page, kind: str) -> bytes:
    """The list as JSON, joined from the objects' cached bytes."""
    metadata: Obj = {"resourceVersion": str(page.revision)}
    if page.token:
        metadata["continue"] = page.token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    head = orjson.dumps({"kind": kind, "apiVersion": endpoint.api_version, "metadata": metadata})
    items = b",".join(objects.raw_in(endpoint, stored) for stored in page.items)
    return head[:-1] + b',"items":[' + items + b"]}"


def object_bytes(endpoint: Endpoint, stored: Stored) -> bytes:
    """An object as JSON in the endpoint's version."""
    return objects.raw_in(endpoint, stored)


class Watcher:
    """One watch request: initial events, then changes, with bookmarks, until it times out or is too slow."""

    def __init__(
        self,
        rest: Rest,
        endpoint: Endpoint,
        namespace: str | None,
        request: Request,
        encode: Callable[[str, Stored], bytes],
    ) -> None:
        self.rest, self.endpoint, self.encode = rest, endpoint, encode
        self.filter = read_filter(endpoint, request)
        self.namespace = namespace
        self.bookmarks = request.flag("allowWatchBookmarks")
        self.timeout = float(request.param("timeoutSeconds") or 0) or 1800.0
        text = request.param("resourceVersion")
        if text and not text.isdigit():
            raise errors.bad_request(f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
        self.initial_end = request.flag("sendInitialEvents")
        self.initial = self.initial_end or text in ("", "0")
        since = None if self.initial else int(text)
        self.expired: StatusError | None = None
        self.watch: Watch | None = None
        self.first: list[Stored] = []
        if since is not None and since > rest.store.revision:
            since = rest.store.revision
        try:
            if self.initial:
                candidates = _candidates(rest, endpoint, namespace, self.filter)
                self.first = [s for s in candidates if self.filter.passes(s)]
            self.start = rest.store.revision
            self.watch = rest.store.watch(endpoint.resource.stored, namespace, since)
        except Compacted as error:
            self.expired = errors.expired(TOO_OLD.format(since, error.args[1]))

    async def stream(self) -> AsyncIterator[bytes]:
        """Lines of JSON, one event each."""
        if self.expired or self.watch is None:
            yield _line("ERROR", orjson.dumps((self.expired or errors.internal("no watch")).status()))
            return
        deadline = self.rest.clock.monotonic() + self.timeout
        try:
            for stored in self.first:
                yield _line("ADDED", self.encode("ADDED", stored))
            if self.initial_end:
                yield self._bookmark(self.start, ended=True)
            self.first = []
            while True:
                wait = min(deadline - self.rest.clock.monotonic(), BOOKMARK_SECONDS)
                if wait <= 0:
                    return
                event = await self._next(self.watch, wait)
                if event is None:
                    if self.bookmarks and self.rest.clock.monotonic() < deadline:
                        yield self._bookmark(self.rest.store.revision)
                    continue
                line = self._event(event)
                if line:
                    yield line
        except StopAsyncIteration:
            return
        except WatchOverflow:
            yield _line("ERROR", orjson.dumps(errors.expired("the watcher was too slow and lost events").status()))
        finally:
            self.watch.close()

    async def _next(self, watch: Watch, wait: float) -> Event | None:
        """The next change, or None after `wait` seconds."""
        with contextlib.suppress(TimeoutError):
            async with self.rest.clock.timeout(wait):
                return await anext(watch)
        return None

    def _event(self, event: Event) -> bytes | None:
        """What this watcher sees of a change: an object may move in and out of its selection."""
        now = self.filter.passes(event.obj)
        before = event.old is not None and self.filter.passes(event.old)
        if event.type is EventType.DELETED:
            return _line("DELETED", self.encode("DELETED", event.obj)) if before or now else None
        if now:
            kind = "MODIFIED" if before else "ADDED"
            return _line(kind, self.encode(kind, event.obj))
        if before and event.old is not None:
            # the last state that the selector saw, with the revision at which it left
            data = {**event.old.data, "metadata": {**event.old.data["metadata"], "resourceVersion": str(event.rv)}}
            return _line("DELETED", self.encode("DELETED", Stored(event.old.key, data, event.rv)))
        return None

    def _bookmark(self, revision: int, ended: bool = False) -> bytes:
        metadata: Obj = {"resourceVersion": str(revision)}
        if ended:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        kind = self.endpoint.kind
        obj = {"kind": kind, "apiVersion": self.endpoint.api_version, "metadata": metadata}
        return _line("BOOKMARK", self.encode_bookmark(obj))

    def encode_bookmark(self, obj: Obj) -> bytes:
        """Overridden for tables by `table_bookmarks`."""
        return orjson.dumps(obj)


def _line(kind: str, obj: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + obj + b"}\n"
