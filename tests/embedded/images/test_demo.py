"""The project's own images do what manifests/images/README.md says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.tls import tls_handler
from kuartui.embedded.node.runtime import Container, Mount, Projected, Resources, Volume
from tests.embedded.certificates import Authority
from tests.embedded.containers import World


def measured(world: World, loadgen: Container) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.log(loadgen).splitlines()[1:]]


async def shop(
    world: World, rate: str, copies: int = 1, env: dict[str, str] | None = None, **spec: Any
) -> tuple[list[Container], Container]:
    servers = [await world.start("kuartui/checkout:1", env=env or {}, **spec) for _ in range(copies)]
    world.service("checkout", "10.96.0.30", 80, [(server.sandbox.ip, 8080) for server in servers])
    load = await world.start("kuartui/loadgen:1", env={"TARGET": "http://checkout/pay", "RATE": rate})
    return servers, load


async def test_a_calm_shop_answers_everybody(world: World) -> None:
    servers, load = await shop(world, "2")
    await world.clock.advance(20)
    assert world.log(servers[0]) == (
        "checkout: listening on :8080, 100 ms of work and 300 ms of waiting per request, 1 at a time\n"
    )
    assert world.log(load).startswith("loadgen: 2 requests per second to http://checkout/pay\n")
    seconds = measured(world, load)
    assert len(seconds) == 20
    assert sum(second["failed"] for second in seconds) == 0
    assert sum(second["ok"] for second in seconds) >= 38
    assert seconds[-1]["p95_ms"] == pytest.approx(400, abs=1)
    assert servers[0].usage().cpu_nanocores == pytest.approx(0.2e9, rel=0.1)


async def test_a_crowd_waits_in_line_and_then_fails(world: World) -> None:
    _, load = await shop(world, "6")
    await world.clock.advance(30)
    late = measured(world, load)[-10:]
    assert sum(second["failed"] for second in late) > sum(second["ok"] for second in late)


async def test_more_copies_help(world: World) -> None:
    servers, load = await shop(world, "6", copies=6)
    await world.clock.advance(30)
    late = measured(world, load)[-10:]
    assert sum(second["failed"] for second in late) <= 1
    assert sum(server.usage().cpu_nanocores for server in servers) == pytest.approx(0.6e9, rel=0.15)


async def test_a_cpu_limit_slows_each_request(world: World) -> None:
    _, load = await shop(world, "1", resources=Resources(cpu_limit=0.2))
    await world.clock.advance(20)
    assert measured(world, load)[-1]["p50_ms"] == pytest.approx(800, abs=1)


async def test_a_full_line_turns_people_away(world: World) -> None:
    servers, _ = await shop(world, "0.001", env={"QUEUE": "1", "WAIT_MS": "1000"})
    client = await world.start("busybox:1.36", "sleep", "infinity")
    script = "for i in 1 2 3; do wget -qO- http://checkout/pay & done; wait; wget -qO- http://checkout/healthz"
    _, out, err = await world.sh(client, script)
    assert "503 Service Unavailable" in err
    assert out.endswith("ok\n")
    assert servers


async def test_checkout_finishes_what_it_serves(world: World) -> None:
    servers, _ = await shop(world, "0.001")
    client = await world.start("busybox:1.36", "sleep", "infinity")
    task = asyncio.ensure_future(world.exec(client, "wget", "-qO-", "http://checkout/pay", seconds=0.1))
    await asyncio.gather(task, return_exceptions=True)
    stopping = asyncio.ensure_future(servers[0].stop(30))
    await world.clock.advance(5)
    exit_ = await stopping
    assert exit_.code == 0


async def test_loadgen_needs_a_target(world: World) -> None:
    exit_, log = await world.run("kuartui/loadgen:1")
    assert (exit_.code, log) == (2, "loadgen: TARGET is not set\n")


class Api:
    """An API server of three paths."""

    def __init__(self, world: World) -> None:
        self.authority = Authority()
        self.pods = {"leaf-1": "Running", "leaf-2": "Failed", "leaf-3": "Succeeded"}
        self.forbid = ""
        self.tokens: list[str] = []
        self.peers: list[tuple[str, int]] = []
        world.network.add_node("control", "172.18.0.9")
        handler = server(self.handle, scheme="https")
        world.network.listen(
            "172.18.0.9", 6443, tls_handler(self.authority.server("10.96.0.1", "kubernetes.default.svc"), handler)
        )
        world.service("kubernetes", "10.96.0.1", 443, [("172.18.0.9", 6443)])

    async def handle(self, request: Request) -> Response:
        self.tokens.append(request.headers.find("authorization"))
        self.peers.append(request.peer)
        base = "/api/v1/namespaces/garden/"
        what = request.path.removeprefix(base)
        if self.forbid and what.startswith(self.forbid):
            body = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "pods is forbidden: no"}
            return reply(403, json.dumps(body), "application/json")
        if what == "configmaps/prune-policy":
            return reply(200, json.dumps({"data": {"phases": "Succeeded,Failed"}}), "application/json")
        if request.method == "DELETE":
            del self.pods[what.removeprefix("pods/")]
            return reply(200, "{}", "application/json")
        items = [{"metadata": {"name": name}, "status": {"phase": phase}} for name, phase in self.pods.items()]
        return reply(200, json.dumps({"items": items}), "application/json")


def account(world: World, api: Api) -> Mount:
    files = {"token": Projected(b"secret"), "namespace": Projected(b"garden"), "ca.crt": Projected(api.authority.pem)}
    return Mount("/var/run/secrets/kubernetes.io/serviceaccount", Volume.projection(files, world.clock.now()))


async def test_the_pruner_prunes_one_pod_a_round(world: World) -> None:
    api = Api(world)
    env = {"KUBERNETES_SERVICE_HOST": "kubernetes.default.svc"}
    pruner = await world.start("kuartui/pruner:1", mounts=(account(world, api),), env=env)
    await world.clock.advance(6)
    assert world.log(pruner).splitlines()[:4] == [
        "GET configmaps/prune-policy 200", "LIST pods 200", "DELETE pods/leaf-2 200", "round done: 1 pruned",
    ]  # fmt: skip
    assert api.pods == {"leaf-1": "Running"}
    assert set(api.tokens) == {"Bearer secret"}


async def test_the_pruner_keeps_its_connection_as_long_as_it_lasts(world: World) -> None:
    api = Api(world)
    env = {"KUBERNETES_SERVICE_HOST": "kubernetes.default.svc"}
    pruner = await world.start("kuartui/pruner:1", mounts=(account(world, api),), env=env)
    await world.clock.advance(6)
    assert len(api.peers) > 4
    assert len(set(api.peers)) == 1
    for stream in list(world.network.host("172.18.0.9").streams):  # type: ignore[union-attr]
        stream.close()
    await world.clock.advance(11)
    assert "cannot reach" not in world.log(pruner)
    assert len(set(api.peers)) == 2
    pruner.kill()
    await world.clock.settle()
    assert not world.network.host("172.18.0.9").streams  # type: ignore[union-attr]  # its sockets ended with it


async def test_the_pruner_is_ready_only_when_it_may(world: World) -> None:
    api = Api(world)
    api.forbid = "pods"
    env = {"KUBERNETES_SERVICE_HOST": "kubernetes.default.svc"}
    pruner = await world.start("kuartui/pruner:1", mounts=(account(world, api),), env=env)
    assert world.log(pruner).splitlines()[1:] == ["LIST pods 403 Forbidden: pods is forbidden: no", "round failed"]
    client = await world.start("busybox:1.36", "sleep", "infinity")
    url = f"http://{pruner.sandbox.ip}:8080/readyz"
    assert (await world.exec(client, "wget", "-qO-", url))[0] == 1
    api.forbid = ""
    await world.clock.advance(5)
    assert await world.exec(client, "wget", "-qO-", url) == (0, "ok", "")
    stopping = asyncio.ensure_future(pruner.stop(30))
    await world.clock.settle()
    assert (await stopping).code == 0


async def test_the_pruner_without_an_api_server_fails_its_rounds(world: World) -> None:
    api = Api(world)
    env = {"KUBERNETES_SERVICE_HOST": "10.244.9.9"}
    pruner = await world.start("kuartui/pruner:1", mounts=(account(world, api),), env=env)
    await world.clock.advance(30)
    assert "round failed\n" in world.log(pruner)
