"""A cluster that is not ours: an embedded one on stepped time behind a plain kubeconfig. kuartui knows nothing of it but
a context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kuartui.cluster.context import ContextCluster
from kuartui.cluster.embedded import EmbeddedSandbox
from kuartui.cluster.host import EmbeddedHost
from kuartui.game.level import Level
from kuartui.play.arena import Arena
from kuartui.play.leading import INVENTORY
from kuartui.play.pace import Pace
from kuartui.progress.store import AttemptRecord, Store


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
        host.call("POST", "/clusters", spec)
        kubeconfig = tmp_path / "exported" / "config"  # elsewhere: nothing beside it says that the cluster is ours
        kubeconfig.parent.mkdir()
        kubeconfig.write_bytes((host.folder("mine") / "kubeconfig").read_bytes())
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        box = EmbeddedSandbox(host, "mine", spec)
        pace = Pace(box.clock)
        await pace.clock.advance(60)
        contexts = kubeconfig.read_text()
        name = contexts.partition("current-context")[2].strip(' ":\n').split('"')[0].split("\n")[0].strip()
        cluster = ContextCluster(name, clock=box.clock)
        await pace.through(cluster.up())
        yield Place(cluster, kubeconfig, pace)
        await box._let_go()
    finally:
        host.stop()


async def begin(place: Place, level: Level, record: AttemptRecord, store: Store) -> Path:
    """Set a level up as a session does, each thing written down before it is made; the player's kubeconfig."""
    store.begin(record)
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
    return await sandbox.player_kubeconfig(level.namespace)
