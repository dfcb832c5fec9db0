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
from kuartui.play.pace import Pace


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
        kubeconfig = tmp_path / "exported" / "config"  # elsewhere: nothing beside it says that the cluster is ours
        kubeconfig.parent.mkdir()
        kubeconfig.write_bytes((host.folder("mine") / "kubeconfig").read_bytes())
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
