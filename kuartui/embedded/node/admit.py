"""Whether a node takes a pod that was put on it: the kubelet's own look after the scheduler's.

After pkg/kubelet/lifecycle/predicate.go. It matters for pods with `nodeName` and after races.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from kuartui.embedded.node import sysctls
from kuartui.embedded.node.machine import PRESSED
from kuartui.embedded.node.resources import amounts, pod_requests, total_requests

Obj = dict[str, Any]

IN_THOUSANDTHS = ("cpu",)
_OS_LABEL, _OS = "kubernetes.io/os", "linux"


class Rejected(Exception):
    """The pod fails at once, with this reason and message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def admit(pod: Obj, node: Obj, others: Iterable[Obj], pressure: set[str]) -> None:
    """`others` are the active pods on the node. Raises Rejected."""
    _pressure(pod, pressure)
    _system(pod)
    others = list(others)
    _resources(pod, node, others)
    if not selected(pod, node):
        raise Rejected(
            "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        )
    taken = [port for other in others for port in _host_ports(other)]
    if any(_clash(wanted, port) for wanted in _host_ports(pod) for port in taken):
        message = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        raise Rejected("NodePorts", message)
    if why := sysctls.forbidden(pod):
        raise Rejected("SysctlForbidden", why)
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] == "NoExecute" and not tolerated(pod, taint):
            message = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
            raise Rejected("TaintToleration", message)


def _pressure(pod: Obj, pressure: set[str]) -> None:
    best_effort = pod.get("status", {}).get("qosClass") == "BestEffort"
    critical = int(pod["spec"].get("priority") or 0) >= 2_000_000_000
    felt = [type_ for type_ in PRESSED if type_ in pressure and not critical]
    if felt and (best_effort or felt != ["MemoryPressure"]):
        raise Rejected("Evicted", f"The node had condition: [{', '.join(felt)}]. ")


def _system(pod: Obj) -> None:
    """The operating system that a pod names, as a label or a field: all nodes here have Linux."""
    labels = pod.get("metadata", {}).get("labels") or {}
    if labels.get(_OS_LABEL, _OS) != _OS:
        why = f"Failed to admit pod as the `{_OS_LABEL}` label doesn't match node label"
        raise Rejected("PodOSSelectorNodeLabelDoesNotMatch", why)
    if (pod["spec"].get("os") or {"name": _OS}).get("name") != _OS:
        raise Rejected("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")


def _resources(pod: Obj, node: Obj, others: list[Obj]) -> None:
    allocatable = amounts(node.get("status", {}).get("allocatable"))
    room = int(allocatable.get("pods", Decimal(0)))
    if len(others) + 1 > room:
        raise _short("pods", Decimal(1), Decimal(len(others)), Decimal(room))
    used = total_requests(others)
    for name, wanted in pod_requests(pod).items():
        capacity = allocatable.get(name)
        if capacity is None or not wanted:
            continue  # an extended resource that the node does not have is ignored by the kubelet
        if wanted > capacity - used.get(name, Decimal(0)):
            raise _short(name, wanted, used.get(name, Decimal(0)), capacity)


def _short(name: str, wanted: Decimal, used: Decimal, capacity: Decimal) -> Rejected:
    scale = 1000 if name in IN_THOUSANDTHS else 1
    numbers = [int(value * scale) for value in (wanted, used, capacity)]
    message = "Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}".format(name, *numbers)
    return Rejected(f"OutOf{name}", message)


def _host_ports(pod: Obj) -> list[tuple[str, int, str]]:
    return [
        (port.get("protocol", "TCP"), int(port["hostPort"]), port.get("hostIP") or "0.0.0.0")
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


def _clash(one: tuple[str, int, str], other: tuple[str, int, str]) -> bool:
    """Whether two pods cannot both have their host ports: the same one, at an address in common."""
    return one[:2] == other[:2] and (one[2] == other[2] or "0.0.0.0" in (one[2], other[2]))


def selected(pod: Obj, node: Obj) -> bool:
    """nodeSelector and required node affinity."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (pod["spec"].get("nodeSelector") or {}).items()):
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(_matches(labels, one) for one in term.get("matchExpressions") or ())
        and all(_matches(fields, one) for one in term.get("matchFields") or ())
        for term in required.get("nodeSelectorTerms") or ()
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _matches(labels: dict[str, str], wanted: Obj) -> bool:
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
            try:
                left, right = int(value or ""), int(values[0])
            except ValueError:
                return False
            return left > right if operator == "Gt" else left < right
    return False


def tolerated(pod: Obj, taint: Obj) -> bool:
    """Whether the pod has a toleration for a taint."""
    return any(
        toleration.get("effect") in (None, "", taint["effect"])
        and (
            (not toleration.get("key") and toleration.get("operator") == "Exists")
            or (
                toleration.get("key") == taint["key"]
                and (toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""))
            )
        )
        for toleration in pod["spec"].get("tolerations") or ()
    )
