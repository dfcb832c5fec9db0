"""Which objects a kubelet may write: its own Node and lease, and pods that are bound to it.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.auth.nodes import LEASE_NAMESPACE, node_name, references
from kuartui.embedded.meta import errors
from kuartui.embedded.store import Store

Obj = dict[str, Any]

STATUS = "update pod status for pods with spec.nodeName set to itself"
MIRROR = "kubernetes.io/config.mirror"
RESTRICTED = "node-restriction.kubernetes.io"
KUBELET_LABELS = {
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "node.kubernetes.io/windows-build",
}
KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")


class NodeRestriction(Plugin):
    """Refuses what one node has no business with."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def validate(self, attributes: Attributes) -> None:
        node = node_name(attributes.user)
        if node is None:
            return
        why = self._complaint(node, attributes)
        if why:
            raise errors.forbidden(attributes.resource, attributes.name, why)

    def _complaint(self, node: str, attributes: Attributes) -> str:
        match attributes.resource:
            case "nodes":
                return _node(node, attributes)
            case "pods":
                return self._pod(node, attributes)
            case "leases.coordination.k8s.io" if attributes.namespace != LEASE_NAMESPACE:
                return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
            case "leases.coordination.k8s.io" if attributes.name != node:
                return "can only access node lease with the same name as the requesting node"
            case "csinodes.storage.k8s.io" if attributes.name != node:
                return "can only access CSINode with the same name as the requesting node"
        return ""

    def _pod(self, node: str, attributes: Attributes) -> str:
        pod = attributes.old or attributes.obj or {}
        if attributes.subresource == "eviction":
            found = self._store.get("pods", attributes.namespace, attributes.name)
            own = found is not None and found.data["spec"].get("nodeName") == node
            return "" if own else f"node {node} can only evict pods with spec.nodeName set to itself"
        own = pod.get("spec", {}).get("nodeName") == node
        if attributes.subresource == "status":
            return "" if own else f'node "{node}" can only {STATUS}'
        if attributes.operation == "DELETE":
            return "" if own else f'node "{node}" can only delete pods with spec.nodeName set to itself'
        if attributes.operation == "CREATE":
            if MIRROR not in (pod["metadata"].get("annotations") or {}):
                return f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
            if not own:
                return f'node "{node}" can only create pods with spec.nodeName set to itself'
            referred = next((resource for resource, name in references(pod) if name and resource != "pods"), "")
            return f'node "{node}" can not create pods that reference {referred}' if referred else ""
        return f'unexpected operation "{attributes.operation}"'


def _node(node: str, attributes: Attributes) -> str:
    if attributes.name != node:
        return f'node "{node}" is not allowed to modify node "{attributes.name}"'
    new, old = attributes.obj or {}, attributes.old
    if attributes.operation == "CREATE":
        labels = _forbidden(_labels(new), {})
        text = f'node "{node}" is not allowed to set the following labels: {", ".join(labels)}'
        return text if labels else ""
    if attributes.operation == "UPDATE" and old is not None:
        if (new["spec"].get("taints") or []) != (old["spec"].get("taints") or []):
            return f'node "{node}" is not allowed to modify taints'
        labels = _forbidden(_labels(new), _labels(old))
        return f"is not allowed to modify labels: {', '.join(labels)}" if labels else ""
    return ""


def _labels(obj: Obj) -> dict[str, str]:
    return obj.get("metadata", {}).get("labels") or {}


def _forbidden(new: dict[str, str], old: dict[str, str]) -> list[str]:
    """Labels that changed and that a kubelet may not change."""
    return sorted(key for key in {*new, *old} if new.get(key) != old.get(key) and not _free(key))


def _free(label: str) -> bool:
    domain = label.rpartition("/")[0]
    if _within(domain, RESTRICTED):
        return False
    official = _within(domain, "kubernetes.io") or _within(domain, "k8s.io")
    return not official or label in KUBELET_LABELS or any(_within(domain, known) for known in KUBELET_DOMAINS)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith("." + parent)
