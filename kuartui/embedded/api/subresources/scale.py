"""The scale subresource: the same small object for everything that has replicas.

kubernetes/pkg/registry/apps/deployment/storage/storage.go (ScaleREST); custom resources say where their fields are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from msgspec.structs import replace

from kuartui.embedded.api import bodies, negotiate, objects, tables
from kuartui.embedded.api.request import Request, Response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest, Write
from kuartui.embedded.kinds.base import Strategy
from kuartui.embedded.meta import apply, errors, fielderr, labels, schema
from kuartui.embedded.meta.apply import Entry
from kuartui.embedded.meta.fieldset import Path
from kuartui.embedded.meta.time import age

Obj = dict[str, Any]

GROUP, VERSION, KIND = "autoscaling", "v1", "Scale"
SCALE_REPLICAS: Path = ("f:spec", "f:replicas")
COLUMNS = [
    {"name": name, "type": kind, "format": "name" if name == "Name" else "", "description": "", "priority": 0}
    for name, kind in (("Name", "string"), ("Desired", "integer"), ("Available", "integer"), ("Age", "string"))
]


class Scales:
    """Serves every scale subresource."""

    def __init__(self, rest: Rest, write: Callable[[Request], Write]) -> None:
        self._rest, self._write = rest, write

    async def answer(self, request: Request, endpoint: Endpoint) -> Response:
        """GET, PUT and PATCH. Raises 405 for anything else."""
        info = request.info
        if info.verb == "get":
            stored = self._rest.get(endpoint, info.namespace, info.name)
            await self._rest.prepare(endpoint, [stored])
            return self._answer(request, scale_of(endpoint, objects.data_in(endpoint, stored)))
        if info.verb not in ("update", "patch"):
            raise errors.method_not_allowed(endpoint.resource.name, info.verb)
        write = self._write(request)
        view = self._view(endpoint)
        wanted = self._put(request, view) if info.verb == "update" else self._patch(request, view, write)
        write.applied = isinstance(wanted, bodies.Patch) and wanted.is_apply

        def change(current: Obj) -> Obj:
            before = scale_of(endpoint, current)
            if write.applied:
                apply.write(before, _managers(endpoint, current))
            scale = wanted(before)
            if write.applied:
                apply.write(current, _managers_after(endpoint, current, apply.read(scale)))
            _check(info.name, scale)
            version = scale.get("metadata", {}).get("resourceVersion")
            if version:
                current["metadata"]["resourceVersion"] = version
            _set(current, endpoint.strategy.scale_paths[0], scale.get("spec", {}).get("replicas", 0))
            return current

        updated, _ = await self._rest.update(endpoint, info.namespace, info.name, change, write)
        return self._answer(request, scale_of(endpoint, updated))

    def _answer(self, request: Request, scale: Obj) -> Response:
        want = negotiate.wanted(request)
        if want.as_ != "Table":
            return negotiate.respond(request, scale, want=want)
        replicas, current = (scale[part].get("replicas", 0) for part in ("spec", "status"))
        metadata = scale["metadata"]
        row = {
            "cells": [
                metadata["name"],
                replicas,
                current,
                age(metadata.get("creationTimestamp"), self._rest.clock.now()),
            ],
            "object": orjson.loads(tables.partial(scale, want.version)),
        }
        head = {"kind": "Table", "apiVersion": f"meta.k8s.io/{want.version}", "metadata": {}}
        return negotiate.respond(request, {**head, "columnDefinitions": COLUMNS, "rows": [row]}, want=want)

    def _view(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint for bodies that are Scales."""
        resource = replace(endpoint.resource, group=GROUP, kind=KIND, storage=VERSION, versions=(VERSION,))
        node = schema.for_kind(GROUP, VERSION, KIND) or endpoint.node
        return replace(endpoint, resource=resource, version=VERSION, node=node, own=Strategy(), custom=False)

    def _put(self, request: Request, view: Endpoint) -> Callable[[Obj], Obj]:
        raw = orjson.dumps(bodies.read_object(request, view))
        return lambda _: orjson.loads(raw)

    def _patch(self, request: Request, view: Endpoint, write: Write) -> Callable[[Obj], Obj]:
        return bodies.Patch(request, view, self._rest, write, custom=view.custom)


def scale_of(endpoint: Endpoint, obj: Obj) -> Obj:
    """The Scale of an object in the endpoint's version."""
    metadata = obj["metadata"]
    wanted, current, selector = endpoint.strategy.scale_paths
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": _get(obj, current) or 0}
    text = _selector(_get(obj, selector)) if selector else ""
    if text:
        status["selector"] = text
    replicas = _get(obj, wanted)
    return {
        "kind": KIND,
        "apiVersion": f"{GROUP}/{VERSION}",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def _replicas_path(endpoint: Endpoint) -> Path:
    return tuple(f"f:{part}" for part in endpoint.strategy.scale_paths[0].strip(".").split("."))


def _managers(endpoint: Endpoint, obj: Obj) -> list[Entry]:
    """Who manages the replicas of an object, as managers of its Scale (managedfields.ScaleHandler)."""
    path, own = _replicas_path(endpoint), frozenset({SCALE_REPLICAS})
    return [
        Entry(replace(entry.manager, api_version=f"{GROUP}/{VERSION}"), own, entry.time)
        for entry in apply.read(obj)
        if path in entry.fields
    ]


def _managers_after(endpoint: Endpoint, obj: Obj, scale: list[Entry]) -> list[Entry]:
    """The managers of an object after its Scale was applied, which leaves the replicas to those of the Scale."""
    path = _replicas_path(endpoint)
    left = {replace(entry.manager, api_version=""): entry for entry in scale if SCALE_REPLICAS in entry.fields}
    found = []
    for entry in apply.read(obj):
        manager = replace(entry.manager, api_version="")
        keeps = path not in entry.fields or left.pop(manager, None) is not None
        found.append(entry if keeps else Entry(entry.manager, entry.fields - {path}, entry.time))
    return found + [
        Entry(replace(entry.manager, api_version=endpoint.api_version), frozenset({path}), entry.time)
        for entry in left.values()
    ]


def _selector(value: Any) -> str:
    """A selector as text: a LabelSelector, a plain map of labels, or text already."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return ""
    if "matchLabels" in value or "matchExpressions" in value:
        text = labels.format_selector(value)
        return "" if text == "<none>" else text
    return ",".join(f"{key}={item}" for key, item in sorted(value.items()))


def _check(name: str, scale: Obj) -> None:
    replicas = scale.get("spec", {}).get("replicas", 0)
    if replicas < 0:
        error = fielderr.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid(GROUP, KIND, name, [error])
    given = scale.get("metadata", {}).get("name", name)
    if given != name:
        raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")


def _get(obj: Obj, path: str) -> Any:
    value: Any = obj
    for part in path.strip(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _set(obj: Obj, path: str, value: Any) -> None:
    *parents, last = path.strip(".").split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value
