"""Hints for a Service's `topology-mode: Auto`, after staging/src/k8s.io/endpointslice/topologycache.

Endpoints are shared out among the zones by the CPUs of their nodes. Pure functions.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.quantity import parse

Obj = dict[str, Any]

ENABLED, DISABLED = "TopologyAwareHintsEnabled", "TopologyAwareHintsDisabled"
NOW_ENABLED, NOW_DISABLED = "Topology Aware Hints has been enabled", "Topology Aware Hints has been disabled"
ANNOTATIONS = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode")
ZONE = "topology.kubernetes.io/zone"
EXCLUDED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
OVERLOAD = 0.2  # how much more than its share an endpoint may have to bear


def wanted(service: Obj) -> bool:
    """Whether the Service asks for hints by its annotation; the older of the two counts first."""
    annotations = objects.annotations_of(service)
    value = next((annotations[name] for name in ANNOTATIONS if name in annotations), "")
    return value in ("Auto", "auto")


def share_out(nodes: list[Obj], endpoints: list[Obj]) -> str:
    """Write the hints into the ready endpoints; what keeps them from it, "" if they have them now."""
    ready = [endpoint for endpoint in endpoints if endpoint["conditions"]["ready"]]
    shares, obstacle = _shares(_cpus(nodes), len(ready))
    if obstacle:
        return obstacle
    if not all(endpoint.get("zone") for endpoint in ready):
        return "One or more endpoints do not have a zone specified"
    there = Counter(endpoint["zone"] for endpoint in ready)
    giving, receiving = _moves({zone: there[zone] - share for zone, share in shares.items()})
    for endpoint in ready:
        zone = endpoint["zone"]
        if giving[zone] and receiving:
            giving[zone] -= 1
            zone = receiving.pop(0)
        endpoint["hints"] = {"forZones": [{"name": zone}]}
    return ""


def _shares(cpus: dict[str, int], ready: int) -> tuple[dict[str, float], str]:
    """How many of the ready endpoints each zone should have, or why there can be no such thing."""
    if len(cpus) < 2:
        return {}, "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
    numbers = f"({ready} endpoints, {len(cpus)} zones)"
    if len(cpus) > ready:
        return {}, f"Insufficient number of endpoints {numbers}"
    shares = {}
    left = ready
    for zone, cpu in cpus.items():
        share = cpu / sum(cpus.values()) * ready
        least = math.ceil(share * (1 / (1 + OVERLOAD)))
        left -= least
        shares[zone] = max(share, least)
    if left < 0:
        text = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
        return {}, f"{text} {numbers}"
    return shares, ""


def _moves(surplus: dict[str, float]) -> tuple[Counter[str], list[str]]:
    """How many endpoints each zone gives away, and which zones they go to: from the fullest to the emptiest."""
    giving: Counter[str] = Counter()
    receiving: list[str] = []
    while True:
        fullest, emptiest = max(surplus, key=lambda zone: surplus[zone]), min(surplus, key=lambda zone: surplus[zone])
        spare, lacking = surplus[fullest], -surplus[emptiest]
        if min(spare, lacking) < 0.5 or max(spare, lacking) < 1:
            return giving, receiving
        giving[fullest] += 1
        receiving.append(emptiest)
        surplus[fullest] -= 1
        surplus[emptiest] += 1


def _cpus(nodes: list[Obj]) -> dict[str, int]:
    """The CPUs of each zone's nodes that take part; none if one of these does not tell its zone or its CPUs."""
    cpus: Counter[str] = Counter()
    for node in nodes:
        labels = objects.labels_of(node)
        if any(label in labels for label in EXCLUDED) or not objects.condition_true(node, "Ready"):
            continue
        cpu = parse(((node.get("status") or {}).get("allocatable") or {}).get("cpu", "0")).milli
        if not labels.get(ZONE) or not cpu:
            return {}
        cpus[labels[ZONE]] += cpu
    return dict(cpus)


def matters(node: Obj) -> tuple[Any, ...]:
    """What of a node hints depend on."""
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return objects.labels_of(node), objects.condition_true(node, "Ready"), allocatable.get("cpu")
