"""A live copy stays right, or says that it may not be, and comes back by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from kuartui.cluster import watch
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import Api
from kuartui.cluster.watch import Reflector
from tests.cluster.server import serving

PODS = Resource("Pod", "", "v1", "pods")


def pod(name: str, version: int) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "here", "resourceVersion": str(version)}}


class Script:
    """What the server has, and what it says in each watch: lines, then it waits or closes."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.version = 1
        self.watches: asyncio.Queue[list[bytes | None]] = asyncio.Queue()
        self.lists = 0
        self.served = True

    async def handler(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            self.lists += 1
            if not self.served:
                return web.json_response({"kind": "Status", "message": "not found", "code": 404}, status=404)
            items = list(self.objects.values())
            return web.json_response({"items": items, "metadata": {"resourceVersion": str(self.version)}})
        response = web.StreamResponse()
        await response.prepare(request)
        for line in await self.watches.get():
            if line is None:
                return response
            await response.write(line + b"\n")
        await asyncio.sleep(5)
        return response


def event(what: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": what, "object": obj}).encode()


@asynccontextmanager
async def copying(script: Script) -> AsyncIterator[Reflector]:
    async with serving(script.handler) as access, Api(access) as api:
        reflector = Reflector(api, PODS)
        reflector.start()
        await asyncio.wait_for(reflector.synced.wait(), 2)
        yield reflector
        await reflector.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not condition():
            await asyncio.sleep(0.005)


def names(reflector: Reflector) -> list[str]:
    return [name for _, name in sorted(reflector.objects)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RETRY", (0.01,))


async def test_an_object_made_anew_with_the_same_version_is_another_one() -> None:
    script = Script()
    script.objects = {"a": pod("a", 5) | {"spec": "old"}}
    script.objects["a"]["metadata"]["uid"] = "first"
    async with copying(script) as reflector:
        made = pod("a", 5) | {"spec": "new"}
        made["metadata"]["uid"] = "second"
        script.objects = {"a": made}
        script.watches.put_nowait([json.dumps({"type": "ERROR", "object": {"code": 410}}).encode()])
        await until(lambda: reflector.objects["here", "a"]["spec"] == "new")


async def test_it_follows() -> None:
    script = Script()
    script.objects["a"] = pod("a", 1)
    async with copying(script) as reflector:
        heard: list[tuple[str, bool]] = []
        reflector.on_change.append(lambda change: heard.append((change.what, change.before is not None)))
        script.watches.put_nowait(
            [event("ADDED", pod("b", 2)), event("MODIFIED", pod("a", 3)), event("DELETED", pod("b", 4))]
        )
        await until(lambda: len(heard) == 3)
        assert names(reflector) == ["a"]
        assert heard == [("ADDED", False), ("MODIFIED", True), ("DELETED", True)]


async def test_what_is_null_is_not_there() -> None:
    script = Script()
    script.objects["a"] = pod("a", 1) | {"endpoints": None, "ports": [{"name": None, "port": 80}, None]}
    async with copying(script) as reflector:
        script.watches.put_nowait([event("ADDED", pod("b", 2) | {"spec": {"rules": None, "of": 0}})])
        await until(lambda: names(reflector) == ["a", "b"])
        listed, watched = reflector.objects["here", "a"], reflector.objects["here", "b"]
        assert "endpoints" not in listed
        assert listed["ports"] == [{"port": 80}, None]
        assert watched["spec"] == {"of": 0}


async def test_a_watch_that_ends_goes_on_from_where_it_was() -> None:
    script = Script()
    async with copying(script) as reflector:
        script.watches.put_nowait([event("ADDED", pod("a", 2)), None])
        script.watches.put_nowait([event("ADDED", pod("b", 3))])
        await until(lambda: names(reflector) == ["a", "b"])
        assert script.lists == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        b"this is not JSON",
        b'{"type": "ADDED"}',
        b'{"type": "ADDED", "object": 7}',
        json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}).encode(),
        json.dumps({"type": "ERROR", "object": {"code": 500, "message": "etcd is unhappy"}}).encode(),
    ],
)
async def test_after_nonsense_it_lists_again(nonsense: bytes) -> None:
    script = Script()
    script.objects["a"] = pod("a", 1)
    async with copying(script) as reflector:
        heard: list[tuple[str, str, bool]] = []
        reflector.on_change.append(
            lambda change: heard.append((change.what, change.object["metadata"]["name"], change.listed))
        )
        script.objects = {"b": pod("b", 9)}
        script.version = 9
        script.watches.put_nowait([nonsense])
        await until(lambda: names(reflector) == ["b"])
        assert heard == [("DELETED", "a", True), ("ADDED", "b", True)]
        await until(lambda: reflector.problem == "")


@pytest.mark.parametrize(
    "nonsense",
    [
        {"items": 7},
        {"items": [7]},
        {"items": [{"metadata": None}]},
        {"items": [], "metadata": "text"},
        {"items": [pod("a", 1)], "metadata": {"continue": "the same again"}},
        ["no", "object"],
    ],
)
async def test_lists_that_are_none_are_asked_for_again(nonsense: Any) -> None:
    broken = True

    async def handler(request: web.Request) -> web.StreamResponse:
        if broken:
            return web.json_response(nonsense)
        return web.json_response({"items": [pod("a", 1)], "metadata": {"resourceVersion": "1"}})

    async with serving(handler) as access, Api(access) as api:
        reflector = Reflector(api, PODS)
        reflector.start()
        await until(lambda: bool(reflector.problem))
        broken = False
        await until(lambda: names(reflector) == ["a"])
        assert reflector.problem == ""
        await reflector.stop()


async def test_a_listener_that_stumbles_over_an_object_ends_nothing() -> None:
    script = Script()
    async with copying(script) as reflector:

        def stumble(change: watch.Change) -> None:
            if change.object["metadata"].get("labels"):
                raise AttributeError("'int' object has no attribute 'get'")

        reflector.on_change.append(stumble)
        script.watches.put_nowait([event("ADDED", {"metadata": {"name": "b", "resourceVersion": "2", "labels": 7}})])
        await until(lambda: "the answer makes no sense" in reflector.problem)
        script.objects["a"] = pod("a", 3)
        await until(lambda: ("here", "a") in reflector.objects)


async def test_a_kind_that_is_served_no_more_has_no_objects() -> None:
    script = Script()
    script.objects["a"] = pod("a", 1)
    async with copying(script) as reflector:
        problems: list[str] = []
        reflector.on_problem.append(problems.append)
        script.served = False
        script.watches.put_nowait([b"nonsense"])
        await until(lambda: not reflector.objects)
        assert reflector.problem == ""
        script.served = True
        await until(lambda: names(reflector) == ["a"])


async def test_a_server_that_goes_away_and_comes_back() -> None:
    script = Script()
    script.objects["a"] = pod("a", 1)
    problems: list[str] = []
    async with serving(script.handler) as access:
        port = int(access.server.rpartition(":")[2])
        api = Api(access)
        reflector = Reflector(api, PODS)
        reflector.on_problem.append(problems.append)
        reflector.start()
        await asyncio.wait_for(reflector.synced.wait(), 2)
    await until(lambda: bool(problems))
    assert "cannot reach the cluster" in problems[0]
    assert names(reflector) == ["a"], "what was known stays"
    script.objects["b"] = pod("b", 2)
    async with serving(script.handler, port):
        await until(lambda: names(reflector) == ["a", "b"])
        assert problems[-1] == ""
        await reflector.stop()
        await api.close()
