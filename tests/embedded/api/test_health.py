"""Health checks, and the list of pages."""

from __future__ import annotations

import pytest

from tests.embedded.api.server import Server


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/livez/ping", "/readyz/shutdown", "/healthz/etcd"])
async def test_a_check_passes(server: Server, path: str) -> None:
    assert (await server.ask("GET", path)).body == b"ok"


@pytest.mark.parametrize("path", ["/livez/nope", "/livez/shutdown", "/healthz/poststarthook"])
async def test_a_check_that_there_is_not(server: Server, path: str) -> None:
    assert (await server.ask("GET", path)).status == 404


async def test_all_checks_are_told_by_name(server: Server) -> None:
    lines = (await server.ask("GET", "/readyz?verbose&exclude=etcd&exclude=x")).body.decode().splitlines()
    assert lines[:5] == [
        "[+]ping ok",
        "[+]log ok",
        "[+]etcd excluded: ok",
        "[+]etcd-readiness ok",
        "[+]informer-sync ok",
    ]
    assert lines[-3:] == [
        "[+]shutdown ok",
        'warn: some health checks cannot be excluded: no matches for "x"',
        "readyz check passed",
    ]


async def test_the_index_lists_pages_that_answer(server: Server) -> None:
    paths = (await server.json("GET", "/"))["paths"]
    assert {"/api/v1", "/apis/apps", "/apis/apps/v1", "/livez/ping", "/version"} <= set(paths)
    for path in paths:
        assert (await server.ask("GET", path)).status == 200, path


async def test_metrics_count_requests_by_verb_and_code(server: Server) -> None:
    await server.ask("GET", "/api/v1/namespaces/nowhere")
    await server.ask("GET", "/api/v1/namespaces")
    text = (await server.ask("GET", "/metrics")).body.decode()
    common = 'dry_run="",group="",resource="namespaces",scope'
    got = f'{{code="404",{common}="resource",subresource="",verb="GET",version="v1"}} 1'
    listed = f'{{code="200",{common}="cluster",subresource="",verb="LIST",version="v1"}} 1'
    assert f"apiserver_request_total{got}" in text
    assert f"apiserver_request_total{listed}" in text
