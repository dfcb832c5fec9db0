"""Kinds and their places in the API: from "Deployment" to /apis/apps/v1/namespaces/x/deployments.

The kinds that Kubernetes serves are known by heart, so that no discovery is needed before a first read; all others
are found by the aggregated discovery document (`Api.resource`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from kuartui.errors import ClusterError
from kuartui.message import later


@dataclass(frozen=True, slots=True)
class Resource:
    """`plural` in `group`/`version`; group is "" for the core."""

    kind: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """pods, deployments.apps"""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path; without `namespace`, of all namespaces."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", segment(namespace)]
        parts.append(self.plural)
        if name:
            parts.append(segment(name))
        if subresource:
            parts.append(subresource)
        return "/" + "/".join(parts)


def segment(name: str) -> str:
    """A name as one step of a path. ClusterError for one that could be another step, or several: a level, or a server,
    must not lead us from one namespace into another. The rule is Kubernetes' own (path.IsValidPathSegmentName)."""
    if name in (".", "..") or "/" in name or "%" in name:
        raise ClusterError(later("{name!a} can be nobody's name in a cluster", name=name))
    return quote(name, safe=":")


def straight(path: str) -> str:
    """A path that is read as it is written, by whoever reads it. ClusterError for one with steps back."""
    if any(step in (".", "..") for step in unquote(path).split("/")) or "?" in path or "#" in path:
        raise ClusterError(later("{path!a} is no path of an API server", path=path))
    return path


# kind: (group, version, plural, namespaced)
_KNOWN: dict[str, tuple[str, str, str, bool]] = {
    "Binding": ("", "v1", "bindings", True),
    "ConfigMap": ("", "v1", "configmaps", True),
    "Endpoints": ("", "v1", "endpoints", True),
    "Event": ("", "v1", "events", True),
    "LimitRange": ("", "v1", "limitranges", True),
    "Namespace": ("", "v1", "namespaces", False),
    "Node": ("", "v1", "nodes", False),
    "PersistentVolume": ("", "v1", "persistentvolumes", False),
    "PersistentVolumeClaim": ("", "v1", "persistentvolumeclaims", True),
    "Pod": ("", "v1", "pods", True),
    "PodTemplate": ("", "v1", "podtemplates", True),
    "ReplicationController": ("", "v1", "replicationcontrollers", True),
    "ResourceQuota": ("", "v1", "resourcequotas", True),
    "Secret": ("", "v1", "secrets", True),
    "Service": ("", "v1", "services", True),
    "ServiceAccount": ("", "v1", "serviceaccounts", True),
    "ControllerRevision": ("apps", "v1", "controllerrevisions", True),
    "DaemonSet": ("apps", "v1", "daemonsets", True),
    "Deployment": ("apps", "v1", "deployments", True),
    "ReplicaSet": ("apps", "v1", "replicasets", True),
    "StatefulSet": ("apps", "v1", "statefulsets", True),
    "CronJob": ("batch", "v1", "cronjobs", True),
    "Job": ("batch", "v1", "jobs", True),
    "HorizontalPodAutoscaler": ("autoscaling", "v2", "horizontalpodautoscalers", True),
    "PodDisruptionBudget": ("policy", "v1", "poddisruptionbudgets", True),
    "EndpointSlice": ("discovery.k8s.io", "v1", "endpointslices", True),
    "Ingress": ("networking.k8s.io", "v1", "ingresses", True),
    "IngressClass": ("networking.k8s.io", "v1", "ingressclasses", False),
    "NetworkPolicy": ("networking.k8s.io", "v1", "networkpolicies", True),
    "ClusterRole": ("rbac.authorization.k8s.io", "v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", False),
    "Role": ("rbac.authorization.k8s.io", "v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io", "v1", "rolebindings", True),
    "StorageClass": ("storage.k8s.io", "v1", "storageclasses", False),
    "VolumeAttachment": ("storage.k8s.io", "v1", "volumeattachments", False),
    "CSIDriver": ("storage.k8s.io", "v1", "csidrivers", False),
    "CSINode": ("storage.k8s.io", "v1", "csinodes", False),
    "PriorityClass": ("scheduling.k8s.io", "v1", "priorityclasses", False),
    "RuntimeClass": ("node.k8s.io", "v1", "runtimeclasses", False),
    "Lease": ("coordination.k8s.io", "v1", "leases", True),
    "CertificateSigningRequest": ("certificates.k8s.io", "v1", "certificatesigningrequests", False),
    "CustomResourceDefinition": ("apiextensions.k8s.io", "v1", "customresourcedefinitions", False),
    "APIService": ("apiregistration.k8s.io", "v1", "apiservices", False),
    "MutatingWebhookConfiguration": ("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", False),
    "ValidatingWebhookConfiguration": ("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", False),
    "ValidatingAdmissionPolicy": ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", False),
    "ValidatingAdmissionPolicyBinding": (
        "admissionregistration.k8s.io",
        "v1",
        "validatingadmissionpolicybindings",
        False,
    ),
    "SubjectAccessReview": ("authorization.k8s.io", "v1", "subjectaccessreviews", False),
    "PodMetrics": ("metrics.k8s.io", "v1beta1", "pods", True),
    "NodeMetrics": ("metrics.k8s.io", "v1beta1", "nodes", False),
}


def known(kind: str, api_version: str = "") -> Resource | None:
    """A kind that Kubernetes itself serves; None when it is not one, or asked for in another group or version."""
    entry = _KNOWN.get(kind)
    if entry is None:
        return None
    resource = Resource(kind, *entry)
    if api_version in ("", resource.api_version):
        return resource
    group, _, version = api_version.rpartition("/")
    return Resource(kind, group, version, entry[2], entry[3]) if group == resource.group else None


def known_kinds() -> list[str]:
    return list(_KNOWN)


def from_discovery(document: dict[str, Any], verb: str = "") -> list[Resource]:
    """Resources of an APIGroupDiscoveryList (apidiscovery.k8s.io/v2) that support `verb`, preferred versions first."""
    return [
        Resource(
            kind=found["responseKind"]["kind"],
            group=group["metadata"].get("name", ""),
            version=version["version"],
            plural=found["resource"],
            namespaced=found.get("scope") == "Namespaced",
        )
        for group in document.get("items", [])
        for version in group.get("versions", [])
        for found in version.get("resources", [])
        if found.get("responseKind", {}).get("kind") and (not verb or verb in found.get("verbs", []))
    ]
