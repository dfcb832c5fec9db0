"""What a new cluster has before anybody uses it: namespaces, the default policy, the API's own Service, add-ons."""

from __future__ import annotations

from typing import Any

from kuartui.embedded import data
from kuartui.embedded.client import Client
from kuartui.embedded.crd import apiservices, gateway
from kuartui.embedded.meta import random
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]

API_IP = "10.96.0.1"
DNS_IP = "10.96.0.10"
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
GROUPS = {
    "clusterroles": "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings": "clusterrolebindings.rbac.authorization.k8s.io",
    "roles": "roles.rbac.authorization.k8s.io",
    "rolebindings": "rolebindings.rbac.authorization.k8s.io",
    "priorityclasses": "priorityclasses.scheduling.k8s.io",
}
COREFILE = """.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
"""


async def bootstrap(client: Client, *, bare: bool) -> None:
    """Create what is missing; safe to run at every start."""
    for name in NAMESPACES:
        await ensure(client, "namespaces", {"metadata": {"name": name}})
    _policy(client)
    apiservices.install(client, metrics=not bare)
    for resource, obj in kept():
        await ensure(client, resource, obj)
    if not bare:
        await ensure(client, "storageclasses.storage.k8s.io", _storage_class())
        for resource, obj in _dns():
            await ensure(client, resource, obj)
        gateway.install(client)


def _policy(client: Client) -> None:
    """The default policy. It is kept as the registry would make it, but for a few stamps, and goes straight into the store:
    there is nobody yet whose policies or webhooks could have a say."""
    now = format_time(client.clock.now())
    for plural, objects in data.bootstrap().items():
        for obj in objects:
            place = GROUPS[plural], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
            if client.store.get(*place) is not None:
                continue
            metadata = {**obj["metadata"], "uid": random.uid(), "creationTimestamp": now}
            if "managedFields" in metadata:
                metadata["managedFields"] = [{**entry, "time": now} for entry in metadata["managedFields"]]
            client.store.create(*place, {**obj, "metadata": metadata})


def kept() -> list[tuple[str, Obj]]:
    """What the API server keeps in being as long as it runs: resources and objects, namespaces first."""
    return [
        *(("namespaces", {"metadata": {"name": name}}) for name in NAMESPACES),
        ("services", _api_service()),
        ("endpointslices.discovery.k8s.io", _api_slice()),
        ("endpoints", _api_endpoints()),
    ]


async def ensure(client: Client, resource: str, obj: Obj) -> None:
    """Create an object unless there is one of its name."""
    metadata = obj["metadata"]
    if client.get(resource, metadata.get("namespace", ""), metadata["name"]) is not None:
        return
    try:
        await client.create(resource, obj)
    except StatusError as error:
        if error.code != 409:
            raise


def _api_service() -> Obj:
    return {
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": API_IP,
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": API_PORT}],
            "sessionAffinity": "None",
        },
    }


def _api_slice() -> Obj:
    return {
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [API_ADDRESS], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}],
    }


def _api_endpoints() -> Obj:
    return {
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {"addresses": [{"ip": API_ADDRESS}], "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}]}
        ],
    }


API_PORT = 6443
API_ADDRESS = "172.18.0.2"
"""Where the API server is on the cluster's network: the first node's address."""


def _storage_class() -> Obj:
    return {
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "rancher.io/local-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _dns() -> list[tuple[str, Obj]]:
    labels = {"k8s-app": "kube-dns"}
    container = {
        "name": "coredns",
        "image": "registry.k8s.io/coredns/coredns:v1.13.1",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"containerPort": 53, "name": "dns", "protocol": "UDP"},
            {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
            {"containerPort": 9153, "name": "metrics", "protocol": "TCP"},
        ],
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 60, "timeoutSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}},
        "volumeMounts": [{"mountPath": "/etc/coredns", "name": "config-volume", "readOnly": True}],
    }
    volume = {
        "name": "config-volume",
        "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]},
    }
    tolerations = [
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        {"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"},
    ]
    deployment = {
        "metadata": {"name": "coredns", "namespace": "kube-system", "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "priorityClassName": "system-cluster-critical",
                    "serviceAccountName": "coredns",
                    "tolerations": tolerations,
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "containers": [container],
                    "dnsPolicy": "Default",
                    "volumes": [volume],
                },
            },
        },
    }
    service = {
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {**labels, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
        },
        "spec": {
            "clusterIP": DNS_IP,
            "selector": labels,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                {"name": "metrics", "port": 9153, "protocol": "TCP"},
            ],
        },
    }
    return [
        ("serviceaccounts", {"metadata": {"name": "coredns", "namespace": "kube-system"}}),
        ("configmaps", {"metadata": {"name": "coredns", "namespace": "kube-system"}, "data": {"Corefile": COREFILE}}),
        ("deployments.apps", deployment),
        ("services", service),
    ]
