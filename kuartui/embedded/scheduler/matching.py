"""Matching of nodes and pods: node selector terms, tolerations, pod affinity terms. Pure functions.

After k8s.io/component-helpers/scheduling/corev1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.meta.labels import Selector, from_object

Obj = dict[str, Any]


def tolerates(tolerations: Iterable[Obj] | None, taint: Obj) -> bool:
    """Whether a toleration covers a taint."""
    return any(_covers(toleration, taint) for toleration in tolerations or ())


def _covers(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")
        case "Gt" | "Lt" as operator:
            return _compares(taint.get("value", ""), operator, toleration.get("value", ""))
    return False


def untolerated(tolerations: Iterable[Obj] | None, taints: Iterable[Obj], *effects: str) -> Obj | None:
    """The first taint with one of these effects that no toleration covers."""
    known = list(tolerations or ())
    for taint in taints:
        if taint["effect"] in effects and not tolerates(known, taint):
            return taint
    return None


def selects_node(pod: Obj, node: Obj) -> bool:
    """nodeSelector and required node affinity."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (pod["spec"].get("nodeSelector") or {}).items()):
        return False
    required = required_node_terms(pod)
    return required is None or matches_node_terms(required, node)


def required_node_terms(pod: Obj) -> list[Obj] | None:
    """The terms of required node affinity; None without one."""
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return None if required is None else required.get("nodeSelectorTerms") or []


def matches_node_terms(terms: Iterable[Obj], node: Obj) -> bool:
    """Whether any of the terms matches; an empty term matches nothing."""
    return any(matches_node_term(term, node) for term in terms)


def matches_node_term(term: Obj, node: Obj) -> bool:
    """All expressions of one term."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels") or {}
    names = {"metadata.name": node["metadata"]["name"]}
    return all(_holds(labels, one) for one in expressions) and all(_holds(names, one) for one in fields)


def _holds(labels: Mapping[str, str], wanted: Obj) -> bool:
    value, values = labels.get(wanted["key"]), wanted.get("values") or []
    match wanted["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return value is not None and bool(values) and _compares(value, operator, values[0])
    return False


def _compares(value: str, operator: str, bound: str) -> bool:
    try:
        left, right = int(value), int(bound)
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right


class AffinityTerm:
    """A pod affinity term of one pod, ready to be matched against other pods."""

    def __init__(self, term: Obj, owner: Obj) -> None:
        self.topology_key: str = term["topologyKey"]
        self._selector = _with_label_keys(term, owner)
        given = term.get("namespaces") or []
        by_label = term.get("namespaceSelector")
        if not given and by_label is None:
            given = [owner["metadata"]["namespace"]]
        self._namespaces = set(given)
        self._namespace_selector = from_object(by_label) if by_label is not None else None

    def matches(self, pod: Obj, client: Client) -> bool:
        """Whether a pod is one that the term means."""
        namespace = pod["metadata"]["namespace"]
        if namespace not in self._namespaces and not self._by_label(namespace, client):
            return False
        return self._selector.matches(pod["metadata"].get("labels"))

    def _by_label(self, namespace: str, client: Client) -> bool:
        if self._namespace_selector is None:
            return False
        if self._namespace_selector.empty:
            return True
        found = client.get("namespaces", "", namespace)
        return found is not None and self._namespace_selector.matches(found["metadata"].get("labels"))


def _with_label_keys(term: Obj, owner: Obj) -> Selector:
    """The term's selector, narrowed by matchLabelKeys and mismatchLabelKeys."""
    return narrowed(term.get("labelSelector"), owner, term.get("matchLabelKeys"), term.get("mismatchLabelKeys"))


def narrowed(
    selector: Obj | None, owner: Obj, keys: Iterable[str] | None, other_keys: Iterable[str] | None = None
) -> Selector:
    """A label selector that also asks for the owner's own values of `keys`, and for others of `other_keys`."""
    if selector is None:
        return from_object(None)
    labels = owner["metadata"].get("labels") or {}
    expressions = list(selector.get("matchExpressions") or ())
    for given, operator in ((keys, "In"), (other_keys, "NotIn")):
        expressions += [
            {"key": key, "operator": operator, "values": [labels[key]]} for key in given or () if key in labels
        ]
    return from_object({**selector, "matchExpressions": expressions})


def affinity_terms(pod: Obj, kind: str, *, owner: Obj | None = None) -> list[AffinityTerm]:
    """Required terms of a kind: podAffinity or podAntiAffinity."""
    rules = (pod["spec"].get("affinity") or {}).get(kind) or {}
    terms = rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return [AffinityTerm(term, owner or pod) for term in terms]


def preferred_terms(pod: Obj, kind: str) -> list[tuple[int, AffinityTerm]]:
    """Preferred terms of a kind with their weights."""
    rules = (pod["spec"].get("affinity") or {}).get(kind) or {}
    terms = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return [(one["weight"], AffinityTerm(one["podAffinityTerm"], pod)) for one in terms]
