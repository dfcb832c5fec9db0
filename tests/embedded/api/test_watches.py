"""Watches: what they begin with, what they show, how they end."""

from __future__ import annotations

import asyncio
from typing import Any

from kuartui.embedded.store import Store
from tests.embedded.api.server import Server

MAPS = "/api/v1/namespaces/default/configmaps"
WATCH_LIST = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


def shown(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


async def test_without_a_revision_a_watch_begins_with_what_is_there(server: Server) -> None:
    await server.config_map("a")
    assert shown(await server.lines(f"{MAPS}?watch=true", 1)) == [("ADDED", "a")]


async def test_a_revision_replays_what_came_after_it(server: Server) -> None:
    await server.config_map("a")
    revision = (await server.json("GET", MAPS))["metadata"]["resourceVersion"]
    await server.config_map("b")
    await server.ask("DELETE", f"{MAPS}/a")
    events = await server.lines(f"{MAPS}?watch=true&resourceVersion={revision}", 2)
    assert shown(events) == [("ADDED", "b"), ("DELETED", "a")]
    assert int(events[1]["object"]["metadata"]["resourceVersion"]) > int(revision) + 1


async def test_a_watch_list_ends_its_beginning_with_a_bookmark(server: Server) -> None:
    await server.config_map("a")
    events = await server.lines(f"{MAPS}?{WATCH_LIST}", 2)
    assert shown(events) == [("ADDED", "a"), ("BOOKMARK", "")]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_an_object_that_leaves_the_selection_is_deleted_for_the_watcher(server: Server) -> None:
    await server.config_map("a", labels={"on": "yes"})
    revision = (await server.json("GET", MAPS))["metadata"]["resourceVersion"]
    for value in ("no", "yes"):
        patch = {"metadata": {"labels": {"on": value}}}
        await server.json("PATCH", f"{MAPS}/a", patch, content_type="application/merge-patch+json")
    events = await server.lines(f"{MAPS}?watch=true&labelSelector=on%3Dyes&resourceVersion={revision}", 2)
    assert shown(events) == [("DELETED", "a"), ("ADDED", "a")]
    assert events[0]["object"]["metadata"]["labels"] == {"on": "yes"}


async def test_a_revision_that_is_forgotten_is_gone() -> None:
    server = Server(store=Store(history=3))
    for index in range(6):
        await server.config_map(f"m{index}")
    (event,) = await server.lines(f"{MAPS}?watch=true&resourceVersion=2", 1)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_bookmarks_come_with_time_and_the_watch_ends_on_time(server: Server) -> None:
    response = await server.ask(
        "GET", f"{MAPS}?watch=true&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=90"
    )
    assert response.stream is not None
    chunks: list[bytes] = []

    async def read() -> None:
        assert response.stream is not None
        async for chunk in response.stream:
            chunks.append(chunk)

    reading = asyncio.create_task(read())
    await server.clock.advance(61)
    assert sum(b"BOOKMARK" in chunk for chunk in chunks) == 1
    await server.clock.advance(30)
    await asyncio.wait_for(reading, 1)


async def test_a_watcher_that_does_not_read_is_cut_off(server: Server, monkeypatch: Any) -> None:
    monkeypatch.setattr("kuartui.embedded.store.mvcc.BACKLOG", 3)
    response = await server.ask("GET", f"{MAPS}?watch=true&resourceVersion=1")
    assert response.stream is not None
    for index in range(10):
        await server.config_map(f"m{index}")
    lines = [chunk async for chunk in response.stream if chunk]
    assert 0 < len(b"".join(lines).splitlines()) <= 4


async def test_table_watches_describe_their_columns_once(server: Server) -> None:
    for name in ("a", "b"):
        await server.config_map(name)
    response = await server.ask("GET", f"{MAPS}?watch=true", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert response.stream is not None
    import orjson

    seen: list[Any] = []
    async for chunk in response.stream:
        seen += [orjson.loads(line)["object"] for line in chunk.splitlines()]
        if len(seen) == 2:
            break
    assert [bool(table.get("columnDefinitions")) for table in seen] == [True, False]
