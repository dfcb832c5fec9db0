"""NetworkPolicy: who may talk to whom."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.network.objects import ObjectTable
from kuartui.embedded.network.policy import Party, PolicyTable

WEB = Party("10.244.0.2", "shop", {"app": "web"}, is_pod=True, node="node-a")
DB = Party("10.244.0.3", "shop", {"app": "db"}, is_pod=True, node="node-a")
SPY = Party("10.244.1.4", "other", {"app": "web"}, is_pod=True, node="node-b")
NODE = Party("172.18.0.2", node="node-a", is_node=True)
OUTSIDE = Party("172.18.0.1")
DB_POD = {"spec": {"containers": [{"ports": [{"name": "redis", "containerPort": 6379}]}]}}


@pytest.fixture
def objects() -> ObjectTable:
    table = ObjectTable()
    for name, labels in (("shop", {"team": "shop"}), ("other", {"team": "other"})):
        labels = {"kubernetes.io/metadata.name": name, **labels}
        table.apply("namespaces", "ADDED", {"metadata": {"name": name, "labels": labels}})
    return table


def policy(objects: ObjectTable, name: str = "p", namespace: str = "shop", **spec: Any) -> None:
    spec.setdefault("podSelector", {})
    body = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
    objects.apply("networkpolicies.networking.k8s.io", "ADDED", body)


def passes(objects: ObjectTable, source: Party, target: Party, port: int = 6379, protocol: str = "TCP") -> bool:
    return PolicyTable(objects).allows(source, target, port, protocol, DB_POD)


def test_without_policies_everything_passes(objects: ObjectTable) -> None:
    assert passes(objects, SPY, DB)
    assert passes(objects, OUTSIDE, DB)


def test_default_deny_ingress_leaves_egress_alone(objects: ObjectTable) -> None:
    policy(objects, policyTypes=["Ingress"])
    assert not passes(objects, WEB, DB)
    assert not passes(objects, OUTSIDE, DB)
    assert passes(objects, WEB, SPY)


def test_the_own_node_and_the_pod_itself_always_pass(objects: ObjectTable) -> None:
    policy(objects, policyTypes=["Ingress", "Egress"])
    assert passes(objects, NODE, DB)
    assert not passes(objects, NODE, Party("10.244.1.9", "shop", {}, is_pod=True, node="node-b"))
    assert passes(objects, DB, DB)


def test_default_deny_egress_stops_dns_too(objects: ObjectTable) -> None:
    policy(objects, policyTypes=["Egress"])
    assert not passes(objects, WEB, SPY, 53, "UDP")
    policy(objects, "dns", egress=[{"ports": [{"port": 53, "protocol": "UDP"}]}], policyTypes=["Egress"])
    assert passes(objects, WEB, SPY, 53, "UDP")
    assert not passes(objects, WEB, SPY, 53, "TCP")


def test_pod_selectors_mean_the_policys_own_namespace(objects: ObjectTable) -> None:
    policy(
        objects,
        podSelector={"matchLabels": {"app": "db"}},
        ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}],
    )
    assert passes(objects, WEB, DB)
    assert not passes(objects, SPY, DB)


def test_both_selectors_in_one_element_must_hold(objects: ObjectTable) -> None:
    both = {"namespaceSelector": {"matchLabels": {"team": "other"}}, "podSelector": {"matchLabels": {"app": "api"}}}
    policy(objects, ingress=[{"from": [both]}])
    assert not passes(objects, SPY, DB)
    assert not passes(objects, WEB, DB)


def test_selectors_in_two_elements_are_alternatives(objects: ObjectTable) -> None:
    either = [
        {"namespaceSelector": {"matchLabels": {"team": "other"}}},
        {"podSelector": {"matchLabels": {"app": "api"}}},
    ]
    policy(objects, ingress=[{"from": either}])
    assert passes(objects, SPY, DB)
    assert not passes(objects, WEB, DB)


def test_policies_add_up(objects: ObjectTable) -> None:
    policy(objects, "deny", policyTypes=["Ingress"])
    policy(objects, "allow", ingress=[{"from": [{"podSelector": {}}]}])
    assert passes(objects, WEB, DB)
    assert not passes(objects, SPY, DB)


def test_ip_blocks_with_exceptions(objects: ObjectTable) -> None:
    policy(objects, ingress=[{"from": [{"ipBlock": {"cidr": "172.18.0.0/16", "except": ["172.18.0.1/32"]}}]}])
    assert not passes(objects, OUTSIDE, DB)
    assert passes(objects, Party("172.18.9.9"), DB)


@pytest.mark.parametrize(
    ("ports", "port", "passing"),
    [
        ([{"port": 6379}], 6379, True),
        ([{"port": 6379}], 6380, False),
        ([{"port": 6000, "endPort": 7000}], 6379, True),
        ([{"port": 6000, "endPort": 6100}], 6379, False),
        ([{"port": "redis"}], 6379, True),
        ([{"port": "other"}], 6379, False),
        ([{"protocol": "UDP"}], 6379, False),
        ([{"port": 1}, {"port": 6379}], 6379, True),
        ([], 6379, True),
    ],
)
def test_ports(objects: ObjectTable, ports: list[dict[str, Any]], port: int, passing: bool) -> None:
    policy(objects, ingress=[{"ports": ports}])
    assert passes(objects, WEB, DB, port) is passing


def test_both_ends_must_agree(objects: ObjectTable) -> None:
    policy(objects, "in", podSelector={"matchLabels": {"app": "db"}}, ingress=[{"from": [{"podSelector": {}}]}])
    policy(objects, "out", podSelector={"matchLabels": {"app": "web"}}, policyTypes=["Egress"])
    assert not passes(objects, WEB, DB)


def test_match_expressions(objects: ObjectTable) -> None:
    expressions = [{"key": "app", "operator": "NotIn", "values": ["db"]}]
    policy(objects, podSelector={"matchExpressions": expressions}, policyTypes=["Ingress"])
    assert passes(objects, WEB, DB)
    assert not passes(objects, DB, WEB)
