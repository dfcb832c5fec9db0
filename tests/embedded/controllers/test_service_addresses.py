"""IPAddresses follow Services; ServiceCIDRs are ready, and stay while they are needed."""

from __future__ import annotations

import asyncio

from kuartui.embedded.api.events import EventRecorder
from kuartui.embedded.api.local import LocalClient
from kuartui.embedded.api.request import SYSTEM
from kuartui.embedded.controllers.service_addresses import ServiceAddresses, ServiceCidrs
from tests.embedded.api.server import Server
from tests.embedded.controllers.cluster import Cluster

ADDRESSES, CIDRS = "ipaddresses.networking.k8s.io", "servicecidrs.networking.k8s.io"


async def service(cluster: Cluster, name: str, ip: str) -> None:
    await cluster.create("services", name, spec={"clusterIP": ip, "clusterIPs": [ip]})
    await cluster.run()


async def test_a_cluster_ip_has_an_address_as_long_as_its_service(cluster: Cluster) -> None:
    cluster.start(ServiceAddresses(cluster.client))
    await service(cluster, "web", "10.96.0.7")
    await service(cluster, "headless", "None")
    (address,) = cluster.client.list(ADDRESSES)
    assert address["metadata"]["name"] == "10.96.0.7"
    assert address["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "web"}
    await cluster.delete("services", "web")
    await cluster.run()
    assert not cluster.client.list(ADDRESSES)


async def test_an_address_that_somebody_deletes_comes_back(cluster: Cluster) -> None:
    cluster.start(ServiceAddresses(cluster.client))
    await service(cluster, "web", "10.96.0.7")
    await cluster.delete(ADDRESSES, "10.96.0.7")
    await cluster.run()
    assert cluster.get(ADDRESSES, "10.96.0.7")


async def test_a_restart_leaves_addresses_alone() -> None:
    server = Server()
    spec = {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]}
    await server.json("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "web"}, "spec": spec})
    client = LocalClient(server.rest, EventRecorder(server.store, server.clock), SYSTEM)
    revisions = []
    for _ in range(2):
        task = asyncio.create_task(ServiceAddresses(client).run())
        await server.clock.advance(1)
        task.cancel()
        revisions.append(server.store.revision)
    assert client.get(ADDRESSES, "", "10.96.0.7")
    assert revisions[0] == revisions[1]


async def test_a_range_goes_when_its_last_address_is_free(cluster: Cluster) -> None:
    cluster.start(ServiceAddresses(cluster.client), ServiceCidrs(cluster.client))
    await cluster.create(CIDRS, "extra", spec={"cidrs": ["10.97.0.0/24"]})
    await cluster.run()
    (condition,) = cluster.get(CIDRS, "extra")["status"]["conditions"]
    assert (condition["status"], condition["message"]) == ("True", "Kubernetes Service CIDR is ready")
    await service(cluster, "web", "10.97.0.7")
    await cluster.delete(CIDRS, "extra")
    await cluster.run(20)
    (condition,) = cluster.get(CIDRS, "extra")["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "Terminating")
    await cluster.delete("services", "web")
    await cluster.run(20)
    assert cluster.gone(CIDRS, "extra")


async def test_a_range_goes_while_another_one_covers_its_addresses(cluster: Cluster) -> None:
    cluster.start(ServiceAddresses(cluster.client), ServiceCidrs(cluster.client))
    await cluster.create(CIDRS, "small", spec={"cidrs": ["10.97.0.0/24"]})
    await cluster.create(CIDRS, "large", spec={"cidrs": ["10.97.0.0/16"]})
    await service(cluster, "web", "10.97.0.7")
    await cluster.delete(CIDRS, "small")
    await cluster.run(20)
    assert cluster.gone(CIDRS, "small")
    assert cluster.get(ADDRESSES, "10.97.0.7")


async def test_cluster_ips_come_from_every_range_that_is_ready() -> None:
    server = Server()
    services, cidrs = "/api/v1/namespaces/default/services", "/apis/networking.k8s.io/v1/servicecidrs"
    ports = [{"port": 80}]
    wanted = {"metadata": {"name": "web"}, "spec": {"ports": ports, "clusterIP": "10.97.0.9"}}
    refused = await server.json("POST", services, wanted, code=422)
    assert "the provided network does not match the current range" in refused["message"]
    await server.json("POST", cidrs, {"metadata": {"name": "extra"}, "spec": {"cidrs": ["10.97.0.8/30"]}})
    await server.json("POST", services, wanted, code=422)
    status = {"conditions": [{"type": "Ready", "status": "True", "reason": "", "message": ""}]}
    await server.json(
        "PATCH",
        f"{cidrs}/extra/status",
        {"status": status},
        content_type="application/merge-patch+json",
    )
    await server.json("POST", services, wanted)
    for name in ("second", "third"):
        answer = await server.ask("POST", services, {"metadata": {"name": name}, "spec": {"ports": ports}})
        assert (answer.status == 201) == (name == "second"), "a range of four has two addresses for Services"
