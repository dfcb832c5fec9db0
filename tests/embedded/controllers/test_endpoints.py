"""EndpointSlices and Endpoints follow Services and their pods."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers.endpoints import EndpointsController, EndpointSliceController, MirroringController
from kuartui.embedded.controllers.endpoints.members import TriggerTimes
from kuartui.embedded.meta import errors
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]
SLICES = "endpointslices.discovery.k8s.io"
PORTS = [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]


async def pod(cluster: Cluster, name: str, port: str = "web", **more: Any) -> None:
    container = {"name": "c", "image": more.pop("image", "i"), "ports": [{"name": port, "containerPort": 8080}]}
    body = {"nodeName": "n1", "containers": [container]} | more
    await cluster.create("pods", name, metadata={"labels": {"app": "web"}}, spec=body)


async def service(cluster: Cluster, **more: Any) -> None:
    if cluster.client.get("nodes", "", "n1") is None:
        await cluster.create("nodes", "n1")
    cluster.start(
        EndpointSliceController(cluster.client),
        EndpointsController(cluster.client),
        MirroringController(cluster.client),
    )
    base = {"selector": {"app": "web"}, "ports": PORTS, "clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"]}
    spec = {key: value for key, value in (base | more).items() if value is not None}
    await cluster.create("services", "web", spec=spec)
    await cluster.run()


def endpoints(cluster: Cluster) -> dict[str, tuple[bool, bool, bool]]:
    return {
        one["targetRef"]["name"]: tuple(one["conditions"].values())
        for found in cluster.client.list(SLICES)
        for one in found["endpoints"] or []
    }


async def test_a_slice_lists_the_pods_with_their_state(cluster: Cluster) -> None:
    cluster.ready_after["slow"] = -1
    await cluster.create("nodes", "n1", metadata={"labels": {"topology.kubernetes.io/zone": "za"}})
    await pod(cluster, "a")
    await pod(cluster, "b", image="slow")
    await service(cluster)
    assert endpoints(cluster) == {"a": (True, True, False), "b": (False, False, False)}
    (found,) = cluster.client.list(SLICES)
    assert found["metadata"]["labels"] == {
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": "web",
    }
    assert found["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert found["endpoints"][0]["nodeName"] == "n1"
    assert found["endpoints"][0]["zone"] == "za"
    (subset,) = cluster.get("endpoints", "web")["subsets"]
    assert [one["targetRef"]["name"] for one in subset["addresses"]] == ["a"]
    assert [one["targetRef"]["name"] for one in subset["notReadyAddresses"]] == ["b"]


async def test_a_terminating_pod_still_serves_but_is_not_ready(cluster: Cluster) -> None:
    await pod(cluster, "a")
    await service(cluster)
    await cluster.delete("pods", "a")
    await cluster.run(0.1)
    assert endpoints(cluster) == {"a": (False, True, True)}
    assert "subsets" not in cluster.get("endpoints", "web")
    await cluster.run()
    assert endpoints(cluster) == {}


async def test_a_wrong_selector_leaves_an_empty_slice(cluster: Cluster) -> None:
    await pod(cluster, "a")
    await service(cluster, selector={"app": "wbe"})
    (found,) = cluster.client.list(SLICES)
    assert found["endpoints"] is None
    assert found["ports"] is None
    await cluster.edit("services", "web", {"spec": {"selector": {"app": "web"}}})
    await cluster.run()
    (found,) = cluster.client.list(SLICES)
    assert [one["addresses"] for one in found["endpoints"]] == [["10.1.0.1"]]


async def test_a_named_port_that_no_pod_has(cluster: Cluster) -> None:
    await pod(cluster, "a", port="other")
    await service(cluster)
    (found,) = cluster.client.list(SLICES)
    assert not found["ports"]
    assert found["endpoints"][0]["conditions"]["ready"] is True


async def test_pods_with_other_ports_get_a_slice_of_their_own(cluster: Cluster) -> None:
    await pod(cluster, "a")
    body = {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"name": "web", "containerPort": 9090}]}]}
    await cluster.create("pods", "b", metadata={"labels": {"app": "web"}}, spec=body)
    await service(cluster)
    ports = sorted(found["ports"][0]["port"] for found in cluster.client.list(SLICES))
    assert ports == [8080, 9090]


async def test_published_before_they_are_ready(cluster: Cluster) -> None:
    cluster.ready_after["slow"] = -1
    await pod(cluster, "a", image="slow", hostname="a", subdomain="web")
    await service(cluster, publishNotReadyAddresses=True, clusterIP="None")
    (found,) = cluster.client.list(SLICES)
    assert found["endpoints"][0]["conditions"] == {"ready": True, "serving": False, "terminating": False}
    assert found["endpoints"][0]["hostname"] == "a"
    assert found["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert cluster.get("endpoints", "web")["subsets"][0]["addresses"][0]["hostname"] == "a"


async def test_at_most_a_hundred_endpoints_per_slice(cluster: Cluster) -> None:
    for number in range(130):
        await pod(cluster, f"p{number}")
    await service(cluster)
    assert sorted(len(found["endpoints"]) for found in cluster.client.list(SLICES)) == [30, 100]


async def test_hand_made_endpoints_are_mirrored(cluster: Cluster) -> None:
    await service(cluster, selector=None)
    assert not cluster.client.list(SLICES)
    subsets = [{"addresses": [{"ip": "10.9.8.7"}], "ports": [{"port": 5432, "protocol": "TCP"}]}]
    await cluster.create("endpoints", "web", subsets=subsets)
    await cluster.run()
    (found,) = cluster.client.list(SLICES)
    assert found["endpoints"] == [{"addresses": ["10.9.8.7"], "conditions": {"ready": True}}]
    assert found["ports"] == [{"name": "", "protocol": "TCP", "port": 5432}]


async def test_a_mirror_has_the_annotations_too_and_follows_them(cluster: Cluster) -> None:
    await service(cluster, selector=None)
    subsets = [{"addresses": [{"ip": "10.9.8.7"}], "ports": [{"port": 5432, "protocol": "TCP"}]}]
    notes = {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    await cluster.create("endpoints", "web", metadata={"annotations": notes, "labels": {"l": "m"}}, subsets=subsets)
    await cluster.run()
    (found,) = cluster.client.list(SLICES)
    assert found["metadata"]["annotations"] == {"a": "b"}
    assert found["metadata"]["labels"]["l"] == "m"
    await cluster.client.patch("endpoints", "default", "web", {"metadata": {"labels": None, "annotations": {"a": "c"}}})
    await cluster.run()
    (found,) = cluster.client.list(SLICES)
    assert found["metadata"]["annotations"] == {"a": "c"}
    assert "l" not in found["metadata"]["labels"]


def test_a_pod_that_is_ready_within_the_second_counts_as_a_change() -> None:
    times, second = TriggerTimes(), "2030-01-01T00:00:05Z"

    def member(status: str) -> Obj:
        condition = {"type": "Ready", "status": status, "lastTransitionTime": second}
        return {"metadata": {"name": "a"}, "status": {"conditions": [condition]}}

    web = {"metadata": {"name": "web", "uid": "u", "creationTimestamp": "2030-01-01T00:00:00Z"}}
    assert times.changed(web, []) == "2030-01-01T00:00:00Z"
    assert times.changed(web, [member("False")]) == second
    assert times.changed(web, [member("True")]) == second
    assert times.changed(web, [member("True")]) == ""


async def test_a_selector_ends_mirroring(cluster: Cluster) -> None:
    await service(cluster, selector=None)
    subsets = [{"addresses": [{"ip": "10.9.8.7"}], "ports": [{"port": 5432, "protocol": "TCP"}]}]
    await cluster.create("endpoints", "web", subsets=subsets)
    await cluster.run()
    await cluster.client.patch("services", "default", "web", {"spec": {"selector": {"app": "web"}}})
    await cluster.run()
    (found,) = cluster.client.list(SLICES)
    assert found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"


async def test_a_traffic_distribution_gives_hints(cluster: Cluster) -> None:
    await cluster.create("nodes", "n1", metadata={"labels": {"topology.kubernetes.io/zone": "za"}})
    await pod(cluster, "a")
    await service(cluster, trafficDistribution="PreferSameNode")
    (found,) = cluster.client.list(SLICES)
    assert found["endpoints"][0]["hints"] == {"forZones": [{"name": "za"}], "forNodes": [{"name": "n1"}]}
    await cluster.client.patch("services", "default", "web", {"spec": {"trafficDistribution": "PreferClose"}})
    await cluster.run()
    (found,) = cluster.client.list(SLICES)
    assert found["endpoints"][0]["hints"] == {"forZones": [{"name": "za"}]}
    await cluster.client.patch("services", "default", "web", {"spec": {"trafficDistribution": None}})
    await cluster.run()
    (found,) = cluster.client.list(SLICES)
    assert "hints" not in found["endpoints"][0]


async def test_topology_mode_auto_tells_why_there_are_no_hints(cluster: Cluster) -> None:
    mode = {"annotations": {"service.kubernetes.io/topology-mode": "Auto"}}
    reason, family = "TopologyAwareHintsDisabled", ", addressType: IPv4"
    status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "2"}}
    zone = {"topology.kubernetes.io/zone": "za"}
    await cluster.create("nodes", "n1", metadata={"labels": zone}, status=status)
    await pod(cluster, "a")
    await service(cluster, trafficDistribution="PreferSameNode")
    await cluster.edit("services", "web", {"metadata": mode})
    await cluster.run()
    few = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
    assert set(cluster.events(reason)) == {few + family}
    (found,) = cluster.client.list(SLICES)
    assert "hints" not in found["endpoints"][0]
    await cluster.create("nodes", "n2", metadata={"labels": {"topology.kubernetes.io/zone": "zb"}}, status=status)
    await cluster.edit("services", "web", {"metadata": {"labels": {"x": "y"}}})
    await cluster.run()
    assert cluster.events(reason)[-1] == "Insufficient number of endpoints (1 endpoints, 2 zones)" + family


async def test_topology_mode_auto_shares_endpoints_out_among_zones(cluster: Cluster) -> None:
    status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "2"}}
    for node, zone in (("n1", "za"), ("n2", "zb")):
        labels = {"topology.kubernetes.io/zone": zone}
        await cluster.create("nodes", node, metadata={"labels": labels}, status=status)
    for name, node in (("a", "n1"), ("b", "n1"), ("c", "n1"), ("d", "n2")):
        await pod(cluster, name, nodeName=node)
    await service(cluster)
    mode = {"service.kubernetes.io/topology-mode": "Auto"}
    await cluster.edit("services", "web", {"metadata": {"annotations": mode}})
    await cluster.run()
    assert zones(cluster) == {"a": "zb", "b": "za", "c": "za", "d": "zb"}
    assert cluster.events("TopologyAwareHintsEnabled") == ["Topology Aware Hints has been enabled, addressType: IPv4"]
    await cluster.edit("nodes", "n2", {"status": {"allocatable": {"cpu": "6"}}})
    await cluster.run()
    assert zones(cluster) == {"a": "zb", "b": "zb", "c": "za", "d": "zb"}, "three of four CPUs, three of four endpoints"
    await cluster.edit("nodes", "n2", {"status": {"allocatable": {"cpu": "60"}}})
    await cluster.run()
    assert set(cluster.events("TopologyAwareHintsDisabled")) == {
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold "
        "(4 endpoints, 2 zones), addressType: IPv4"
    }
    assert set(zones(cluster).values()) == {""}
    await cluster.edit("nodes", "n2", {"status": {"allocatable": {"cpu": "2"}}})
    await cluster.edit("services", "web", {"metadata": {"labels": {"x": "y"}}})
    await cluster.run()
    await cluster.edit("services", "web", {"metadata": {"annotations": dict.fromkeys(mode)}})
    await cluster.run()
    assert cluster.events("TopologyAwareHintsDisabled")[-1] == (
        "Topology Aware Hints has been disabled, addressType: IPv4"
    )
    assert set(zones(cluster).values()) == {""}


def zones(cluster: Cluster) -> dict[str, str]:
    """For which zone each endpoint is meant."""
    return {
        one["targetRef"]["name"]: one["hints"]["forZones"][0]["name"] if "hints" in one else ""
        for found in cluster.client.list(SLICES)
        for one in found["endpoints"] or []
    }


async def test_pods_of_a_node_that_is_gone_are_no_endpoints(cluster: Cluster) -> None:
    await cluster.create("nodes", "n2")
    await pod(cluster, "a")
    await pod(cluster, "b", nodeName="n2")
    await service(cluster)
    await cluster.delete("nodes", "n2")
    await pod(cluster, "c")
    await cluster.run()
    assert sorted(endpoints(cluster)) == ["a", "c"]
    assert set(cluster.events("FailedToUpdateEndpointSlices")) == {
        "Error updating Endpoint Slices for Service default/web: "
        "skipping Pod b for Service default/web: Node n2 Not Found"
    }
    await cluster.create("nodes", "n2")
    await cluster.run(10)
    assert sorted(endpoints(cluster)) == ["a", "b", "c"]
    await cluster.edit("services", "web", {"spec": {"publishNotReadyAddresses": True}})
    await cluster.delete("nodes", "n2")
    await cluster.run()
    assert sorted(endpoints(cluster)) == ["a", "b", "c"], "who publishes what is not ready does not mind"


async def test_a_slice_that_is_refused_is_told_of(cluster: Cluster) -> None:
    refusal = errors.forbidden(SLICES, "web-x", "no more of them")
    cluster.memory.refuse = lambda resource, obj: refusal if resource == SLICES else None
    await pod(cluster, "a")
    await service(cluster)
    assert set(cluster.events("FailedToUpdateEndpointSlices")) == {
        f"Error updating Endpoint Slices for Service default/web: "
        f"failed to create EndpointSlice for Service default/web: {refusal}"
    }
    cluster.memory.refuse = lambda resource, obj: None
    await cluster.run(5)
    assert sorted(endpoints(cluster)) == ["a"]


async def test_hand_made_endpoints_are_mirrored_by_family_and_ports(cluster: Cluster) -> None:
    await service(cluster, selector=None)
    web, admin = [{"name": "http", "port": 80}], [{"name": "admin", "port": 81}]
    subsets = [
        {"addresses": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}], "ports": web},
        {"addresses": [{"ip": "192.0.2.2"}], "ports": web},
        {"notReadyAddresses": [{"ip": "192.0.2.3"}], "ports": admin},
    ]
    await cluster.create("endpoints", "web", subsets=subsets)
    await cluster.run()
    assert mirrored(cluster) == [
        ("IPv4", [80], ["192.0.2.1", "192.0.2.2"]),
        ("IPv4", [81], ["192.0.2.3"]),
        ("IPv6", [80], ["2001:db8::1"]),
    ]
    kept = {found["metadata"]["name"] for found in cluster.client.list(SLICES)}
    await cluster.edit("endpoints", "web", {"subsets": subsets[1:]})
    await cluster.run()
    assert mirrored(cluster) == [("IPv4", [80], ["192.0.2.2"]), ("IPv4", [81], ["192.0.2.3"])]
    assert {found["metadata"]["name"] for found in cluster.client.list(SLICES)} < kept


def mirrored(cluster: Cluster) -> list[tuple[str, list[int], list[str]]]:
    return sorted(
        (
            found["addressType"],
            [port["port"] for port in found["ports"]],
            [address for one in found["endpoints"] for address in one["addresses"]],
        )
        for found in cluster.client.list(SLICES)
    )
