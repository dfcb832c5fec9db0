"""The embedded cluster as seen from outside of its process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from kuartui.cluster import host as host_module
from kuartui.cluster.access import read_access
from kuartui.cluster.base import Progress
from kuartui.cluster.embedded import EmbeddedCluster
from kuartui.cluster.host import EmbeddedHost
from kuartui.cluster.rest import Api
from kuartui.embedded import server
from kuartui.embedded.cluster import Cluster, Spec
from kuartui.embedded.host import Host, HostError
from kuartui.errors import ApiError, ClusterError, StorageError
from kuartui.paths import process


async def test_a_cluster_whose_process_is_gone_can_still_be_removed(tmp_path: Path) -> None:
    cluster = EmbeddedCluster("left", host=EmbeddedHost(tmp_path))
    folder = tmp_path / "clusters" / "left"
    folder.mkdir(parents=True)
    (folder / "cluster.json").write_text("{}")
    assert (await cluster.status()).phase == "stopped"
    await cluster.down()
    assert (await cluster.status()).phase == "absent"


async def test_the_attempt_of_an_earlier_version_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process says what it knew then: a field that is newer is not there."""
    host = EmbeddedHost(tmp_path)
    folder = tmp_path / "clusters" / "attempt-1"
    folder.mkdir(parents=True)
    (folder / "cluster.json").write_text("{}")
    said = {"name": "attempt-1", "nodes": 1, "bare": True, "fast": False, "durable": True, "url": "https://127.0.0.1:1"}
    monkeypatch.setattr(host, "start", lambda: None)
    monkeypatch.setattr(host, "find", {"attempt-1": said}.get)
    found = await EmbeddedCluster("kuartui", host=host).find("attempt-1")
    assert found is not None
    assert found.id == "attempt-1"


async def test_our_own_clients_come_in_by_a_socket_and_need_their_token_there_too(tmp_path: Path) -> None:
    host = EmbeddedHost(tmp_path / "s", tied=True)
    cluster = EmbeddedCluster("c", host=host)
    try:
        await cluster.up()
        access = read_access(cluster.kubeconfig)
        assert stat.S_IMODE(os.stat(access.socket).st_mode) == 0o600
        async with Api(access) as api:
            assert (await api.get("/api/v1/namespaces/default"))["metadata"]["name"] == "default"
        async with Api(replace(access, token="of-a-stranger")) as stranger:
            with pytest.raises(ApiError) as caught:
                await stranger.get("/api/v1/namespaces/default")
        assert caught.value.code == 401
        await cluster.down()
        assert not os.path.exists(access.socket)
    finally:
        host.stop()


def test_a_process_that_was_begun_is_the_one_that_is_waited_for(tmp_path: Path) -> None:
    host = EmbeddedHost(tmp_path / "s", tied=True)
    host.begin()
    host.begin()  # once is enough
    try:
        started = EmbeddedHost(tmp_path / "s", tied=True).start()
        assert host.running() == started
        host.begin()  # it is there
        assert host.start() == started
    finally:
        host.stop()
    assert (tmp_path / "s" / "host.log").read_text() == ""  # no second one that found the place taken


async def test_watches_end_properly_with_their_cluster(tmp_path: Path) -> None:
    """Nobody waits until a watcher gives up, and none is cut off in the middle."""
    host = EmbeddedHost(tmp_path / "s", tied=True)
    cluster = EmbeddedCluster("c", host=host)
    try:
        await cluster.up()
        async with Api.open(cluster.kubeconfig) as api:
            params = {"watch": "true"}
            async with api.stream("GET", "/api/v1/namespaces", params=params) as watch:
                assert b"kube-system" in await watch.content.readany()
                await asyncio.to_thread(host.call, "DELETE", "/clusters/c")
                async for _ in watch.content.iter_any():
                    pass
    finally:
        host.stop()
    assert (host.state / "host.log").read_text() == ""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedHost]:
    """A process of another version of kuartui."""
    with monkeypatch.context() as earlier:
        earlier.setattr(host_module, "release", lambda: "0.0.9+000000000000")
        host = EmbeddedHost(tmp_path / "host", tied=True)
        host.start()
    yield host
    host.stop()


@pytest.mark.e2e
def test_a_process_of_another_version_is_replaced(host: EmbeddedHost) -> None:
    old = host.running()
    assert old is not None
    assert old.release == "0.0.9+000000000000"
    with pytest.MonkeyPatch.context() as earlier:
        earlier.setattr(host_module, "release", lambda: old.release)
        host.call("POST", "/clusters", {"name": "mine", "nodes": 1, "bare": True})
    heard: list[Progress] = []
    new = host.start(heard.append)
    assert (new.release, new.pid != old.pid) == (host_module.release(), True)
    assert "replacing" in heard[0].text
    assert host.find("mine") is not None  # it came back with its state
    assert host.start() == new


@pytest.mark.e2e
def test_a_process_in_which_an_attempt_is_played_is_left_alone(host: EmbeddedHost) -> None:
    old = host.running()
    assert old is not None
    with pytest.MonkeyPatch.context() as earlier:
        earlier.setattr(host_module, "release", lambda: old.release)
        host.call("POST", "/clusters", {"name": "attempt-1", "nodes": 1, "bare": True})
    heard: list[Progress] = []
    assert host.start(heard.append) == old
    assert "another version of kuartui" in heard[0].text
    host.call("DELETE", "/clusters/attempt-1")  # asking for it is enough: what starts the process replaces it
    assert host.start() != old


async def test_a_process_that_hangs_is_told_of_and_can_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(host_module, "START_SECONDS", 3.0)
    monkeypatch.setattr(host_module, "STOP_SECONDS", 0.2)
    host = EmbeddedHost(tmp_path / "s", tied=True)
    pid = (await asyncio.to_thread(host.start)).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        cluster = EmbeddedCluster("c", host=EmbeddedHost(tmp_path / "s"))
        assert (await cluster.status()).facts == {"pid": str(pid)}
        with pytest.raises(ClusterError, match=f"{pid}, does not answer") as caught:
            await cluster.up()
        assert "kuartui cluster down --all" in caught.value.hint
        host.stop()
        assert host.holder() is None
        assert (await cluster.status()).phase == "absent"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_a_reset_makes_anew_what_is_not_running_or_damaged(tmp_path: Path) -> None:
    host = EmbeddedHost(tmp_path / "s", tied=True)
    cluster = EmbeddedCluster("c", nodes=1, bare=True, host=host)
    path = "/api/v1/namespaces/default/configmaps"
    try:
        await cluster.up()
        async with Api.open(cluster.kubeconfig) as api:
            await api.request("POST", path, body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old"}})
        host.stop()
        await cluster.reset()
        async with Api.open(cluster.kubeconfig) as api:
            assert await api.glimpse(f"{path}/old") is None
        host.stop()
        for file in host.folder("c").glob("objects.db*"):
            file.write_bytes(b"x" * 10_000)
        with pytest.raises(ClusterError) as caught:
            await cluster.up()
        assert caught.value.hint.startswith("kuartui cluster reset --name c makes it anew")
        found = await cluster.status()
        assert (found.phase, found.detail) == ("broken", f"it does not come back; {host.state}/host.log says why")
        await cluster.reset()
        assert (await cluster.status()).phase == "ready"
    finally:
        host.stop()


async def test_another_program_may_have_the_number_of_a_process_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text(
        json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:1", "token": "", "release": ""})
    )
    (tmp_path / "lock").write_text(str(os.getpid()))
    cluster = EmbeddedCluster("c", host=EmbeddedHost(tmp_path))
    assert (await cluster.status()).phase == "absent"
    EmbeddedHost(tmp_path).stop()  # this one lives on


def test_a_process_that_goes_on_is_nothing_to_warn_of(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from kuartui.cluster.host import EmbeddedHost
EmbeddedHost(Path({str(tmp_path)!r})).start()
"""
    done = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, check=False)
    EmbeddedHost(tmp_path).stop()
    assert done.stderr == ""


def test_a_process_that_finds_no_room_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(server.os, "write", full)
        assert server.main([f"--state-dir={tmp_path}"]) == 6
    monkeypatch.setattr(host_module, "command", lambda *_: [sys.executable, "-c", "raise SystemExit(6)"])
    with pytest.raises(StorageError, match="cannot write to"):
        EmbeddedHost(tmp_path).start()


def test_the_process_takes_as_many_files_as_it_may() -> None:
    """A shell on macOS gives 256."""
    program = """
import resource
from kuartui.embedded import server
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
server._take_more_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (min(8192, hard) if hard > 0 else 8192, hard))
"""
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "True\n"


def test_a_process_that_may_have_too_few_files_is_told_of(tmp_path: Path) -> None:
    program = f"""
import resource
from pathlib import Path
from kuartui.cluster.host import EmbeddedHost
from kuartui.errors import MissingError
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    EmbeddedHost(Path({str(tmp_path)!r})).start()
except MissingError as error:
    print(error.message, error.hint, sep="\\n")
"""
    said = subprocess.check_output([sys.executable, "-c", program], text=True).splitlines()
    assert said[0] == "the embedded cluster needs more open files than the 64 that a process may have here"
    assert "ulimit -Hn 8192" in said[1]
    assert "may have 64 files open here, the embedded cluster needs 512" in (tmp_path / "host.log").read_text()


@pytest.mark.parametrize(
    ("code", "body"), [(404, b'{"detail": "Not Found"}'), (404, b"[]"), (200, b'{"status": "up"}'), (200, b"[1]")]
)
def test_another_program_where_the_process_listened_is_not_it(tmp_path: Path, code: int, body: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = {"pid": os.getpid(), "url": f"http://127.0.0.1:{server.server_port}", "token": "t"}
        (tmp_path / "host.json").write_text(json.dumps(told))
        assert EmbeddedHost(tmp_path).running() is None
        server.shutdown()


@pytest.mark.e2e
def test_a_process_whose_state_was_deleted_ends(tmp_path: Path) -> None:
    state = tmp_path / "state"
    deleted = EmbeddedHost(state)
    pid = deleted.start().pid
    deleted.call("POST", "/clusters", {"name": "kuartui"})
    shutil.rmtree(state, ignore_errors=True)  # while pods write there
    after = EmbeddedHost(state).start()  # in its place, while it is still there
    try:
        assert deleted._child is not None
        assert (deleted._child.pid, deleted._child.wait(30)) == (pid, 0)
        assert EmbeddedHost(state).running() == after
    finally:
        EmbeddedHost(state).stop()


@pytest.mark.e2e
def test_one_in_the_foreground_ends_with_who_started_it_and_finds_another_one(home: Path) -> None:
    serve = subprocess.Popen([*process("kuartui"), "cluster", "serve"])
    host = EmbeddedHost()
    found = until(host.running)
    assert found is not None
    second = subprocess.run([*process("kuartui"), "cluster", "serve"], capture_output=True, text=True, timeout=60)
    assert second.returncode == ClusterError.exit_code
    assert "another process hosts the clusters" in second.stderr
    serve.kill()
    serve.wait()
    assert until(lambda: host.told() is None), "it would go on where nobody sees it"


def until(found: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first thing that is found."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    return None


def test_the_release_tells_of_changed_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "a.py").write_text("1")
    monkeypatch.setattr("kuartui.__file__", str(tmp_path / "__init__.py"))
    first = host_module.release.__wrapped__()
    assert host_module.release.__wrapped__() == first
    (tmp_path / "embedded" / "a.py").write_text("22")
    assert host_module.release.__wrapped__() != first


@pytest.mark.parametrize("known", [False, True])
async def test_a_cluster_that_finds_no_room_leaves_nothing_but_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    async def full(_: Cluster) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    folder = tmp_path / "clusters" / "c"
    if known:
        folder.mkdir(parents=True)
        (folder / "cluster.json").write_text("{}")
    monkeypatch.setattr(Cluster, "start", full)
    host = Host(tmp_path)
    with pytest.raises(HostError) as caught:
        await host.create(Spec(name="c"))
    assert (str(caught.value), caught.value.code) == ("the disk is full", 507)
    assert host.clusters == {}
    assert (folder / "cluster.json").exists() is known
    await host.restore()  # no reason for the process to end
    assert host.clusters == {}
