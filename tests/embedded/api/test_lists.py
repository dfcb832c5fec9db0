"""Lists: selectors, pages, revisions, forms of the answer."""

from __future__ import annotations

import orjson

from tests.embedded.api.server import Server

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def names(server: Server, target: str) -> list[str]:
    return [item["metadata"]["name"] for item in (await server.json("GET", target))["items"]]


async def test_a_list_has_the_objects_of_its_namespace_by_name(server: Server) -> None:
    for name in ("b", "a"):
        await server.config_map(name)
    await server.config_map("c", "other")
    assert await names(server, MAPS) == ["a", "b"]
    assert await names(server, "/api/v1/configmaps") == ["a", "b", "c"]


async def test_label_selectors_choose(server: Server) -> None:
    await server.config_map("red", labels={"color": "red"})
    await server.config_map("blue", labels={"color": "blue"})
    assert await names(server, f"{MAPS}?labelSelector=color%3Dred") == ["red"]
    assert await names(server, f"{MAPS}?labelSelector=color%20in%20(red,blue),color!%3Dred") == ["blue"]


async def test_a_label_selector_that_makes_no_sense_is_a_bad_request(server: Server) -> None:
    answer = await server.json("GET", f"{MAPS}?labelSelector=app%20in%20web", code=400)
    assert answer["message"] == "unable to parse requirement: found 'web' expected: '('"


async def test_kinds_without_own_fields_say_which_can_be_selected(server: Server) -> None:
    answer = await server.json("GET", f"{MAPS}?fieldSelector=data.x%3D1", code=400)
    assert answer["message"] == ('"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"')
    answer = await server.json("GET", "/api/v1/pods?fieldSelector=spec.bogus%3D1", code=400)
    assert answer["message"] == "field label not supported: spec.bogus"
    answer = await server.json("GET", "/apis/batch/v1/jobs?fieldSelector=spec.bogus%3D1", code=400)
    assert answer["message"] == 'field label "spec.bogus" not supported for batchv1.Job'
    slices = "/apis/resource.k8s.io/v1/resourceslices"
    assert (await server.json("GET", f"{slices}?fieldSelector=spec.driver%3Da.b"))["items"] == []
    answer = await server.json("GET", f"{slices}?fieldSelector=spec.bogus%3D1", code=400)
    assert answer["message"] == "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: spec.bogus"


async def test_pages_show_one_consistent_list(server: Server) -> None:
    for index in range(5):
        await server.config_map(f"m{index}")
    first = await server.json("GET", f"{MAPS}?limit=2")
    assert first["metadata"]["remainingItemCount"] == 3
    await server.config_map("m0a")
    await server.ask("DELETE", f"{MAPS}/m4")
    token = first["metadata"]["continue"]
    second = await server.json("GET", f"{MAPS}?limit=9&continue={token}")
    assert [item["metadata"]["name"] for item in second["items"]] == ["m2", "m3", "m4"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert "continue" not in second["metadata"]


async def test_an_exact_revision_shows_the_past(server: Server) -> None:
    await server.config_map("old")
    revision = (await server.json("GET", MAPS))["metadata"]["resourceVersion"]
    await server.config_map("new")
    past = f"{MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact"
    assert await names(server, past) == ["old"]


async def test_a_revision_of_the_future_is_too_large(server: Server) -> None:
    answer = await server.json("GET", f"{MAPS}?resourceVersion=99999", code=504)
    assert answer["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_a_table_has_a_row_for_each_object(server: Server) -> None:
    await server.config_map("a", x="1", y="2")
    answer = await server.json("GET", MAPS, accept=TABLE)
    assert [column["name"] for column in answer["columnDefinitions"]] == ["Name", "Data", "Age"]
    (row,) = answer["rows"]
    assert row["cells"][:2] == ["a", 2]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["metadata"]["name"] == "a"


async def test_metadata_alone_can_be_asked_for(server: Server) -> None:
    await server.config_map("a", x="1")
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    answer = await server.json("GET", MAPS, accept=accept)
    assert answer["kind"] == "PartialObjectMetadataList"
    assert "data" not in answer["items"][0]


async def test_a_format_that_is_not_there_is_not_acceptable(server: Server) -> None:
    answer = await server.json("GET", MAPS, code=406, accept="text/html")
    assert answer["reason"] == "NotAcceptable"


async def test_yaml_is_an_answer(server: Server) -> None:
    await server.config_map("a", x="1")
    response = await server.ask("GET", f"{MAPS}/a", accept="application/yaml")
    assert response.content_type == "application/yaml"
    assert b"\ndata:\n  x: '1'\n" in b"\n" + response.body


async def test_one_object_of_a_twin_group_is_shown_in_its_own_form(server: Server) -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod"},
        "message": "hello",
        "reason": "R",
        "type": "Normal",
    }
    await server.json("POST", "/api/v1/namespaces/default/events", event)
    shown = await server.json("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e")
    assert (shown["apiVersion"], shown["note"], shown["regarding"]) == ("events.k8s.io/v1", "hello", {"kind": "Pod"})
    listed = await server.ask("GET", "/apis/events.k8s.io/v1/events")
    assert orjson.loads(listed.body)["items"][0]["note"] == "hello"


async def test_objects_begin_with_their_kind_and_items_leave_it_to_the_list(server: Server) -> None:
    made = await server.ask("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
    read = await server.ask("GET", "/api/v1/namespaces/default/configmaps/a")
    for answer in (made, read):
        assert answer.body.startswith(b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{')
    listed = await server.json("GET", "/api/v1/namespaces/default/configmaps")
    assert [sorted(item) for item in listed["items"]] == [["metadata"]]
