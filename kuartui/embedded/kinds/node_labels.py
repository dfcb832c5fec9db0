"""Node labels that have newer names (pkg/api/node)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.meta.fielderr import Path

Obj = dict[str, Any]

DEPRECATED = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}


def term_warnings(term: Obj, path: Path) -> list[str]:
    """On a NodeSelectorTerm."""
    found = []
    for field in ("matchExpressions", "matchFields"):
        for index, rule in enumerate(term.get(field) or []):
            key = rule.get("key", "")
            if field == "matchExpressions" and key in DEPRECATED:
                found.append(f"{(path / field).index(index) / 'key'}: {key} is {DEPRECATED[key]}")
    return found


TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def with_topology(pod: dict[str, Any], node: dict[str, Any]) -> None:
    """Give a pod (in place) the labels of its node that say where that is, unless it has its own."""
    known = node["metadata"].get("labels") or {}
    labels = {key: known[key] for key in TOPOLOGY if key in known}
    if labels:
        pod["metadata"]["labels"] = {**labels, **(pod["metadata"].get("labels") or {})}
