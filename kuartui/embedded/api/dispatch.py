"""One request, from the edge to its answer: authenticate, authorise, find the endpoint, do the verb."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson
from msgspec.structs import replace

from kuartui.embedded.api import bodies, health, negotiate, objects, options, reading, watching
from kuartui.embedded.api.discovery import VERSION, Discovery
from kuartui.embedded.api.measures import Measures
from kuartui.embedded.api.openapi import OpenApi
from kuartui.embedded.api.request import Info, Request, Response, User, parse_info
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import OPTIONS, Rest, Write
from kuartui.embedded.auth.authentication import Authenticator
from kuartui.embedded.auth.impersonation import Impersonation
from kuartui.embedded.auth.rbac import Action, Authorizer, forbidden_text
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Key, Stored

Obj = dict[str, Any]

OURS = "/kuartui.dev/"
"""Before the paths that Kubernetes does not have."""

Special = Callable[[Request, Endpoint], Awaitable[Response | None]]
"""Serves what is not plain reading and writing (subresources, reviews); None if the request is none of that."""


class Dispatcher:
    """Answers every request of one cluster."""

    def __init__(
        self,
        rest: Rest,
        authenticator: Authenticator,
        authorizer: Authorizer,
        address: str,
        special: Special,
        extra: Special | None = None,
    ) -> None:
        self.rest = rest
        self.authenticator, self.authorizer = authenticator, authorizer
        self._impersonation = Impersonation(self.require)
        self.discovery = Discovery(rest.resources, address)
        self.openapi = OpenApi(rest.resources)
        self._special = special
        self._built_in = {(group, version) for group, all_ in rest.resources.groups().items() for version in all_}
        self._measures = Measures(rest.store)
        self.paths: dict[str, Callable[[Request], Awaitable[Response]]] = {"/metrics": self._measures.page}
        """Further non-resource paths: whole ones, served after authorisation."""
        self.keeper = ""
        """The user to whom alone those of ours are there; if empty, to all who may."""
        self.aggregate: Callable[[Request, str, str], Awaitable[Response]] | None = None
        """Serves what is another API server's, by group and version."""

    async def handle(self, request: Request) -> Response:
        """The answer. Raises StatusError for everything that is no success."""
        code = 500
        try:
            answer = await self._answered(request)
            code = answer.status
        except StatusError as error:
            code = error.code
            raise
        finally:
            self._measures.count(request.info, "dryRun" in request.query, code)
        return answer

    async def _answered(self, request: Request) -> Response:
        self.admit(request)
        info = request.info
        parts = request.path.strip("/").split("/")
        if parts[0] == "apis" and len(parts) > 2 and self.rest.resources.is_remote(parts[1], parts[2]):
            if self.aggregate is not None:
                return await self.aggregate(request, parts[1], parts[2])
            return Response(503, b"service unavailable\n", "text/plain; charset=utf-8")
        if not info.is_resource:
            return await self._path(request)
        endpoint = self.endpoint(info)
        _check_route(info, endpoint)
        special = await self._special(request, endpoint)
        return special if special is not None else await self._verb(request, endpoint)

    def admit(self, request: Request) -> None:
        """Find out who asks for what, and whether they may. Raises 401 and 403."""
        request.info = parse_info(request.method, request.path, request.query)
        request.caller = self.authenticator.authenticate(request)
        asked = _asked(request)
        request.user = self._impersonation.user(request.headers, request.caller, asked)
        self.require(request.user, asked)

    def require(self, user: User, action: Action) -> None:
        """Raises 403 unless the user may."""
        if not self.authorizer.allows(user, action):
            resource = f"{action.resource}.{action.group}" if action.group else action.resource
            why = self.authorizer.complaint(user, action)
            text = forbidden_text(user, action)
            raise errors.forbidden(resource, action.name, f"{text}: {why}" if why else text)

    def require_create(self, request: Request) -> None:
        """Raises 403 unless who asks may also create: a WebSocket to a pod begins as a GET, an apply may create.

        ensureAuthorizedForVerb of kubernetes/pkg/registry/core/pod/rest/authorize.go and withAuthorization of
        k8s.io/apiserver/pkg/endpoints/handlers/update.go, which give no reason of their own.
        """
        info = request.info
        if info.verb == "create":
            return
        action = replace(_asked(request), verb="create")
        if not self.authorizer.allows(request.user, action):
            resource = f"{info.resource}.{info.group}" if info.group else info.resource
            raise errors.forbidden(resource, info.name, self.authorizer.complaint(request.user, action))

    def endpoint(self, info: Info) -> Endpoint:
        """What the path names. Raises 404."""
        found = self.rest.resources.find(info.group, info.version, info.resource)
        if found is None:
            built_in = (info.group, info.version) in self._built_in
            raise errors.path_not_found() if built_in else errors.page_not_found()
        return found

    async def _path(self, request: Request) -> Response:
        path = request.path.rstrip("/") or "/"
        if path in self.paths:
            if self.keeper and path.startswith(OURS) and request.caller.name != self.keeper:
                raise errors.page_not_found()
            return await self.paths[path](request)
        if path.startswith("/openapi"):
            return self.openapi.answer(request)
        if path == "/version":
            return Response(200, orjson.dumps(VERSION, option=orjson.OPT_INDENT_2))
        if path == "/":
            return health.index(self.rest.resources, (path for path in self.paths if not path.startswith(OURS)))
        found = health.answer(request) or self.discovery.answer(request)
        if found is not None:
            return found
        raise errors.page_not_found()

    async def _verb(self, request: Request, endpoint: Endpoint) -> Response:
        info = request.info
        verbs = {"list": self._list, "watch": self._watch, "get": self._get, "create": self._create}
        verbs |= {"update": self._update, "patch": self._patch, "delete": self._delete}
        verbs["deletecollection"] = self._delete_all
        if endpoint.strategy.deprecated:
            request.warnings.append(endpoint.strategy.deprecated)
        return await verbs[info.verb](request, endpoint)

    # Reading

    async def _list(self, request: Request, endpoint: Endpoint) -> Response:
        return await reading.list_(self.rest, endpoint, request)

    async def _get(self, request: Request, endpoint: Endpoint) -> Response:
        return await reading.get(self.rest, endpoint, request)

    async def _watch(self, request: Request, endpoint: Endpoint) -> Response:
        return watching.watch(self.rest, endpoint, request)

    # Writing

    def write(self, request: Request) -> Write:
        """The options of a write."""
        dry = request.query.get("dryRun", [])
        agent = request.headers.get("user-agent", "unknown").partition("/")[0][:128]
        return Write(
            user=request.user,
            manager=request.param("fieldManager") or agent or "unknown",
            dry_run=bool(dry),
            subresource=request.info.subresource,
            force=request.flag("force"),
            warnings=request.warnings,
            options=_options(request),
        )

    def _answer(self, request: Request, endpoint: Endpoint, obj: Obj, status: int = 200) -> Response:
        """What was written, in the wanted form."""
        want = negotiate.wanted(request)
        if not want.as_:
            return negotiate.respond(request, obj, status, want)
        metadata = obj["metadata"]
        key = Key(endpoint.resource.stored, metadata.get("namespace", ""), metadata.get("name", ""))
        stored = Stored(key, objects.to_storage(endpoint, obj), int(metadata.get("resourceVersion") or 0))
        return reading.answer(self.rest, endpoint, request, stored, status)

    async def _create(self, request: Request, endpoint: Endpoint) -> Response:
        options.check_write(request)
        obj = bodies.read_object(request, endpoint)
        objects.name_owners_once(obj, request.warnings)
        created = await self.rest.create(endpoint, request.info.namespace, obj, self.write(request))
        return self._answer(request, endpoint, created, 201)

    async def _update(self, request: Request, endpoint: Endpoint) -> Response:
        info = request.info
        options.check_write(request)
        obj = bodies.read_object(request, endpoint)
        space = obj.get("metadata", {}).get("namespace", "")
        if space and endpoint.resource.namespaced and space != info.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        bodies.check_name(obj, info)
        objects.name_owners_once(obj, request.warnings)
        raw = orjson.dumps(obj)
        write = self.write(request)
        write.may_create = partial(self.require_create, request)
        create = endpoint.strategy.create_on_update and not info.subresource
        updated, created = await self.rest.update(
            endpoint, info.namespace, info.name, lambda _: orjson.loads(raw), write, create=create
        )
        return self._answer(request, endpoint, updated, 201 if created else 200)

    async def _patch(self, request: Request, endpoint: Endpoint) -> Response:
        info = request.info
        write = self.write(request)
        patch = bodies.Patch(request, endpoint, self.rest, write, custom=endpoint.custom)
        write.applied = patch.is_apply
        write.may_create = partial(self.require_create, request)
        create = patch.is_apply and not info.subresource
        updated, created = await self.rest.update(endpoint, info.namespace, info.name, patch, write, create=create)
        return self._answer(request, endpoint, updated, 201 if created else 200)

    async def _delete(self, request: Request, endpoint: Endpoint) -> Response:
        info = request.info
        given = bodies.options_body(request)
        write = self.write(request)
        write.dry_run = bool(given.get("dryRun"))
        problem = endpoint.strategy.lasting(info.name)
        if problem:
            raise errors.forbidden(endpoint.resource.name, info.name, problem)
        obj, gone = await self.rest.delete(endpoint, info.namespace, info.name, given, write)
        if not gone or endpoint.strategy.returns_deleted:
            return self._answer(request, endpoint, obj)
        return negotiate.respond(request, deleted(endpoint, obj))

    async def _delete_all(self, request: Request, endpoint: Endpoint) -> Response:
        given = bodies.options_body(request)
        found, metadata = reading.page(self.rest, endpoint, request)
        await self.rest.prepare(endpoint, found)
        for stored in found:
            write = self.write(request)
            write.dry_run = bool(given.get("dryRun"))
            try:
                await self.rest.delete(endpoint, stored.key.namespace, stored.key.name, given, write)
            except StatusError as error:
                if error.code != 404:
                    raise
        items = [orjson.loads(objects.raw_item(endpoint, stored)) for stored in found]
        head = {"kind": endpoint.resource.list_kind, "apiVersion": endpoint.api_version, "metadata": metadata}
        return negotiate.respond(request, {**head, "items": items})


COLLECTION, ITEM = {"list", "watch", "create", "deletecollection"}, {"get", "watch", "update", "patch", "delete"}
ACROSS = {"list", "watch"}
"""What collections of namespaced objects do for all namespaces at once."""


def _check_route(info: Info, endpoint: Endpoint) -> None:
    """Raises 404 for a path below an endpoint that is not there, 405 for a method that the path does not have.

    Paths are there as go-restful gets them from discovery: each of them because of some verb.
    """
    resource = endpoint.resource
    misplaced = bool(info.namespace) != resource.namespaced and resource.name != "namespaces"
    if misplaced and (info.namespace or info.name or (endpoint.custom and info.verb not in ACROSS)):
        raise errors.page_not_found() if endpoint.custom else errors.path_not_found()
    if info.subresource:
        served = endpoint.subresource(info.subresource)
        if served is None and endpoint.custom:
            raise errors.not_found(resource.name, info.name)
        deeper = bool(info.parts) and info.subresource != "proxy"
        verbs = set(served["verbs"]) if served and not deeper else set()
        if verbs and info.subresource == "proxy":
            verbs.add("")  # OPTIONS, which no verb stands for
    else:
        verbs = set(endpoint.entry["verbs"]) & (ITEM if info.name else ACROSS if misplaced else COLLECTION)
    if not verbs:
        raise errors.path_not_found()
    if info.verb == "watch" and "list" in verbs and "watch" not in verbs:
        raise errors.method_not_allowed(resource.name, info.verb)
    if info.verb not in verbs:
        raise StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def deleted(endpoint: Endpoint, obj: Obj) -> Obj:
    """The Status that a completed deletion answers."""
    resource = endpoint.resource
    details = {"name": obj["metadata"]["name"], "kind": resource.plural, "uid": obj["metadata"]["uid"]}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _options(request: Request) -> Obj:
    """The options that a write came with, as the query gives them."""
    kind = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}.get(request.info.verb)
    if kind is None:
        return {}
    found: Obj = {"kind": kind, "apiVersion": OPTIONS}
    found |= {name: request.param(name) for name in ("fieldManager", "fieldValidation") if request.param(name)}
    if "dryRun" in request.query:
        found["dryRun"] = request.query["dryRun"]
    return found | ({"force": request.flag("force")} if "force" in request.query else {})


def _asked(request: Request) -> Action:
    """What the sender needs a right for."""
    info = request.info
    if not info.is_resource:
        return Action(info.verb, path=info.path)
    fields = request.param("fieldSelector") if info.verb in ("list", "watch") else ""
    name = info.name or _selected_name(fields)
    return Action(info.verb, info.group, info.resource, info.subresource, info.namespace, name, fields=fields)


def _selected_name(fields: str) -> str:
    """The one object that a field selector leaves: as good as its name to who may read just that."""
    for term in fields.split(","):
        key, _, value = term.replace("==", "=").partition("=")
        if key == "metadata.name":
            return value
    return ""
