"""All controllers of a cluster."""

from __future__ import annotations

from kuartui.embedded.auth.pki import KeyPair
from kuartui.embedded.client import Client
from kuartui.embedded.controllers.admission_policies import PolicyStatus
from kuartui.embedded.controllers.aggregation import ClusterRoleAggregation
from kuartui.embedded.controllers.apiserver import ApiServerController
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.cronjob import CronJobController
from kuartui.embedded.controllers.csr import CertificateSigner
from kuartui.embedded.controllers.csr_approver import CertificateApprover
from kuartui.embedded.controllers.csr_cleaner import CertificateCleaner
from kuartui.embedded.controllers.daemonset import DaemonSetController
from kuartui.embedded.controllers.deployment import DeploymentController
from kuartui.embedded.controllers.disruption import DisruptionController
from kuartui.embedded.controllers.edge.gateway import GatewayController
from kuartui.embedded.controllers.edge.ingress import IngressStatusController
from kuartui.embedded.controllers.endpoints import EndpointsController, EndpointSliceController, MirroringController
from kuartui.embedded.controllers.flowcontrol import FlowControl
from kuartui.embedded.controllers.garbage_collector import GarbageCollector
from kuartui.embedded.controllers.hpa import HorizontalController
from kuartui.embedded.controllers.job import JobController
from kuartui.embedded.controllers.namespaces import NamespaceController
from kuartui.embedded.controllers.nodes.eviction import TaintEvictionController
from kuartui.embedded.controllers.nodes.lifecycle import NodeLifecycleController
from kuartui.embedded.controllers.nodes.pod_gc import PodGarbageCollector
from kuartui.embedded.controllers.quota import ResourceQuotaController
from kuartui.embedded.controllers.replicaset import ReplicaSetController, ReplicationController
from kuartui.embedded.controllers.resource_claims import ResourceClaims
from kuartui.embedded.controllers.service_accounts import RootCAPublisher, ServiceAccountsController
from kuartui.embedded.controllers.service_addresses import ServiceAddresses, ServiceCidrs
from kuartui.embedded.controllers.statefulset import StatefulSetController
from kuartui.embedded.controllers.ttl import TTLController
from kuartui.embedded.controllers.volumes.binder import BinderController
from kuartui.embedded.controllers.volumes.expansion import ExpansionController
from kuartui.embedded.controllers.volumes.protection import (
    AttributesProtection,
    ClaimProtection,
    EphemeralVolumes,
    VolumeProtection,
)
from kuartui.embedded.controllers.volumes.provisioner import LocalPathProvisioner
from kuartui.embedded.metrics.usage import Usage, UsageSource

PLAIN: tuple[type[Controller], ...] = (
    ApiServerController,
    NamespaceController,
    ServiceAccountsController,
    GarbageCollector,
    DeploymentController,
    ReplicaSetController,
    ReplicationController,
    StatefulSetController,
    DaemonSetController,
    JobController,
    CronJobController,
    TTLController,
    EndpointSliceController,
    EndpointsController,
    MirroringController,
    DisruptionController,
    ResourceQuotaController,
    BinderController,
    LocalPathProvisioner,
    ExpansionController,
    ClaimProtection,
    VolumeProtection,
    AttributesProtection,
    EphemeralVolumes,
    NodeLifecycleController,
    TaintEvictionController,
    PodGarbageCollector,
    ClusterRoleAggregation,
    CertificateCleaner,
    IngressStatusController,
    GatewayController,
    ServiceAddresses,
    ServiceCidrs,
    FlowControl,
    PolicyStatus,
    ResourceClaims,
)


def controllers(client: Client, authority: KeyPair, usage: UsageSource | None) -> list[Controller]:
    """One of each."""
    made: list[Controller] = [kind(client) for kind in PLAIN]
    made.append(RootCAPublisher(client, authority.certificate.decode()))
    made.append(CertificateSigner(client, authority))
    made.append(CertificateApprover(client))
    made.append(HorizontalController(client, Usage(usage, client.clock) if usage is not None else None))
    return made
