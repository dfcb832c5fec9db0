"""Machines that lose their power and get it back, of clusters that kuartui made (capability `node-power`).

On kind a machine is a container, whose power is cut by `stop -t 0`: one that is paused instead would still accept
connections, as the kernel answers for it. On minikube its own commands do it, because what boots there by itself has
no kubelet. A kubelet alone is a systemd unit of either.

What is to be switched off is written down first. So it is known, in whatever process comes after a crash, what has to
be switched on again, and a machine that is off on purpose is not taken for a cluster that stands still.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from kuartui import paths
from kuartui.errors import ClusterError
from kuartui.message import later

if TYPE_CHECKING:
    from kuartui.cluster.rest import Api

Action = Literal["fail", "recover", "pause", "resume"]
Off = Literal["fail", "pause"]
Run = Callable[..., Coroutine[Any, Any, str]]

CURE: dict[Off, Action] = {"fail": "recover", "pause": "resume"}  # in this order: without power there is no kubelet
CUT_SECONDS = 60.0
BOOT_SECONDS = 300.0  # minikube sees to it that the node is ready again
KUBELET_SECONDS = 60.0


class Machines(Protocol):
    """Those of a cluster. Every failure is a ClusterError or MissingError."""

    async def switch(self, node: str, action: Action) -> None:
        """A machine loses its power or gets it back (`fail`, `recover`), or its kubelet alone stops or starts (`pause`,
        `resume`)."""
        ...

    async def repair(self) -> None:
        """All that was switched off is on again; also what another process, which has died since, switched off."""
        ...


class ManagedMachines:
    """Those of the embedded cluster: its own API switches them."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def switch(self, node: str, action: Action) -> None:
        await self._api.request("POST", f"/kuartui.dev/nodes/{node}/{action}", body={})

    async def repair(self) -> None:
        nodes = await self._api.list(await self._api.resource("Node"))
        for node in nodes.items:
            for action in CURE.values():
                await self.switch(str(node["metadata"]["name"]), action)


class LocalMachines(ABC):
    """Those that a command line switches. `record` says what is off."""

    def __init__(self, record: Path) -> None:
        self._record = record

    def off(self) -> dict[str, list[Off]]:
        """What is switched off, or about to be, by the name of the node."""
        try:
            found = json.loads(self._record.read_text())
        except (OSError, ValueError):
            return {}
        kept: dict[str, list[Off]] = {}
        for node, what in found.items() if isinstance(found, dict) else ():
            kept[str(node)] = [action for action in CURE if action in what]
        return {node: what for node, what in kept.items() if what}

    def _note(self, off: dict[str, list[Off]]) -> None:
        if off:
            paths.write_private(self._record, json.dumps(off))
        else:
            self.forget()

    def forget(self) -> None:
        """The cluster is gone, or all of it runs."""
        self._record.unlink(missing_ok=True)

    async def switch(self, node: str, action: Action) -> None:
        off = self.off()
        known = off.get(node, [])
        if action == "fail" or action == "pause":
            await self._check(node)
            self._note({**off, node: [*known, action] if action not in known else known})
            await self._switch(node, action)
            return
        await self._switch(node, action)
        left = [what for what in known if CURE[what] != action]
        self._note({name: what for name, what in {**off, node: left}.items() if what})

    async def repair(self) -> None:
        for node, what in self.off().items():
            for off, cure in CURE.items():
                if off in what:
                    await self.switch(node, cure)

    async def _check(self, node: str) -> None:  # noqa: B027  a tool that says so itself needs no more
        """ClusterError when there is no such machine, before anything is written down."""

    @abstractmethod
    async def _switch(self, node: str, action: Action) -> None:
        """Do it. What is on already stays as it is, and so does what is not there any more."""


class KindMachines(LocalMachines):
    """Containers of an engine; `engine` runs its command line, `members` are the node containers that there are."""

    def __init__(
        self, record: Path, engine: Run, members: Callable[[], Coroutine[Any, Any, dict[str, str]]], cluster: str
    ) -> None:
        super().__init__(record)
        self._engine, self._members, self._cluster = engine, members, cluster

    async def _check(self, node: str) -> None:
        if node not in await self._members():
            raise ClusterError(later("kind cluster {name} has no node container {node}", name=self._cluster, node=node))

    async def _switch(self, node: str, action: Action) -> None:
        if node not in await self._members():
            return
        what = words(node, action)
        if action == "fail":
            await self._engine("stop", "-t", "0", node, what=what, timeout=CUT_SECONDS)
        elif action == "recover":
            await self._engine("start", node, what=what, timeout=CUT_SECONDS)
        else:
            verb = "stop" if action == "pause" else "start"
            await self._engine("exec", node, "systemctl", verb, "kubelet", what=what, timeout=KUBELET_SECONDS)


class MinikubeMachines(LocalMachines):
    """Nodes of a profile; `minikube` runs its command line for that profile."""

    def __init__(self, record: Path, minikube: Run) -> None:
        super().__init__(record)
        self._minikube = minikube

    async def _switch(self, node: str, action: Action) -> None:
        what = words(node, action)
        if action in ("fail", "recover"):
            await self._minikube("node", "stop" if action == "fail" else "start", node, what=what, timeout=BOOT_SECONDS)
            return
        verb = "stop" if action == "pause" else "start"
        await self._minikube(
            "ssh", "--node", node, f"sudo systemctl {verb} kubelet", what=what, timeout=KUBELET_SECONDS
        )


def words(node: str, action: Action) -> str:
    """What is being done, for an error."""
    if action == "fail":
        return later("switching node {node} off", node=node)
    if action == "recover":
        return later("switching node {node} on", node=node)
    if action == "pause":
        return later("stopping the kubelet of node {node}", node=node)
    return later("starting the kubelet of node {node}", node=node)
