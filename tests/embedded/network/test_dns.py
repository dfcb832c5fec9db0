"""Names: search lists, Services, headless members, ExternalName, CoreDNS' configuration, and what stops DNS."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kuartui.embedded.network import DnsConfig, NameNotResolved, cluster_first, parse_resolv_conf
from kuartui.embedded.network.corefile import DEFAULT, CoreDns, CorefileError, parse
from kuartui.embedded.network.dns import candidates
from kuartui.embedded.node.runtime import Capture
from tests.embedded.containers import World

POD = "10.244.0.100"


@pytest.fixture
def dns(world: World) -> World:
    world.network.add_pod(POD, "shop", "client", dns=cluster_first("shop", world.network.dns_ip))
    world.network.apply("namespaces", "ADDED", {"metadata": {"name": "shop"}})
    world.service("api", "10.96.0.7", 80, [], namespace="shop")
    world.service("db", "None", 5432, [("10.244.0.5", 5432), ("10.244.0.6", 5432)], namespace="data")
    return world


async def addresses(world: World, name: str, qtype: str = "A") -> list[str]:
    return await world.network.resolve(POD, name, qtype)


def test_resolv_conf_reads_as_it_is_written() -> None:
    config = cluster_first("shop", "10.96.0.10")
    assert config.text() == (
        "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    )
    assert parse_resolv_conf(config.text()) == config


def test_few_dots_search_first_many_search_last() -> None:
    config = DnsConfig(("1.1.1.1",), ("a", "b"), (("ndots", "2"),))
    assert candidates("x", config) == ["x.a", "x.b", "x"]
    assert candidates("x.y.z", config) == ["x.y.z", "x.y.z.a", "x.y.z.b"]
    assert candidates("x.", config) == ["x"]


@pytest.mark.parametrize(
    "name", ["api", "api.shop", "api.shop.svc", "api.shop.svc.cluster.local", "API.shop.svc.cluster.local."]
)
async def test_a_service_has_many_names(dns: World, name: str) -> None:
    assert await addresses(dns, name) == ["10.96.0.7"]


@pytest.mark.parametrize("name", ["db", "api.data", "nope.shop.svc.cluster.local", "api.shop.pod.cluster.local"])
async def test_other_names_do_not_exist(dns: World, name: str) -> None:
    with pytest.raises(NameNotResolved) as error:
        await addresses(dns, name)
    assert error.value.rcode == "NXDOMAIN"


async def test_a_headless_service_gives_its_members(dns: World) -> None:
    assert await addresses(dns, "db.data") == ["10.244.0.5", "10.244.0.6"]
    assert await addresses(dns, "10-244-0-5.db.data") == ["10.244.0.5"]


async def test_a_member_has_a_name_only_if_its_slice_gives_it_one(dns: World) -> None:
    spec = {"hostname": "db-0", "subdomain": "other"}
    dns.network.apply("pods", "ADDED", {"metadata": {"name": "db-0", "namespace": "data"}, "spec": spec})
    target = {"kind": "Pod", "namespace": "data", "name": "db-0"}
    members = [{"addresses": ["10.244.0.5"], "conditions": {"ready": True}, "targetRef": target}]
    meta = {"name": "kv-1", "namespace": "data", "labels": {"kubernetes.io/service-name": "kv"}}
    ports = [{"name": "", "port": 1, "protocol": "TCP"}]
    dns.network.apply(
        "endpointslices.discovery.k8s.io", "ADDED", {"metadata": meta, "ports": ports, "endpoints": members}
    )
    service = {"metadata": {"name": "kv", "namespace": "data"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}
    dns.network.apply("services", "ADDED", service)
    assert await addresses(dns, "kv.data") == ["10.244.0.5"]
    with pytest.raises(NameNotResolved):
        await addresses(dns, "db-0.kv.data")


async def test_members_with_host_names_and_unready_ones(dns: World) -> None:
    meta = {"name": "kv-1", "namespace": "data", "labels": {"kubernetes.io/service-name": "kv"}}
    members: list[dict[str, Any]] = [
        {"addresses": ["10.244.0.7"], "hostname": "kv-0", "conditions": {"ready": True}},
        {"addresses": ["10.244.0.8"], "hostname": "kv-1", "conditions": {"ready": False}},
    ]
    ports = [{"name": "", "port": 1, "protocol": "TCP"}]
    dns.network.apply(
        "endpointslices.discovery.k8s.io", "ADDED", {"metadata": meta, "ports": ports, "endpoints": members}
    )
    spec = {"clusterIP": "None", "ports": [{"port": 1}]}
    service = {"metadata": {"name": "kv", "namespace": "data"}, "spec": spec}
    dns.network.apply("services", "ADDED", service)
    assert await addresses(dns, "kv-0.kv.data") == ["10.244.0.7"]
    with pytest.raises(NameNotResolved):
        await addresses(dns, "kv-1.kv.data")
    dns.network.apply("services", "MODIFIED", {**service, "spec": {**spec, "publishNotReadyAddresses": True}})
    assert await addresses(dns, "kv-1.kv.data") == ["10.244.0.8"]
    assert await addresses(dns, "kv.data", "SRV") == [
        "0 50 1 kv-0.kv.data.svc.cluster.local",
        "0 50 1 kv-1.kv.data.svc.cluster.local",
    ]


async def test_external_names_chain(dns: World) -> None:
    dns.network.add_outside("203.0.113.5", "db.example.com")
    for name, target in (
        ("one", "two.shop.svc.cluster.local"),
        ("two", "db.example.com"),
        ("lost", "gone.example.com"),
    ):
        spec = {"type": "ExternalName", "externalName": target}
        dns.network.apply("services", "ADDED", {"metadata": {"name": name, "namespace": "shop"}, "spec": spec})
    answer = await dns.network.search(POD, "one")
    assert [(r.type, r.data) for r in answer.records] == [
        ("CNAME", "two.shop.svc.cluster.local"), ("CNAME", "db.example.com"), ("A", "203.0.113.5"),
    ]  # fmt: skip
    with pytest.raises(NameNotResolved):
        await addresses(dns, "lost")


async def test_pods_and_reverse_names(dns: World) -> None:
    assert await addresses(dns, "10-244-0-9.shop.pod.cluster.local") == ["10.244.0.9"]
    answer = await dns.network.query(POD, "7.0.96.10.in-addr.arpa", "PTR")
    assert answer.records[0].data == "api.shop.svc.cluster.local"


async def test_the_hosts_file_comes_first(dns: World) -> None:
    config = cluster_first("shop", dns.network.dns_ip)
    dns.network.add_pod(POD, "shop", "client", dns=config, hosts={"api": "127.0.0.9"})
    assert await addresses(dns, "api") == ["127.0.0.9"]


def corefile(dns: World, text: str) -> CoreDns:
    return CoreDns(text, dns.network.objects, dns.network.ask_upstream)


async def test_a_wrong_zone_leaves_cluster_names_to_the_upstream(dns: World) -> None:
    dns.network.add_outside("203.0.113.5", "example.com")
    server = corefile(dns, DEFAULT.replace("kubernetes cluster.local", "kubernetes cluster.locl"))
    assert (await server.answer("api.shop.svc.cluster.local", "A", POD)).rcode == "NXDOMAIN"
    assert (await server.answer("example.com", "A", POD)).addresses == ["203.0.113.5"]


@pytest.mark.parametrize("zones", ["cluster.local corp.example", "corp.example cluster.local"])
async def test_a_cluster_may_have_several_zones(dns: World, zones: str) -> None:
    """Every zone has all names; addresses have theirs in the first."""
    server = corefile(dns, DEFAULT.replace("kubernetes cluster.local", f"kubernetes {zones}"))
    for zone in zones.split():
        assert (await server.answer(f"api.shop.svc.{zone}", "A", POD)).addresses == ["10.96.0.7"]
        assert (await server.answer(f"none.shop.svc.{zone}", "A", POD)).rcode == "NXDOMAIN"
    answer = await server.answer("7.0.96.10.in-addr.arpa", "PTR", POD)
    assert [record.data for record in answer.records] == [f"api.shop.svc.{zones.split()[0]}"]


async def test_hosts_and_rewrite(dns: World) -> None:
    text = DEFAULT.replace(
        "    ready\n",
        "    ready\n    hosts {\n      10.0.0.9 legacy.example\n      fallthrough\n    }\n    rewrite name old.shop api.shop.svc.cluster.local\n",
    )
    server = corefile(dns, text)
    assert (await server.answer("legacy.example", "A", POD)).addresses == ["10.0.0.9"]
    answer = await server.answer("old.shop", "A", POD)
    assert [(r.name, r.data) for r in answer.records] == [("old.shop", "10.96.0.7")]


async def test_a_stub_domain_goes_to_its_own_server(dns: World) -> None:
    asked: list[tuple[str, str]] = []

    async def upstream(server: str, name: str, qtype: str) -> Any:
        asked.append((server, name))
        from kuartui.embedded.network.dns import NXDOMAIN

        return NXDOMAIN

    server = CoreDns(DEFAULT + "corp.local:53 {\n  forward . 10.1.2.3\n}\n", dns.network.objects, upstream)
    await server.answer("x.corp.local", "A", POD)
    assert asked == [("10.1.2.3", "x.corp.local")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (".:53 {\n  erors\n}\n", "Corefile:2 - Error during parsing: Unknown directive 'erors'"),
        (".:53 {\n  errors\n", "Corefile:2 - Error during parsing: Unexpected EOF, expecting '}'"),
    ],
)
def test_a_broken_corefile_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(CorefileError) as error:
        parse(text, "Corefile")
    assert str(error.value) == complaint


async def test_a_policy_that_stops_dns_makes_names_time_out(dns: World) -> None:
    await start_coredns(dns)
    assert await addresses(dns, "api") == ["10.96.0.7"]
    spec = {"podSelector": {}, "policyTypes": ["Egress"]}
    dns.network.apply(
        "networkpolicies.networking.k8s.io", "ADDED", {"metadata": {"name": "deny", "namespace": "shop"}, "spec": spec}
    )
    task = asyncio.ensure_future(addresses(dns, "api"))
    await dns.clock.advance(60)
    with pytest.raises(NameNotResolved) as error:
        await task
    assert error.value.rcode == "TIMEOUT"


@pytest.mark.parametrize(
    ("image", "command", "seconds"),
    [
        ("busybox:1.36", "wget -q -T 1 -O - http://api/", 20),  # glibc: twice 5 s, for two names
        ("busybox:1.36", "wget -q -T 1 -O - http://api.shop.svc.cluster.local/", 20),
        ("busybox:1.36", "nc -z -w 1 a.b.c.d.e.f 80", 20),
        ("busybox:1.36", "nslookup api.shop.svc.cluster.local", 5),
        ("nginx:1.27-alpine", "wget -q -T 1 -O - http://api/", 5),  # musl
    ],
)
async def test_how_long_programs_wait_for_a_name_server_that_says_nothing(
    world: World, image: str, command: str, seconds: int
) -> None:
    await start_coredns(world)
    container = await world.start(image, "sleep", "infinity")
    meta, spec = {"name": "deny", "namespace": "default"}, {"podSelector": {}, "policyTypes": ["Egress"]}
    world.network.apply("networkpolicies.networking.k8s.io", "ADDED", {"metadata": meta, "spec": spec})
    task = asyncio.ensure_future(container.exec(command.split(), Capture().io()))
    await world.clock.advance(seconds - 0.5)
    assert not task.done()
    await world.clock.advance(1)
    assert await task == 1


async def test_without_ready_dns_pods_names_fail_at_once(dns: World) -> None:
    await start_coredns(dns, ready=False)
    with pytest.raises(NameNotResolved) as error:
        await addresses(dns, "api")
    assert error.value.rcode == "CLOSED"


BUSY = ";; connection timed out; no servers could be reached\n\n"
COMMUNICATIONS = ";; communications error to 10.96.0.10#53: {why}\n" * 3


@pytest.mark.parametrize(
    ("image", "command", "refused", "late"),
    [
        ("busybox:1.36", "nslookup web", f"{BUSY}nslookup: write to '10.96.0.10': Connection refused\n", BUSY),
        ("nicolaka/netshoot", "nslookup web", COMMUNICATIONS + ";; no servers could be reached\n\n", None),
        ("nicolaka/netshoot", "dig +short web", COMMUNICATIONS + ";; no servers could be reached\n", None),
        ("registry.k8s.io/e2e-test-images/agnhost:2.39", "nslookup web", BUSY, BUSY),
        ("busybox:1.36", "wget -qO- http://web", "wget: bad address 'web'\n", "wget: bad address 'web'\n"),
        (
            "curlimages/curl",
            "curl -sS -m 2 http://web",
            "curl: (28) Resolving timed out after 2000 milliseconds\n",
            "curl: (28) Resolving timed out after 2000 milliseconds\n",
        ),
        (
            "curlimages/curl",
            "curl -sS -m 9 http://web",
            "curl: (6) Could not resolve host: web\n",
            "curl: (6) Could not resolve host: web\n",
        ),
    ],
)
async def test_clients_of_dns_that_does_not_answer(
    world: World, image: str, command: str, refused: str, late: str | None
) -> None:
    container = await world.start(image, "sleep", "infinity")
    await start_coredns(world, ready=False)
    _, out, err = await world.exec(container, *command.split())
    assert out + err == refused.format(why="connection refused")
    await start_coredns(world)
    meta, spec = {"name": "deny", "namespace": "default"}, {"podSelector": {}, "policyTypes": ["Egress"]}
    world.network.apply("networkpolicies.networking.k8s.io", "ADDED", {"metadata": meta, "spec": spec})
    _, out, err = await world.exec(container, *command.split())
    assert out + err == (late or refused.format(why="timed out"))


async def test_dns_answers_over_tcp_where_a_policy_lets_tcp_through(dns: World) -> None:
    await start_coredns(dns)
    name = "api.shop.svc.cluster.local"
    assert (await dns.network.query(POD, name, protocol="TCP")).addresses == ["10.96.0.7"]
    (await dns.network.connect(POD, dns.network.dns_ip, 53)).close()
    rule = {"ports": [{"port": 53, "protocol": "UDP"}]}
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]}
    meta = {"name": "udp-only", "namespace": "shop"}
    dns.network.apply("networkpolicies.networking.k8s.io", "ADDED", {"metadata": meta, "spec": spec})
    assert (await dns.network.query(POD, name)).addresses == ["10.96.0.7"]
    task = asyncio.ensure_future(dns.network.query(POD, name, protocol="TCP"))
    await dns.clock.advance(60)
    with pytest.raises(TimeoutError):
        await task


async def start_coredns(world: World, *, ready: bool = True) -> None:
    ip = "10.244.0.200"
    world.network.add_pod(ip, "kube-system", "coredns-1")
    world.network.listen_dns(ip, corefile(world, DEFAULT))
    labels = {"kubernetes.io/service-name": "kube-dns"}
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    spec = {"clusterIP": world.network.dns_ip, "ports": ports}
    meta = {"namespace": "kube-system", "name": "kube-dns"}
    world.network.apply("services", "ADDED", {"metadata": meta, "spec": spec})
    slice_meta = {**meta, "labels": labels}
    members = [{"addresses": [ip], "conditions": {"ready": ready}}]
    world.network.apply(
        "endpointslices.discovery.k8s.io", "ADDED", {"metadata": slice_meta, "ports": ports, "endpoints": members}
    )
