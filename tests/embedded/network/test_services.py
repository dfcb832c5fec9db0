"""kube-proxy's choices: endpoints, refusals, affinity, traffic policies, node ports."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from kuartui.embedded.clock import FastClock
from kuartui.embedded.network import Network, Stream, Unreachable

CLIENT = "10.244.0.9"


class PlayClock(FastClock):
    """Stepped for the test, and real to what asks."""

    stepped = False


class Lan:
    """Two nodes, servers that answer with their own address, one client pod on node-a."""

    def __init__(self, clock: FastClock | None = None) -> None:
        self.clock = clock or FastClock()
        self.network = Network(self.clock)
        self.network.add_node("node-a", "172.18.0.2")
        self.network.add_node("node-b", "172.18.0.3")
        self.network.add_pod(CLIENT, "default", "client", node="node-a")

    def server(self, ip: str, port: int = 8080, node: str = "node-a") -> None:
        self.network.add_pod(ip, "default", "s" + ip.rpartition(".")[2], node=node)

        async def answer(stream: Stream) -> None:
            await stream.write(ip.encode())
            stream.close()

        self.network.listen(ip, port, answer)

    def service(self, endpoints: list[dict[str, Any]], **spec: Any) -> None:
        spec = {"clusterIP": "10.96.0.50", "type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30080}], **spec}
        self.network.apply("services", "MODIFIED", {"metadata": {"namespace": "default", "name": "web"}, "spec": spec})
        labels = {"kubernetes.io/service-name": "web"}
        meta = {"namespace": "default", "name": "web-1", "labels": labels}
        ports = [{"name": "", "port": 8080, "protocol": "TCP"}]
        self.network.apply(
            "endpointslices.discovery.k8s.io", "MODIFIED", {"metadata": meta, "ports": ports, "endpoints": endpoints}
        )

    async def ask(
        self, host: str = "10.96.0.50", port: int = 80, source: str | None = CLIENT, wait: float = 200
    ) -> str:
        async def get() -> str:
            stream = await self.network.connect(source, host, port)
            return (await stream.read()).decode()

        task = asyncio.ensure_future(get())
        await self.clock.settle()
        if not task.done():
            await self.clock.advance(wait)
        return await task


def endpoint(ip: str, node: str = "node-a", **conditions: bool) -> dict[str, Any]:
    return {"addresses": [ip], "nodeName": node, "conditions": {"ready": True, **conditions}}


@pytest.fixture(params=[PlayClock], ids=["played"])
def lan(request: pytest.FixtureRequest) -> Lan:
    lan = Lan(request.param())
    for number in (2, 3):
        lan.server(f"10.244.0.{number}")
    lan.server("10.244.1.4", node="node-b")
    return lan


async def test_requests_spread_over_ready_endpoints(lan: Lan) -> None:
    lan.service([endpoint("10.244.0.2"), endpoint("10.244.0.3"), endpoint("10.244.1.4", ready=False)])
    answers = Counter([await lan.ask() for _ in range(60)])
    assert set(answers) == {"10.244.0.2", "10.244.0.3"}
    assert min(answers.values()) > 15


@pytest.mark.parametrize("lan", [FastClock], indirect=True, ids=["proven"])
async def test_on_stepped_time_each_endpoint_has_its_turn(lan: Lan) -> None:
    lan.service([endpoint("10.244.0.2"), endpoint("10.244.0.3")])
    first, second, third = [await lan.ask() for _ in range(3)]
    assert {first, second} == {"10.244.0.2", "10.244.0.3"}
    lan.service([endpoint("10.244.0.2"), endpoint("10.244.0.3"), endpoint("10.244.1.4")])
    assert {await lan.ask(), await lan.ask()} == {"10.244.1.4", second}
    assert await lan.ask() == third


async def test_no_endpoints_refuse(lan: Lan) -> None:
    lan.service([endpoint("10.244.0.2", ready=False)])
    with pytest.raises(ConnectionRefusedError):
        await lan.ask()


async def test_a_service_of_another_proxy_leads_nowhere(lan: Lan) -> None:
    lan.server("10.244.0.1")
    lan.service([{"addresses": ["10.244.0.1"], "conditions": {"ready": True}, "nodeName": "node-a"}])
    service = lan.network.objects.get("services", "default", "web")
    assert service is not None
    labels = {"service.kubernetes.io/service-proxy-name": "mine"}
    named = {**service, "metadata": {**service["metadata"], "labels": labels}}
    lan.network.apply("services", "MODIFIED", named)
    with pytest.raises(TimeoutError):
        lan.network.locate(CLIENT, "10.96.0.50", 80)
    with pytest.raises(ConnectionRefusedError):
        lan.network.locate(CLIENT, "172.18.0.2", 30080)
    lan.network.apply("services", "MODIFIED", service)
    assert lan.network.locate(CLIENT, "10.96.0.50", 80)[1].ip == "10.244.0.1"


async def test_terminating_endpoints_serve_when_nothing_else_is_left(lan: Lan) -> None:
    leaving = endpoint("10.244.0.2", ready=False, serving=True, terminating=True)
    lan.service([leaving])
    assert await lan.ask() == "10.244.0.2"
    lan.service([leaving, endpoint("10.244.0.3")])
    assert {await lan.ask() for _ in range(10)} == {"10.244.0.3"}


async def test_with_a_local_policy_the_nodes_own_terminating_endpoints_serve(lan: Lan) -> None:
    """A load balancer goes on to send for a while: the node must not drop it for somebody ready elsewhere."""
    leaving = endpoint("10.244.0.2", ready=False, serving=True, terminating=True)
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 32122}
    lan.service([leaving, endpoint("10.244.1.4", "node-b")], **spec)
    assert await lan.ask("172.18.0.2", 30080, source=None) == "10.244.0.2"
    assert await lan.ask() == "10.244.1.4"
    check = await lan.network.connect(None, "172.18.0.2", 32122)
    await check.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await check.read()).startswith(b"HTTP/1.1 503 ")  # so that the load balancer turns away
    lan.service([leaving], **spec)
    check = await lan.network.connect(None, "172.18.0.2", 32122)
    await check.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await check.read()).startswith(b"HTTP/1.1 503 ")


async def test_another_port_of_a_service_gets_lost(lan: Lan) -> None:
    lan.service([endpoint("10.244.0.2")])
    with pytest.raises(TimeoutError):
        await lan.ask(port=81)
    assert lan.clock.monotonic() == 200


async def test_nobody_listens_and_nobody_is_there(lan: Lan) -> None:
    with pytest.raises(ConnectionRefusedError):
        await lan.ask("10.244.0.2", 9999)
    with pytest.raises(Unreachable):
        await lan.ask("10.244.3.3", 80)
    with pytest.raises(TimeoutError):
        await lan.ask("203.0.113.9", 80)


async def test_client_ip_affinity_sticks_and_expires(lan: Lan) -> None:
    config = {"clientIP": {"timeoutSeconds": 60}}
    lan.service(
        [endpoint("10.244.0.2"), endpoint("10.244.0.3")], sessionAffinity="ClientIP", sessionAffinityConfig=config
    )
    first = await lan.ask()
    assert {await lan.ask() for _ in range(20)} == {first}
    seen = set()
    for _ in range(20):
        await lan.clock.advance(61)
        seen.add(await lan.ask())
    assert len(seen) == 2


async def test_internal_traffic_policy_local_stays_on_the_node_or_drops(lan: Lan) -> None:
    lan.service([endpoint("10.244.0.2"), endpoint("10.244.1.4", "node-b")], internalTrafficPolicy="Local")
    assert {await lan.ask() for _ in range(20)} == {"10.244.0.2"}
    lan.service([endpoint("10.244.1.4", "node-b")], internalTrafficPolicy="Local")
    with pytest.raises(TimeoutError):
        await lan.ask()


async def test_node_ports_answer_on_every_node_from_outside(lan: Lan) -> None:
    lan.service([endpoint("10.244.0.2")], type="NodePort")
    for node in ("172.18.0.2", "172.18.0.3"):
        assert await lan.ask(node, 30080, source=None) == "10.244.0.2"
    with pytest.raises(ConnectionRefusedError):
        await lan.ask("172.18.0.2", 30081, source=None)


async def test_who_comes_by_a_node_port_is_seen_as_the_node_unless_the_policy_is_local(lan: Lan) -> None:
    async def tell(stream: Stream) -> None:
        await stream.write(stream.remote[0].encode())
        stream.close()

    lan.network.add_pod("10.244.0.5", "default", "mirror", node="node-a")
    lan.network.listen("10.244.0.5", 8080, tell)
    lan.service([endpoint("10.244.0.5")], type="NodePort")
    assert await lan.ask("172.18.0.3", 30080, source=None) == "172.18.0.3"
    assert await lan.ask("172.18.0.3", 30080) == "172.18.0.3"
    assert await lan.ask() == CLIENT  # by the cluster IP
    lan.service([endpoint("10.244.0.5")], type="NodePort", externalTrafficPolicy="Local")
    assert await lan.ask("172.18.0.2", 30080, source=None) == "172.18.0.1"


async def test_health_checks_tell_which_nodes_have_endpoints(lan: Lan) -> None:
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 32122}
    lan.service([endpoint("10.244.0.2"), endpoint("10.244.0.3")], **spec)

    async def check(node: str) -> str:
        stream = await lan.network.connect(None, node, 32122)
        await stream.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b""
        while data := await stream.read():
            text += data
        return text.decode()

    here, there = await check("172.18.0.2"), await check("172.18.0.3")
    assert here.startswith("HTTP/1.1 200 ")
    assert '"localEndpoints": 2,' in here
    assert there.startswith("HTTP/1.1 503 ")
    assert '"localEndpoints": 0,' in there
    lan.service([endpoint("10.244.0.2")], type="LoadBalancer")
    with pytest.raises(ConnectionRefusedError):
        await lan.network.connect(None, "172.18.0.2", 32122)


async def test_a_node_reaches_its_node_ports_and_health_checks_at_home(lan: Lan) -> None:
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 32122}
    lan.service([endpoint("10.244.0.2")], **spec)
    assert await lan.ask("127.0.0.1", 30080, source="172.18.0.2") == "10.244.0.2"
    assert await lan.ask("localhost", 30080, source="172.18.0.2") == "10.244.0.2"
    check = await lan.network.connect("172.18.0.2", "localhost", 32122)
    await check.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await check.read()).startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ConnectionRefusedError):
        await lan.ask("127.0.0.1", 30080, source="10.244.0.2")  # a pod's own loopback is none of kube-proxy's


async def test_external_traffic_policy_local_drops_on_nodes_without_endpoints(lan: Lan) -> None:
    lan.service([endpoint("10.244.0.2")], type="NodePort", externalTrafficPolicy="Local")
    assert await lan.ask("172.18.0.2", 30080, source=None) == "10.244.0.2"
    with pytest.raises(TimeoutError):
        await lan.ask("172.18.0.3", 30080, source=None)
    with pytest.raises(TimeoutError):
        await lan.ask("172.18.0.3", 30080)  # a pod of another node leaves its node with the node's address
    lan.service([endpoint("10.244.1.4", "node-b")], type="NodePort", externalTrafficPolicy="Local")
    assert await lan.ask("172.18.0.2", 30080) == "10.244.1.4"  # to its own node the policy does not apply


async def test_hints_keep_traffic_near(lan: Lan) -> None:
    for name, zone in (("node-a", "east"), ("node-b", "west"), ("node-c", "east")):
        meta = {"name": name, "labels": {"topology.kubernetes.io/zone": zone}}
        lan.network.apply("nodes", "ADDED", {"metadata": meta})
    here, east, west = endpoint("10.244.0.2"), endpoint("10.244.0.3", "node-c"), endpoint("10.244.1.4", "node-b")
    for one, zone in ((here, "east"), (east, "east"), (west, "west")):
        one["hints"] = {"forZones": [{"name": zone}]}
    lan.service([here, east, west])
    assert {await lan.ask() for _ in range(30)} == {"10.244.0.2", "10.244.0.3"}
    lan.service([west])
    assert await lan.ask() == "10.244.1.4"  # nobody near: anyone
    for one in (here, east, west):
        one["hints"]["forNodes"] = [{"name": one["nodeName"]}]
    lan.service([here, east, west])
    assert {await lan.ask() for _ in range(30)} == {"10.244.0.2"}
    del west["hints"]
    lan.service([here, east, west])
    assert len({await lan.ask() for _ in range(60)}) == 3  # one without hints: they are not complete


async def test_cluster_and_pod_addresses_mean_nothing_outside(lan: Lan) -> None:
    lan.service([endpoint("10.244.0.2")])
    for host, port in (("10.96.0.50", 80), ("10.244.0.2", 8080)):
        with pytest.raises(TimeoutError):
            await lan.ask(host, port, source=None)


async def test_load_balancer_addresses_and_their_source_ranges(lan: Lan) -> None:
    lan.service([endpoint("10.244.0.2")], type="LoadBalancer", externalIPs=["198.51.100.7"])
    assert await lan.ask("198.51.100.7", 80, source=None) == "10.244.0.2"
    lan.service(
        [endpoint("10.244.0.2")],
        type="LoadBalancer",
        externalIPs=["198.51.100.7"],
        loadBalancerSourceRanges=["203.0.113.0/24"],
    )
    with pytest.raises(TimeoutError):
        await lan.ask("198.51.100.7", 80, source=None)


async def test_a_port_bound_to_loopback_is_reached_from_its_pod_only(lan: Lan) -> None:
    async def serve(stream: Stream) -> None:
        await stream.write(b"local")
        stream.close()

    lan.network.listen("10.244.0.2", 6379, serve, bind="127.0.0.1")
    assert await lan.ask("localhost", 6379, source="10.244.0.2") == "local"
    with pytest.raises(ConnectionRefusedError):
        await lan.ask("10.244.0.2", 6379)


async def test_a_port_can_be_taken_only_once(lan: Lan) -> None:
    with pytest.raises(OSError, match="Address in use"):
        lan.server("10.244.0.2")
        lan.network.listen("10.244.0.2", 8080, None)
        lan.network.listen("10.244.0.2", 8080, None)


async def test_connections_of_a_pod_that_goes_are_reset(lan: Lan) -> None:
    async def hold(stream: Stream) -> None:
        await asyncio.Event().wait()

    lan.network.listen("10.244.0.2", 7000, hold)
    stream = await lan.network.connect(CLIENT, "10.244.0.2", 7000)
    lan.network.remove_pod("10.244.0.2")
    with pytest.raises(ConnectionResetError):
        await stream.read()


async def test_two_may_listen_on_a_port_at_different_addresses_of_a_machine(lan: Lan) -> None:
    def saying(text: str) -> Any:
        async def answer(stream: Stream) -> None:
            await stream.write(text.encode())
            stream.close()

        return answer

    for bind in ("127.0.0.1", "172.18.0.2"):
        lan.network.listen("172.18.0.2", 80, saying(bind), bind=bind)
    lan.network.listen("172.18.0.2", 80, saying("datagram"), "UDP")
    with pytest.raises(OSError, match="in use"):
        lan.network.listen("172.18.0.2", 80, saying("all"))
    for address in ("127.0.0.1", "172.18.0.2"):
        assert await (await lan.network.connect("172.18.0.2", address, 80)).read() == address.encode()
    assert await (await lan.network.connect(CLIENT, "172.18.0.2", 80)).read() == b"172.18.0.2"
