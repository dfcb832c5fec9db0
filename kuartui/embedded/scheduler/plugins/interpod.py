"""Required affinity and anti-affinity between pods, after plugins/interpodaffinity/filtering.go."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from kuartui.embedded.client import Client
from kuartui.embedded.scheduler.framework import Plugin, Refusal, Trial, labels_changed
from kuartui.embedded.scheduler.matching import AffinityTerm, affinity_terms
from kuartui.embedded.scheduler.nodes import NodeInfo

Obj = dict[str, Any]
Domain = tuple[str, str]  # topology key and value


class _Counts(Struct):
    """Matching pods per topology domain."""

    near: list[AffinityTerm]
    far: list[AffinityTerm]
    friends: dict[Domain, int] = field(default_factory=dict)
    foes: dict[Domain, int] = field(default_factory=dict)
    enemies: dict[Domain, int] = field(default_factory=dict)
    """Pods whose own anti-affinity means the new pod."""


class InterPodAffinity(Plugin):
    """Pods that must run with, or apart from, others."""

    name = "InterPodAffinity"
    wakes = frozenset({"pod-gone", "pod-placed", "pod-labels", "node", "namespace"})

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        counts = trial.notes.get(self.name)
        if counts is None:
            counts = trial.notes[self.name] = _count(trial)
        labels = info.labels
        if not self._with_friends(trial, counts, labels):
            return self.refuse("node(s) didn't match pod affinity rules", final=True)
        if any(counts.foes.get((term.topology_key, labels.get(term.topology_key, ""))) for term in counts.far):
            return self.refuse("node(s) didn't match pod anti-affinity rules")
        if any(labels.get(key) == value for key, value in counts.enemies):
            return self.refuse("node(s) didn't satisfy existing pods anti-affinity rules")
        return None

    def helped_by(self, client: Client, pod: Obj, before: Obj | None, after: Obj | None) -> bool:
        """A friend came, or somebody who was in the way went; without friends the pod may be the first of its group."""
        near, far = affinity_terms(pod, "podAffinity"), affinity_terms(pod, "podAntiAffinity")

        def among(terms: list[AffinityTerm], other: Obj | None) -> bool:
            return other is not None and bool(terms) and all(term.matches(other, client) for term in terms)

        if among(near, before) != among(near, after):
            return True
        if before is None:
            return False
        gone = [term for term in far if term.matches(before, client)]
        if any(after is None or not term.matches(after, client) for term in gone):
            return True
        return after is None and any(term.matches(pod, client) for term in affinity_terms(before, "podAntiAffinity"))

    def helped_by_node(self, pod: Obj, before: Obj | None, after: Obj) -> bool:
        """It is new, or in another place than before."""
        return labels_changed(before, after)

    def _with_friends(self, trial: Trial, counts: _Counts, labels: dict[str, str]) -> bool:
        if any(term.topology_key not in labels for term in counts.near):
            return False
        if all(counts.friends.get((term.topology_key, labels[term.topology_key])) for term in counts.near):
            return True
        # The first of a group that wants to be together may start anywhere.
        return not counts.friends and all(term.matches(trial.pod, trial.client) for term in counts.near)


def _count(trial: Trial) -> _Counts:
    counts = _Counts(affinity_terms(trial.pod, "podAffinity"), affinity_terms(trial.pod, "podAntiAffinity"))
    for info in trial.nodes.values():
        labels = info.labels
        for entry in info.pods.values():
            if counts.near and all(term.matches(entry.pod, trial.client) for term in counts.near):
                _add(counts.friends, counts.near, labels)
            for term in counts.far:
                if term.matches(entry.pod, trial.client):
                    _add(counts.foes, [term], labels)
            if entry.affinity.get("podAntiAffinity"):
                for term in affinity_terms(entry.pod, "podAntiAffinity"):
                    if term.matches(trial.pod, trial.client):
                        _add(counts.enemies, [term], labels)
    return counts


def _add(counts: dict[Domain, int], terms: list[AffinityTerm], labels: dict[str, str]) -> None:
    for term in terms:
        if term.topology_key in labels:
            domain = term.topology_key, labels[term.topology_key]
            counts[domain] = counts.get(domain, 0) + 1
