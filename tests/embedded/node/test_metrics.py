"""metrics.k8s.io: what is used, as objects and in columns, and the words for what has no metrics."""

from __future__ import annotations

import json

import pytest

from kuartui.embedded.api.request import Request, parse_info
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.metrics.api import MetricsApi
from kuartui.embedded.metrics.endpoint import MetricsEndpoint
from kuartui.embedded.metrics.usage import SYSTEM_MEMORY, Usage

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def ask(cluster, path, accept="application/json"):
    request = Request("GET", f"/apis/metrics.k8s.io/v1beta1/{path}", {}, {"accept": accept}, b"", "")
    request.info = parse_info("GET", request.path, {})
    answer = MetricsEndpoint(MetricsApi(cluster.client, Usage(cluster.fleet, cluster.clock))).answer(request)
    return json.loads(answer.body)


async def test_usage_in_columns(cluster):
    await cluster.pod(containers=[{"name": "c"}, {"name": "d", "command": ["hog", "30"]}])
    await cluster.run(20)
    pod = ask(cluster, "namespaces/default/pods/p")
    assert pod["window"] == "15s"
    used = sum(int(one["usage"]["memory"].removesuffix("Ki")) for one in pod["containers"])
    table = ask(cluster, "namespaces/default/pods", TABLE)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
    name, _, memory, window = table["rows"][0]["cells"]
    assert (name, window) == ("p", "15s")
    assert memory in (f"{used}Ki", f"{used // 1024}Mi")
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    nodes = ask(cluster, "nodes", TABLE)
    assert nodes["rows"][0]["cells"][0] == "one"
    assert ask(cluster, "nodes/one")["usage"]["memory"] != f"{SYSTEM_MEMORY >> 10}Ki", "its pods count"


async def test_a_table_of_nothing_has_no_columns(cluster):
    assert ask(cluster, "namespaces/other/pods", TABLE)["columnDefinitions"] is None


async def test_words_for_what_has_no_metrics(cluster):
    await cluster.pod()
    await cluster.fleet.fail("one")
    for path, words in (
        ("namespaces/default/pods/none", 'pods "none" not found'),
        ("namespaces/default/pods/p", 'podmetrics.metrics.k8s.io "default/p" not found'),
        ("nodes/none", 'node "none" not found'),
        ("nodes/one", 'nodemetrics.metrics.k8s.io "one" not found'),
    ):
        with pytest.raises(StatusError) as caught:
            ask(cluster, path)
        assert (caught.value.code, caught.value.message) == (404, words)
