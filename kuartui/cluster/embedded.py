"""The embedded cluster: a Kubernetes in a process of its own (`host.py`), several of them side by side.

Attempts get a fresh cluster each, so nothing ever needs to be cleaned up by hand.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from kuartui import paths
from kuartui.cluster.base import ClusterStatus, Kind, Progress, Report, silent
from kuartui.cluster.host import CALL_SECONDS, EmbeddedHost
from kuartui.errors import ApiError, ClusterError
from kuartui.message import later

if TYPE_CHECKING:
    from kuartui.cluster.clock import Clock
    from kuartui.cluster.machines import Machines
    from kuartui.cluster.rest import Api
    from kuartui.game.level import Right

P = ParamSpec("P")
T = TypeVar("T")
Obj = dict[str, Any]

#: what a fresh one can do. It has no ingress controller: levels about Ingress bring theirs
CAPABILITIES = frozenset(
    {
        *("network", "metrics", "containers", "network-policy", "multi-node", "control-plane-taint"),
        *("storage", "local-path", "gateway", "own-cluster", "node-power"),
    }
)
DEFAULT = "kuartui"
ADMIN_FILE, PLAYER_FILE, CHECKER_FILE = "kubeconfig", "player.kubeconfig", "checker.kubeconfig"
PLAYER = {"user": "player", "groups": ["system:masters"]}
CHECKER = {"user": "kuartui-checker", "groups": ["system:masters"]}


class EmbeddedSandbox:
    """A cluster for one attempt."""

    disposable = True

    def __init__(self, host: EmbeddedHost, name: str, spec: Obj) -> None:
        self._host, self._name, self._spec = host, name, spec
        self._clock = self._new_clock()
        self._api: Api | None = None  # that passes time

    def _new_clock(self) -> Clock:
        from kuartui.cluster.clock import RealClock, SteppedClock

        return SteppedClock(self._advance) if self._spec.get("fast") or self._spec.get("head") else RealClock()

    @property
    def id(self) -> str:
        return self._name

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def checker_kubeconfig(self) -> Path:
        path = self._host.folder(self._name) / CHECKER_FILE
        if not path.is_file():
            self._identity(path, CHECKER)
        return path

    async def player_kubeconfig(self, namespace: str) -> Path:
        path = self._host.folder(self._name) / PLAYER_FILE
        await _aside(self._identity, path, {**PLAYER, "namespace": namespace})
        return path

    def _identity(self, path: Path, who: Obj) -> None:
        answer = self._host.call("POST", f"/clusters/{self._name}/kubeconfig", who)
        paths.write_private(path, answer["kubeconfig"])

    def fence(self, rights: Iterable[Right]) -> None:
        return None

    def machines(self, api: Api) -> Machines:
        from kuartui.cluster.machines import ManagedMachines

        return ManagedMachines(api)

    async def admit(self, namespaces: Iterable[str], rights: Iterable[Right]) -> None: ...

    async def reset(self, report: Report = silent, *, head: float = 0.0) -> None:
        """A new cluster on the same port; the kubeconfigs are made anew where they were."""
        report(Progress(later("making the cluster as new")))
        self._spec = {**self._spec, "head": head}
        namespace = _namespace(self._host.folder(self._name) / PLAYER_FILE)
        await _aside(self._host.call, "DELETE", f"/clusters/{self._name}")
        await _aside(self._host.call, "POST", "/clusters", self._spec)
        await self._let_go()
        self._clock = self._new_clock()
        self._identity(self._host.folder(self._name) / CHECKER_FILE, CHECKER)
        await self.player_kubeconfig(namespace)

    async def present(self) -> None:
        from kuartui.cluster.clock import RealClock, SteppedClock

        head = self._spec.get("head")
        if not head or not isinstance(self._clock, SteppedClock):
            return
        if self._spec.get("fast"):
            await self._clock.advance(max(0.0, head - self._clock.monotonic()))
            return
        await self._drive("release", 0.0)
        await self._let_go()
        self._clock = RealClock()

    async def copy(self) -> EmbeddedSandbox:
        host = EmbeddedHost(Path(tempfile.mkdtemp(prefix="copy-", dir=self._host.state.parent)))
        try:
            await _aside(self._host.call, "POST", f"/clusters/{self._name}/copy", {"state": str(host.state)})
        except BaseException:
            shutil.rmtree(host.state, ignore_errors=True)
            raise
        host.meet()
        copy = Copy(host, self._name, self._spec)
        try:
            await _aside(_take_along, self._host.folder(self._name), host.folder(self._name))
        except BaseException:
            await copy.close()
            raise
        return copy

    async def close(self) -> None:
        await self._let_go()
        if self._host.running() is not None:
            await _aside(self._host.call, "DELETE", f"/clusters/{self._name}")

    async def _advance(self, seconds: float) -> datetime:
        """Let time pass on the cluster; it answers when it has settled, and what time it is there."""
        return await self._drive("advance", seconds)

    async def _drive(self, verb: str, seconds: float) -> datetime:
        from kuartui.cluster.rest import Api

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


class Copy(EmbeddedSandbox):
    """The cluster of a process that was forked for it, and goes with it."""

    async def player_kubeconfig(self, namespace: str) -> Path:
        path = self._host.folder(self._name) / PLAYER_FILE
        if path.is_file() and _namespace(path) == namespace:
            return path
        return await super().player_kubeconfig(namespace)

    async def close(self) -> None:
        await self._let_go()
        await _aside(self._host.tell_to_end)
        await _aside(shutil.rmtree, self._host.state, ignore_errors=True)


class EmbeddedCluster:
    """An embedded cluster by name; attempts play in sandboxes beside it."""

    kind: Kind = "embedded"
    ref = "embedded"
    capabilities = within_reach = CAPABILITIES
    copies = sys.platform == "linux"  # see kuartui/embedded/live_fork.py

    def __init__(self, name: str, *, nodes: int = 3, bare: bool = False, host: EmbeddedHost | None = None) -> None:
        self.name = name
        self._spec: Obj = {"name": name, "nodes": nodes, "bare": bare}
        self._host = host or EmbeddedHost()

    @property
    def kubeconfig(self) -> Path:
        return self._host.folder(self.name) / ADMIN_FILE

    async def up(self, report: Report = silent) -> None:
        await _aside(self._host.start, report)
        report(Progress(later("starting cluster {name}", name=self.name), 2, 2))
        try:
            await _aside(self._host.call, "POST", "/clusters", self._spec, report)
        except ClusterError as error:
            anew = f"kuartui cluster reset{'' if self.name == DEFAULT else f' --name {self.name}'}"
            hint = later("{command} makes it anew; what was in it is gone", command=anew)
            raise ClusterError(error.message, hint=error.hint or hint) from error

    async def wake(self, report: Report = silent) -> None:
        await self.up(report)

    async def down(self, report: Report = silent) -> None:
        """Remove the cluster; the process ends with the last one."""
        if await _aside(self._host.running) is None and await _aside(self._host.holder) is None:
            await _aside(shutil.rmtree, self._host.folder(self.name), ignore_errors=True)
            return
        await _aside(self._host.call, "DELETE", f"/clusters/{self.name}")
        left = await _aside(self._host.call, "GET", "/clusters")
        if not left["clusters"]:
            await _aside(self._host.stop)

    async def status(self) -> ClusterStatus:
        process = await _aside(self._host.running)
        folder = self._host.folder(self.name)
        if process is None:
            hung = await _aside(self._host.holder)
            if hung is not None:
                return ClusterStatus(
                    "broken", later("its process {pid} does not answer", pid=hung), facts={"pid": str(hung)}
                )
            if not (folder / "cluster.json").is_file():
                return ClusterStatus("absent")
            return ClusterStatus("stopped", later("its process is not running; kuartui cluster up brings it back"))
        found = await _aside(self._host.find, self.name)
        facts = {"pid": str(process.pid), "state": str(self._host.state), "log": str(self._host.state / "host.log")}
        if found is None and (folder / "cluster.json").is_file():
            return ClusterStatus(
                "broken", later("it does not come back; {log} says why", log=facts["log"]), facts=facts
            )
        if found is None:
            return ClusterStatus("absent", facts=facts)
        return ClusterStatus("ready", "", "v1.36.2", found["nodes"], found["url"], facts)

    async def reset(self, report: Report = silent) -> None:
        spec = self._spec
        await _aside(self._host.start, report)  # it brings back what there is
        found = await _aside(self._host.find, self.name)
        if found:
            spec = {key: found[key] for key in ("name", "nodes", "bare")}
        await _aside(self._host.call, "DELETE", f"/clusters/{self.name}")
        await _aside(self._host.call, "POST", "/clusters", spec, report)

    async def provide(self, needs: Iterable[str], images: Iterable[str], report: Report = silent) -> None:
        """It has what it has; its images are programs."""

    async def sandbox(
        self, sandbox_id: str, *, fast: bool = False, head: float = 0.0, report: Report = silent
    ) -> EmbeddedSandbox:
        spec = {"name": sandbox_id, "nodes": 3, "fast": fast, "head": head, "durable": not fast}
        spec["keeper"] = CHECKER["user"]  # or players put the power back on themselves
        report(Progress(later("starting a cluster for this attempt")))
        await _aside(self._host.call, "POST", "/clusters", spec, report)
        return EmbeddedSandbox(self._host, sandbox_id, spec)

    @asynccontextmanager
    async def apart(self, count: int) -> AsyncIterator[list[EmbeddedCluster]]:
        """Processes of their own in a temporary directory, so that proofs use every core and disturb no game."""
        from kuartui.cluster.side_by_side import side_by_side

        place = tempfile.TemporaryDirectory(prefix="kuartui-", dir=paths.scratch_dir(), ignore_cleanup_errors=True)
        with place as folder, ExitStack() as stack:
            try:
                hosts = await _aside(stack.enter_context, side_by_side(Path(folder), count))
                yield [EmbeddedCluster(self.name, host=host) for host in hosts]
            finally:
                await _aside(stack.close)

    async def find(self, sandbox_id: str, *, uid: str = "") -> EmbeddedSandbox | None:
        """The attempt's cluster; a process that died is started again, and brings it back."""
        if not (self._host.folder(sandbox_id) / "cluster.json").is_file():
            return None
        await _aside(self._host.start)
        found = await _aside(self._host.find, sandbox_id)
        if found is None:
            return None
        # A process of an earlier version, left alone for the sake of its attempt, may not know all of them.
        spec: Obj = {key: found[key] for key in ("name", "nodes", "bare", "fast", "durable", "keeper") if key in found}
        return EmbeddedSandbox(self._host, sandbox_id, spec)


async def _aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what waits for the process on a thread. Who awaits nothing, such as for a path, loads no event loop."""
    import asyncio

    return await asyncio.to_thread(function, *args, **kwargs)


def _take_along(source: Path, copy: Path) -> None:
    """Who had a kubeconfig for a cluster has it for a copy: the tokens are the same, only the address is another."""
    clusters = json.loads((copy / ADMIN_FILE).read_bytes())["clusters"]
    for name in (PLAYER_FILE, CHECKER_FILE):
        if (source / name).is_file():
            kubeconfig = json.loads((source / name).read_bytes())
            paths.write_private(copy / name, json.dumps({**kubeconfig, "clusters": clusters}))


def _namespace(kubeconfig: Path) -> str:
    try:
        contexts = json.loads(kubeconfig.read_bytes())["contexts"]
        return str(contexts[0]["context"].get("namespace", "default"))
    except (OSError, ValueError, KeyError, IndexError):
        return "default"
