"""Why a Service's `topology-mode: Auto` gives no hints, after staging/src/k8s.io/endpointslice/topologycache."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.quantity import parse

Obj = dict[str, Any]

DISABLED = "TopologyAwareHintsDisabled"
ANNOTATIONS = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode")
ZONE = "topology.kubernetes.io/zone"
EXCLUDED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def wanted(service: Obj) -> bool:
    """Whether the Service asks for hints by its annotation; the older of the two counts first."""
    annotations = objects.annotations_of(service)
    value = next((annotations[name] for name in ANNOTATIONS if name in annotations), "")
    return value in ("Auto", "auto")


def obstacle(nodes: list[Obj], ready: int) -> str:
    """What keeps so many ready endpoints from being shared out among the zones, "" if nothing obvious does."""
    zones = _zones(nodes)
    if len(zones) < 2:
        return "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
    if len(zones) > ready:
        return f"Insufficient number of endpoints ({ready} endpoints, {len(zones)} zones)"
    return ""


def _zones(nodes: list[Obj]) -> set[str]:
    """The zones of the nodes that take part; none if one of these does not tell its zone or its CPUs."""
    zones = set()
    for node in nodes:
        labels, status = objects.labels_of(node), node.get("status") or {}
        ready = objects.condition(status.get("conditions") or [], "Ready")
        if any(label in labels for label in EXCLUDED) or ready is None or ready["status"] != "True":
            continue
        if not labels.get(ZONE) or not parse((status.get("allocatable") or {}).get("cpu", "0")).milli:
            return set()
        zones.add(labels[ZONE])
    return zones
