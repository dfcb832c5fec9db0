"""Which of the nodes that would do is best: free room, even spread, preferences.

After the scoring halves of the default plugins, with their weights. Each gives 0 to 100 per node.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.labels import Selector, from_map
from kuartui.embedded.scheduler import matching
from kuartui.embedded.scheduler.framework import Trial
from kuartui.embedded.scheduler.matching import AffinityTerm
from kuartui.embedded.scheduler.nodes import NodeInfo
from kuartui.embedded.scheduler.plugins.spread import Constraint, constraints
from kuartui.embedded.scheduler.requests import Amounts

Obj = dict[str, Any]
Scores = dict[str, float]

MOST = 100.0
HOSTNAME = "kubernetes.io/hostname"
CONTROLLER = "ReplicationController"
OWNERS = {"ReplicaSet": "replicasets.apps", "StatefulSet": "statefulsets.apps", CONTROLLER: "replicationcontrollers"}


def best_node(trial: Trial, feasible: list[NodeInfo]) -> NodeInfo:
    """The node with the highest score; of equal ones that with the fewest pods, then by name."""
    if len(feasible) == 1:
        return feasible[0]
    total = dict.fromkeys((info.name for info in feasible), 0.0)
    for weight, score in SCORES:
        for name, value in score(trial, feasible).items():  # those that are left out get nothing
            total[name] += weight * value
    return min(feasible, key=lambda info: (-round(total[info.name]), len(info.pods), info.name))


def least_allocated(trial: Trial, nodes: list[NodeInfo]) -> Scores:
    """More free CPU and memory is better."""
    scored = trial.entry.scored
    return {info.name: sum(MOST * (1 - share) for share in _shares(info, info.scored, scored)) / 2 for info in nodes}


def balanced(trial: Trial, nodes: list[NodeInfo]) -> Scores:
    """CPU and memory used in like measure is better, by what pods ask for; one that asks for neither goes anywhere."""
    asked = trial.entry.requests
    if not (asked.get("cpu") or asked.get("memory")):
        return {}
    scores = {}
    for info in nodes:
        cpu, memory = _shares(info, info.requested, asked)
        scores[info.name] = MOST * (1 - abs(cpu - memory) / 2)
    return scores


def _shares(info: NodeInfo, used: Amounts, more: Amounts) -> tuple[float, float]:
    """Which parts of a node's CPU and memory are taken with a pod more."""
    allocatable = info.allocatable
    shares = []
    for name in ("cpu", "memory"):
        taken = used.get(name, 0) + more.get(name, 0)
        shares.append(min(1.0, taken / allocatable[name]) if allocatable.get(name) else 1.0)
    return shares[0], shares[1]


def taints(trial: Trial, nodes: list[NodeInfo]) -> Scores:
    """Fewer untolerated PreferNoSchedule taints are better."""
    tolerations = trial.pod["spec"].get("tolerations")
    counts = {
        info.name: sum(
            one["effect"] == "PreferNoSchedule" and not matching.tolerates(tolerations, one) for one in info.taints
        )
        for info in nodes
    }
    return _normalized(counts, reverse=True)


def node_affinity(trial: Trial, nodes: list[NodeInfo]) -> Scores:
    """Preferred node affinity."""
    affinity = trial.entry.affinity.get("nodeAffinity") or {}
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    if not preferred:
        return {}
    weights = {
        info.name: sum(one["weight"] for one in preferred if matching.matches_node_term(one["preference"], info.node))
        for info in nodes
    }
    return _normalized(weights)


def pod_affinity(trial: Trial, nodes: list[NodeInfo]) -> Scores:
    """Preferred affinity and anti-affinity of the pod, and of the pods there towards it."""
    domains: dict[tuple[str, str], int] = {}
    wanted = _weighted(trial.pod)
    for info in trial.nodes.values():
        for entry in info.pods.values():
            if wanted:
                _vote(domains, info, wanted, entry.pod, trial.client)
            if entry.affinity:
                hard = [(1, term) for term in matching.affinity_terms(entry.pod, "podAffinity")]
                _vote(domains, info, _weighted(entry.pod) + hard, trial.pod, trial.client)
    if not domains:
        return {}
    sums = {info.name: sum(domains.get(label, 0) for label in info.labels.items()) for info in nodes}
    low, high = min(sums.values()), max(sums.values())
    return {name: MOST * (value - low) / (high - low) if high > low else 0.0 for name, value in sums.items()}


def _weighted(pod: Obj) -> list[tuple[int, AffinityTerm]]:
    near = matching.preferred_terms(pod, "podAffinity")
    return near + [(-weight, term) for weight, term in matching.preferred_terms(pod, "podAntiAffinity")]


def _vote(
    domains: dict[tuple[str, str], int],
    info: NodeInfo,
    terms: list[tuple[int, AffinityTerm]],
    pod: Obj,
    client: Client,
) -> None:
    for weight, term in terms:
        if term.topology_key in info.labels and term.matches(pod, client):
            domain = term.topology_key, info.labels[term.topology_key]
            domains[domain] = domains.get(domain, 0) + weight


def spread(trial: Trial, nodes: list[NodeInfo]) -> Scores:
    """Soft spread constraints, or the cluster's own defaults (hosts, then zones) for pods without any.

    A node without one of the labels that a pod's own constraints name is the worst.
    """
    own = bool(trial.pod["spec"].get("topologySpreadConstraints"))
    known = constraints(trial.pod, "ScheduleAnyway") if own else _default_constraints(trial)
    if not known:
        return {}

    def counts(info: NodeInfo) -> bool:
        return not own or all(constraint.key in info.labels for constraint in known)

    present = [info for info in nodes if counts(info)]
    costs = dict.fromkeys((info.name for info in present), 0.0)
    counted: dict[tuple[Selector, str], int] = {}  # the defaults count the same pods by two keys

    def pods(constraint: Constraint, info: NodeInfo) -> int:
        place = constraint.selector, info.name
        if place not in counted:
            counted[place] = constraint.matching_pods(trial.pod, info)
        return counted[place]

    for constraint in known:
        placed = [info for info in present if constraint.key in info.labels]
        if constraint.key == HOSTNAME:
            found = {info.name: pods(constraint, info) for info in placed}
            weight = math.log(len(present) + 2)
        else:
            domains = dict.fromkeys((info.labels[constraint.key] for info in placed), 0)
            for info in trial.nodes.values():
                value = info.labels.get(constraint.key)
                if value in domains and counts(info) and constraint.counts_node(trial.pod, info):
                    domains[value] += pods(constraint, info)
            found = {info.name: domains[info.labels[constraint.key]] for info in placed}
            weight = math.log(len(domains) + 2)
        for name, count in found.items():
            costs[name] += count * weight + constraint.max_skew - 1
    whole = {name: math.floor(cost + 0.5) for name, cost in costs.items()}
    low, high = min(whole.values(), default=0), max(whole.values(), default=0)
    return {name: MOST * (high + low - cost) // high if high else MOST for name, cost in whole.items()}


def _default_constraints(trial: Trial) -> list[Constraint]:
    selector = _owner_selector(trial)
    if selector is None:
        return []
    base = {"labelSelector": selector, "whenUnsatisfiable": "ScheduleAnyway"}
    return [
        Constraint(base | {"topologyKey": HOSTNAME, "maxSkew": 3}, trial.pod),
        Constraint(base | {"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 5}, trial.pod),
    ]


def _owner_selector(trial: Trial) -> Obj | None:
    """What makes pods siblings: the Services that select the pod, and its controller's selector (DefaultSelector)."""
    namespace = trial.pod["metadata"]["namespace"]
    labels: dict[str, str] = {}
    for service in trial.client.list("services", namespace):
        selector = service["spec"].get("selector")
        if selector and from_map(selector).matches(trial.entry.labels):
            labels |= selector
    expressions: list[Obj] = []
    ref = objects.controller_of(trial.pod)
    owner = trial.client.get(OWNERS[ref["kind"]], namespace, ref["name"]) if ref and ref["kind"] in OWNERS else None
    if owner is not None and ref and ref["kind"] == CONTROLLER:
        labels |= owner["spec"].get("selector") or {}
    elif owner is not None:
        labels |= owner["spec"]["selector"].get("matchLabels") or {}
        expressions = owner["spec"]["selector"].get("matchExpressions") or []
    return {"matchLabels": labels, "matchExpressions": expressions} if labels or expressions else None


def _normalized(values: dict[str, int], *, reverse: bool = False) -> Scores:
    most = max(values.values(), default=0)
    if not most:
        return dict.fromkeys(values, MOST if reverse else 0.0)
    return {name: MOST * (most - value if reverse else value) / most for name, value in values.items()}


SCORES: tuple[tuple[int, Callable[[Trial, list[NodeInfo]], Scores]], ...] = (
    (3, taints),
    (2, node_affinity),
    (1, least_allocated),
    (2, spread),
    (2, pod_affinity),
    (1, balanced),
)
