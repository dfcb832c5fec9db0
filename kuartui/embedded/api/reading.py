"""GET of an object and of lists, in all the ways that a client may ask.

https://kubernetes.io/docs/reference/using-api/api-concepts/: selectors, paging with limit and continue, consistent
lists at a resourceVersion, tables, metadata only.
"""

from __future__ import annotations

from typing import Any

import orjson

from kuartui.embedded.api import continuation, negotiate, objects, tables
from kuartui.embedded.api.negotiate import Wanted
from kuartui.embedded.api.request import YAML, Request, Response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest
from kuartui.embedded.api.selection import Selection, selection
from kuartui.embedded.meta import errors, fielderr
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Compacted, Stored

Obj = dict[str, Any]

_LIST_OPTIONS = ("meta.k8s.io", "ListOptions")


async def get(rest: Rest, endpoint: Endpoint, request: Request) -> Response:
    """One object."""
    check_version(rest, request)
    stored = rest.get(endpoint, request.info.namespace, request.info.name)
    await rest.prepare(endpoint, [stored])
    return answer(rest, endpoint, request, stored)


def answer(rest: Rest, endpoint: Endpoint, request: Request, stored: Stored, status: int = 200) -> Response:
    """One object in the wanted form."""
    want = negotiate.wanted(request)
    if want.table:
        include = request.param("includeObject", "Metadata")
        metadata = {"resourceVersion": str(stored.rv)}
        body = tables.table(endpoint, [stored], rest.clock.now(), want.version, include, metadata)
        return _formatted(body, want, status)
    if want.partial:
        return _formatted(tables.partial(stored.data, want.version), want, status)
    return _formatted(objects.raw_in(endpoint, stored), want, status)


def _formatted(body: bytes, want: Wanted, status: int = 200) -> Response:
    if want.media == YAML:
        body = negotiate.to_yaml(orjson.loads(body))
    elif want.pretty:
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    return Response(status, body, want.content_type)


async def list_(rest: Rest, endpoint: Endpoint, request: Request) -> Response:
    """A list, a page of one, or its table."""
    want = negotiate.wanted(request)
    items, metadata = page(rest, endpoint, request)
    await rest.prepare(endpoint, items)
    if want.table:
        include = request.param("includeObject", "Metadata")
        return _formatted(tables.table(endpoint, items, rest.clock.now(), want.version, include, metadata), want)
    if want.partial:
        head = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{want.version}", "metadata": metadata}
        parts = [tables.partial(item.data, want.version) for item in items]
    else:
        metadata = {"continue": "", **metadata} if endpoint.custom else metadata  # as unstructured lists have it
        head = {"kind": endpoint.resource.list_kind, "apiVersion": endpoint.api_version, "metadata": metadata}
        parts = [objects.raw_item(endpoint, item) for item in items]
    return _formatted(orjson.dumps(head)[:-1] + b',"items":[' + b",".join(parts) + b"]}", want)


def page(rest: Rest, endpoint: Endpoint, request: Request) -> tuple[list[Stored], Obj]:
    """The selected objects (those of one page) and the list's metadata. Raises 400, 410, 504."""
    chosen = selection(request, endpoint)
    limit = max(0, number(request, "limit"))  # a negative limit is none
    number(request, "timeoutSeconds")  # lists are never long in coming, but it must be a number
    token = request.param("continue")
    after: tuple[str, str] | None = None
    if token:
        if request.param("resourceVersionMatch"):
            check_version(rest, request)
        if request.param("resourceVersion") not in ("", "0"):
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        version, after = continuation.decode(token)
    else:
        version = check_version(rest, request)
    found = _at(rest, endpoint, request.info.namespace, version, after, chosen)
    selected = found if chosen.everything else [item for item in found if chosen.matches(item)]
    shown = version if version > 0 else rest.store.revision
    metadata: Obj = {"resourceVersion": str(shown)}
    if after is not None:
        selected = [item for item in selected if (item.key.namespace, item.key.name) > after]
    if limit and len(selected) > limit:
        rest_count = len(selected) - limit
        selected = selected[:limit]
        last = selected[-1].key
        metadata["continue"] = continuation.encode(shown, last.namespace, last.name)
        if chosen.everything:
            metadata["remainingItemCount"] = rest_count
    return selected, metadata


def _at(
    rest: Rest, endpoint: Endpoint, namespace: str, version: int, after: tuple[str, str] | None, chosen: Selection
) -> list[Stored]:
    """Candidates, as they were at a revision."""
    resource = endpoint.resource
    space = (namespace or None) if resource.namespaced else None
    if version <= 0 or version == rest.store.revision:
        if chosen.name and (space is not None or not resource.namespaced):
            one = rest.store.get(resource.stored, space or "", chosen.name)
            return [one] if one else []
        return rest.store.list(resource.stored, space)
    try:
        return rest.store.list_at(resource.stored, space, version)
    except Compacted as error:
        if after is None:
            raise errors.expired("The resourceVersion for the provided list is too old.") from error
        raise _continue_expired(after) from error


def check_version(rest: Rest, request: Request) -> int:
    """The revision to read at; 0 for the newest. Raises 400, 422, 504."""
    asked, match = request.param("resourceVersion"), request.param("resourceVersionMatch")
    problems = _match_errors(request, asked, match) if match else []
    if request.param("sendInitialEvents"):
        problems.append(fielderr.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if problems:
        raise errors.invalid(*_LIST_OPTIONS, "", problems)
    if not asked:
        return 0
    if not asked.isdigit():
        text = f"strconv.ParseUint: parsing {fielderr.quote(asked)}: invalid syntax"
        raise errors.invalid(*_LIST_OPTIONS, "", [fielderr.invalid("resourceVersion", asked, text)])
    version = int(asked)
    if version > rest.store.revision:
        raise too_large(version, rest.store.revision)
    return version if match == "Exact" or (request.param("limit") and not match and version) else 0


def _match_errors(request: Request, asked: str, match: str) -> list[fielderr.FieldError]:
    """What is wrong with a resourceVersionMatch, as ValidateListOptions says it."""
    path, found = "resourceVersionMatch", []
    if not asked:
        found.append(fielderr.forbidden(path, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if request.param("continue"):
        found.append(fielderr.forbidden(path, "resourceVersionMatch is forbidden when continue is provided"))
    if match not in ("Exact", "NotOlderThan"):
        found.append(fielderr.not_supported(path, match, ["Exact", "NotOlderThan", ""]))
    if match == "Exact" and asked == "0":
        text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        found.append(fielderr.forbidden(path, text))
    return found


def too_large(version: int, current: int) -> StatusError:
    """A revision that is still to come."""
    error = errors.timeout(f"Too large resource version: {version}, current: {current}")
    error.details["causes"] = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    error.details["retryAfterSeconds"] = error.retry_after = 1
    return error


def number(request: Request, name: str) -> int:
    """An integer parameter, 0 without it. Raises 400."""
    text = request.param(name)
    if not text:
        return 0
    try:
        return int(text)
    except ValueError as error:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def _continue_expired(after: tuple[str, str]) -> StatusError:
    error = errors.expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    error.list_metadata = {"continue": continuation.encode(-1, *after)}
    return error
