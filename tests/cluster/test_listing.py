"""All that a cluster has is looked through kind by kind, several of them asked for at once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from aiohttp import web

from kuartui.cluster.listing import AT_ONCE, all_listed
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import Api
from kuartui.errors import ApiError
from tests.cluster.server import serving

KINDS = [Resource(f"Kind{number:02}", "", "v1", f"kind{number:02}s") for number in range(3 * AT_ONCE)]


class Server:
    """Answers none of the first questions before there are as many as are asked at once."""

    def __init__(self, *, away: str = "") -> None:
        self.away = away
        self.asked: list[str] = []
        self.at_once = self.most = 0
        self._open = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        self.asked.append(name)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        if len(self.asked) < AT_ONCE:
            await self._open.wait()
        self._open.set()
        self.at_once -= 1
        if name == self.away:
            return web.json_response({"message": "nobody converts it"}, status=503)
        return web.json_response({"items": [{"metadata": {"name": f"{name}-{x}"}} for x in "ab"]})


async def listed(server: Server, strict: str = "") -> list[str]:
    async with serving(server.answer) as access, Api(access) as api:
        every = all_listed(api, KINDS, strict=lambda resource: resource.plural == strict)
        return [obj["metadata"]["name"] async for _, obj in every]


async def test_they_come_in_order_though_several_are_asked_for_at_once() -> None:
    server = Server()
    assert await listed(server) == [f"{kind.plural}-{x}" for kind in KINDS for x in "ab"]
    assert server.most == AT_ONCE


async def test_a_kind_that_cannot_be_shown_is_left_out_unless_it_matters() -> None:
    found = await listed(Server(away="kind03s"))
    assert len(found) == 2 * (len(KINDS) - 1)
    with pytest.raises(ApiError, match="nobody converts it"):
        await listed(Server(away="kind03s"), strict="kind03s")


async def test_nothing_is_asked_any_more_once_nobody_wants_to_know() -> None:
    server = Server()
    async with serving(server.answer) as access, Api(access) as api:
        async with aclosing(all_listed(api, KINDS, strict=lambda _: True)) as every:
            async for _, _ in every:
                break
        assert not [task for task in asyncio.all_tasks() if "all_listed" in repr(task.get_coro())]
    assert len(server.asked) < len(KINDS)
