"""Status of Ingresses, Gateways and routes."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers.edge.attachment import CLASSES, GATEWAYS, GRANTS, ROUTES
from kuartui.embedded.controllers.edge.gateway import GatewayController
from kuartui.embedded.controllers.edge.ingress import IngressStatusController
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]
INGRESSES, INGRESS_CLASSES = "ingresses.networking.k8s.io", "ingressclasses.networking.k8s.io"


def outcome(conditions: list[Obj]) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in conditions}


async def gateway(cluster: Cluster, *listeners: Obj, controller: str = "kuartui.dev/gateway-controller") -> None:
    cluster.start(GatewayController(cluster.client))
    await cluster.create(CLASSES, "edge", namespace="", spec={"controllerName": controller})
    spec = {
        "gatewayClassName": "edge",
        "listeners": list(listeners) or [{"name": "http", "protocol": "HTTP", "port": 80}],
    }
    await cluster.create(GATEWAYS, "g", spec=spec)
    await cluster.create("services", "web", spec={"ports": [{"port": 80}]})
    await cluster.run()


async def route(cluster: Cluster, namespace: str = "default", backend: str = "web", **more: Any) -> Obj:
    parent = {"name": "g", "namespace": "default"}
    rules = [{"backendRefs": [{"name": backend, "port": 80, **more.pop("ref", {})}]}]
    await cluster.create(ROUTES, "r", namespace, spec={"parentRefs": [parent], "rules": rules} | more)
    await cluster.run()
    return cluster.get(ROUTES, "r", namespace)


def parent_outcome(found: Obj) -> dict[str, tuple[str, str]]:
    return outcome(found["status"]["parents"][0]["conditions"])


async def test_a_gateway_gets_an_address_and_counts_its_routes(cluster: Cluster) -> None:
    await gateway(cluster)
    found = await route(cluster)
    assert parent_outcome(found) == {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}
    status = cluster.get(GATEWAYS, "g")["status"]
    assert outcome(status["conditions"]) == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}
    assert status["addresses"] == [{"type": "IPAddress", "value": "172.18.255.200"}]
    assert status["listeners"][0]["attachedRoutes"] == 1
    assert outcome(cluster.get(CLASSES, "edge", "")["status"]["conditions"]) == {"Accepted": ("True", "Accepted")}


async def test_a_foreign_class_is_nobodys(cluster: Cluster) -> None:
    await gateway(cluster, controller="example.com/other")
    assert "status" not in cluster.get(GATEWAYS, "g")


async def test_a_missing_backend(cluster: Cluster) -> None:
    await gateway(cluster)
    found = await route(cluster, backend="nobody")
    assert parent_outcome(found)["ResolvedRefs"] == ("False", "BackendNotFound")
    await cluster.create("services", "nobody", spec={"ports": [{"port": 80}]})
    await cluster.run()
    assert parent_outcome(cluster.get(ROUTES, "r"))["ResolvedRefs"] == ("True", "ResolvedRefs")


async def test_other_namespaces_must_be_let_in(cluster: Cluster) -> None:
    await gateway(cluster)
    found = await route(cluster, namespace="team", ref={"namespace": "default"})
    assert parent_outcome(found) == {
        "Accepted": ("False", "NotAllowedByListeners"),
        "ResolvedRefs": ("False", "RefNotPermitted"),
    }
    everyone = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
    await cluster.edit(GATEWAYS, "g", {"spec": {"listeners": [everyone]}})
    from_ = [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "team"}]
    await cluster.create(GRANTS, "open", spec={"from": from_, "to": [{"group": "", "kind": "Service"}]})
    await cluster.run()
    assert set(parent_outcome(cluster.get(ROUTES, "r", "team")).values()) == {
        ("True", "Accepted"),
        ("True", "ResolvedRefs"),
    }


async def test_host_names_must_meet(cluster: Cluster) -> None:
    await gateway(cluster, {"name": "http", "protocol": "HTTP", "port": 80, "hostname": "*.example.com"})
    found = await route(cluster, hostnames=["shop.example.org"])
    assert parent_outcome(found)["Accepted"] == ("False", "NoMatchingListenerHostname")
    await cluster.edit(ROUTES, "r", {"spec": {"hostnames": ["shop.example.com"]}})
    await cluster.run()
    assert parent_outcome(cluster.get(ROUTES, "r"))["Accepted"] == ("True", "Accepted")


async def test_a_listener_without_its_certificate(cluster: Cluster) -> None:
    tls = {"certificateRefs": [{"name": "cert"}]}
    await gateway(cluster, {"name": "https", "protocol": "HTTPS", "port": 443, "tls": tls})
    status = cluster.get(GATEWAYS, "g")["status"]
    assert outcome(status["listeners"][0]["conditions"])["ResolvedRefs"] == ("False", "InvalidCertificateRef")
    assert outcome(status["conditions"])["Programmed"] == ("False", "Invalid")
    assert "addresses" not in status
    await cluster.create("secrets", "cert", data={"tls.crt": "", "tls.key": ""})
    await cluster.run()
    assert outcome(cluster.get(GATEWAYS, "g")["status"]["conditions"])["Programmed"] == ("True", "Programmed")


async def test_the_status_of_somebody_elses_ingress_is_left_alone(cluster: Cluster) -> None:
    cluster.start(IngressStatusController(cluster.client))
    await cluster.create(INGRESS_CLASSES, "cloud", namespace="", spec={"controller": "example.com/balancer"})
    theirs = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    for name, spec in {"classed": {"ingressClassName": "cloud"}, "unclassed": {}}.items():
        await cluster.create(INGRESSES, name, spec=spec, status=theirs)
    await cluster.run()
    assert all(cluster.get(INGRESSES, name)["status"] == theirs for name in ("classed", "unclassed"))


async def test_an_ingress_shows_its_controllers_address(cluster: Cluster) -> None:
    cluster.start(IngressStatusController(cluster.client))
    await cluster.create(INGRESS_CLASSES, "nginx", namespace="", spec={"controller": "k8s.io/ingress-nginx"})
    image = "registry.k8s.io/ingress-nginx/controller:v1.13.3"
    await cluster.create(
        "pods", "c", "ingress-nginx", spec={"nodeName": "n1", "containers": [{"name": "c", "image": image}]}
    )
    await cluster.create(INGRESSES, "early", spec={"ingressClassName": "nginx"}, status={"loadBalancer": {}})
    assert cluster.events("Sync", "Ingress/early") == []
    await cluster.run()
    cluster.set_status("ingress-nginx", "c", "Running", ready=True, hostIP="172.18.0.4")
    assert cluster.events("Sync", "Ingress/early") == ["Scheduled for sync"]
    for name, class_name in (("mine", "nginx"), ("other", "contour")):
        await cluster.create(INGRESSES, name, spec={"ingressClassName": class_name}, status={"loadBalancer": {}})
    await cluster.run()
    assert cluster.get(INGRESSES, "mine")["status"] == {"loadBalancer": {"ingress": [{"ip": "172.18.0.4"}]}}
    assert cluster.get(INGRESSES, "other")["status"] == {"loadBalancer": {}}
    assert cluster.events("Sync", "Ingress/mine") == ["Scheduled for sync"]
    await cluster.delete("pods", "c", "ingress-nginx")
    await cluster.run()
    assert cluster.get(INGRESSES, "mine")["status"] == {"loadBalancer": {}}
