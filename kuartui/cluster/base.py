"""What the game asks of a cluster, whatever makes it: embedded, kind, minikube, or a context the player named.

A `Cluster` is the thing one brings up and takes down. A `Sandbox` is the part of it where one attempt is played: a
cluster of its own where that costs nothing (embedded), else the whole shared cluster, cleaned up exactly. The player
gets a private kubeconfig (0600) with its own context and namespace; the user's own kubeconfig is never written. The
checker has another identity, so that what it does can be told from what the player did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from kuartui.cluster.clock import Clock
    from kuartui.cluster.fence import Fence
    from kuartui.cluster.machines import Machines
    from kuartui.cluster.rest import Api
    from kuartui.game.level import Right

Kind = Literal["embedded", "kind", "minikube", "context"]
Phase = Literal["absent", "stopped", "starting", "ready", "broken"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of something that takes a while: `step` of `steps` (0 when not known), in words."""

    text: str
    step: int = 0
    steps: int = 0


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A Report for those who do not want one."""


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    phase: Phase
    detail: str = ""  # one sentence, when it is not ready
    version: str = ""  # v1.36.2
    nodes: int = 0
    address: str = ""
    facts: dict[str, str] = field(default_factory=dict)  # pid, state directory, profile … for `cluster status`


class Sandbox(Protocol):
    """Where one attempt is played."""

    @property
    def id(self) -> str:
        """Finds it again in another process: `Cluster.find(id)`."""
        ...

    @property
    def disposable(self) -> bool:
        """Whether it is a whole cluster that dies with the attempt, so that nothing need be cleaned up."""
        ...

    @property
    def checker_kubeconfig(self) -> Path:
        """The checker's credentials: everything may be read, and levels set up."""
        ...

    @property
    def clock(self) -> Clock: ...

    def fence(self, rights: Iterable[Right]) -> Fence | None:
        """What keeps our own writes within bounds where a cluster is not ours alone; None where it is."""
        ...

    def machines(self, api: Api) -> Machines | None:
        """Those of its nodes, where they can be switched off (capability `node-power`). `api` is the checker's."""
        ...

    async def admit(self, namespaces: Iterable[str], rights: Iterable[Right]) -> None:
        """Let the player into the level's namespaces, with these rights beyond them. Disposable ones: do nothing."""
        ...

    async def player_kubeconfig(self, namespace: str) -> Path:
        """Write (0600) and return the player's kubeconfig, its context set to `namespace`."""
        ...

    async def reset(self, report: Report = silent, *, head: float = 0.0) -> None:
        """Make a disposable sandbox as new, under the same id and with the same kubeconfigs. Others: do nothing."""
        ...

    async def present(self) -> None:
        """All is set up: a clock that had a head start catches up with the present and is a real one from now on."""
        ...

    async def copy(self) -> Sandbox:
        """Another one, in which everything is as it is here now: where the cluster `copies`, and on stepped time.

        ClusterError when that does not work; this one is as it was."""
        ...

    async def close(self) -> None:
        """Remove it: the disposable cluster, or the player's access to a shared one. Safe to call twice."""
        ...


class Cluster(Protocol):
    """A cluster by name. Every failure is a ClusterError or MissingError with a hint."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def ref(self) -> str:
        """What `--cluster` says to get it again: embedded, kind, context:NAME."""
        ...

    @property
    def copies(self) -> bool:
        """Whether a sandbox of it can be copied."""
        ...

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, private to us."""
        ...

    @property
    def capabilities(self) -> frozenset[str]: ...

    @property
    def within_reach(self) -> frozenset[str]:
        """The capabilities, and those that add-ons would bring."""
        ...

    async def up(self, report: Report = silent) -> None:
        """Make it, wait until it serves, and see what it can do. Nothing to do when that is so already."""
        ...

    async def wake(self, report: Report = silent) -> None:
        """Have it serve, if it does not. What it can do is not looked at: on a real one that takes a while."""
        ...

    async def down(self, report: Report = silent) -> None: ...

    async def status(self) -> ClusterStatus: ...

    async def reset(self, report: Report = silent) -> None: ...

    async def provide(self, needs: Iterable[str], images: Iterable[str], report: Report = silent) -> None:
        """Make the cluster able to do what a level `needs`, as far as it can be, and bring `images` to its nodes.

        Clusters of our own that are made of containers get add-ons and images; to others nothing is done.
        """
        ...

    async def sandbox(
        self, sandbox_id: str, *, fast: bool = False, head: float = 0.0, report: Report = silent
    ) -> Sandbox:
        """A place for a new attempt. `fast` asks for stepped time; only embedded clusters can, others raise.

        `head` is how many seconds setting up may take in no time at all, where the cluster can do that.
        """
        ...

    def apart(self, count: int) -> AbstractAsyncContextManager[Sequence[Cluster]]:
        """`count` clusters of the same kind with nobody else in them, for proofs side by side; only itself where there
        can be one."""
        ...

    async def find(self, sandbox_id: str, *, uid: str = "") -> Sandbox | None:
        """The sandbox of an attempt that began earlier, maybe in another process. `uid` is that of the kube-system
        namespace where it began, if known. ElsewhereError when this is another cluster by now."""
        ...
