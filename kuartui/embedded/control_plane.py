"""What the other programs of a control plane leave in a new cluster: kube-apiserver's own objects, the accounts of
kube-controller-manager, what kubeadm writes down.

Straight into the store: it happens at every start, before anybody could have a say.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Collection
from typing import Any, Protocol

from kuartui.embedded import data, kubeadm_rights
from kuartui.embedded.api.discovery import VERSION
from kuartui.embedded.auth.pki import KeyPair
from kuartui.embedded.client import Client
from kuartui.embedded.controllers import flowcontrol
from kuartui.embedded.controllers.conditions import new_condition
from kuartui.embedded.kinds.base import SERVICE_CIDR
from kuartui.embedded.meta import random
from kuartui.embedded.meta.time import format_micro, format_time
from kuartui.embedded.metrics.kubelet import CONFIGURATION
from kuartui.embedded.store import Store

Obj = dict[str, Any]

SYSTEM, PUBLIC = "kube-system", "kube-public"
CIDRS = "servicecidrs.networking.k8s.io"
LEASES = "leases.coordination.k8s.io"
POD_CIDR = "10.244.0.0/16"
NOT_RUN = {
    "cloud-provider",
    "kube-controller-manager",
    "kube-dns",
    "kube-scheduler",
    "leader-election-controller",
    "route-controller",
    "selinux-warning-controller",
    "service-ca-cert-publisher",
    "service-controller",
}
"""Accounts that the default policy names, but that nothing uses which kubeadm starts."""
IDENTITY = "apiserver.kubernetes.io/identity"
API_LEASE_SECONDS, LEADER_SECONDS = 3600, 15
LEADERS = MANAGER, SCHEDULER = "kube-controller-manager", "kube-scheduler"
IMAGES = frozenset(f"registry.k8s.io/{name}" for name in ("etcd", "kube-apiserver", "kube-proxy", *LEADERS))
CLUSTER_CONFIGURATION = """apiServer: {{}}
apiVersion: kubeadm.k8s.io/v1beta4
caCertificateValidityPeriod: 87600h0m0s
certificateValidityPeriod: 8760h0m0s
certificatesDir: /etc/kubernetes/pki
clusterName: {name}
controlPlaneEndpoint: {endpoint}
controllerManager: {{}}
dns: {{}}
encryptionAlgorithm: ECDSA-P256
etcd:
  local:
    dataDir: /var/lib/etcd
imageRepository: registry.k8s.io
kind: ClusterConfiguration
kubernetesVersion: {version}
networking:
  dnsDomain: cluster.local
  podSubnet: {pods}
  serviceSubnet: {services}
proxy: {{}}
scheduler: {{}}
"""
CLUSTER_INFO = """apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {ca}
    server: https://{endpoint}
  name: ""
contexts: null
current-context: ""
kind: Config
preferences: {{}}
users: null
"""


class Authorities(Protocol):
    """The certificate authorities of a cluster."""

    @property
    def authority(self) -> KeyPair: ...

    @property
    def front_proxy(self) -> KeyPair: ...


def install(client: Client, name: str, authorities: Authorities, endpoint: str, *, kubeadm: bool) -> None:
    """Put in what is missing. `endpoint` is where nodes find the API (host:port); `kubeadm` says whether the cluster
    shall look as one that kubeadm made."""
    now = client.clock.now()
    flowcontrol.install(client)
    host = f"{name}-control-plane"
    ready = new_condition("Ready", "True", "", "Kubernetes default Service CIDR is ready", now)
    _plant(
        client,
        CIDRS,
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
            "spec": {"cidrs": [SERVICE_CIDR]},
            "status": {"conditions": [{**ready, "reason": ""}]},
        },
    )
    text = authorities.authority.certificate.decode()
    _config_map(
        client,
        SYSTEM,
        "extension-apiserver-authentication",
        {
            "client-ca-file": text,
            "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-client-ca-file": authorities.front_proxy.certificate.decode(),
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-uid-headers": "[]",
            "requestheader-username-headers": '["X-Remote-User"]',
        },
    )
    since = {"since": now.strftime("%Y-%m-%d")}
    _config_map(client, SYSTEM, "kube-apiserver-legacy-service-account-token-tracking", since)
    for lease in _leases(client, host):
        _plant(client, LEASES, lease)
    if kubeadm:
        _kubeadm(client, name, text, endpoint)


def renew(client: Client, name: str, leaders: Collection[str] = LEADERS) -> None:
    """Renew the leases of the API server, kube-controller-manager and kube-scheduler; bring back those that are gone.

    `leaders` are those of the latter two that run."""
    stamp = format_micro(client.clock.now())
    host = f"{name}-control-plane"
    for lease in (_server_lease(host), *leaders):
        held = client.store.get(LEASES, SYSTEM, lease)
        if held is None:
            for missing in _leases(client, host):
                _plant(client, LEASES, missing)
        else:
            data_ = {**held.data, "metadata": {**held.data["metadata"]}}
            data_["spec"] = {**(held.data.get("spec") or {}), "renewTime": stamp}
            client.store.update(*held.key, data_, held.rv)


@functools.cache
def _server_lease(host: str) -> str:
    identity = base64.b32encode(hashlib.sha256(host.encode()).digest()[:16]).decode().rstrip("=").lower()
    return f"apiserver-{identity}"


def _leases(client: Client, host: str) -> list[Obj]:
    stamp = format_micro(client.clock.now())
    labels = {IDENTITY: "kube-apiserver", "kubernetes.io/hostname": host}
    server = _server_lease(host)
    found = [_lease(server, server, API_LEASE_SECONDS, {"renewTime": stamp}, labels)]
    for leader in LEADERS:
        times = {"acquireTime": stamp, "renewTime": stamp, "leaseTransitions": 0}
        found.append(_lease(leader, host, LEADER_SECONDS, times))
    return found


def _lease(name: str, holder: str, seconds: int, more: Obj, labels: dict[str, str] | None = None) -> Obj:
    metadata: Obj = {"name": name, "namespace": SYSTEM}
    if labels:
        metadata["labels"] = labels
    spec = {"holderIdentity": f"{holder}_{random.uid()}", "leaseDurationSeconds": seconds, **more}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _kubeadm(client: Client, name: str, authority: str, endpoint: str) -> None:
    for account in _accounts():
        metadata = {"name": account, "namespace": SYSTEM}
        _plant(client, "serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    for resource, right in kubeadm_rights.objects():
        _plant(client, resource, right)
    text = CLUSTER_CONFIGURATION.format(
        name=name, endpoint=endpoint, version=VERSION["gitVersion"], pods=POD_CIDR, services=SERVICE_CIDR
    )
    _config_map(client, SYSTEM, "kubeadm-config", {"ClusterConfiguration": text})
    _config_map(client, SYSTEM, "kubelet-config", {"kubelet": CONFIGURATION})
    encoded = base64.b64encode(authority.encode()).decode()
    _config_map(client, PUBLIC, "cluster-info", {"kubeconfig": CLUSTER_INFO.format(ca=encoded, endpoint=endpoint)})


def _accounts() -> list[str]:
    """With --use-service-account-credentials each controller has an account; the default policy says what they may."""
    named = {
        subject["name"]
        for plural in ("clusterrolebindings", "rolebindings")
        for binding in data.bootstrap()[plural]
        for subject in binding.get("subjects") or ()
        if subject["kind"] == "ServiceAccount" and subject.get("namespace") == SYSTEM
    }
    return sorted(named - NOT_RUN)


def _config_map(client: Client, namespace: str, name: str, content: dict[str, str]) -> None:
    metadata = {"name": name, "namespace": namespace}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": content}
    _plant(client, "configmaps", made)


def _plant(client: Client, resource: str, obj: Obj) -> None:
    plant(client.store, resource, obj, format_time(client.clock.now()))


def plant(store: Store, resource: str, obj: Obj, created: str) -> None:
    """Store an object unless there is one of its name."""
    metadata = obj["metadata"]
    place = metadata.get("namespace", ""), metadata["name"]
    if store.get(resource, *place) is None:
        stamped = {**metadata, "uid": random.uid(), "creationTimestamp": created}
        store.create(resource, *place, {**obj, "metadata": stamped})
