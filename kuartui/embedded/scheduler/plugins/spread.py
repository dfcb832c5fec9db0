"""Topology spread constraints, after plugins/podtopologyspread/filtering.go."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.meta.labels import Selector
from kuartui.embedded.scheduler import matching
from kuartui.embedded.scheduler.framework import Plugin, Refusal, Trial, labels_changed
from kuartui.embedded.scheduler.nodes import NodeInfo

Obj = dict[str, Any]

TEXT = "node(s) didn't match pod topology spread constraints"


class Constraint:
    """A constraint of one pod and how many matching pods each domain has."""

    def __init__(self, constraint: Obj, pod: Obj) -> None:
        self.key: str = constraint["topologyKey"]
        self.max_skew: int = constraint["maxSkew"]
        self.min_domains: int = constraint.get("minDomains") or 1
        self.honor_affinity = constraint.get("nodeAffinityPolicy", "Honor") == "Honor"
        self.honor_taints = constraint.get("nodeTaintsPolicy", "Ignore") == "Honor"
        self.selector: Selector = matching.narrowed(
            constraint.get("labelSelector"), pod, constraint.get("matchLabelKeys")
        )
        self.counts: dict[str, int] = {}

    def counts_node(self, pod: Obj, info: NodeInfo) -> bool:
        """Whether a node belongs to the domains that are compared."""
        if self.honor_affinity and not matching.selects_node(pod, info.node):
            return False
        tolerations = pod["spec"].get("tolerations")
        return not (
            self.honor_taints and matching.untolerated(tolerations, info.taints, "NoSchedule", "NoExecute") is not None
        )

    def matching_pods(self, pod: Obj, info: NodeInfo) -> int:
        """Pods of a node that count."""
        namespace, matches = pod["metadata"]["namespace"], self.selector.matches
        return sum(
            1
            for entry in info.pods.values()
            if entry.namespace == namespace and matches(entry.labels) and not entry.terminating
        )

    @property
    def fewest(self) -> int:
        """Pods in the emptiest domain; 0 while there are fewer domains than there should be."""
        return 0 if len(self.counts) < self.min_domains else min(self.counts.values(), default=0)


def constraints(pod: Obj, when: str) -> list[Constraint]:
    """The pod's constraints with a whenUnsatisfiable."""
    given = pod["spec"].get("topologySpreadConstraints") or ()
    return [Constraint(one, pod) for one in given if one["whenUnsatisfiable"] == when]


class PodTopologySpread(Plugin):
    """Hard constraints."""

    name = "PodTopologySpread"
    wakes = frozenset({"pod-gone", "pod-placed", "pod-labels", "node", "node-gone"})

    def helped_by(self, client: Client, pod: Obj, before: Obj | None, after: Obj | None) -> bool:
        """Only pods that some constraint counts matter."""
        changed = [one for one in (before, after) if one is not None]
        if all(one["metadata"]["namespace"] != pod["metadata"]["namespace"] for one in changed):
            return False
        known = constraints(pod, "DoNotSchedule")
        return any(
            constraint.selector.matches(one["metadata"].get("labels")) for constraint in known for one in changed
        )

    def helped_by_node(self, pod: Obj, before: Obj | None, after: Obj) -> bool:
        """It is new or gone, in another place, or (by its taints) no longer one that counts."""
        if before is None or labels_changed(before, after):
            return True
        return bool(before.get("spec", {}).get("taints") != after.get("spec", {}).get("taints"))

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        known: list[Constraint] | None = trial.notes.get(self.name)
        if known is None:
            known = trial.notes[self.name] = _counted(trial)
        for constraint in known:
            value = info.labels.get(constraint.key)
            if value is None:
                return self.refuse(f"{TEXT} (missing required label)", final=True)
            itself = constraint.selector.matches(trial.pod["metadata"].get("labels"))
            if constraint.counts.get(value, 0) + itself - constraint.fewest > constraint.max_skew:
                return self.refuse(TEXT)
        return None


def _counted(trial: Trial) -> list[Constraint]:
    known = constraints(trial.pod, "DoNotSchedule")
    for info in trial.nodes.values():
        if any(constraint.key not in info.labels for constraint in known):
            continue
        for constraint in known:
            if constraint.counts_node(trial.pod, info):
                value = info.labels[constraint.key]
                found = constraint.matching_pods(trial.pod, info)
                constraint.counts[value] = constraint.counts.get(value, 0) + found
    return known
