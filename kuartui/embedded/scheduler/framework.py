"""What a scheduling plugin is: a check before all nodes (prepare) and one per node (filter).

After pkg/scheduler/framework. A plugin that refuses says why in the words that end in the pod's condition.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.volumes.matching import claims_of
from kuartui.embedded.scheduler.nodes import NodeInfo, PodOnNode

Obj = dict[str, Any]


class Refusal(Struct, frozen=True):
    """Why a pod can't run somewhere."""

    reasons: tuple[str, ...]
    plugin: str
    final: bool = False
    """Whether no pod's going away would help (UnschedulableAndUnresolvable)."""


class PluginError(Exception):
    """A plugin could not tell; the text ends the attempt and stands in the pod's condition."""


class Trial:
    """One attempt to place a pod: the pod, the nodes as they are now, and what plugins work out once for all nodes."""

    def __init__(self, client: Client, pod: Obj, nodes: Iterable[NodeInfo]) -> None:
        self.client = client
        self.pod = pod
        self.entry = PodOnNode(pod)
        self.nodes = {info.name: info for info in nodes}
        self.notes: dict[str, Any] = {}

    def with_node(self, info: NodeInfo) -> Trial:
        """The same attempt if one node were different."""
        return Trial(self.client, self.pod, [*(one for name, one in self.nodes.items() if name != info.name), info])


class OnlyNodes(Struct, frozen=True):
    """`prepare` knows that only these nodes can do."""

    names: frozenset[str]
    plugin: str


class Plugin:
    """A rule about where pods may run."""

    name = ""
    wakes: frozenset[str] = frozenset()
    """Kinds of change that may let a pod in that this plugin refused (see `queue`)."""

    def prepare(self, trial: Trial) -> Refusal | OnlyNodes | None:
        """A look at the pod before any node."""
        return None

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        """Whether the pod may run on a node."""
        return None

    def helped_by(self, client: Client, pod: Obj, before: Obj | None, after: Obj | None) -> bool:
        """Whether another pod's change may let in a pod that this plugin refused: its queueing hint.

        `before` is None for a pod that got its node, `after` for one that is gone.
        """
        return True

    def helped_by_node(self, pod: Obj, before: Obj | None, after: Obj) -> bool:
        """The same for a change of a node, `before` is None for a new one. Nodes that go help nobody but spreading."""
        return before is None

    def helped_by_claim(self, pod: Obj, claim: Obj) -> bool:
        """The same for a volume claim that came or changed."""
        return any(objects.name_of(claim) == name for name, _ in claims_of(pod)) and _neighbours(pod, claim)

    def refuse(self, *reasons: str, final: bool = False) -> Refusal:
        """A refusal in this plugin's name."""
        return Refusal(reasons, self.name, final)


def labels_changed(before: Obj | None, after: Obj) -> bool:
    """Whether a node is new or has other labels."""
    return before is None or objects.labels_of(before) != objects.labels_of(after)


def _neighbours(one: Obj, other: Obj) -> bool:
    return objects.namespace_of(one) == objects.namespace_of(other)


class Diagnosis(Struct):
    """Why no node would do (framework.FitError)."""

    total: int
    by_node: dict[str, Refusal] = field(default_factory=dict)
    before: str = ""
    """The refusal of a `prepare`."""
    after: str = ""
    """What came of trying to make room."""
    plugins: set[str] = field(default_factory=set)

    def message(self) -> str:
        """The text of the condition and event."""
        text = f"0/{self.total} nodes are available:"
        if self.before:
            text += f" {self.before}."
        else:
            counts: dict[str, int] = {}
            for refusal in self.by_node.values():
                for reason in refusal.reasons:
                    counts[reason] = counts.get(reason, 0) + 1
            lines = sorted(f"{count} {reason}" for reason, count in counts.items())
            if lines:
                text += f" {', '.join(lines)}."
        return f"{text} {self.after}" if self.after else text
