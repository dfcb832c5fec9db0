"""A sandbox can be copied with all that runs in it: a fork of its process, with event loop, containers and shells."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kuartui.cluster import exec as cluster_exec
from kuartui.cluster.embedded import EmbeddedCluster, EmbeddedSandbox
from kuartui.cluster.host import EmbeddedHost, alive
from kuartui.cluster.rest import Api
from kuartui.errors import ClusterError, StorageError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process is copied on Linux only")

PODS = "/api/v1/namespaces/default/pods"
COUNTS = "n=0; while sleep 1; do n=$((n+1)); echo $n | tee /tmp/n; done"
WEB = {"name": "web", "image": "nginx:1.29", "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 2}}


def pod(name: str, *containers: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": list(containers)}}


def counter(name: str = "c") -> dict[str, Any]:
    return {"name": name, "image": "busybox:1.36", "command": ["sh", "-c", COUNTS]}


@asynccontextmanager
async def running(*containers: dict[str, Any]) -> AsyncIterator[EmbeddedSandbox]:
    """A cluster on stepped time with a pod that has been running for ten seconds and some."""
    async with EmbeddedCluster("x").apart(1) as (place,):
        sandbox = await place.sandbox("proof-1", fast=True)
        async with Api.open(sandbox.checker_kubeconfig) as api:
            await sandbox.clock.advance(1)
            await api.request("POST", PODS, body=pod("p", *containers))
            await sandbox.clock.advance(15)
        yield sandbox
        await sandbox.close()


async def last(sandbox: EmbeddedSandbox, container: str = "c") -> int:
    """The last number that a counter wrote."""
    async with Api.open(sandbox.checker_kubeconfig) as api:
        return int((await api.logs("default", "p", container=container)).split()[-1])


def process(sandbox: EmbeddedSandbox) -> int:
    told = sandbox._host.told()
    assert told is not None
    return told.pid


async def gone(pid: int) -> None:
    until = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


async def test_shells_go_on_in_each_by_itself() -> None:
    async with running(*(counter(name) for name in "cde")) as sandbox:
        begun = await last(sandbox)
        copies = [await sandbox.copy() for _ in range(3)]
        for steps, copy in enumerate(copies, 1):
            for _ in range(steps):
                await copy.clock.advance(10)
        for steps, copy in enumerate(copies, 1):
            assert [await last(copy, name) for name in "cde"] == [begun + 10 * steps] * 3
            async with Api.open(copy.checker_kubeconfig) as api:
                read = await cluster_exec.run(
                    api, "default", "p", ("sh", "-c", "cat /tmp/n; echo $((6*7))"), container="c"
                )
            assert read.stdout.split() == [str(begun + 10 * steps), "42"]
        assert await last(sandbox) == begun  # nobody has had time pass there
        await sandbox.clock.advance(5)
        assert await last(sandbox) == begun + 5
        for copy in copies:
            await copy.close()


async def test_what_is_done_to_one_is_done_to_none_else() -> None:
    async with running(WEB) as sandbox:
        copy = await sandbox.copy()
        async with Api.open(copy.checker_kubeconfig) as there, Api.open(sandbox.checker_kubeconfig) as here:
            await there.request("DELETE", f"{PODS}/p")
            await there.request("POST", PODS, body=pod("q", WEB))
            await copy.clock.advance(45)
            assert [item["metadata"]["name"] for item in (await there.get(PODS))["items"]] == ["q"]
            assert (await there.get(f"{PODS}/q"))["status"]["containerStatuses"][0]["ready"]
            assert [item["metadata"]["name"] for item in (await here.get(PODS))["items"]] == ["p"]
        await copy.close()


async def test_a_player_comes_in_by_an_address_and_a_socket_of_its_own() -> None:
    async with running(counter()) as sandbox:
        copy = await sandbox.copy()
        ways = [Api.open(await box.player_kubeconfig("default")).access for box in (sandbox, copy)]
        assert ways[0].server != ways[1].server
        assert ways[0].socket != ways[1].socket
        for access in ways:
            for way in (access, access.__class__(**{**_fields(access), "socket": ""})):
                async with Api(way) as api:
                    assert (await api.get("/version"))["gitVersion"].startswith("v1.36")
        await copy.close()


def _fields(access: Any) -> dict[str, Any]:
    return {name: getattr(access, name) for name in access.__dataclass_fields__}


async def test_who_had_a_kubeconfig_has_it_for_a_copy() -> None:
    async with running(counter()) as sandbox:
        original = json.loads((await sandbox.player_kubeconfig("shop")).read_bytes())
        copy = await sandbox.copy()
        path = await copy.player_kubeconfig("shop")
        taken = json.loads(path.read_bytes())
        assert {**taken, "clusters": []} == {**original, "clusters": []}
        assert taken["clusters"] != original["clusters"]
        async with Api.open(path) as api:
            assert (await api.request("GET", f"{PODS}/p"))["metadata"]["name"] == "p"
        other = json.loads((await copy.player_kubeconfig("bakery")).read_bytes())
        assert other["contexts"][0]["context"]["namespace"] == "bakery"
        await copy.close()


async def test_those_who_watch_the_one_are_left_alone() -> None:
    async with running(counter()) as sandbox, Api.open(sandbox.checker_kubeconfig) as api:
        async with api.stream("GET", PODS, params={"watch": "true"}) as watch:
            first = await watch.content.readline()
            copy = await sandbox.copy()
            await copy.clock.advance(10)
            await api.request("DELETE", f"{PODS}/p")
            assert b'"p"' in first
            assert b"deletionTimestamp" in await asyncio.wait_for(watch.content.readline(), 10)
        await copy.close()


async def test_a_copy_ends_when_it_is_closed_and_when_its_owner_does() -> None:
    async with running(counter()) as sandbox:
        closed, left = await sandbox.copy(), await sandbox.copy()
        pids = process(closed), process(left)
        await closed.close()
        await gone(pids[0])
        assert not closed._host.state.exists()
        assert alive(pids[1])
    await gone(pids[1])


async def test_a_copy_that_nobody_can_take_over_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    pids = []

    def full(_source: Path, copy: Path) -> None:
        pids.append(json.loads((copy.parents[1] / "host.json").read_bytes())["pid"])
        raise StorageError("the disk is full")

    monkeypatch.setattr("kuartui.cluster.embedded._take_along", full)
    async with running(counter()) as sandbox:
        with pytest.raises(StorageError):
            await sandbox.copy()
        await gone(pids[0])


async def test_whoever_listens_where_a_copy_did_is_left_alone() -> None:
    """Copies share their token, and ports come again: to close one twice must not end another."""
    asked = []

    async def hear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append("somebody came")
        writer.close()

    async with running(counter()) as sandbox:
        copy = await sandbox.copy()
        pid, told = process(copy), copy._host.told()
        assert told is not None
        await copy.close()
        await gone(pid)
        server = await asyncio.start_server(hear, "127.0.0.1", int(told.url.rpartition(":")[2]))
        await copy.close()
        server.close()
    assert not asked


async def test_a_copy_of_a_process_that_is_killed_goes_on() -> None:
    async with running(counter()) as sandbox:
        copy, begun = await sandbox.copy(), await last(sandbox)
        os.kill(process(sandbox), signal.SIGKILL)
        await copy.clock.advance(10)
        assert await last(copy) == begun + 10
        assert sandbox._host.running() is None
        await copy.close()


async def test_several_are_made_at_once() -> None:
    async with running(counter()) as sandbox:
        copies = await asyncio.gather(*(sandbox.copy() for _ in range(4)))
        assert len({process(copy) for copy in copies}) == 4
        for copy in copies:
            await copy.clock.advance(3)
        assert len({await last(copy) for copy in copies}) == 1
        for copy in copies:
            await copy.close()


async def test_what_cannot_be_copied_says_so(tmp_path: Path) -> None:
    async with running(counter()) as sandbox:
        copy = await sandbox.copy()
        with pytest.raises(ClusterError, match="a copy is not copied again"):
            await copy.copy()
        await copy.close()
    host = EmbeddedHost(tmp_path / "host", tied=True)
    try:
        host.call("POST", "/clusters", {"name": "real", "nodes": 1, "bare": True, "durable": False})
        with pytest.raises(ClusterError, match="stepped time"):
            host.call("POST", "/clusters/real/copy", {"state": str(tmp_path / "copy")})
        with pytest.raises(ClusterError, match="no cluster other"):
            host.call("POST", "/clusters/other/copy", {"state": str(tmp_path / "copy")})
    finally:
        host.stop()
