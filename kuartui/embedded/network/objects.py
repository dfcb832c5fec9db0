"""The Kubernetes objects that the network reads, kept from a plain feed of watch events.

The network must not depend on the store: whoever wires the cluster subscribes to `RESOURCES` and calls `apply`.
Indexes answer the questions of the data path (who has this address, which slices belong to this Service) without
looking at every object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

Obj = dict[str, Any]
Key = tuple[str, str]

PODS = "pods"
NAMESPACES = "namespaces"
NODES = "nodes"
SERVICES = "services"
SECRETS = "secrets"
SLICES = "endpointslices.discovery.k8s.io"
POLICIES = "networkpolicies.networking.k8s.io"
INGRESSES = "ingresses.networking.k8s.io"
INGRESS_CLASSES = "ingressclasses.networking.k8s.io"
GATEWAYS = "gateways.gateway.networking.k8s.io"
GATEWAY_CLASSES = "gatewayclasses.gateway.networking.k8s.io"
HTTP_ROUTES = "httproutes.gateway.networking.k8s.io"
REFERENCE_GRANTS = "referencegrants.gateway.networking.k8s.io"

RESOURCES = (
    PODS,
    NAMESPACES,
    NODES,
    SERVICES,
    SECRETS,
    SLICES,
    POLICIES,
    INGRESSES,
    INGRESS_CLASSES,
    GATEWAYS,
    GATEWAY_CLASSES,
    HTTP_ROUTES,
    REFERENCE_GRANTS,
)
"""What the network wants to hear about, as group resources."""

SERVICE_NAME = "kubernetes.io/service-name"


class Objects(Protocol):
    """Reading objects; `Network` offers it, and so may anything that knows the cluster's objects."""

    def get(self, resource: str, namespace: str, name: str) -> Obj | None: ...

    def list(self, resource: str, namespace: str | None = None) -> Iterable[Obj]: ...


class ObjectTable:
    """Objects by resource and key, indexed for the data path."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[Key, Obj]] = {resource: {} for resource in RESOURCES}
        self._by_namespace: dict[str, dict[str, dict[str, Obj]]] = {resource: {} for resource in RESOURCES}
        self._pods_by_ip: dict[str, dict[Key, Obj]] = {}
        self._services_by_ip: dict[str, dict[Key, Obj]] = {}
        self._slices_by_service: dict[Key, dict[Key, Obj]] = {}
        self._nodes_by_ip: dict[str, Obj] = {}

    def apply(self, resource: str, event_type: str, obj: Obj) -> None:
        """Learn one watch event: ADDED, MODIFIED or DELETED. Other resources than `RESOURCES` are ignored."""
        table = self._objects.get(resource)
        if table is None:
            return
        meta = obj["metadata"]
        namespace, name = meta.get("namespace") or "", meta["name"]
        old = table.pop((namespace, name), None)
        if old is not None:
            self._by_namespace[resource].get(namespace, {}).pop(name, None)
            self._unindex(resource, (namespace, name), old)
        if event_type != "DELETED":
            table[namespace, name] = obj
            self._by_namespace[resource].setdefault(namespace, {})[name] = obj
            self._index(resource, (namespace, name), obj)

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        """One object or None."""
        return self._objects[resource].get((namespace, name))

    def list(self, resource: str, namespace: str | None = None) -> Iterable[Obj]:
        """All objects of a resource, or those of one namespace."""
        if namespace is None:
            return self._objects[resource].values()
        return self._by_namespace[resource].get(namespace, {}).values()

    def any(self, resource: str) -> bool:
        """Whether there is an object of a resource."""
        return bool(self._objects[resource])

    def pod_at(self, ip: str) -> Obj | None:
        """The running pod that has this address of its own (pods on the host network share a node's)."""
        for pod in self._pods_by_ip.get(ip, {}).values():
            if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
                return pod
        return None

    def node_at(self, ip: str) -> Obj | None:
        """The node with this address."""
        return self._nodes_by_ip.get(ip)

    def services_at(self, ip: str) -> Iterable[Obj]:
        """Services with this cluster IP, external IP or load-balancer address."""
        return self._services_by_ip.get(ip, {}).values()

    def slices_of(self, namespace: str, service: str) -> Iterable[Obj]:
        """EndpointSlices labelled for a Service."""
        return self._slices_by_service.get((namespace, service), {}).values()

    def _index(self, resource: str, key: Key, obj: Obj) -> None:
        if resource == PODS:
            for ip in _pod_ips(obj):
                self._pods_by_ip.setdefault(ip, {})[key] = obj
        elif resource == SERVICES:
            for ip in service_ips(obj):
                self._services_by_ip.setdefault(ip, {})[key] = obj
        elif resource == SLICES:
            self._slices_by_service.setdefault(_slice_service(key, obj), {})[key] = obj
        elif resource == NODES:
            for ip in node_ips(obj):
                self._nodes_by_ip[ip] = obj

    def _unindex(self, resource: str, key: Key, obj: Obj) -> None:
        if resource == PODS:
            for ip in _pod_ips(obj):
                _drop(self._pods_by_ip, ip, key)
        elif resource == SERVICES:
            for ip in service_ips(obj):
                _drop(self._services_by_ip, ip, key)
        elif resource == SLICES:
            _drop(self._slices_by_service, _slice_service(key, obj), key)
        elif resource == NODES:
            for ip in node_ips(obj):
                self._nodes_by_ip.pop(ip, None)


def _drop(index: dict[Any, dict[Key, Obj]], entry: Any, key: Key) -> None:
    found = index.get(entry)
    if found is not None:
        found.pop(key, None)
        if not found:
            del index[entry]


def _pod_ips(pod: Obj) -> Iterator[str]:
    if pod.get("spec", {}).get("hostNetwork"):
        return
    status = pod.get("status", {})
    ips = [entry["ip"] for entry in status.get("podIPs") or () if entry.get("ip")]
    yield from ips or ([status["podIP"]] if status.get("podIP") else [])


def _slice_service(key: Key, obj: Obj) -> Key:
    return key[0], obj["metadata"].get("labels", {}).get(SERVICE_NAME, "")


def node_ips(node: Obj) -> Iterator[str]:
    """Internal and external addresses of a node."""
    for address in node.get("status", {}).get("addresses") or ():
        if address.get("type") in ("InternalIP", "ExternalIP"):
            yield address["address"]


def service_ips(service: Obj) -> Iterator[str]:
    """Every address that kube-proxy answers for a Service, node ports apart."""
    spec = service.get("spec", {})
    for ip in spec.get("clusterIPs") or [spec.get("clusterIP")]:
        if ip and ip != "None":
            yield ip
    yield from spec.get("externalIPs") or ()
    for ingress in service.get("status", {}).get("loadBalancer", {}).get("ingress") or ():
        if ingress.get("ip") and ingress.get("ipMode", "VIP") == "VIP":
            yield ingress["ip"]
