"""Admission plugins, one module each; `plugins` gives those of a cluster in kube-apiserver's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuartui.embedded.admission.base import Plugin

if TYPE_CHECKING:
    from kuartui.embedded.cluster import Cluster


def plugins(cluster: Cluster) -> list[Plugin]:
    """The plugins that a cluster runs."""
    from kuartui.embedded.admission.certificates import CertificateRequests
    from kuartui.embedded.admission.default_ingress_class import DefaultIngressClass
    from kuartui.embedded.admission.default_tolerations import DefaultTolerations
    from kuartui.embedded.admission.described_images import DescribedImages
    from kuartui.embedded.admission.escalation import Escalation
    from kuartui.embedded.admission.limit_ranger import LimitRanger
    from kuartui.embedded.admission.mutating_policies import MutatingPolicies
    from kuartui.embedded.admission.namespace_lifecycle import NamespaceLifecycle
    from kuartui.embedded.admission.node_restriction import NodeRestriction
    from kuartui.embedded.admission.pod_resize import PodResizeValidator
    from kuartui.embedded.admission.pod_security import PodSecurity
    from kuartui.embedded.admission.pod_topology import PodTopologyLabels
    from kuartui.embedded.admission.policies import ValidatingPolicies
    from kuartui.embedded.admission.priority import Priority
    from kuartui.embedded.admission.resource_quota import ResourceQuota
    from kuartui.embedded.admission.runtime_class import RuntimeClass
    from kuartui.embedded.admission.service_account import ServiceAccount
    from kuartui.embedded.admission.storage import ClaimResize, DefaultStorageClass, StorageProtection
    from kuartui.embedded.admission.webhooks import MutatingWebhooks, ValidatingWebhooks

    store = cluster.store
    return [
        NamespaceLifecycle(store),
        LimitRanger(store),
        ServiceAccount(store),
        NodeRestriction(store),
        PodSecurity(store),
        Priority(store),
        PodTopologyLabels(store),
        DefaultTolerations(),
        DefaultStorageClass(store),
        StorageProtection(),
        RuntimeClass(store),
        DefaultIngressClass(store),
        Escalation(cluster.authorizer),
        CertificateRequests(cluster.authorizer),
        PodResizeValidator(store),
        MutatingPolicies(store, cluster.resources, cluster.authorizer),
        MutatingWebhooks(cluster.rest, cluster.network),
        ValidatingPolicies(store, cluster.resources, cluster.authorizer),
        ValidatingWebhooks(cluster.rest, cluster.network),
        ClaimResize(store),
        ResourceQuota(cluster.rest),
        DescribedImages(),
    ]
