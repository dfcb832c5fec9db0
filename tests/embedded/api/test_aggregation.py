"""Another API server behind a Service answers for its group version."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from kuartui.embedded.api.aggregation import API_SERVICES, Aggregator
from kuartui.embedded.auth.pki import client_certificate, new_authority
from kuartui.embedded.bootstrap import API_ADDRESS
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.tls import described, tls_handler
from tests.embedded.api.server import Server
from tests.embedded.certificates import Authority
from tests.embedded.containers import World

Obj = dict[str, Any]

THINGS = "/apis/a.b/v1/namespaces/default/things"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
LIST = {
    "kind": "APIResourceList",
    "groupVersion": "a.b/v1",
    "resources": [
        {"name": "things/status", "namespaced": True, "kind": "Thing", "verbs": ["get"], "singularName": ""},
        {"name": "things", "namespaced": True, "kind": "Thing", "verbs": ["list"], "singularName": "thing"},
    ],
}


class Aggregated(Server):
    """A server with another one behind the Service `other`, which remembers what it was asked."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.authority, self.proxy = world, Authority(), new_authority("front-proxy-ca")
        world.network.add_node("control", API_ADDRESS)
        self.aggregator = Aggregator(
            self.store, world.network, API_ADDRESS, lambda: client_certificate(self.proxy, "front-proxy-client", ())
        )
        self.dispatcher.aggregate = self.aggregator.forward
        self.seen: list[Request] = []
        self.callers: list[str] = []

    def register(self, available: str = "True", **spec: Any) -> None:
        """Have an APIService that leads to the other server."""
        service = {"namespace": "default", "name": "other", "port": 443}
        obj = {
            "metadata": {"name": "v1.a.b"},
            "spec": {"group": "a.b", "version": "v1", "service": service, **spec},
            "status": {"conditions": [{"type": "Available", "status": available}]},
        }
        self.store.create(API_SERVICES, "", "v1.a.b", obj)
        self.resources.set_remote({"a.b": ["v1"]})

    def serve(self, name: str = "other.default.svc") -> None:
        """Start the other server; it asks who speaks to it."""
        spec = {"clusterIP": "10.96.0.70", "ports": [{"port": 443, "protocol": "TCP"}]}
        self.store.create("services", "default", "other", {"metadata": {"name": "other"}, "spec": spec})
        context = self.authority.server(name)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.proxy.certificate.decode())
        self.world.network.add_pod("10.244.0.70", "default", "other-1", node="control")

        async def connected(stream: Any) -> None:
            self.callers.append(described(stream.certificate)["subject"])
            await server(self._handle, scheme="https")(stream)

        self.world.network.listen("10.244.0.70", 8443, tls_handler(context, connected))
        self.world.service("other", "10.96.0.70", 443, [("10.244.0.70", 8443)])

    async def _handle(self, request: Request) -> Response:
        self.seen.append(request)
        return reply(
            200, orjson.dumps(LIST if request.target == "/apis/a.b/v1" else {"kind": "ThingList"}), "application/json"
        )

    @property
    def bundle(self) -> str:
        return base64.b64encode(self.authority.pem).decode()


@pytest.fixture
async def aggregated() -> AsyncIterator[Aggregated]:
    world = World()
    yield Aggregated(world)
    await world.close()


async def test_the_other_server_is_told_who_asks(aggregated: Aggregated) -> None:
    aggregated.serve()
    aggregated.register(caBundle=aggregated.bundle)
    answer = await aggregated.json(
        "GET", f"{THINGS}?limit=5", impersonate_user="ann", impersonate_group="system:masters", x_remote_user="eve"
    )
    assert answer == {"kind": "ThingList"}
    (seen,) = aggregated.seen
    assert seen.target == f"{THINGS}?limit=5"
    sent = [(name.lower(), value) for name, value in seen.headers]
    assert [value for name, value in sent if name == "x-remote-user"] == ["ann"]
    assert [value for name, value in sent if name == "x-remote-group"] == ["system:masters", "system:authenticated"]
    assert not [name for name, _ in sent if name in ("authorization", "impersonate-user")]
    assert aggregated.callers == ["CN=front-proxy-client"]


async def test_whoever_may_not_is_not_let_through(aggregated: Aggregated) -> None:
    aggregated.serve()
    aggregated.register(insecureSkipTLSVerify=True)
    answer = await aggregated.json("GET", THINGS, code=403, impersonate_user="ann")
    assert 'cannot list resource "things" in API group "a.b"' in answer["message"]
    assert not aggregated.seen


@pytest.mark.parametrize(
    ("name", "trusted", "why"),
    [
        ("other.default.svc", False, "certificate signed by unknown authority"),
        ("wrong", True, "certificate is valid for wrong, not other.default.svc"),
    ],
)
async def test_a_certificate_must_be_as_the_bundle_says(
    aggregated: Aggregated, name: str, trusted: bool, why: str
) -> None:
    aggregated.serve(name)
    aggregated.register(caBundle=aggregated.bundle if trusted else base64.b64encode(Authority().pem).decode())
    answer = await aggregated.ask("GET", THINGS)
    assert answer.status == 503
    assert answer.body.decode() == f"error trying to reach service: tls: failed to verify certificate: x509: {why}\n"


async def test_one_that_is_not_available_is_not_asked(aggregated: Aggregated) -> None:
    aggregated.serve()
    aggregated.register(available="False", insecureSkipTLSVerify=True)
    answer = await aggregated.ask("GET", THINGS)
    assert (answer.status, answer.body) == (503, b"service unavailable\n")
    assert not aggregated.seen


async def test_discovery_tells_what_the_other_server_has(aggregated: Aggregated) -> None:
    aggregated.serve()
    aggregated.register(insecureSkipTLSVerify=True)
    found = await aggregated.aggregator.resources("a.b", "v1")
    aggregated.resources.set_discovered("a.b", "v1", found, current=True)
    document = await aggregated.json("GET", "/apis", accept=AGGREGATED)
    ((version,),) = (one["versions"] for one in document["items"] if one["metadata"]["name"] == "a.b")
    assert version["freshness"] == "Current"
    (thing,) = version["resources"]
    assert (thing["resource"], thing["scope"], thing["verbs"]) == ("things", "Namespaced", ["list"])
    assert thing["responseKind"] == {"group": "a.b", "version": "v1", "kind": "Thing"}
    assert [sub["subresource"] for sub in thing["subresources"]] == ["status"]
