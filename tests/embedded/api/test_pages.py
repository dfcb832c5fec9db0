"""Pages of lists, and lists at a revision.

https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

import base64

import pytest

from kuartui.embedded.store import Store
from tests.embedded.api.server import Server

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 100])
@pytest.mark.parametrize("path", [MAPS, "/api/v1/configmaps"])
async def test_all_pages_together_are_the_list(server: Server, limit: int, path: str) -> None:
    for space in ("default", "other", "a"):
        for name in ("a", "a-b", "a.b"):
            await server.config_map(name, space)
    whole = [item["metadata"]["uid"] for item in (await server.json("GET", path))["items"]]
    seen: list[str] = []
    token, left = "", 0
    for _ in range(len(whole) + 1):
        page = await server.json("GET", f"{path}?limit={limit}&continue={token}")
        seen += [item["metadata"]["uid"] for item in page["items"]]
        assert len(page["items"]) <= limit
        token = page["metadata"].get("continue", "")
        left = page["metadata"].get("remainingItemCount", 0)
        assert left == len(whole) - len(seen)
        if not token:
            break
    assert seen == whole


@pytest.mark.parametrize("limit", [0, -1, -500])
async def test_a_limit_below_one_is_none(server: Server, limit: int) -> None:
    whole = [item["metadata"]["uid"] for item in (await server.json("GET", "/api/v1/namespaces"))["items"]]
    page = await server.json("GET", f"/api/v1/namespaces?limit={limit}")
    assert [item["metadata"]["uid"] for item in page["items"]] == whole
    assert not page["metadata"].keys() & {"continue", "remainingItemCount"}


async def test_a_selection_does_not_say_how_many_are_left(server: Server) -> None:
    for name in "abc":
        await server.config_map(name, labels={"x": "y"})
    page = await server.json("GET", f"{MAPS}?limit=1&labelSelector=x%3Dy")
    assert page["metadata"]["continue"]
    assert "remainingItemCount" not in page["metadata"]


async def test_a_page_that_comes_too_late_is_gone_but_the_rest_can_be_had() -> None:
    server = Server(store=Store(history=3))
    for name in "abcd":
        await server.config_map(name)
    token = (await server.json("GET", f"{MAPS}?limit=1"))["metadata"]["continue"]
    for name in "efghij":
        await server.config_map(name)
    answer = await server.json("GET", f"{MAPS}?limit=1&continue={token}", code=410)
    assert answer["reason"] == "Expired"
    again = answer["metadata"]["continue"]
    rest = await server.json("GET", f"{MAPS}?continue={again}")
    assert [item["metadata"]["name"] for item in rest["items"]] == list("bcdefghij")


def token_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


async def test_how_things_were_is_forgotten_but_watches_go_on(server: Server) -> None:
    made = [await server.config_map(name) for name in "abc"]
    token = (await server.json("GET", f"{MAPS}?limit=1"))["metadata"]["continue"]
    await server.config_map("d")
    server.store.compact(server.store.revision)
    answer = await server.json("GET", f"{MAPS}?limit=1&continue={token}", code=410)
    again = answer["metadata"]["continue"]
    page = await server.json("GET", f"{MAPS}?limit=1&continue={again}")
    assert [item["metadata"]["name"] for item in page["items"]] == ["b"]
    assert page["metadata"]["remainingItemCount"] == 2
    assert page["metadata"]["resourceVersion"] == str(server.store.revision)
    since = made[0]["metadata"]["resourceVersion"]
    events = await server.lines(f"{MAPS}?watch=true&resourceVersion={since}", 3)
    assert [event["object"]["metadata"]["name"] for event in events] == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("x", "illegal base64 data at input byte 0"),
        ("abc!", "illegal base64 data at input byte 3"),
        ("abcd=", "illegal base64 data at input byte 4"),
        (token_of("nonsense"), "invalid character 'o' in literal null (expecting 'u')"),
        (token_of("[]"), "json: cannot unmarshal array into Go value of type storage.continueToken"),
        (token_of("{}"), "server does not recognize this encoded version "),
        (
            token_of('{"v":"meta.k8s.io/v1","start":"a"}'),
            "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
        ),
        (token_of('{"v":"meta.k8s.io/v1","rv":1}'), "encoded start key empty (version meta.k8s.io/v1)"),
        (
            token_of('{"v":"meta.k8s.io/v1","rv":1,"start":1}'),
            "json: cannot unmarshal number into Go struct field continueToken.start of type string",
        ),
        (token_of('{"v":"meta.k8s.io/v1","rv":1,"start":"../../secrets/x"}'), "../../secrets/x"),
    ],
)
async def test_a_token_that_nobody_gave_is_a_bad_request(server: Server, token: str, why: str) -> None:
    answer = await server.json("GET", f"{MAPS}?limit=1&continue={token}", code=400)
    assert answer["message"] == f"invalid continue token: continue key is not valid: {why}"


async def test_a_token_and_a_revision_do_not_go_together(server: Server) -> None:
    await server.config_map("a")
    await server.config_map("b")
    token = (await server.json("GET", f"{MAPS}?limit=1"))["metadata"]["continue"]
    answer = await server.json("GET", f"{MAPS}?continue={token}&resourceVersion=1", code=400)
    assert answer["message"] == "specifying resource version is not allowed when using continue"


async def test_a_revision_that_is_forgotten_is_gone() -> None:
    server = Server(store=Store(history=3))
    for name in "abcdef":
        await server.config_map(name)
    answer = await server.json("GET", f"{MAPS}?resourceVersion=1&resourceVersionMatch=Exact", code=410)
    assert answer["reason"] == "Expired"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            "resourceVersionMatch=Best&resourceVersion=1",
            'resourceVersionMatch: Unsupported value: "Best": supported values: "Exact", "NotOlderThan", ""',
        ),
        (
            "resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=x",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
        ),
        (
            "sendInitialEvents=true&resourceVersion=1",
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        ),
        ("resourceVersion=x", 'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'),
    ],
)
async def test_options_that_make_no_sense(server: Server, query: str, message: str) -> None:
    answer = await server.json("GET", f"{MAPS}?{query}", code=422)
    assert answer["message"] == f'ListOptions.meta.k8s.io "" is invalid: {message}'


@pytest.mark.parametrize("query", ["resourceVersion=0", "resourceVersion=1&resourceVersionMatch=NotOlderThan"])
async def test_not_older_than_shows_the_present(server: Server, query: str) -> None:
    for name in "abc":
        await server.config_map(name)
    found = await server.json("GET", f"{MAPS}?{query}")
    assert [item["metadata"]["name"] for item in found["items"]] == ["a", "b", "c"]


@pytest.mark.parametrize("query", ["limit=x", "timeoutSeconds=x"])
async def test_numbers_must_be_numbers(server: Server, query: str) -> None:
    answer = await server.json("GET", f"{MAPS}?{query}", code=400)
    assert answer["message"] == 'strconv.ParseInt: parsing "x": invalid syntax'


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "sendInitialEvents=true",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
    ],
)
async def test_watch_options_that_make_no_sense(server: Server, query: str, message: str) -> None:
    answer = await server.json("GET", f"{MAPS}?watch=true&{query}", code=422)
    assert answer["message"] == f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: {message}'
