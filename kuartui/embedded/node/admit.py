"""Whether a node takes a pod that was put on it: the kubelet's own look after the scheduler's.

After pkg/kubelet/lifecycle/predicate.go. It matters for pods with `nodeName` and after races.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from kuartui.embedded.kinds.priorityclass import SYSTEM
from kuartui.embedded.node import spec, sysctls
from kuartui.embedded.node.machine import PRESSED
from kuartui.embedded.node.resources import Amounts, amounts, pod_requests, total_requests
from kuartui.embedded.node.static_pods import is_mirror
from kuartui.embedded.scheduler import matching

Obj = dict[str, Any]

IN_THOUSANDTHS = ("cpu",)
CRITICAL = SYSTEM["system-cluster-critical"]  # the priority from which on a pod is
SHORT_OF_MEMORY = {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}
Shortage = tuple[str, Decimal, Decimal, Decimal]
"""A resource, how much of it is wanted, used and there."""
_OS_LABEL, _OS = "kubernetes.io/os", "linux"


class Rejected(Exception):
    """The pod fails at once, with this reason and message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Crowded(Exception):
    """The node must make room for a critical pod."""

    def __init__(self, missing: Amounts) -> None:
        super().__init__("room must be made")
        self.missing = missing


def admit(pod: Obj, node: Obj, others: Iterable[Obj], pressure: set[str]) -> None:
    """`others` are the active pods on the node. Raises Rejected, or Crowded for a critical pod that others keep out."""
    _pressure(pod, pressure)
    if why := sysctls.forbidden(pod):
        raise Rejected("SysctlForbidden", why)
    _system(pod)
    others = list(others)
    shortages = _shortages(pod, node, others)
    if shortages and not critical(pod):
        raise _short(*shortages[0])
    if not matching.selects_node(pod, node):
        raise Rejected(
            "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        )
    taken = [port for other in others for port in _host_ports(other)]
    if any(_clash(wanted, port) for wanted in _host_ports(pod) for port in taken):
        message = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        raise Rejected("NodePorts", message)
    taints = node["spec"].get("taints") or ()
    if matching.untolerated(pod["spec"].get("tolerations"), taints, "NoExecute"):
        message = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
        raise Rejected("TaintToleration", message)
    if shortages:
        raise Crowded({name: wanted - (capacity - used) for name, wanted, used, capacity in shortages})


def critical(pod: Obj) -> bool:
    """Whether the node needs a pod so much that it neither refuses nor evicts it when it is short of something."""
    return is_mirror(pod) or int(pod["spec"].get("priority") or 0) >= CRITICAL


def _pressure(pod: Obj, pressure: set[str]) -> None:
    felt = [type_ for type_ in PRESSED if type_ in pressure]
    if not felt or critical(pod):
        return
    if felt == ["MemoryPressure"]:
        best_effort = pod.get("status", {}).get("qosClass") == "BestEffort"
        if not best_effort or matching.tolerates(pod["spec"].get("tolerations"), SHORT_OF_MEMORY):
            return
    raise Rejected("Evicted", f"The node had condition: [{' '.join(felt)}]. ")


def _system(pod: Obj) -> None:
    """The operating system that a pod names, as a label or a field: all nodes here have Linux."""
    labels = pod.get("metadata", {}).get("labels") or {}
    if labels.get(_OS_LABEL, _OS) != _OS:
        why = f"Failed to admit pod as the `{_OS_LABEL}` label doesn't match node label"
        raise Rejected("PodOSSelectorNodeLabelDoesNotMatch", why)
    if (pod["spec"].get("os") or {"name": _OS}).get("name") != _OS:
        raise Rejected("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")


def _shortages(pod: Obj, node: Obj, others: list[Obj]) -> list[Shortage]:
    allocatable = amounts(node.get("status", {}).get("allocatable"))
    room = allocatable.get("pods", Decimal(0))
    found = []
    if len(others) + 1 > room:
        found.append(("pods", Decimal(1), Decimal(len(others)), room))
    used = total_requests(others)
    for name, wanted in pod_requests(pod).items():
        capacity, taken = allocatable.get(name), used.get(name, Decimal(0))
        if capacity is None or not wanted:
            continue  # an extended resource that the node does not have is ignored by the kubelet
        if wanted > capacity - taken:
            found.append((name, wanted, taken, capacity))
    return found


def _short(name: str, wanted: Decimal, used: Decimal, capacity: Decimal) -> Rejected:
    scale = 1000 if name in IN_THOUSANDTHS else 1
    numbers = [int(value * scale) for value in (wanted, used, capacity)]
    message = "Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}".format(name, *numbers)
    return Rejected(f"OutOf{name}", message)


def _host_ports(pod: Obj) -> list[tuple[str, int, str]]:
    return [
        (port.get("protocol", "TCP"), int(port["hostPort"]), port.get("hostIP") or "0.0.0.0")
        for kind, container in spec.all_containers(pod)
        if kind == spec.REGULAR or spec.sidecar(kind, container)
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


def _clash(one: tuple[str, int, str], other: tuple[str, int, str]) -> bool:
    """Whether two pods cannot both have their host ports: the same one, at an address in common."""
    return one[:2] == other[:2] and (one[2] == other[2] or "0.0.0.0" in (one[2], other[2]))
