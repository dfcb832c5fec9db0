"""Several processes that host clusters, of which one loads what all need."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kuartui.cluster.embedded import EmbeddedCluster
from kuartui.cluster.host import EmbeddedHost, alive, spawn
from kuartui.cluster.rest import Api
from kuartui.cluster.side_by_side import side_by_side
from kuartui.errors import ClusterError

POD = {
    "metadata": {"name": "p"},
    "spec": {
        "containers": [
            {"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", "echo I am $(hostname); sleep 99"]}
        ]
    },
}


def wait(until: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def said(place: EmbeddedCluster) -> tuple[str, str]:
    """What a script on a new cluster says, and the uid of a namespace there."""
    sandbox = await place.sandbox("proof-1", fast=True)
    async with Api.open(sandbox.checker_kubeconfig) as api:
        await sandbox.clock.advance(1)
        await api.request("POST", "/api/v1/namespaces/default/pods", body=POD)
        await sandbox.clock.advance(10)
        log = await api.logs("default", "p")
        space: dict[str, Any] = await api.get("/api/v1/namespaces/default")
    await sandbox.close()
    return log, space["metadata"]["uid"]


async def test_hosts_side_by_side_have_clusters_of_their_own(tmp_path: Path) -> None:
    async with EmbeddedCluster("x").apart(2) as places:
        (left, here), (right, there) = await asyncio.gather(*(said(place) for place in places))
    assert left == right == "I am p\n"
    assert here != there  # nothing of the one cluster is in the other


async def test_one_by_itself_ends_as_well(tmp_path: Path) -> None:
    async with EmbeddedCluster("x").apart(1) as places:
        assert (await said(places[0]))[0] == "I am p\n"


def test_they_end_together_and_one_that_was_killed_comes_back(tmp_path: Path) -> None:
    with side_by_side(tmp_path, 2) as hosts:
        first, second = (host.start() for host in hosts)
        assert first.pid != second.pid
        os.kill(first.pid, signal.SIGKILL)
        wait(lambda: not alive(first.pid))
        assert hosts[1].running() == second
        made = hosts[0].call("POST", "/clusters", {"name": "c", "nodes": 1, "bare": True, "durable": False})
        assert made["phase"] == "ready"
        again = hosts[0].running()
        assert again is not None
    assert not any(alive(pid) for pid in (second.pid, again.pid))


def test_nobody_has_to_wait_for_them(tmp_path: Path) -> None:
    with side_by_side(tmp_path, 2) as hosts:
        pass
    assert [host.running() for host in hosts] == [None, None]


@pytest.mark.parametrize("how", ["let go", "told"])
def test_they_end_with_whoever_began_them_and_when_they_are_told(tmp_path: Path, how: str) -> None:
    hosts = [EmbeddedHost(tmp_path / name, tied=True) for name in ("a", "b")]
    process, told = spawn([host.state for host in hosts], tied=True)
    with process:
        for host, pipe in zip(hosts, told, strict=True):
            host.adopt(process, pipe)
        pids = [host.start().pid for host in hosts]
        if how == "told":
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        # else what we hold of their standard input goes as it does when we die
    assert not any(alive(pid) for pid in pids)


def test_one_that_cannot_start_says_why_at_once(tmp_path: Path) -> None:
    (tmp_path / "0" / "lock").mkdir(parents=True)
    with side_by_side(tmp_path, 2) as (stuck, other):
        with pytest.raises(ClusterError, match="cannot write .*: is a directory"):
            stuck.start()
        assert other.start() == other.running()
