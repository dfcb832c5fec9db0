"""A very small Kubernetes: stores objects, lists, watches. Enough to play a level that is made of ConfigMaps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import yaml
from aiohttp import web

from kuartui.cluster.base import ClusterStatus, Report, silent
from kuartui.cluster.clock import Clock, RealClock
from kuartui.cluster.resources import Resource, known, known_kinds
from kuartui.game.level import Need
from tests.cluster.server import serving

Obj = dict[str, Any]
PLURALS = {(item.group, item.plural): item for kind in known_kinds() if (item := known(kind)) is not None}


class MiniKube:
    """All objects by (resource, namespace, name); a watch is a queue."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Obj] = {}
        self.version = 0
        self.watchers: list[tuple[str, asyncio.Queue[Obj | None]]] = []

    def put(self, kind: str, namespace: str, name: str, **more: Any) -> Obj:
        """Create or change an object, as somebody else would."""
        resource = known(kind)
        assert resource is not None
        return self._store(resource, namespace, {"kind": kind, "metadata": {"name": name}, **more})

    def remove(self, kind: str, namespace: str, name: str) -> None:
        resource = known(kind)
        assert resource is not None
        obj = self.objects.pop((resource.group_resource, namespace, name))
        self._tell("DELETED", resource, obj)
        if kind == "Namespace":
            for key in [key for key in self.objects if key[1] == name]:
                self._tell("DELETED", PLURALS[_split(key[0])], self.objects.pop(key))

    def names(self, kind: str) -> list[str]:
        resource = known(kind)
        assert resource is not None
        return sorted(name for plural, _, name in self.objects if plural == resource.group_resource)

    def _store(self, resource: Resource, namespace: str, obj: Obj) -> Obj:
        key = (resource.group_resource, namespace, obj["metadata"]["name"])
        before = self.objects.get(key)
        self.version += 1
        uid = before["metadata"]["uid"] if before else f"uid-{self.version}"
        metadata = {**obj["metadata"], "uid": uid, "resourceVersion": str(self.version)}
        if namespace:
            metadata["namespace"] = namespace
        stored = {"apiVersion": resource.api_version, "kind": resource.kind, **obj, "metadata": metadata}
        self.objects[key] = stored
        self._tell("MODIFIED" if before else "ADDED", resource, stored)
        return stored

    def _tell(self, what: str, resource: Resource, obj: Obj) -> None:
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        for plural, queue in self.watchers:
            if plural == resource.group_resource:
                queue.put_nowait({"type": what, "object": obj})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        if request.path in ("/api", "/apis"):
            return web.json_response({"items": _discovery(request.path == "/api")})
        resource, namespace, name = _parse(request.path)
        key = (resource.group_resource, namespace, name)
        if request.method == "POST":
            obj = await request.json()
            if (resource.group_resource, namespace, obj["metadata"]["name"]) in self.objects:
                return _status(409, "AlreadyExists")
            return web.json_response(self._store(resource, namespace, obj), status=201)
        if request.method == "PUT":
            return web.json_response(self._store(resource, namespace, await request.json()))
        if request.method == "DELETE":
            if key not in self.objects:
                return _status(404, "NotFound")
            self.remove(resource.kind, namespace, name)
            return web.json_response({"kind": "Status", "status": "Success"})
        if name:
            return web.json_response(self.objects[key]) if key in self.objects else _status(404, "NotFound")
        if "watch" in request.query:
            return await self._watch(request, resource)
        items = [
            obj for (plural, where, _), obj in self.objects.items() if plural == key[0] and namespace in ("", where)
        ]
        if label := request.query.get("labelSelector"):
            wanted, _, value = label.partition("=")
            items = [obj for obj in items if (obj["metadata"].get("labels") or {}).get(wanted) == value]
        return web.json_response({"items": items, "metadata": {"resourceVersion": str(self.version)}})

    async def _watch(self, request: web.Request, resource: Resource) -> web.StreamResponse:
        response = web.StreamResponse()
        queue: asyncio.Queue[Obj | None] = asyncio.Queue()
        self.watchers.append((resource.group_resource, queue))
        await response.prepare(request)
        while (event := await queue.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response


def _parse(path: str) -> tuple[Resource, str, str]:
    parts = urlsplit(path).path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return PLURALS[(group, rest[0])], namespace, rest[1] if len(rest) > 1 else ""


def _split(group_resource: str) -> tuple[str, str]:
    plural, _, group = group_resource.partition(".")
    return group, plural


def _discovery(core: bool) -> list[Obj]:
    found = [item for item in PLURALS.values() if (item.group == "") == core]
    return [
        {
            "metadata": {"name": item.group},
            "versions": [
                {
                    "version": item.version,
                    "resources": [
                        {
                            "resource": item.plural,
                            "responseKind": {"kind": item.kind},
                            "scope": "Namespaced" if item.namespaced else "Cluster",
                            "verbs": ["list", "get"],
                        }
                    ],
                }
            ],
        }
        for item in found
    ]


def _status(code: int, reason: str) -> web.Response:
    return web.json_response({"kind": "Status", "message": reason, "reason": reason, "code": code}, status=code)


@dataclass
class MiniSandbox:
    """The whole of a MiniKube."""

    id: str
    cluster: MiniCluster
    clock: Clock = field(default_factory=RealClock)

    @property
    def disposable(self) -> bool:
        return self.cluster.disposable

    @property
    def checker_kubeconfig(self) -> Path:
        return self.cluster.kubeconfig

    async def player_kubeconfig(self, namespace: str) -> Path:
        return self.cluster.kubeconfig

    def fence(self, rights: Any) -> None: ...

    def machines(self, api: Any) -> None: ...

    async def admit(self, namespaces: Any, rights: Any) -> None: ...

    async def reset(self, report: Report = silent, *, head: float = 0.0) -> None:
        self.cluster.kube.objects.clear()

    async def present(self) -> None: ...

    async def close(self) -> None:
        self.cluster.sandboxes.pop(self.id, None)


class MiniCluster:
    """A Cluster of one MiniKube, which outlives the sessions that use it."""

    name = "mini"
    kind = "embedded"
    ref = "embedded"
    capabilities = frozenset(get_args(Need)) - {"docker"}
    copies = False

    def __init__(self, kube: MiniKube, kubeconfig: Path, *, disposable: bool = True) -> None:
        self.kube, self.kubeconfig, self.disposable = kube, kubeconfig, disposable
        self.sandboxes: dict[str, MiniSandbox] = {}

    async def up(self, report: Report = silent) -> None: ...

    async def wake(self, report: Report = silent) -> None: ...

    async def down(self, report: Report = silent) -> None: ...

    async def status(self) -> ClusterStatus:
        return ClusterStatus("ready")

    async def reset(self, report: Report = silent) -> None: ...

    async def sandbox(
        self, sandbox_id: str, *, fast: bool = False, head: float = 0.0, report: Report = silent
    ) -> MiniSandbox:
        self.sandboxes[sandbox_id] = MiniSandbox(sandbox_id, self)
        return self.sandboxes[sandbox_id]

    @asynccontextmanager
    async def apart(self, count: int) -> AsyncIterator[list[MiniCluster]]:
        yield [self]

    async def find(self, sandbox_id: str, *, uid: str = "") -> MiniSandbox | None:
        return self.sandboxes.get(sandbox_id)


@asynccontextmanager
async def mini(folder: Path, *, disposable: bool = True) -> AsyncIterator[MiniCluster]:
    """A running MiniKube and the cluster around it."""
    kube = MiniKube()
    async with serving(kube.handle) as access:
        config = {
            "current-context": "mini",
            "contexts": [{"name": "mini", "context": {"cluster": "mini", "user": "mini"}}],
            "clusters": [{"name": "mini", "cluster": {"server": access.server}}],
            "users": [{"name": "mini", "user": {"token": "t"}}],
        }
        path = folder / "mini.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        yield MiniCluster(kube, path, disposable=disposable)
        for _, queue in kube.watchers:
            queue.put_nowait(None)
