"""NetworkPolicy: may this packet pass?

A pod that no policy selects for a direction takes everything in that direction; one that is selected takes only what
some policy allows. Elements of `from`/`to` are alternatives; a namespaceSelector and a podSelector inside one element
must both hold. Ports are those of the destination pod (policies see packets after kube-proxy has chosen it), and named
ports are looked up there. Traffic between a pod and its own node, and a pod and itself, always passes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from msgspec import Struct, field

from kuartui.embedded.network.objects import NAMESPACES, POLICIES, Obj, ObjectTable
from kuartui.embedded.network.selectors import matches


class Party(Struct, frozen=True):
    """One end of a flow, as a policy sees it."""

    ip: str
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    is_pod: bool = False  # False: a node, a pod on the host network, or something outside
    node: str = ""
    is_node: bool = False


class PolicyTable:
    """Evaluates the NetworkPolicies of the cluster."""

    def __init__(self, objects: ObjectTable) -> None:
        self._objects = objects

    def idle(self) -> bool:
        """Whether there is no policy, so that everything is allowed."""
        return not self._objects.any(POLICIES)

    def allows(self, source: Party, target: Party, port: int, protocol: str, target_pod: Obj | None) -> bool:
        """Whether a new connection may be made. `target_pod` resolves named ports."""
        if source.ip == target.ip:
            return True
        if source.is_pod and not self._direction("Egress", source, target, port, protocol, target_pod):
            return False
        if target.is_pod and not (source.is_node and source.node == target.node):
            return self._direction("Ingress", target, source, port, protocol, target_pod)
        return True

    def _direction(
        self, direction: str, subject: Party, peer: Party, port: int, protocol: str, target_pod: Obj | None
    ) -> bool:
        isolated = False
        for policy in self._selecting(subject, direction):
            isolated = True
            for rule in policy["spec"].get(direction.lower()) or ():
                if self._peer_matches(rule, direction, policy, peer) and _port_matches(
                    rule, port, protocol, target_pod
                ):
                    return True
        return not isolated

    def _selecting(self, subject: Party, direction: str) -> Iterator[Obj]:
        for policy in self._objects.list(POLICIES, subject.namespace):
            spec = policy.get("spec", {})
            if direction in _types(spec) and matches(spec.get("podSelector") or {}, subject.labels):
                yield policy

    def _peer_matches(self, rule: Obj, direction: str, policy: Obj, peer: Party) -> bool:
        peers = rule.get("from" if direction == "Ingress" else "to")
        if not peers:
            return True
        return any(self._one_peer(entry, policy["metadata"]["namespace"], peer) for entry in peers)

    def _one_peer(self, entry: Obj, policy_namespace: str, peer: Party) -> bool:
        block = entry.get("ipBlock")
        if block is not None:
            return _in_block(block, peer.ip)
        if not peer.is_pod:
            return False
        namespaces = entry.get("namespaceSelector")
        if namespaces is None:
            if peer.namespace != policy_namespace:
                return False
        else:
            namespace = self._objects.get(NAMESPACES, "", peer.namespace)
            # The label is the API server's own; a table that was fed no namespaces still knows it.
            known = {"kubernetes.io/metadata.name": peer.namespace}
            labels = (namespace or {}).get("metadata", {}).get("labels") or known
            if not matches(namespaces, labels):
                return False
        pods = entry.get("podSelector")
        return pods is None or matches(pods, peer.labels)


def _types(spec: Obj) -> list[str]:
    types = spec.get("policyTypes")
    if types:
        return list(types)
    return ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _in_block(block: Obj, ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    if address not in ipaddress.ip_network(block["cidr"], strict=False):
        return False
    return not any(address in ipaddress.ip_network(cidr, strict=False) for cidr in block.get("except") or ())


def _port_matches(rule: Obj, port: int, protocol: str, target_pod: Obj | None) -> bool:
    ports = rule.get("ports")
    if not ports:
        return True
    for entry in ports:
        if entry.get("protocol", "TCP") != protocol:
            continue
        wanted = entry.get("port")
        if wanted is None:
            return True
        if isinstance(wanted, str):
            if port in named_ports(target_pod, wanted, protocol):
                return True
        elif wanted <= port <= entry.get("endPort", wanted):
            return True
    return False


def named_ports(pod: Obj | None, name: str, protocol: str) -> Iterator[int]:
    """Container ports of a pod with this name (sidecar init containers included)."""
    spec = (pod or {}).get("spec", {})
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        for port in container.get("ports") or ():
            if port.get("name") == name and port.get("protocol", "TCP") == protocol:
                yield port["containerPort"]
