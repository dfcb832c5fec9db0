"""The demo programs for real clusters (manifests/images/), run as they are: they do what the README there says."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from kuartui.cluster.addons import manifest
from kuartui.cluster.engine import BASE
from kuartui.cluster.pins import pins
from tests.embedded.certificates import Authority

Process = asyncio.subprocess.Process


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def program(name: str, **environment: str) -> AsyncIterator[Process]:
    """It runs; what is left of it is ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", str(manifest(f"images/{name}/{name}.py"))),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: Process) -> str:
    assert process.stdout
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().rstrip("\n")


async def get(url: str) -> tuple[int, str]:
    async with ClientSession() as client, client.get(url) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("name", ["checkout", "loadgen", "pruner"])
def test_each_is_built_from_its_folder(name: str) -> None:
    text = manifest(f"images/{name}/Dockerfile").read_text()
    assert f"COPY {name}.py " in text
    (base,) = pins([BASE])
    assert text.startswith(f"ARG BASE={base.pinned}\nFROM ${{BASE}}\n")


async def test_the_crowd_pays() -> None:
    port = str(free_port())
    async with program("checkout", PORT=port, WORK_MS="1", WAIT_MS="1") as shop:
        said = "1 ms of work and 1 ms of waiting per request, 1 at a time"
        assert await line(shop) == f"checkout: listening on :{port}, {said}"
        target = f"http://127.0.0.1:{port}/pay"
        async with program("loadgen", TARGET=target, RATE="20") as crowd:
            assert await line(crowd) == f"loadgen: 20 requests per second to {target}"
            measured = json.loads(await line(crowd))
            crowd.terminate()
            assert await crowd.wait() == 0
    assert measured["failed"] == 0
    assert 5 <= measured["ok"] <= 21
    assert 2 <= measured["p50_ms"] <= measured["p95_ms"]


async def test_what_nobody_answers_has_failed() -> None:
    async with program("loadgen", TARGET=f"http://127.0.0.1:{free_port()}/", RATE="10") as crowd:
        await line(crowd)
        measured = json.loads(await line(crowd))
    assert measured["failed"] >= 5
    assert (measured["ok"], measured["p50_ms"]) == (0, 0)


async def test_a_crowd_without_a_target_goes_home() -> None:
    async with program("loadgen") as crowd:
        assert await line(crowd) == "loadgen: TARGET is not set"
        assert await crowd.wait() == 2


async def test_a_full_line_a_busy_door_and_the_last_customer() -> None:
    """One is served, one waits in line and hangs up, the next is turned away; the door answers meanwhile."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    async with program("checkout", PORT=str(port), WORK_MS="1", WAIT_MS="700", QUEUE="1") as shop:
        await line(shop)
        assert (await get(f"{base}/elsewhere"))[0] == 404
        first = asyncio.create_task(get(f"{base}/pay"))
        await asyncio.sleep(0.1)
        _, waiting = await asyncio.open_connection("127.0.0.1", port)
        waiting.write(b"GET /pay HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.1)
        assert (await get(f"{base}/pay"))[0] == 503
        assert await get(f"{base}/healthz") == (200, "ok\n")
        waiting.close()
        shop.terminate()
        assert await first == (200, f"paid by {socket.gethostname()}\n")
        assert await asyncio.wait_for(shop.wait(), 5) == 0


class Api:
    """An API server of three paths, over TLS."""

    def __init__(self) -> None:
        self.pods = {"leaf-1": "Running", "leaf-2": "Failed", "leaf-3": "Succeeded"}
        self.forbidden = False
        self.tokens: set[str] = set()

    async def answer(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers["Authorization"])
        what = request.path.removeprefix("/api/v1/namespaces/garden/")
        if self.forbidden and what == "pods":
            return web.json_response({"reason": "Forbidden", "message": "pods is forbidden: no"}, status=403)
        if what == "configmaps/prune-policy":
            return web.json_response({"data": {"phases": "Succeeded,Failed"}})
        if request.method == "DELETE":
            del self.pods[what.removeprefix("pods/")]
            return web.json_response({})
        pods = [{"metadata": {"name": name}, "status": {"phase": phase}} for name, phase in self.pods.items()]
        return web.json_response({"items": pods})


@pytest.fixture
async def garden(tmp_path: Path) -> AsyncIterator[tuple[Api, dict[str, str]]]:
    """The API server, and the environment of a pod beside it."""
    api, authority = Api(), Authority()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server("localhost")).start()
    for name, content in (("token", b"secret\n"), ("namespace", b"garden"), ("ca.crt", authority.pem)):
        (tmp_path / name).write_bytes(content)
    server = {"KUBERNETES_SERVICE_HOST": "localhost", "KUBERNETES_SERVICE_PORT": str(runner.addresses[0][1])}
    yield api, {**server, "ACCOUNT_DIR": str(tmp_path), "PORT": str(free_port()), "INTERVAL_SECONDS": "0.05"}
    await runner.cleanup()


async def test_the_pruner_prunes_one_pod_a_round(garden: tuple[Api, dict[str, str]]) -> None:
    api, environment = garden
    async with program("pruner", **environment) as pruner:
        said = [await line(pruner) for _ in range(4)]
        assert said == [
            "GET configmaps/prune-policy 200", "LIST pods 200", "DELETE pods/leaf-2 200", "round done: 1 pruned",
        ]  # fmt: skip
        while await line(pruner) != "round done: 0 pruned":
            pass
        assert api.pods == {"leaf-1": "Running"}
        assert (await get(f"http://127.0.0.1:{environment['PORT']}/readyz")) == (200, "ok")
        api.forbidden = True
        while await line(pruner) != "LIST pods 403 Forbidden: pods is forbidden: no":
            pass
        assert await line(pruner) == "round failed"
        assert (await get(f"http://127.0.0.1:{environment['PORT']}/readyz"))[0] == 503
        pruner.terminate()
        assert await pruner.wait() == 0
    assert api.tokens == {"Bearer secret"}


async def test_the_pruner_without_an_api_server_fails_its_rounds(garden: tuple[Api, dict[str, str]]) -> None:
    _, environment = garden
    nobody = environment | {"KUBERNETES_SERVICE_PORT": str(free_port())}
    async with program("pruner", **nobody) as pruner:
        assert (await line(pruner)).startswith("GET configmaps/prune-policy: cannot reach the API server: ")
        assert await line(pruner) == "round failed"
