"""A shared cluster is as it was after an attempt, whatever was made in between and wherever it was cut short.

The cluster is an embedded one on stepped time behind a plain kubeconfig: kuartui knows nothing of it but a context.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.context import ContextCluster
from kuartui.cluster.embedded import EmbeddedHost, EmbeddedSandbox
from kuartui.cluster.rest import Api
from kuartui.errors import ApiError
from kuartui.game.level import Level
from kuartui.play.arena import Arena
from kuartui.play.cleanup import NOISE, content
from kuartui.play.leading import INVENTORY
from kuartui.play.pace import Pace
from kuartui.play.proof import prove
from kuartui.play.report import text
from kuartui.play.takedown import take_down
from kuartui.progress.store import AttemptRecord, Store

pytestmark = pytest.mark.e2e
LEVEL = "static-pv-bind"  # it makes cluster-scoped objects, and lets the player make some
RBAC = "rbac.authorization.k8s.io"


class Killed(BaseException):
    """The process ends here: nothing of it runs any more."""


@dataclass
class Place:
    cluster: ContextCluster
    kubeconfig: Path
    pace: Pace


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    host = EmbeddedHost(tmp_path / "host", tied=True)
    spec: dict[str, Any] = {"name": "mine", "nodes": 3, "fast": True, "durable": False}
    try:
        made = host.call("POST", "/clusters", spec)
        kubeconfig = host.folder("mine") / "kubeconfig"
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        box = EmbeddedSandbox(host, "mine", spec, made["url"])
        pace = Pace(box.clock)
        await pace.clock.advance(60)
        contexts = kubeconfig.read_text()
        name = contexts.partition("current-context")[2].strip(' ":\n').split('"')[0].split("\n")[0].strip()
        cluster = ContextCluster(name, clock=box.clock)
        await pace.through(cluster.up())
        yield Place(cluster, kubeconfig, pace)
        box._let_go()
    finally:
        host.stop()


async def dump(api: Api) -> dict[str, str]:
    """Every object there is, as somebody meant it."""
    found = {}
    for resource in await api.listable():
        if resource.kind in NOISE:
            continue
        try:
            listing = await api.list(resource)
        except ApiError:
            continue
        for obj in listing.items:
            key = f"{resource.group_resource} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
            found[key] = json.dumps(content(obj), sort_keys=True) + str(obj["metadata"].get("uid"))
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[Any, Any]]:
    return {key: (before.get(key), after.get(key)) for key in {*before, *after} if before.get(key) != after.get(key)}


async def test_levels_prove_with_the_players_account(place: Place) -> None:
    names = ["broken-selector"]
    async with Api.open(place.kubeconfig) as api:
        before = await dump(api)
        report = await prove([Catalog.default().level(name) for name in names], place.cluster)
        assert [text(line) for line in report.lines if not line.ok] == []
        assert differences(before, await dump(api)) == {}


MAKE = st.sampled_from(["configmap", "deployment", "pv", "claim", "unlabel", "policy"])


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deeds=st.lists(MAKE, max_size=6, unique=True),
    writes=st.none() | st.integers(0, 12),
    again=st.none() | st.integers(0, 8),
)
@example(deeds=["pv", "claim", "deployment", "policy", "unlabel"], writes=None, again=3)
async def test_cleanup_leaves_the_cluster_as_it_was(
    place: Place, tmp_path: Path, deeds: list[str], writes: int | None, again: int | None
) -> None:
    """An attempt is killed after so many writes of its set-up (or not at all), then so is the first clean-up."""
    level = Catalog.default().level(LEVEL)
    store = Store(tmp_path / "progress.sqlite3")
    async with Api.open(place.kubeconfig) as admin:
        theirs = await _ensure_theirs(admin)
        before = await dump(admin)
        record = _record(level)
        store.begin(record)
        await _attempt(place, level, record, store, writes)
        await _play(admin, level, deeds)
        for limit in (again, None):
            with _mortal(limit):
                try:
                    await place.pace.through(take_down(record, level, place.cluster, store))
                except Killed:
                    continue
        assert differences(before, await dump(admin)) == {}
        assert theirs in before
        record_now = store.attempt(record.id)
        assert record_now is not None
        assert record_now.sandbox == ""
    store.close()


def _record(level: Level) -> AttemptRecord:
    import uuid

    name = uuid.uuid4().hex[:12]
    return AttemptRecord(
        id=name,
        level=level.name,
        seed=0,
        mode="ranked",
        cluster="context:x",
        sandbox=f"attempt-{name}",
        kubeconfig="",
        begun=datetime.now(UTC),
        folder=level.folder,
    )


async def _attempt(place: Place, level: Level, record: AttemptRecord, store: Store, writes: int | None) -> None:
    """Set up as a session does; after `writes` writes nothing more is sent (None: it lives)."""
    with _mortal(writes):
        try:
            sandbox = await place.cluster.sandbox(record.sandbox)
            arena = Arena(level, sandbox, record.id)
            try:
                await place.pace.through(
                    arena.prepare(
                        note=lambda made: store.note_made(record.id, made),
                        found=lambda stock: store.set_baseline(record.id, {INVENTORY: stock}),
                    )
                )
            finally:
                await arena.close()
        except Killed:
            return


class _mortal:
    """Every write counts; the one after the last is never sent, and nothing after it happens."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit

    def __enter__(self) -> None:
        self.original = original = Api.request
        left = [self.limit]

        async def request(api: Api, method: str, path: str, **options: Any) -> Any:
            if method != "GET" and left[0] is not None and api.fence is not None:
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
            return await original(api, method, path, **options)

        Api.request = request  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        Api.request = self.original  # type: ignore[method-assign]


async def _ensure_theirs(api: Api) -> str:
    """What somebody else has there."""
    for kind, namespace, body in (
        ("Namespace", "", {"metadata": {"name": "shop"}}),
        ("ConfigMap", "shop", {"metadata": {"name": "precious"}, "data": {"a": "1"}}),
    ):
        try:
            await api.create(await api.resource(kind), {"kind": kind, "apiVersion": "v1", **body}, namespace=namespace)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
    for _ in range(400):
        if await api.read(await api.resource("ServiceAccount"), "shop", "default"):
            break
        await asyncio.sleep(0.01)
    return "configmaps shop/precious"


async def _play(api: Api, level: Level, deeds: list[str]) -> None:
    """What a player does, as far as there is a place for it."""
    namespace = level.namespace
    for deed in deeds:
        try:
            await _do(api, namespace, deed)
        except ApiError as error:
            if error.code not in (403, 404, 409):
                raise


async def _do(api: Api, namespace: str, deed: str) -> None:
    async def make(kind: str, body: dict[str, Any], where: str) -> None:
        resource = await api.resource(kind)
        await api.create(resource, {"apiVersion": resource.api_version, "kind": kind, **body}, namespace=where)

    pod = {"containers": [{"name": "c", "image": "busybox:1.36", "command": ["sleep", "9"]}]}
    if deed == "configmap":
        await make("ConfigMap", {"metadata": {"name": "note"}}, namespace)
    elif deed == "deployment":
        template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        await make("Deployment", {"metadata": {"name": "mine"}, "spec": spec}, namespace)
    elif deed == "pv":
        if await api.read(await api.resource("Namespace"), "", namespace):
            spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/x"}}
            await make("PersistentVolume", {"metadata": {"name": "by-the-player"}, "spec": spec}, "")
    elif deed == "claim":
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        await make("PersistentVolumeClaim", {"metadata": {"name": "c"}, "spec": spec}, namespace)
    elif deed == "unlabel":
        labels = {"metadata": {"labels": {"kuartui.dev/attempt": None}}}
        await api.patch(await api.resource("Namespace"), "", namespace, labels)
    elif deed == "policy":
        await make("NetworkPolicy", {"metadata": {"name": "p"}, "spec": {"podSelector": {}}}, namespace)
