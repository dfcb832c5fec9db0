"""A whole cluster on a stepped clock, driven in-process: what `kubectl apply` would send, and what it would see."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from kuartui.embedded.cluster import Cluster, Spec
from kuartui.embedded.host import Host
from kuartui.embedded.node.logs import LogOptions
from kuartui.embedded.node.runtime import Capture, ExecIO

Obj = dict[str, Any]


class Book:
    """The reader's cluster, in namespace default."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.client = cluster.client

    def _resource(self, kind: str) -> str:
        found = [
            e.resource.name for e in self.cluster.resources if e.resource.kind == kind and "/" not in e.resource.name
        ]
        return found[0]

    async def apply(self, text: str) -> None:
        """Create every document."""
        for document in yaml.safe_load_all(text):
            resource = self._resource(document["kind"])
            if document["kind"] not in (
                "PersistentVolume",
                "PriorityClass",
                "StorageClass",
                "ClusterRole",
                "IngressClass",
            ):
                document["metadata"].setdefault("namespace", "default")
            await self.client.create(resource, document)

    async def wait(self, seconds: float) -> None:
        await self.cluster.clock.advance(seconds)  # type: ignore[attr-defined]

    async def post(self, path: str, body: Obj) -> Obj:
        """A call for which the API keeps nothing, as the administrator."""
        token = self.cluster.identity.token
        verify = ssl.create_default_context(cadata=self.cluster.identity.authority.certificate.decode())
        async with httpx.AsyncClient(verify=verify, headers={"Authorization": f"Bearer {token}"}) as api:
            return dict((await api.post(self.cluster.url + path, json=body)).raise_for_status().json())

    def get(self, kind: str, name: str) -> Obj:
        found = self.client.get(self._resource(kind), "default", name)
        assert found is not None, f"no {kind} {name}"
        return found

    async def patch(self, kind: str, name: str, patch: Obj) -> None:
        await self.client.patch(self._resource(kind), "default", name, patch)

    def pods(self, **labels: str) -> list[Obj]:
        found = self.client.list("pods", "default", {"matchLabels": labels} if labels else None)
        return sorted(found, key=lambda pod: pod["metadata"]["name"])

    def ready(self, **labels: str) -> list[str]:
        """Names of ready pods."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods(**labels)
            if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or ())
        ]

    async def logs(self, name: str, container: str = "") -> str:
        pod = self.get("Pod", name)
        container = container or pod["spec"]["containers"][0]["name"]
        pieces = await self.cluster.parts.fleet.logs(pod, container, LogOptions())
        return b"".join([piece async for piece in pieces]).decode()

    async def sh(self, name: str, script: str, container: str = "") -> str:
        """What a script in a pod prints."""
        pod = self.get("Pod", name)
        container = container or pod["spec"]["containers"][0]["name"]
        out = Capture()
        run = self.cluster.parts.fleet.exec(pod, container, ["sh", "-c", script], ExecIO(out.write, out.write, None))
        task = asyncio.ensure_future(run)
        await self.wait(0.1)
        if not task.done():
            await self.wait(30)
        await task
        return out.text.strip()


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    host = Host(tmp_path)
    cluster = await host.create(Spec(name="book", nodes=3, fast=True, durable=False))
    yield Book(cluster)
    await host.delete("book")
