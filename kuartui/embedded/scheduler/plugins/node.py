"""Rules about the node itself: its name, labels, taints, and whether it takes pods at all."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.scheduler import matching
from kuartui.embedded.scheduler.framework import OnlyNodes, Plugin, Refusal, Trial
from kuartui.embedded.scheduler.nodes import NodeInfo

Obj = dict[str, Any]

CORDONED = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class NodeUnschedulable(Plugin):
    """Cordoned nodes."""

    name = "NodeUnschedulable"
    wakes = frozenset({"node"})

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        if not _cordoned(info.node):
            return None
        if matching.tolerates(trial.pod["spec"].get("tolerations"), CORDONED):
            return None
        return self.refuse("node(s) were unschedulable", final=True)

    def helped_by_node(self, pod: Obj, before: Obj | None, after: Obj) -> bool:
        """It takes pods now."""
        return not _cordoned(after) and (before is None or _cordoned(before))


def _cordoned(node: Obj) -> bool:
    return bool(node.get("spec", {}).get("unschedulable"))


class NodeName(Plugin):
    """spec.nodeName; pods that have it do not come here, so it refuses only in tests of what would be."""

    name = "NodeName"
    wakes = frozenset({"node"})

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        wanted = trial.pod["spec"].get("nodeName")
        if wanted and wanted != info.name:
            return self.refuse("node(s) didn't match the requested node name", final=True)
        return None


class TaintToleration(Plugin):
    """Taints NoSchedule and NoExecute."""

    name = "TaintToleration"
    wakes = frozenset({"node"})

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        tolerations = trial.pod["spec"].get("tolerations")
        if matching.untolerated(tolerations, info.taints, "NoSchedule", "NoExecute"):
            return self.refuse("node(s) had untolerated taint(s)", final=True)
        return None

    def helped_by_node(self, pod: Obj, before: Obj | None, after: Obj) -> bool:
        """A taint in its way went."""

        def keeps_out(node: Obj) -> bool:
            taints = node.get("spec", {}).get("taints") or ()
            return bool(matching.untolerated(pod["spec"].get("tolerations"), taints, "NoSchedule", "NoExecute"))

        return not keeps_out(after) and (before is None or keeps_out(before))


class NodeAffinity(Plugin):
    """nodeSelector and required node affinity."""

    name = "NodeAffinity"
    wakes = frozenset({"node"})
    text = "node(s) didn't match Pod's node affinity/selector"

    def prepare(self, trial: Trial) -> Refusal | OnlyNodes | None:
        """Terms that name nodes (those of DaemonSets) need no look at the others."""
        terms = matching.required_node_terms(trial.pod)
        if not terms:
            return None
        names: set[str] = set()
        for term in terms:
            named = [set(one["values"]) for one in term.get("matchFields") or () if one["operator"] == "In"]
            if not named:
                return None
            names |= set.intersection(*named)
        if not names:
            return self.refuse("pod affinity terms conflict", final=True)
        return OnlyNodes(frozenset(names), self.name)

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        return None if matching.selects_node(trial.pod, info.node) else self.refuse(self.text, final=True)

    def helped_by_node(self, pod: Obj, before: Obj | None, after: Obj) -> bool:
        """It has what the pod asks for now."""
        return matching.selects_node(pod, after) and (before is None or not matching.selects_node(pod, before))
