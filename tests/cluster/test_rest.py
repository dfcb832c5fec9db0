"""The client turns answers into objects and failures into one sentence."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kuartui.cluster import exec as cluster_exec
from kuartui.cluster import rest
from kuartui.cluster.access import Access
from kuartui.cluster.resources import Resource, known
from kuartui.cluster.rest import Api
from kuartui.errors import ApiError, ClusterError
from tests.cluster.server import serving

PODS = Resource("Pod", "", "v1", "pods")


def test_paths() -> None:
    deployments = known("Deployment")
    assert deployments is not None
    assert deployments.path("a", "web", "scale") == "/apis/apps/v1/namespaces/a/deployments/web/scale"
    assert PODS.path() == "/api/v1/pods"
    nodes = known("Node", "v1")
    assert nodes is not None
    assert nodes.path("ignored", "n1") == "/api/v1/nodes/n1"
    assert known("Deployment", "other/v1") is None
    older = known("HorizontalPodAutoscaler", "autoscaling/v1")
    assert older is not None
    assert older.api_version == "autoscaling/v1"


OUT = "../../kube-system/pods/etcd"  # a client that tidies its paths up makes another pod of that


@pytest.mark.parametrize("name", [OUT, "..", ".", "a/log", "a%2flog"])
async def test_no_name_leads_elsewhere(name: str) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"metadata": {"labels": {}}})

    async with serving(handler) as access, Api(access) as api:
        for attempt in (
            lambda: cluster_exec.run(api, "here", name, ("true",)),
            lambda: cluster_exec.run(api, name, "a", ("true",)),
            lambda: api.logs("here", name),
            lambda: api.logs(name, "a"),
            lambda: api.read(PODS, "here", name),
            lambda: api.delete(PODS, name, "a"),
        ):
            with pytest.raises(ClusterError, match="can be nobody's name"):
                await attempt()
        for path in (f"/api/v1/namespaces/here/services/http:web:80/proxy/{OUT}", "/api/v1/%2e%2e/pods", "/api/v1/a?b"):
            with pytest.raises(ClusterError, match="is no path of an API server"):
                await api.request("GET", path)
    assert asked == []


async def test_exec_goes_to_no_other_server() -> None:
    knocked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        knocked.append(request.path)
        return web.Response(status=404)

    async with serving(elsewhere) as other:

        async def handler(request: web.Request) -> web.Response:
            raise web.HTTPFound(f"{other.server}{request.path}")

        async with serving(handler) as access, Api(access) as api:
            with pytest.raises(ClusterError, match="leads elsewhere"):
                await cluster_exec.run(api, "here", "a", ("true",))
    assert knocked == []


async def test_lists_are_read_page_by_page() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        token = request.query.get("continue")
        page = {"items": [{"metadata": {"name": "b" if token else "a"}}], "metadata": {"resourceVersion": "7"}}
        if not token:
            page["metadata"]["continue"] = "more"  # type: ignore[call-overload]
        return web.json_response(page)

    async with serving(handler) as access, Api(access) as api:
        listing = await api.list(PODS, "here")
    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b"]
    assert listing.items[0]["kind"] == "Pod"
    assert listing.resource_version == "7"


async def test_a_failure_says_what_the_server_said() -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(status=404, text="<html>not here</html>")
        status = {"kind": "Status", "message": 'pods "a" is forbidden', "reason": "Forbidden", "code": 403}
        return web.json_response(status, status=403)

    async with serving(handler) as access, Api(access) as api:
        assert await api.read(PODS, "here", "a") is None
        with pytest.raises(ApiError, match="is forbidden") as caught:
            await api.create(PODS, {"metadata": {"name": "a"}}, namespace="here")
        assert (caught.value.code, caught.value.reason) == (403, "Forbidden")


async def test_garbage_is_not_an_object() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="welcome to the captive portal")

    async with serving(handler) as access, Api(access) as api:
        with pytest.raises(ClusterError, match="not JSON"):
            await api.read(PODS, "here", "a")


async def test_an_answer_without_end_is_left() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500 if request.query else 200)
        response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b" " * 2**20)
        return response

    async with serving(handler) as access, Api(access) as api:
        with pytest.raises(ClusterError, match="answers with more than 256 MiB"):
            await api.get("/version")
        with pytest.raises(ClusterError, match="answers with more than 1 MiB"):
            await api.get("/version", wrong="yes")


async def test_a_complaint_is_no_book() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"message": "x" * 100_000, "reason": "y" * 100_000}, status=403)

    async with serving(handler) as access, Api(access) as api:
        with pytest.raises(ApiError) as caught:
            await api.get("/version")
    assert len(caught.value.message) < 3000


async def test_kinds_that_are_none() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"items": [7]})

    async with serving(handler) as access, Api(access) as api:
        with pytest.raises(ClusterError, match="an answer that makes no sense"):
            await api.resource("Rose")
        with pytest.raises(ClusterError, match="an answer that makes no sense"):
            await api.listable()


async def test_who_may_do_what_is_no_guess() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"status": "Failure"})

    async with serving(handler) as access, Api(access) as api:
        with pytest.raises(ClusterError, match="an answer that makes no sense"):
            await api.allowed("anna", (), {"verb": "get"})


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo garbage; echo sorry >&2", "gave no token: sorry"),
        ("""printf '{"status": {"token": "a\\nb"}}'""", "gave no token"),
        ("sleep 60 & echo $$; wait", "failed"),
    ],
)
async def test_a_credential_plugin_that_gives_none(
    script: str, complaint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rest, "PLUGIN_TIMEOUT", 1.0)
    plugin = {"command": "sh", "args": ["-c", f"echo $$ > {tmp_path}/pid; {script}"]}
    async with Api(Access(server="http://127.0.0.1:1", context="cloud", plugin=plugin)) as api:
        with pytest.raises(ClusterError, match=complaint):
            await api.get("/version")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_nobody_is_there() -> None:
    async with Api(Access(server="http://127.0.0.1:9")) as api:
        with pytest.raises(ClusterError, match=r"cannot reach the cluster at http://127\.0\.0\.1:9: .*refused"):
            await api.list(PODS)


async def test_a_server_that_does_not_answer() -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async with serving(handler) as access, Api(access) as api:
        with pytest.raises(ClusterError, match="did not answer within"):
            await api.request("GET", "/version", timeout=0.05)


async def test_kinds_are_discovered() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert "g=apidiscovery.k8s.io" in request.headers["Accept"]
        found: dict[str, Any] = {"items": []}
        if request.path == "/apis":
            resource = {"resource": "roses", "responseKind": {"kind": "Rose"}, "scope": "Cluster", "verbs": ["get"]}
            versions = [{"version": "v2", "resources": [resource]}, {"version": "v1", "resources": [resource]}]
            found["items"] = [{"metadata": {"name": "garden.dev"}, "versions": versions}]
        return web.json_response(found)

    async with serving(handler) as access, Api(access) as api:
        assert (await api.resource("Rose")).path("", "red") == "/apis/garden.dev/v2/roses/red"
        assert (await api.resource("Rose", "garden.dev/v1")).version == "v1"
        with pytest.raises(ClusterError, match="no kind Tulip"):
            await api.resource("Tulip")
        with pytest.raises(ClusterError, match=r"no kind Rose \(v1\); Rose is in garden.dev/v2"):
            await api.resource("Rose", "v1")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"status": "Success"}, 0),
        ({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}}, 3),
    ],
)
async def test_exec(status: dict[str, Any], code: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        assert request.query.getall("command") == ["echo", "hi"]
        await socket.send_bytes(b"\x01hel")
        await socket.send_bytes(b"\x01lo\n")
        await socket.send_bytes(b"\x02oh")
        await socket.send_bytes(b"\x03" + json.dumps(status).encode())
        await socket.close()
        return socket

    async with serving(handler) as access, Api(access) as api:
        result = await cluster_exec.run(api, "here", "a", ("echo", "hi"))
    assert (result.exit_code, result.stdout, result.stderr) == (code, "hello\n", "oh")


async def test_exec_where_there_is_no_pod() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=404)

    async with serving(handler) as access, Api(access) as api:
        with pytest.raises(ApiError, match="cannot run a command in pod here/a"):
            await cluster_exec.run(api, "here", "a", ("true",))


async def test_exec_that_breaks_off() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        await socket.close()
        return socket

    async with serving(handler) as access, Api(access) as api:
        with pytest.raises(ClusterError, match="without a status"):
            await cluster_exec.run(api, "here", "a", ("true",))
