"""The server's edge: whatever comes in, an answer goes out, and it is a Status where something is wrong."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kuartui.embedded.api.http import App, _request
from kuartui.embedded.api.negotiate import finished
from kuartui.embedded.api.request import Request, Response, User
from kuartui.embedded.auth.impersonation import wanted
from kuartui.embedded.meta import protobuf
from tests.embedded.api.server import Server

MAPS = "/api/v1/namespaces/default/configmaps"


async def connect(*_: Any) -> None:
    """No WebSockets here."""


async def call(
    server: Server, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """One request through the ASGI application."""
    path, _, query = target.partition("?")
    found = {"authorization": "Bearer admin-token", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode("latin-1", errors="replace"),
        "headers": [(name.encode(), value.encode("latin-1", errors="replace")) for name, value in found.items()],
    }
    sent: list[dict[str, Any]] = []
    chunks = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive() -> dict[str, Any]:
        if chunks:
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await App(server.dispatcher.handle, connect)(scope, receive, send)
    start, *rest = sent
    answer = b"".join(message["body"] for message in rest)
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, answer


async def test_a_body_beyond_the_limit_is_too_large(server: Server) -> None:
    code, _, body = await call(server, "POST", MAPS, b"x" * (3 * 1024 * 1024 + 1))
    assert (code, orjson.loads(body)["reason"]) == (413, "RequestEntityTooLarge")


async def test_every_answer_names_its_request(server: Server) -> None:
    targets = (MAPS, MAPS, "/openapi/v2", "/openapi/v2", "/apis", "/apis", f"{MAPS}/none", "/nowhere", "/healthz")
    told = [(await call(server, "GET", target))[1]["audit-id"] for target in targets]
    assert len(set(told)) == len(targets)
    assert all(str(UUID(name)) == name for name in told)
    assert (await call(server, "GET", MAPS, headers={"audit-id": "mine"}))[1]["audit-id"] == "mine"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"metadata":' * 5000 + b"{}" + b"}" * 5000,
        b'{"metadata":{"name":"\xff\xfe"}}',
        b'{"metadata":{"name":"\\ud800"}}',
        b'{"metadata":{"generation":1e999}}',
        b"",
        b"null",
    ],
)
async def test_hostile_bodies_are_bad_requests(server: Server, body: bytes) -> None:
    code, _, answer = await call(server, "POST", MAPS, body)
    assert (code, orjson.loads(answer)["kind"]) == (400, "Status") or code == 422, answer


async def test_bad_protobuf_is_a_bad_request(server: Server) -> None:
    for body in (b"k8s\0", b"k8s\0\xff\xff\xff", b"nonsense", b"k8s\0" + b"\x0a\x7f" * 50):
        code, _, _ = await call(server, "POST", MAPS, body, {"content-type": "application/vnd.kubernetes.protobuf"})
        assert code == 400


async def test_warnings_are_headers_that_a_client_can_read(server: Server) -> None:
    body = orjson.dumps({"metadata": {"name": "a"}, 'b"ad': 1})
    code, headers, _ = await call(server, "POST", MAPS, body)
    assert (code, headers["warning"]) == (201, '299 - "unknown field \\"b\\\\\\"ad\\""') or headers[
        "warning"
    ].startswith('299 - "unknown field')


async def test_head_has_no_body(server: Server) -> None:
    code, headers, body = await call(server, "HEAD", "/version")
    assert (code, body) == (200, b"")
    assert int(headers["content-length"]) > 0


text = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
word = st.sampled_from(
    [
        "api",
        "apis",
        "v1",
        "apps",
        "namespaces",
        "default",
        "pods",
        "configmaps",
        "deployments",
        "a",
        "status",
        "scale",
        "log",
        "finalize",
        "openapi",
        "v3",
        "watch",
        "metrics.k8s.io",
        "%2e%2e",
        "%00",
        "",
    ]
)
segments = st.lists(word | text, max_size=7).map(lambda parts: "/" + "/".join(p.replace("?", "") for p in parts))
parameter = st.sampled_from(
    [
        "limit",
        "continue",
        "resourceVersion",
        "resourceVersionMatch",
        "labelSelector",
        "fieldSelector",
        "timeoutSeconds",
        "dryRun",
        "fieldManager",
        "fieldValidation",
        "force",
        "gracePeriodSeconds",
        "propagationPolicy",
        "pretty",
    ]
)
queries = st.dictionaries(parameter, text, max_size=4).map(lambda q: "&".join(f"{k}={v}" for k, v in q.items()))
kinds = st.sampled_from(
    [
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
        "text/plain",
        ";;;",
    ]
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(word | text, inner, max_size=3),
    max_leaves=8,
)
bodies = st.binary(max_size=40) | plain.map(orjson.dumps)


@settings(max_examples=300)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]),
    path=segments,
    query=queries,
    kind=kinds,
    body=bodies,
)
async def test_no_request_is_the_servers_fault(method: str, path: str, query: str, kind: str, body: bytes) -> None:
    server = Server()
    code, headers, answer = await call(server, method, f"{path}?{query}", body, {"content-type": kind})
    assert code < 500 or b"failed to create typed" in answer or b"Too large resource version" in answer, answer
    if code >= 400 and method != "HEAD" and headers["content-type"] == "application/json":
        assert orjson.loads(answer)["status"] == "Failure"


@settings(max_examples=200)
@given(kind=kinds, body=bodies, resource=st.sampled_from(["configmaps/a", "configmaps/a/status", "services/a"]))
async def test_no_patch_breaks_what_is_stored(kind: str, body: bytes, resource: str) -> None:
    server = Server()
    await server.config_map("a", x="1")
    spec = {"ports": [{"port": 80}], "selector": {"a": "b"}}
    await server.json("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "a"}, "spec": spec})
    target = f"/api/v1/namespaces/default/{resource}?fieldManager=f"
    code, _, answer = await call(server, "PATCH", target, body, {"content-type": kind})
    assert code < 500 or b"failed to create typed" in answer, answer
    kept = await server.json("GET", f"/api/v1/namespaces/default/{resource.split('/status')[0]}")
    assert kept["metadata"]["name"] == "a"


async def test_browsers_and_curl_get_indented_json(server: Server) -> None:
    for path, code in (("/api", 200), (f"{MAPS}/none", 404), (MAPS, 200)):
        status, _, body = await call(server, "GET", path, headers={"user-agent": "curl/8.0"})
        assert (status, body[:4]) == (code, b"{\n  "), path
        for plain in (path, f"{path}?pretty=false"):
            agent = "kubectl/v1.37.1" if plain == path else "Mozilla/5.0"
            _, _, body = await call(server, "GET", plain, headers={"user-agent": agent})
            assert b"\n" not in body, path


async def test_indented_json_is_in_the_order_of_the_types_too(server: Server) -> None:
    await server.config_map("a", x="1")
    for headers, target in (({"user-agent": "curl/8.0"}, f"{MAPS}/a"), ({}, f"{MAPS}/a?pretty=true")):
        _, _, body = await call(server, "GET", target, headers={"accept": "application/json, */*", **headers})
        assert body.startswith(b'{\n  "kind": "ConfigMap",\n  "apiVersion": "v1",\n  "metadata": {\n    "name": "a",')
        assert list(orjson.loads(body)["metadata"]["managedFields"][0])[:2] == ["manager", "operation"]


async def test_a_group_to_impersonate_may_have_commas(server: Server) -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": MAPS,
        "query_string": b"",
        "headers": [
            (b"impersonate-user", b"ann"),
            (b"impersonate-group", b"one"),
            (b"impersonate-group", b",,,two"),
            (b"accept", b"application/yaml"),
            (b"accept", b"application/json"),
        ],
    }
    request = _request(scope, b"")
    assert wanted(request.headers) == User("ann", ("one", ",,,two"))
    assert request.headers["accept"] == "application/yaml,application/json"


BINARY = "application/vnd.kubernetes.protobuf"


async def test_who_takes_nothing_but_protobuf_gets_it(server: Server) -> None:
    made = await server.config_map("a", x="1")
    headers = {"accept": BINARY}
    status, answered, body = await call(server, "GET", f"{MAPS}/a", headers=headers)
    assert (status, answered["content-type"]) == (200, BINARY)
    assert protobuf.decode(body)["data"] == {"x": "1"}
    _, _, body = await call(server, "GET", MAPS, headers=headers)
    listed = protobuf.decode(body)
    assert listed["kind"] == "ConfigMapList"
    assert [item["metadata"]["uid"] for item in listed["items"]] == [made["metadata"]["uid"]]
    status, _, body = await call(server, "GET", f"{MAPS}/none", headers=headers)
    assert (status, protobuf.decode(body)["message"]) == (404, 'configmaps "none" not found')
    for accept in (f"{BINARY}, */*", f"{BINARY},application/json"):
        _, answered, _ = await call(server, "GET", f"{MAPS}/a", headers={"accept": accept})
        assert answered["content-type"] == "application/json"


async def test_watches_speak_protobuf(server: Server) -> None:
    await server.config_map("a", x="1")
    request = Request("GET", MAPS, {"watch": ["1"], "timeoutSeconds": ["1"]}, {"accept": BINARY})
    request.headers = {**request.headers, "authorization": "Bearer admin-token"}
    response = finished(request, await server.dispatcher.handle(request))
    assert response.content_type == f"{BINARY};stream=watch"
    assert response.stream is not None
    frame = await anext(response.stream)
    await response.stream.aclose()  # type: ignore[attr-defined]
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert frame[4:].startswith(b"\x0a\x05ADDED")
    inner = frame[frame.index(protobuf.MAGIC) :]
    assert protobuf.decode(inner)["data"] == {"x": "1"}


async def test_levers_of_ours_are_there_for_their_keeper_only(server: Server) -> None:
    async def pull(request: Request) -> Response:
        return Response(200, orjson.dumps({"pulled": request.user.name}))

    path = "/kuartui.dev/lever"
    server.dispatcher.paths[path] = pull
    assert (await server.json("POST", path))["pulled"] == "admin"
    server.dispatcher.keeper = "keeper"
    as_keeper = {"impersonate_user": "keeper", "impersonate_group": "system:masters"}
    assert (await server.json("GET", "/api", **as_keeper))["kind"] == "APIVersions"
    assert (await server.ask("POST", path)).status == 404
    assert (await server.ask("POST", path, **as_keeper)).status == 404  # to act for them is not to be them
    server.dispatcher.keeper = "admin"
    assert (await server.json("POST", path, **as_keeper))["pulled"] == "keeper"
