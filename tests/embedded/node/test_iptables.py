"""iptables-save on a node."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.node.host.iptables import rules

Obj = dict[str, Any]
SVC, EXT = "KUBE-SVC-NPX46M4PTMTKRN6Y", "KUBE-EXT-NPX46M4PTMTKRN6Y"  # of default/kubernetes:https, in every cluster


def service(**spec: Any) -> Obj:
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443, **spec.pop("port", {})}]
    meta = {"namespace": "default", "name": "kubernetes"}
    return {"metadata": meta, "spec": {"clusterIP": "10.96.0.1", "ports": ports, **spec}}


def endpoint_slice(*ips: str, ready: bool = True) -> Obj:
    meta = {"namespace": "default", "name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}}
    endpoints = [{"addresses": [ip], "conditions": {"ready": ready}} for ip in ips]
    return {"metadata": meta, "endpoints": endpoints, "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}]}


def test_a_service_leads_to_one_of_its_endpoints_by_chance() -> None:
    nat, rejected = rules([service()], [endpoint_slice("10.0.0.2", "10.0.0.1")], "n")
    to = '-d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp --dport 443'
    assert nat[0] == f"-A KUBE-SERVICES {to} -j {SVC}"
    first, last = (line for line in nat if " -> " in line)
    assert '"default/kubernetes:https -> 10.0.0.1:6443" -m statistic --mode random --probability 0.50000000000' in first
    assert "statistic" not in last
    ends = [line for line in nat if line.startswith(f"-A {last.split()[-1]} ")]
    assert ends[-1].endswith(
        "-m comment --comment default/kubernetes:https -m tcp -j DNAT --to-destination 10.0.0.2:6443"
    )
    assert rejected == []


def test_a_service_without_endpoints_is_rejected() -> None:
    nat, rejected = rules([service()], [endpoint_slice("10.0.0.1", ready=False)], "n")
    assert nat == []
    assert "has no endpoints" in rejected[0]
    assert rejected[0].endswith("-j REJECT --reject-with icmp-port-unreachable")


def test_a_node_port_comes_from_outside() -> None:
    nat, _ = rules([service(type="NodePort", port={"nodePort": 30443})], [endpoint_slice("10.0.0.1")], "n")
    node_port = "-p tcp -m comment --comment default/kubernetes:https -m tcp --dport 30443"
    assert f"-A KUBE-NODEPORTS {node_port} -j {EXT}" in nat
    assert f"-A {EXT} -j {SVC}" in nat


def test_headless_services_and_those_of_other_proxies_have_no_rules() -> None:
    others = service()
    others["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "mine"}
    assert rules([service(clusterIP="None"), others], [endpoint_slice("10.0.0.1")], "n") == ([], [])


def test_clients_that_stay_are_remembered() -> None:
    nat, _ = rules([service(sessionAffinity="ClientIP")], [endpoint_slice("10.0.0.1")], "n")
    assert any("-m recent --rcheck --seconds 10800 --reap" in line for line in nat)
    assert any("-m recent --set" in line for line in nat)
