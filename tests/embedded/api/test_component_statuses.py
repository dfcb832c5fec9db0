"""componentstatuses: what the components of the control plane say when somebody looks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kuartui.embedded.api.component_statuses import ComponentStatuses
from kuartui.embedded.api.request import Request, parse_info, parse_query
from kuartui.embedded.clock import FastClock
from kuartui.embedded.meta.errors import StatusError
from tests.embedded.api.server import Server

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def ask(running: set[str], path: str = "", accept: str = "application/json") -> dict[str, Any]:
    path, _, query = f"/api/v1/componentstatuses{path}".partition("?")
    request = Request("GET", path, parse_query(query), {"accept": accept}, b"", query)
    request.info = parse_info("GET", path, request.query)
    endpoint = Server().dispatcher.endpoint(request.info)
    found: dict[str, Any] = json.loads(ComponentStatuses(FastClock(), lambda: running).answer(request, endpoint).body)
    assert request.warnings == ["v1 ComponentStatus is deprecated in v1.19+"]
    return found


def test_a_process_that_does_not_run_is_unhealthy() -> None:
    rows = ask({"kube-controller-manager"}, accept=TABLE)["rows"]
    refused = 'Get "https://127.0.0.1:10259/healthz": dial tcp 127.0.0.1:10259: connect: connection refused'
    assert [row["cells"] for row in rows] == [
        ["controller-manager", "Healthy", "ok", ""],
        ["etcd-0", "Healthy", "ok", ""],
        ["scheduler", "Unhealthy", refused, ""],
    ]


def test_statuses_have_a_name_and_nothing_else_of_stored_objects() -> None:
    everything = {"kube-controller-manager", "kube-scheduler"}
    assert ask(everything, "/scheduler") == {
        "kind": "ComponentStatus",
        "apiVersion": "v1",
        "metadata": {"name": "scheduler"},
        "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}],
    }
    listed = ask(everything, "?fieldSelector=metadata.name=etcd-0")
    assert [item["metadata"] for item in listed["items"]] == [{"name": "etcd-0"}]


def test_a_component_that_there_is_not() -> None:
    with pytest.raises(StatusError) as caught:
        ask(set(), "/kubelet")
    assert (caught.value.code, caught.value.message) == (500, "Component not found: kubelet")
