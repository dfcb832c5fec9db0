"""Custom objects that a webhook converts: `size` in v1 is `width` and `height` in v2."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kuartui.embedded.crd.conversion import WebhookConverter
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.webhooks import CallError, WebhookCaller
from tests.embedded.crd.world import CRDS, GADGETS, NAME, World, fields, gadget, version

Obj = dict[str, Any]

NEWER = GADGETS.replace("/v1/", "/v2/")
MERGE = "application/merge-patch+json"
WEBHOOK = {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://example.com/convert"}}
TEXT = {"type": "string"}
KIND = "shop.example.com/v1, Kind=Gadget"


class Caller(WebhookCaller):
    """Converts as the webhook of somebody's operator would; `answer` changes what it says."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.down = False
        self.answer: Obj = {}

    async def call(self, config: Obj, review: Obj, seconds: int) -> Obj:
        if self.down:
            raise CallError('Post "https://example.com/convert?timeout=30s": EOF')
        request = review["request"]
        self.calls.append([obj["metadata"]["name"] for obj in request["objects"]])
        made = [_convert(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
        response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": made}
        return {"response": {**response, **self.answer}}


def _convert(obj: Obj, wanted: str) -> Obj:
    spec = obj["spec"]
    if wanted.endswith("/v2"):
        width, _, height = spec["size"].partition("x")
        return {**obj, "apiVersion": wanted, "spec": {"width": width, "height": height}}
    return {**obj, "apiVersion": wanted, "spec": {"size": f"{spec['width']}x{spec['height']}"}}


def versions(storage: str) -> list[Obj]:
    return [
        version("v1", fields(size=TEXT), storage=storage == "v1"),
        version("v2", fields(width=TEXT, height=TEXT), storage=storage == "v2"),
    ]


@pytest.fixture
async def caller(world: World) -> Caller:
    """A world of gadgets that it converts."""
    made = Caller()
    world.rest.converter = WebhookConverter(made)
    await world.define(None, *versions("v1"), conversion={"strategy": "Webhook", "webhook": WEBHOOK})
    return made


async def store_as_v2(world: World) -> None:
    await world.json("PATCH", f"{CRDS}/{NAME}", {"spec": {"versions": versions("v2")}}, content_type=MERGE)
    await world.settle()


async def test_each_version_shows_the_same_object(world: World, caller: Caller) -> None:
    await world.make("one", spec={"size": "3x4"})
    assert caller.calls == [], "what is stored as it was given needs no conversion"
    read = await world.json("GET", f"{NEWER}/one")
    assert (read["apiVersion"], read["spec"]) == ("shop.example.com/v2", {"width": "3", "height": "4"})
    changed = await world.json("PATCH", f"{NEWER}/one", {"spec": {"height": "5"}}, content_type=MERGE)
    assert changed["spec"] == {"width": "3", "height": "5"}
    assert (await world.json("GET", f"{GADGETS}/one"))["spec"] == {"size": "3x5"}
    assert world.store.list(NAME)[0].data["apiVersion"] == "shop.example.com/v1"


async def test_a_list_of_objects_stored_in_two_versions(world: World, caller: Caller) -> None:
    for name in ("one", "two"):
        await world.make(name, spec={"size": "3x4"})
    await store_as_v2(world)
    await world.make("three", spec={"size": "3x4"})
    assert [one.data["apiVersion"][-2:] for one in world.store.list(NAME)] == ["v1", "v2", "v1"]
    caller.calls.clear()
    shown = (await world.json("GET", NEWER))["items"]
    assert [one["spec"] for one in shown] == [{"width": "3", "height": "4"}] * 3
    assert caller.calls == [["one", "two"]], "in one call"
    assert [one["spec"] for one in (await world.json("GET", GADGETS))["items"]] == [{"size": "3x4"}] * 3
    events = await world.lines(f"{NEWER}?watch=true", 3)
    assert {one["object"]["spec"]["width"] for one in events} == {"3"}


@pytest.mark.usefixtures("caller")
async def test_a_write_that_changes_nothing_migrates_what_is_stored(world: World) -> None:
    await world.make("one", spec={"size": "3x4"})
    await store_as_v2(world)
    await world.json("PATCH", f"{NEWER}/one", {}, content_type=MERGE)
    assert world.store.list(NAME)[0].data["apiVersion"] == "shop.example.com/v2"


async def test_a_webhook_that_is_down(world: World, caller: Caller) -> None:
    await world.make("one", spec={"size": "3x4"})
    caller.down = True
    answer = await world.json("GET", f"{NEWER}/one", code=500)
    why = 'Post "https://example.com/convert?timeout=30s": EOF'
    assert answer["message"] == f"conversion webhook for {KIND} failed: {why}"
    assert (await world.json("GET", f"{GADGETS}/one"))["spec"] == {"size": "3x4"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"result": {"status": "Failure", "message": "no such size"}}, "failed: no such size"),
        ({"convertedObjects": []}, "returned 0 objects, expected 1"),
        ({"uid": "other"}, "failed: expected response.uid="),
        (
            {"convertedObjects": [gadget("one", spec={})]},
            "returned invalid converted object at index 0: invalid groupVersion "
            "(desired: shop.example.com/v2, received: shop.example.com/v1)",
        ),
        (
            {"convertedObjects": [{**gadget("two", spec={}), "apiVersion": "shop.example.com/v2"}]},
            "returned invalid converted object at index 0: invalid metadata of object: must have the same name: one != two",
        ),
    ],
)
async def test_what_a_webhook_may_not_answer(answer: Obj, why: str) -> None:
    caller = Caller()
    caller.answer = answer
    given = gadget("one", spec={"size": "3x4"}) | {"apiVersion": "shop.example.com/v1"}
    with pytest.raises(StatusError, match=re.escape(f"conversion webhook for {KIND} {why}")):
        await WebhookConverter(caller)(WEBHOOK, [given], "shop.example.com/v2")


async def test_a_webhook_changes_labels_and_annotations_but_no_other_metadata() -> None:
    caller = Caller()
    given = gadget("one", spec={"size": "3x4"}) | {"apiVersion": "shop.example.com/v1"}
    given["metadata"] |= {"labels": {"a": "1"}, "finalizers": ["x/y"]}
    made = _convert(given, "shop.example.com/v2")
    made["metadata"] = {"name": "one", "labels": {"a": "2"}, "annotations": {"b": "3"}, "finalizers": []}
    made["metadata"] |= {k: v for k, v in given["metadata"].items() if k == "namespace"}
    caller.answer = {"convertedObjects": [made]}
    (kept,) = await WebhookConverter(caller)(WEBHOOK, [given], "shop.example.com/v2")
    assert kept["metadata"]["labels"] == {"a": "2"}
    assert kept["metadata"]["annotations"] == {"b": "3"}
    assert kept["metadata"]["finalizers"] == ["x/y"]
