"""What kubelets may do: the Node authorizer, which knows what a node needs for the pods that are bound to it.

https://kubernetes.io/docs/reference/access-authn-authz/node/ and kubernetes/plugin/pkg/auth/authorizer/node. Who has to
do with which node is asked of the pods in the store: it happens only when somebody comes as a node.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from kuartui.embedded import data
from kuartui.embedded.api.request import User
from kuartui.embedded.auth.actions import Action, covers
from kuartui.embedded.store import Store

Obj = dict[str, Any]

NODES_GROUP, PREFIX = "system:nodes", "system:node:"
LEASE_NAMESPACE = "kube-node-lease"
_LEASE_VERBS = ("get", "create", "update", "patch", "delete")


def node_name(user: User) -> str | None:
    """The node that a user is; None for anybody else."""
    if NODES_GROUP not in user.groups or not user.name.startswith(PREFIX):
        return None
    return user.name.removeprefix(PREFIX)


class NodeAuthorizer:
    """Answers from the pods in the store, as they are now."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def decide(self, user: User, action: Action) -> tuple[bool, str]:
        """Whether a node may do it, and, if not, why; ("" too for those who are no nodes)."""
        node = node_name(user)
        if node is None:
            return False, ""
        if not node:
            return False, f'unknown node for user "{user.name}"'
        match (action.group, action.resource) if not action.path else ("", ""):
            case ("", "secrets" | "configmaps"):
                return self._read(node, action)
            case ("", "persistentvolumeclaims") if action.subresource == "status":
                if action.verb not in ("update", "patch"):
                    return False, "can only get/update/patch this type"
                return self._related(node, action)
            case (
                ("", "persistentvolumeclaims" | "persistentvolumes")
                | ("storage.k8s.io", "volumeattachments")
                | (
                    "resource.k8s.io",
                    "resourceclaims",
                )
            ):
                return self._get(node, action)
            case ("", "serviceaccounts"):
                return self._token(node, action)
            case ("coordination.k8s.io", "leases"):
                return _lease(node, action)
            case ("storage.k8s.io", "csinodes"):
                return _csi_node(node, action)
            case ("", "nodes"):
                return _node(node, action)
            case ("", "pods"):
                return self._pod(node, action)
        return any(covers(rule, action) for rule in _rules()), ""

    def _read(self, node: str, action: Action) -> tuple[bool, str]:
        if action.verb not in ("get", "list", "watch"):
            return False, "can only read resources of this type"
        if action.subresource:
            return False, "cannot read subresource"
        if not action.namespace:
            return False, "can only read namespaced object of this type"
        return self._related(node, action)

    def _get(self, node: str, action: Action) -> tuple[bool, str]:
        if action.verb != "get":
            return False, "can only get individual resources of this type"
        if action.subresource:
            return False, "cannot get subresource"
        return self._related(node, action)

    def _token(self, node: str, action: Action) -> tuple[bool, str]:
        if action.verb != "create" or not action.name:
            return False, "can only create tokens for individual service accounts"
        if action.subresource != "token":
            return False, "can only create token subresource of serviceaccount"
        return self._related(node, action)

    def _pod(self, node: str, action: Action) -> tuple[bool, str]:
        match action.subresource, action.verb:
            case "", "get":
                return self._get(node, action)
            case "", "list" | "watch":
                if f"spec.nodeName={node}" in action.fields.replace("==", "=").split(","):
                    return True, ""
                if action.name:
                    return self._related(node, action)
                return False, "can only list/watch pods with spec.nodeName field selector"
            case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
                return True, ""  # NodeRestriction looks at which pod it is
        return False, ""

    def _related(self, node: str, action: Action) -> tuple[bool, str]:
        if not action.name:
            return False, "No Object name found"
        for stored in self._store.list("pods", action.namespace or None):
            if stored.data["spec"].get("nodeName") == node and self._needs(stored.data, action):
                return True, ""
        return False, f"no relationship found between node '{node}' and this object"

    def _needs(self, pod: Obj, action: Action) -> bool:
        wanted = action.resource, action.name
        if action.resource == "persistentvolumes":
            namespace = pod["metadata"]["namespace"]
            claims = [name for kind, name in references(pod) if kind == "persistentvolumeclaims"]
            found = (self._store.get("persistentvolumeclaims", namespace, name) for name in claims)
            return any(claim is not None and claim.data["spec"].get("volumeName") == action.name for claim in found)
        return wanted in set(references(pod))


def references(pod: Obj) -> Iterator[tuple[str, str]]:
    """(resource, name) of each object that a kubelet needs for a pod, itself included."""
    spec = pod["spec"]
    yield "pods", pod["metadata"]["name"]
    yield "serviceaccounts", spec.get("serviceAccountName", "")
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            yield from _of_container(container)
    for volume in spec.get("volumes") or ():
        yield from _of_volume(pod, volume)
    for claim in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        yield "resourceclaims", claim.get("resourceClaimName", "")
    for claim in spec.get("resourceClaims") or ():
        yield "resourceclaims", claim.get("resourceClaimName", "")


def _of_container(container: Obj) -> Iterator[tuple[str, str]]:
    for one in container.get("envFrom") or ():
        yield "configmaps", (one.get("configMapRef") or {}).get("name", "")
        yield "secrets", (one.get("secretRef") or {}).get("name", "")
    for one in container.get("env") or ():
        source = one.get("valueFrom") or {}
        yield "configmaps", (source.get("configMapKeyRef") or {}).get("name", "")
        yield "secrets", (source.get("secretKeyRef") or {}).get("name", "")


def _of_volume(pod: Obj, volume: Obj) -> Iterator[tuple[str, str]]:
    for source in [volume, *((volume.get("projected") or {}).get("sources") or ())]:
        yield "configmaps", (source.get("configMap") or {}).get("name", "")
        secret = source.get("secret") or {}
        yield "secrets", secret.get("secretName") or secret.get("name", "")
    if "persistentVolumeClaim" in volume:
        yield "persistentvolumeclaims", volume["persistentVolumeClaim"]["claimName"]
    if "ephemeral" in volume:
        yield "persistentvolumeclaims", f"{pod['metadata']['name']}-{volume['name']}"


def _lease(node: str, action: Action) -> tuple[bool, str]:
    if action.verb not in _LEASE_VERBS:
        return False, "can only get, create, update, patch, or delete a node lease"
    if action.namespace != LEASE_NAMESPACE:
        return False, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
    if action.verb != "create" and action.name != node:
        return False, "can only access node lease with the same name as the requesting node"
    return True, ""


def _csi_node(node: str, action: Action) -> tuple[bool, str]:
    if action.verb not in _LEASE_VERBS:
        return False, "can only get, create, update, patch, or delete a CSINode"
    if action.subresource:
        return False, "cannot authorize CSINode subresources"
    if action.verb != "create" and action.name != node:
        return False, "can only access CSINode with the same name as the requesting node"
    return True, ""


def _node(node: str, action: Action) -> tuple[bool, str]:
    match action.subresource, action.verb:
        case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
            return True, ""  # NodeRestriction looks at which node it is
        case "", "get" | "list" | "watch":
            if action.name == node:
                return True, ""
            what = f"'{action.name}'" if action.name else "all nodes"
            return False, f"node '{node}' cannot read {what}, only its own Node object"
    return False, ""


@cache
def _rules() -> list[Obj]:
    """What is not told apart by object: the rules of the role system:node."""
    roles = data.bootstrap()["clusterroles"]
    rules: list[Obj] = next(role["rules"] for role in roles if role["metadata"]["name"] == "system:node")
    return rules
