"""Ingress and Gateway routing."""

from __future__ import annotations

import base64
import random
import ssl
from collections import Counter
from typing import Any

import pytest

from kuartui.embedded.network.edge import GatewayEdge
from kuartui.embedded.network.gateway import GatewayProxy
from kuartui.embedded.network.http import Headers, Request, Response, exchange, reply, server
from kuartui.embedded.network.ingress import IngressProxy, prefix_matches
from kuartui.embedded.network.tls import connect_tls
from tests.embedded.certificates import Authority
from tests.embedded.containers import World

ROUTER = "10.244.0.250"


def backend(world: World, name: str, ip: str, cluster_ip: str, namespace: str = "default") -> None:
    """A Service whose only pod tells its name and what it was asked."""

    async def app(request: Request) -> Response:
        seen = ",".join(f"{k}={v}" for k, v in request.headers if k.lower().startswith("x-test"))
        return reply(200, f"{name} {request.target} {request.headers.find('host')} {seen}".strip())

    world.network.add_pod(ip, namespace, name)
    world.network.listen(ip, 8080, server(app))
    world.service(name, cluster_ip, 80, [(ip, 8080)], namespace=namespace)


@pytest.fixture
def shop(world: World) -> World:
    world.network.add_pod(ROUTER, "routers", "router")
    backend(world, "web", "10.244.0.11", "10.96.1.1")
    backend(world, "api", "10.244.0.12", "10.96.1.2")
    world.service("empty", "10.96.1.3", 80, [])
    world.network.apply(
        "ingressclasses.networking.k8s.io", "ADDED", {"metadata": {"name": "contour"}, "spec": {"controller": "c"}}
    )
    return world


def ingress(world: World, *rules: Any, name: str = "i", annotations: dict[str, str] | None = None, **spec: Any) -> None:
    spec = {"ingressClassName": "contour", "rules": list(rules), **spec}
    meta = {"name": name, "namespace": "default", "annotations": annotations or {}}
    world.network.apply("ingresses.networking.k8s.io", "MODIFIED", {"metadata": meta, "spec": spec})


def rule(host: str, *paths: tuple[str, str, str]) -> Any:
    found = [
        {"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": {"number": 80}}}}
        for path, kind, service in paths
    ]
    return {**({"host": host} if host else {}), "http": {"paths": found}}


async def get(world: World, host: str, path: str, *, scheme: str = "http", flavour: str = "contour") -> tuple[int, str]:
    proxy = IngressProxy(world.network, ROUTER, "c", flavour=flavour)
    request = Request("GET", path, Headers([("Host", host)]), peer=("172.18.0.1", 1), scheme=scheme)
    response = await proxy.handle(request)
    return response.status, (await response.read()).decode()


@pytest.mark.parametrize(
    ("prefix", "path", "fits"),
    [
        ("/", "/x", True),
        ("/foo", "/foo", True),
        ("/foo", "/foo/bar", True),
        ("/foo", "/foobar", False),
        ("/foo/", "/foo", True),
        ("/a/b", "/a", False),
    ],
)
def test_prefixes_go_by_element(prefix: str, path: str, fits: bool) -> None:
    assert prefix_matches(prefix, path) is fits


async def test_hosts_and_paths(shop: World) -> None:
    ingress(
        shop,
        rule("shop.example", ("/", "Prefix", "web"), ("/api", "Prefix", "api"), ("/api/exact", "Exact", "web")),
        rule("*.wild.example", ("/", "Prefix", "api")),
    )
    assert (await get(shop, "shop.example", "/x"))[1].startswith("web /x shop.example")
    assert (await get(shop, "shop.example", "/api/v1"))[1].startswith("api /api/v1")
    assert (await get(shop, "shop.example", "/apiary"))[1].startswith("web")
    assert (await get(shop, "shop.example", "/api/exact"))[1].startswith("web")
    assert (await get(shop, "a.wild.example", "/"))[1].startswith("api")
    assert (await get(shop, "a.b.wild.example", "/"))[0] == 404
    assert (await get(shop, "other.example", "/"))[0] == 404


async def test_rules_without_host_and_the_default_backend(shop: World) -> None:
    ingress(
        shop, rule("", ("/only", "Exact", "api")), defaultBackend={"service": {"name": "web", "port": {"number": 80}}}
    )
    assert (await get(shop, "any", "/only"))[1].startswith("api")
    assert (await get(shop, "any", "/else"))[1].startswith("web")


@pytest.mark.parametrize(("flavour", "rest", "stranger"), [("nginx", "web", "404"), ("contour", "404", "web")])
async def test_a_default_backend_beside_rules(shop: World, flavour: str, rest: str, stranger: str) -> None:
    async def seen(host: str) -> str:
        status, body = await get(shop, host, "/else", flavour=flavour)
        return body.split()[0] if status == 200 else str(status)

    default = {"service": {"name": "web", "port": {"number": 80}}}
    ingress(shop, rule("shop.example", ("/api", "Prefix", "api")), defaultBackend=default)
    assert [await seen("shop.example"), await seen("other.example")] == [rest, stranger]
    default = {"service": {"name": "api", "port": {"number": 80}}}
    spec = {"ingressClassName": "contour", "defaultBackend": default}
    meta = {"name": "z", "namespace": "default"}
    shop.network.apply("ingresses.networking.k8s.io", "ADDED", {"metadata": meta, "spec": spec})
    assert [await seen("shop.example"), await seen("other.example")] == [rest, "api" if flavour == "nginx" else "web"]


async def test_implementation_specific_paths_go_by_character(shop: World) -> None:
    ingress(shop, rule("", ("/pre", "ImplementationSpecific", "web"), ("/", "Prefix", "api")))
    assert (await get(shop, "x", "/prefix"))[1].startswith("web")
    assert (await get(shop, "x", "/pr"))[1].startswith("api")


async def test_other_classes_are_not_served(shop: World) -> None:
    ingress(shop, rule("", ("/", "Prefix", "web")), ingressClassName="nginx")
    assert (await get(shop, "x", "/"))[0] == 404


async def test_the_default_class_serves_ingresses_without_class(shop: World) -> None:
    ingress(shop, rule("", ("/", "Prefix", "web")), ingressClassName=None)
    assert (await get(shop, "x", "/"))[0] == 404
    meta = {"name": "contour", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    shop.network.apply("ingressclasses.networking.k8s.io", "MODIFIED", {"metadata": meta, "spec": {"controller": "c"}})
    assert (await get(shop, "x", "/"))[0] == 200


async def test_missing_services_and_endpoints_are_unavailable(shop: World) -> None:
    ingress(shop, rule("", ("/gone", "Prefix", "nope"), ("/empty", "Prefix", "empty")))
    assert (await get(shop, "x", "/gone"))[0] == 503
    assert await get(shop, "x", "/empty") == (503, "no healthy upstream")


async def test_rewrite_target(shop: World) -> None:
    prefix = "nginx.ingress.kubernetes.io/"
    annotations = {prefix + "rewrite-target": "/$2", prefix + "use-regex": "true"}
    ingress(shop, rule("", ("/app(/|$)(.*)", "ImplementationSpecific", "web")), annotations=annotations)
    assert (await get(shop, "x", "/app/deep/er"))[1].startswith("web /deep/er")


async def test_tls_by_server_name_and_redirects(shop: World) -> None:
    authority = Authority()
    certificate, key = authority.issue("shop.example")
    data = {"tls.crt": base64.b64encode(certificate).decode(), "tls.key": base64.b64encode(key).decode()}
    shop.network.apply("secrets", "ADDED", {"metadata": {"name": "cert", "namespace": "default"}, "data": data})
    ingress(shop, rule("shop.example", ("/", "Prefix", "web")), tls=[{"hosts": ["shop.example"], "secretName": "cert"}])
    proxy = IngressProxy(shop.network, ROUTER, "c", flavour="nginx")
    from kuartui.embedded.network.tls import tls_handler

    shop.network.listen(ROUTER, 443, tls_handler(proxy.tls_context(), server(proxy.handle, scheme="https")))
    stream = await shop.network.connect("172.18.0.2", ROUTER, 443)
    plain = await connect_tls(stream, authority.client(), "shop.example")
    assert (await exchange(plain, "GET", "/", "shop.example")).status == 200
    stream = await shop.network.connect("172.18.0.2", ROUTER, 443)
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect_tls(stream, authority.client(), "unknown.example")
    assert (await get(shop, "shop.example", "/", flavour="nginx"))[0] == 308


# --- Gateway API ---


def gateway(world: World, *listeners: dict[str, Any], address: str = "") -> None:
    found = [
        {"name": f"l{number}", "port": 80, "protocol": "HTTP", **entry}
        for number, entry in enumerate(listeners or ({},))
    ]
    status = {"addresses": [{"type": "IPAddress", "value": address}]} if address else {}
    body = {"metadata": {"name": "gw", "namespace": "default"}, "spec": {"listeners": found}, "status": status}
    world.network.apply("gateways.gateway.networking.k8s.io", "MODIFIED", body)


def route(world: World, *rules: dict[str, Any], name: str = "r", namespace: str = "default", **spec: Any) -> None:
    spec = {"parentRefs": [{"name": "gw", "namespace": "default"}], "rules": list(rules), **spec}
    body = {
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec,
    }
    world.network.apply("httproutes.gateway.networking.k8s.io", "MODIFIED", body)


def to(*names: str, weights: tuple[int, ...] = (), **rule: Any) -> dict[str, Any]:
    refs = [{"name": name, "port": 80} for name in names]
    for ref, weight in zip(refs, weights, strict=False):
        ref["weight"] = weight
    return {"backendRefs": refs, **rule}


async def ask(
    world: World, target: str = "/", host: str = "x", headers: tuple[tuple[str, str], ...] = (), method: str = "GET"
) -> Response:
    proxy = GatewayProxy(world.network, ROUTER, "default", "gw", random.Random(1))
    request = Request(method, target, Headers([("Host", host), *headers]), peer=("172.18.0.1", 1))
    return await proxy.handle(80, request)


async def text(world: World, *args: Any, **options: Any) -> str:
    return (await (await ask(world, *args, **options)).read()).decode()


async def test_precedence_of_matches(shop: World) -> None:
    gateway(shop)
    header = [{"path": {"value": "/"}, "headers": [{"name": "X-Version", "value": "2"}]}]
    route(
        shop,
        to("web", matches=[{"path": {"type": "PathPrefix", "value": "/"}}]),
        to("api", matches=[{"path": {"type": "PathPrefix", "value": "/api"}}]),
        to("web", matches=[{"path": {"type": "Exact", "value": "/api/x"}}]),
        to("api", matches=header),
    )
    assert (await text(shop, "/")).startswith("web")
    assert (await text(shop, "/api/y")).startswith("api")
    assert (await text(shop, "/api/x")).startswith("web")
    assert (await text(shop, "/", headers=(("X-Version", "2"),))).startswith("api")


async def test_host_names_of_listener_and_route_intersect(shop: World) -> None:
    gateway(shop, {"hostname": "*.example.com"})
    route(shop, to("web"), hostnames=["a.example.com"])
    assert (await ask(shop, host="a.example.com")).status == 200
    assert (await ask(shop, host="b.example.com")).status == 404
    assert (await ask(shop, host="a.other.com")).status == 404


async def test_routes_attach_from_allowed_namespaces_only(shop: World) -> None:
    backend(shop, "far", "10.244.0.13", "10.96.1.4", namespace="other")
    shop.network.apply("namespaces", "ADDED", {"metadata": {"name": "other", "labels": {"gw": "yes"}}})
    route(shop, to("far"), namespace="other")
    gateway(shop)
    assert (await ask(shop)).status == 404
    gateway(shop, {"allowedRoutes": {"namespaces": {"from": "All"}}})
    assert (await ask(shop)).status == 200
    for labels, status in (({"gw": "yes"}, 200), ({"gw": "no"}, 404)):
        selector = {"from": "Selector", "selector": {"matchLabels": labels}}
        gateway(shop, {"allowedRoutes": {"namespaces": selector}})
        assert (await ask(shop)).status == status


async def test_a_reference_across_namespaces_needs_a_grant(shop: World) -> None:
    backend(shop, "far", "10.244.0.13", "10.96.1.4", namespace="other")
    gateway(shop)
    route(shop, {"backendRefs": [{"name": "far", "namespace": "other", "port": 80}]})
    assert (await ask(shop)).status == 500
    spec = {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}],
        "to": [{"group": "", "kind": "Service"}],
    }
    shop.network.apply(
        "referencegrants.gateway.networking.k8s.io",
        "ADDED",
        {"metadata": {"name": "g", "namespace": "other"}, "spec": spec},
    )
    assert (await ask(shop)).status == 200


async def test_weights(shop: World) -> None:
    gateway(shop)
    route(shop, to("web", "api", weights=(9, 1)))
    proxy = GatewayProxy(shop.network, ROUTER, "default", "gw", random.Random(1))
    answers: Counter[str] = Counter()
    for _ in range(100):
        response = await proxy.handle(80, Request("GET", "/", Headers([("Host", "x")]), peer=("1.1.1.1", 1)))
        answers[(await response.read()).decode().split()[0]] += 1
    assert 80 <= answers["web"] <= 97
    assert answers["api"] >= 3
    route(shop, to("web", weights=(0,)))
    assert (await ask(shop)).status == 500


async def test_filters(shop: World) -> None:
    gateway(shop)
    filters = [
        {"type": "URLRewrite", "urlRewrite": {"hostname": "inner", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"}}},
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "X-Test-A", "value": "1"}], "remove": ["X-Test-B"]}},
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "X-Out", "value": "y"}]}},
    ]  # fmt: skip
    route(shop, to("web", matches=[{"path": {"value": "/v1"}}], filters=filters))
    response = await ask(shop, "/v1/items?q=1", headers=(("X-Test-B", "gone"),))
    assert (await response.read()).decode() == "web /v2/items?q=1 inner X-Test-A=1"
    assert response.headers.find("x-out") == "y"


async def test_redirects(shop: World) -> None:
    gateway(shop)
    redirect = {"scheme": "https", "statusCode": 301, "path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"}}
    route(shop, {"filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]})
    response = await ask(shop, "/old", host="a.example")
    assert (response.status, response.headers.find("location")) == (301, "https://a.example/new")


async def test_a_service_without_endpoints_is_unavailable_and_a_missing_one_an_error(shop: World) -> None:
    gateway(shop)
    route(shop, to("empty"))
    assert (await ask(shop)).status == 503
    route(shop, to("nope"))
    assert (await ask(shop)).status == 500


async def test_a_gateway_with_an_address_can_be_reached_from_outside(shop: World) -> None:
    edge = GatewayEdge(shop.network)
    route(shop, to("web"))
    gateway(shop, address="172.18.255.200")
    stream = await shop.network.connect(None, "172.18.255.200", 80)
    assert (await exchange(stream, "GET", "/", "any")).status == 200
    gateway(shop)
    with pytest.raises(ConnectionRefusedError):
        await shop.network.connect(None, "172.18.255.200", 80)
    assert edge is not None


async def test_nginx_logs_what_is_wrong_with_ingresses_and_requests(shop: World) -> None:
    classes = {"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}
    shop.network.apply("ingressclasses.networking.k8s.io", "ADDED", classes)
    shop.service("closed", "10.96.1.4", 80, [("10.244.0.11", 9)])
    container = await shop.start("registry.k8s.io/ingress-nginx/controller:v1.13.3", "/nginx-ingress-controller")
    paths = (("/web", "Prefix", "web"), ("/empty", "Prefix", "empty"), ("/gone", "Prefix", "gone"))
    tls = [{"hosts": ["a.example"], "secretName": "nope"}]
    notls = {"nginx.ingress.kubernetes.io/ssl-redirect": "false"}
    shop_rule = rule("a.example", *paths, ("/closed", "Prefix", "closed"))
    ingress(shop, shop_rule, name="mine", ingressClassName="nginx", tls=tls, annotations=notls)
    ingress(shop, rule("b.example", ("/", "Prefix", "web")), name="none", ingressClassName="")
    ingress(shop, rule("c.example", ("/", "Prefix", "web")), name="other", ingressClassName="haproxy")
    await shop.clock.advance(3)
    said = [line.split("] ", 1)[1] for line in shop.log(container).splitlines() if line[:1] in "IW" and "] " in line]
    ignored = '"Ignoring ingress because of error while validating ingress class"'
    assert said == [
        '"Found valid IngressClass" ingress="default/mine" ingressclass="nginx"',
        'Error getting SSL certificate "default/nope": local SSL certificate default/nope was not found. '
        "Using default certificate",
        f'{ignored} ingress="default/none" error="ingress does not contain a valid IngressClass"',
        f'{ignored} ingress="default/other" error="no object matching key \\"haproxy\\" in local store"',
        'Service "default/empty" does not have any active Endpoint.',
        'Error obtaining Endpoints for Service "default/gone": no object matching key "default/gone" in local store',
        '"Configuration changes detected, backend reload required"',
        '"Backend successfully reloaded"',
    ]
    before = len(shop.log(container))
    client = await shop.start("curlimages/curl", "sleep", "infinity")
    for path in ("/web", "/empty", "/closed", "/nothing"):
        url = f"http://{container.sandbox.ip}{path}"
        _, out, _ = await shop.exec(
            client, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code} ", "-H", "Host: a.example", url
        )
        assert out.strip() == {"/web": "200", "/empty": "503", "/closed": "502", "/nothing": "404"}[path]
    lines = shop.log(container)[before:].splitlines()
    ip = client.sandbox.ip
    refused = [line.partition("*")[2].partition(" ")[2] for line in lines if "[error]" in line]
    assert refused == 3 * [
        f"connect() failed (111: Connection refused) while connecting to upstream, client: {ip}, server: a.example, "
        'request: "GET /closed HTTP/1.1", upstream: "http://10.244.0.11:9/closed", host: "a.example"'
    ]
    answers = [line.rpartition('"')[2].split(" ", 3)[3].rsplit(" ", 1)[0] for line in lines if "[error]" not in line]
    assert answers == [
        f"[default-web-80] [] 10.244.0.11:8080 {len('web /web a.example')} 0.000 200",
        "[default-empty-80] [] - - - -",
        f"[default-closed-80] [] {', '.join(['10.244.0.11:9'] * 3)} 0, 0, 0 0.000, 0.000, 0.000 502, 502, 502",
        "[upstream-default-backend] [] - - - -",
    ]
