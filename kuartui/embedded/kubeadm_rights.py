"""The roles and bindings that `kubeadm init` makes.

cmd/kubeadm/app/phases/{bootstraptoken,kubelet,uploadconfig,addons/{dns,proxy}} of kubernetes/kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Obj = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
ADMINS = "kubeadm:cluster-admins"
JOINING = "system:bootstrappers:kubeadm:default-node-token"
NODES = "system:nodes"
COREDNS = "system:coredns"
SYSTEM, PUBLIC = "kube-system", "kube-public"
REQUESTS = "system:certificates.k8s.io:certificatesigningrequests"

CLUSTER_BINDINGS = {
    ADMINS: ("cluster-admin", ADMINS),
    "kubeadm:get-nodes": ("kubeadm:get-nodes", JOINING),
    "kubeadm:kubelet-bootstrap": ("system:node-bootstrapper", JOINING),
    "kubeadm:node-autoapprove-bootstrap": (f"{REQUESTS}:nodeclient", JOINING),
    "kubeadm:node-autoapprove-certificate-rotation": (f"{REQUESTS}:selfnodeclient", NODES),
}
"""Names of roles and of the groups that have them."""
READERS: tuple[tuple[str, str, str, tuple[Obj, ...]], ...] = (
    (
        PUBLIC,
        "kubeadm:bootstrap-signer-clusterinfo",
        "cluster-info",
        ({"kind": "User", "name": "system:anonymous"},),
    ),
    (
        SYSTEM,
        "kubeadm:kubelet-config",
        "kubelet-config",
        ({"kind": "Group", "name": NODES}, {"kind": "Group", "name": JOINING}),
    ),
    (
        SYSTEM,
        "kubeadm:nodes-kubeadm-config",
        "kubeadm-config",
        ({"kind": "Group", "name": JOINING}, {"kind": "Group", "name": NODES}),
    ),
    (SYSTEM, "kube-proxy", "kube-proxy", ({"kind": "Group", "name": JOINING},)),
)
"""Who may read a ConfigMap: its namespace, the role and its binding, the ConfigMap, the subjects."""


def objects() -> Iterator[tuple[str, Obj]]:
    """All of them, each with its resource."""
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    yield _made("clusterroles", "ClusterRole", {"name": "kubeadm:get-nodes"}, rules=[rule])
    for name, (role, group) in CLUSTER_BINDINGS.items():
        subjects = [{"apiGroup": GROUP, "kind": "Group", "name": group}]
        reference = _reference("ClusterRole", role)
        yield _made("clusterrolebindings", "ClusterRoleBinding", {"name": name}, roleRef=reference, subjects=subjects)
    yield _made(
        "clusterrolebindings",
        "ClusterRoleBinding",
        {"name": "kubeadm:node-proxier"},
        roleRef=_reference("ClusterRole", "system:node-proxier"),
        subjects=[{"kind": "ServiceAccount", "name": "kube-proxy", "namespace": SYSTEM}],
    )
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    yield _made("clusterroles", "ClusterRole", {"name": COREDNS}, rules=rules)
    yield _made(
        "clusterrolebindings",
        "ClusterRoleBinding",
        {"name": COREDNS},
        roleRef=_reference("ClusterRole", COREDNS),
        subjects=[{"kind": "ServiceAccount", "name": "coredns", "namespace": SYSTEM}],
    )
    for namespace, name, config, readers in READERS:
        metadata = {"name": name, "namespace": namespace}
        rule = {"apiGroups": [""], "resourceNames": [config], "resources": ["configmaps"], "verbs": ["get"]}
        yield _made("roles", "Role", metadata, rules=[rule])
        subjects = [{"apiGroup": GROUP, **reader} for reader in readers]
        yield _made("rolebindings", "RoleBinding", metadata, roleRef=_reference("Role", name), subjects=subjects)


def _reference(kind: str, name: str) -> Obj:
    return {"apiGroup": GROUP, "kind": kind, "name": name}


def _made(plural: str, kind: str, metadata: Obj, **content: Any) -> tuple[str, Obj]:
    return f"{plural}.{GROUP}", {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": dict(metadata), **content}
