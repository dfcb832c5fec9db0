"""The embedded cluster: a process of its own that we start on demand and manage over its loopback API.

`python -m kuartui.embedded.server` hosts all embedded clusters of a player. It says where it listens in `host.json`;
what it answers is described in `kuartui/embedded/host.py`. Attempts get a fresh cluster each, so nothing ever needs to
be cleaned up by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kuartui
from kuartui import paths
from kuartui.cluster.base import ClusterStatus, Kind, Progress, Report, silent
from kuartui.cluster.clock import Clock, RealClock, SteppedClock
from kuartui.cluster.rest import Api
from kuartui.errors import ApiError, ClusterError, StorageError
from kuartui.game.level import Right
from kuartui.message import later

Obj = dict[str, Any]

#: what a fresh one can do. It has no ingress controller: levels about Ingress bring theirs
CAPABILITIES = frozenset(
    {
        *("network", "metrics", "containers", "network-policy", "multi-node", "control-plane-taint"),
        *("storage", "local-path", "gateway", "own-cluster", "node-power"),
    }
)
ATTEMPT = "attempt-"  # what the clusters of attempts are called
OTHER_CODE = later("the embedded Kubernetes that runs is of another version of kuartui")
REPLACED = later("it is replaced once no attempt is in play: kuartui level finish, then kuartui cluster down --all")
START_SECONDS = 20.0
CALL_SECONDS = 60.0
STOP_SECONDS = 10.0
PLAYER = {"user": "player", "groups": ["system:masters"]}
CHECKER = {"user": "kuartui-checker", "groups": ["system:masters"]}


@dataclass(frozen=True, slots=True)
class _Process:
    """A running host, as its `host.json` tells."""

    pid: int
    url: str
    token: str
    release: str = ""  # of the kuartui that started it; older ones did not say


class EmbeddedHost:
    """The process that hosts the clusters, seen from outside. Without `state` it is the player's; one that is `tied`
    ends with us, whatever ends us."""

    def __init__(self, state: Path | None = None, *, tied: bool = False) -> None:
        self.state = state or paths.state_dir() / "embedded"
        self._tied = tied
        self._child: subprocess.Popen[bytes] | None = None

    # Life

    def told(self) -> _Process | None:
        """The process as it said when it started; it may be gone."""
        try:
            said = json.loads((self.state / "host.json").read_bytes())
            return _Process(said["pid"], said["url"], said["token"], str(said.get("release", "")))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def running(self) -> _Process | None:
        """The process, if it is there and answers."""
        process = self.told()
        if process is None:
            return None
        try:
            _call(process, "GET", "/clusters", None, 5.0)
        except OSError:
            return None
        return process

    def start(self, report: Report = silent, port: int = 0) -> _Process:
        """Start the process unless it runs. One that an older or newer kuartui left behind is replaced, unless an
        attempt is played in it. Raises ClusterError, StorageError."""
        found = self.running()
        if found and (found.release == release() or not self._replace(found, report)):
            return found
        report(Progress(later("starting the embedded Kubernetes"), 1, 2))
        paths.private_dir(self.state)
        log = self.state / "host.log"
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    [*command(self.state), "--port", str(port), *(["--tied"] if self._tied else [])],
                    stdin=subprocess.PIPE if self._tied else subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # it outlives a crashed screen and a closed terminal
                )
        except OSError as error:
            raise paths.unwritable(log, error) from error
        self._child = process
        return self._wait(process, log)

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> _Process:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = self.running()
            if found:
                return found
            code = process.poll()
            if code is not None and code != 3:  # 3: another process was quicker, and will answer soon
                raise ClusterError(
                    later("the embedded cluster did not start: {why}", why=_last_line(log)),
                    hint=later("see {log}", log=log),
                )
            time.sleep(0.02)
        process.kill()
        raise ClusterError(
            later("the embedded cluster did not answer within {start_seconds:.0f} s", start_seconds=START_SECONDS),
            hint=later("see {log}", log=log),
        )

    def _replace(self, found: _Process, report: Report) -> bool:
        """End a process with other code than ours; False when it is needed as it is. What it hosts comes back with the
        next one, but an attempt would lose the time that this takes, and every container's memory."""
        clusters = _call(found, "GET", "/clusters", None, CALL_SECONDS)["clusters"]
        if any(cluster["name"].startswith(ATTEMPT) for cluster in clusters):
            report(Progress(later("{what}; {then}", what=OTHER_CODE, then=REPLACED)))
            return False
        report(Progress(later("replacing the embedded Kubernetes by that of this version of kuartui")))
        self._end(found)
        return True

    def stop(self) -> None:
        """End the process, gently first."""
        process = self.running()
        if process is not None:
            self._end(process)

    def _end(self, process: _Process) -> None:
        _call(process, "POST", "/shutdown", {}, STOP_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if self._child is not None:
                self._child.poll()  # a child that ended is there until somebody asks
            if not _alive(process.pid):
                return
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)

    # Clusters

    def call(self, method: str, path: str, body: Obj | None = None, report: Report = silent) -> Obj:
        """Ask the process, starting it first if need be. Raises ClusterError."""
        process = self.start(report)
        try:
            return _call(process, method, path, body, CALL_SECONDS)
        except OSError as error:
            raise ClusterError(
                later("the embedded cluster process stopped answering: {error}", error=error),
                hint=later("see {log}", log=self.state / "host.log"),
            ) from error

    def find(self, name: str) -> Obj | None:
        """A running cluster; None if there is none, or no process."""
        process = self.running()
        if process is None:
            return None
        clusters = _call(process, "GET", "/clusters", None, CALL_SECONDS)["clusters"]
        return next((found for found in clusters if found["name"] == name), None)

    def folder(self, name: str) -> Path:
        return self.state / "clusters" / name


class EmbeddedSandbox:
    """A cluster for one attempt."""

    disposable = True

    def __init__(self, host: EmbeddedHost, name: str, spec: Obj, url: str) -> None:
        self._host, self._name, self._spec = host, name, spec
        self._clock = self._new_clock()
        self._api: Api | None = None  # that passes time
        self._url = url

    def _new_clock(self) -> Clock:
        return SteppedClock(self._advance) if self._spec.get("fast") or self._spec.get("head") else RealClock()

    @property
    def id(self) -> str:
        return self._name

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def checker_kubeconfig(self) -> Path:
        path = self._host.folder(self._name) / "checker.kubeconfig"
        if not path.is_file():
            self._identity(path, CHECKER)
        return path

    async def player_kubeconfig(self, namespace: str) -> Path:
        path = self._host.folder(self._name) / "player.kubeconfig"
        await asyncio.to_thread(self._identity, path, {**PLAYER, "namespace": namespace})
        return path

    def _identity(self, path: Path, who: Obj) -> None:
        answer = self._host.call("POST", f"/clusters/{self._name}/kubeconfig", who)
        paths.write_private(path, answer["kubeconfig"])

    def fence(self, rights: Iterable[Right]) -> None:
        return None

    async def admit(self, namespaces: Iterable[str], rights: Iterable[Right]) -> None: ...

    async def reset(self, report: Report = silent, *, head: float = 0.0) -> None:
        """A new cluster on the same port; the kubeconfigs are made anew where they were."""
        report(Progress(later("making the cluster as new")))
        self._spec = {**self._spec, "head": head}
        namespace = _namespace(self._host.folder(self._name) / "player.kubeconfig")
        await asyncio.to_thread(self._host.call, "DELETE", f"/clusters/{self._name}")
        made = await asyncio.to_thread(self._host.call, "POST", "/clusters", self._spec)
        self._url = made["url"]
        await self._let_go()
        self._clock = self._new_clock()
        self._identity(self._host.folder(self._name) / "checker.kubeconfig", CHECKER)
        await self.player_kubeconfig(namespace)

    async def present(self) -> None:
        head = self._spec.get("head")
        if not head or not isinstance(self._clock, SteppedClock):
            return
        if self._spec.get("fast"):
            await self._clock.advance(max(0.0, head - self._clock.monotonic()))
            return
        await self._drive("release", 0.0)
        await self._let_go()
        self._clock = RealClock()

    async def close(self) -> None:
        await self._let_go()
        if self._host.running() is not None:
            await asyncio.to_thread(self._host.call, "DELETE", f"/clusters/{self._name}")

    async def _advance(self, seconds: float) -> datetime:
        """Let time pass on the cluster; it answers when it has settled, and what time it is there."""
        return await self._drive("advance", seconds)

    async def _drive(self, verb: str, seconds: float) -> datetime:
        if self._api is None:
            self._api = Api.open(self.checker_kubeconfig)
        try:
            path = f"/kuartui.dev/clock/{verb}"
            answer = await self._api.request("POST", path, body={"seconds": seconds}, timeout=CALL_SECONDS)
        except ApiError as error:
            raise ClusterError(later("time does not pass on the cluster: {why}", why=error.message)) from error
        return datetime.fromisoformat(str(answer["now"]))

    async def _let_go(self) -> None:
        if self._api is not None:
            await self._api.close()
            self._api = None


class EmbeddedCluster:
    """An embedded cluster by name; attempts play in sandboxes beside it."""

    kind: Kind = "embedded"
    ref = "embedded"
    capabilities = within_reach = CAPABILITIES

    def __init__(self, name: str, *, nodes: int = 3, bare: bool = False, host: EmbeddedHost | None = None) -> None:
        self.name = name
        self._spec: Obj = {"name": name, "nodes": nodes, "bare": bare}
        self._host = host or EmbeddedHost()

    @property
    def kubeconfig(self) -> Path:
        return self._host.folder(self.name) / "kubeconfig"

    async def up(self, report: Report = silent) -> None:
        await asyncio.to_thread(self._host.start, report)
        report(Progress(later("starting cluster {name}", name=self.name), 2, 2))
        await asyncio.to_thread(self._host.call, "POST", "/clusters", self._spec, report)

    async def down(self, report: Report = silent) -> None:
        """Remove the cluster; the process ends with the last one."""
        if self._host.running() is None:
            await asyncio.to_thread(shutil.rmtree, self._host.folder(self.name), ignore_errors=True)
            return
        await asyncio.to_thread(self._host.call, "DELETE", f"/clusters/{self.name}")
        left = await asyncio.to_thread(self._host.call, "GET", "/clusters")
        if not left["clusters"]:
            await asyncio.to_thread(self._host.stop)

    async def status(self) -> ClusterStatus:
        process = await asyncio.to_thread(self._host.running)
        folder = self._host.folder(self.name)
        if process is None:
            hung = self._host.told()
            if hung is not None and _alive(hung.pid):
                return ClusterStatus(
                    "broken", later("its process {pid} does not answer", pid=hung.pid), facts={"pid": str(hung.pid)}
                )
            if not (folder / "cluster.json").is_file():
                return ClusterStatus("absent")
            return ClusterStatus("stopped", later("its process is not running; kuartui cluster up brings it back"))
        found = await asyncio.to_thread(self._host.find, self.name)
        facts = {"pid": str(process.pid), "state": str(self._host.state), "log": str(self._host.state / "host.log")}
        if found is None:
            return ClusterStatus("absent", facts=facts)
        return ClusterStatus("ready", "", "v1.36.2", found["nodes"], found["url"], facts)

    async def reset(self, report: Report = silent) -> None:
        spec = self._spec
        found = await asyncio.to_thread(self._host.find, self.name)
        if found:
            spec = {key: found[key] for key in ("name", "nodes", "bare")}
            await asyncio.to_thread(self._host.call, "DELETE", f"/clusters/{self.name}")
        await asyncio.to_thread(self._host.call, "POST", "/clusters", spec, report)

    async def provide(self, needs: Iterable[str], images: Iterable[str], report: Report = silent) -> None:
        """It has what it has; its images are programs."""

    async def sandbox(
        self, sandbox_id: str, *, fast: bool = False, head: float = 0.0, report: Report = silent
    ) -> EmbeddedSandbox:
        spec = {"name": sandbox_id, "nodes": 3, "fast": fast, "head": head, "durable": not fast}
        report(Progress(later("starting a cluster for this attempt")))
        made = await asyncio.to_thread(self._host.call, "POST", "/clusters", spec, report)
        return EmbeddedSandbox(self._host, sandbox_id, spec, made["url"])

    @contextlib.asynccontextmanager
    async def apart(self) -> AsyncIterator[EmbeddedCluster]:
        """A process of its own in a temporary directory, so that proofs use every core and disturb no game."""
        with tempfile.TemporaryDirectory(prefix="kuartui-", ignore_cleanup_errors=True) as folder:
            host = EmbeddedHost(Path(folder), tied=True)
            try:
                yield EmbeddedCluster(self.name, host=host)
            finally:
                await asyncio.to_thread(host.stop)

    async def find(self, sandbox_id: str) -> EmbeddedSandbox | None:
        """The attempt's cluster; a process that died is started again, and brings it back."""
        if not (self._host.folder(sandbox_id) / "cluster.json").is_file():
            return None
        await asyncio.to_thread(self._host.start)
        found = await asyncio.to_thread(self._host.find, sandbox_id)
        if found is None:
            return None
        spec = {key: found[key] for key in ("name", "nodes", "bare", "fast", "durable")}
        return EmbeddedSandbox(self._host, sandbox_id, spec, found["url"])


def command(state: Path) -> list[str]:
    """How the process is started."""
    return [*paths.process("kuartui.embedded.server"), "--state-dir", str(state), "--release", release()]


@cache
def release() -> str:
    """Of the embedded cluster's code as it is installed: kuartui's version, and a digest of what files there are, their
    sizes and times, so that an upgrade from a checkout shows, too."""
    import hashlib

    package = Path(kuartui.__file__).parent
    known = hashlib.sha256()
    for folder, inner, names in os.walk(package / "embedded"):
        inner.sort()
        for name in sorted(names):
            if name.endswith((".py", ".json", ".gz")):
                status = os.stat(os.path.join(folder, name))
                known.update(f"{folder}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return f"{kuartui.__version__}+{known.hexdigest()[:12]}"


def serve_foreground(port: int) -> int:
    """Run the process here, until Ctrl-C; its exit code."""
    host = EmbeddedHost()
    paths.private_dir(host.state)
    process = subprocess.Popen([*command(host.state), "--port", str(port)])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)


def wake(kubeconfig: Path, report: Report = silent) -> None:
    """Start the process again if that is a kubeconfig of a cluster of its and it ended; it brings its clusters back."""
    host = EmbeddedHost()
    if host.state in kubeconfig.parents:
        host.start(report)


def stop_all() -> None:
    """End the process and with it every cluster; durable ones come back when they are asked for."""
    EmbeddedHost().stop()


def _call(process: _Process, method: str, path: str, body: Obj | None, timeout: float) -> Obj:
    """One request. Raises OSError if nobody answers, ClusterError if the answer is no."""
    address = urlsplit(process.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout)
    try:
        headers = {"Authorization": f"Bearer {process.token}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        value = json.loads(answer.read() or b"{}")
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
    if answer.status == 401:
        raise ConnectionRefusedError("another program listens there")
    if answer.status == 507:
        hint = later("make room, or set {variable} to a directory that has some", variable=paths.HOME_VARIABLE)
        raise StorageError(later("the disk is full"), hint=hint)
    if answer.status >= 400:
        raise ClusterError(str(value.get("error", f"HTTP {answer.status}")))
    return dict(value)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "it left no word"
    return lines[-1].removeprefix("error: ") if lines else "it left no word"


def _namespace(kubeconfig: Path) -> str:
    try:
        contexts = json.loads(kubeconfig.read_bytes())["contexts"]
        return str(contexts[0]["context"].get("namespace", "default"))
    except (OSError, ValueError, KeyError, IndexError):
        return "default"
