"""Keys and certificates of a cluster."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import httpx

from kuartui.embedded import identity
from kuartui.embedded.cluster import Cluster, Spec
from kuartui.embedded.host import Host


def test_it_is_kept_in_the_state_directory(tmp_path: Path) -> None:
    made = identity.kept(tmp_path)
    assert identity.kept(tmp_path) == made
    secret = [path for path in tmp_path.iterdir() if path.suffix in (".key", ".token")]
    assert len(secret) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_what_an_earlier_version_left_is_completed(tmp_path: Path) -> None:
    made = identity.kept(tmp_path)
    for path in tmp_path.glob("front-proxy-ca.*"):
        path.unlink()
    found = identity.kept(tmp_path)
    assert found.front_proxy != made.front_proxy
    assert (found.authority, found.server, found.token) == (made.authority, made.server, made.token)
    assert identity.kept(tmp_path) == found


async def test_no_token_of_a_passing_cluster_is_good_for_another(tmp_path: Path) -> None:
    host = Host(tmp_path)
    here, there = [await host.create(Spec(name, nodes=1, bare=True, fast=True, durable=False)) for name in ("a", "b")]
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    try:
        made = await ask(here, here.identity.token, "POST", f"{account}/token", {"spec": {}})
        token = made.json()["status"]["token"]
        assert (await ask(here, token, "GET", account)).status_code == 403
        for foreign in (token, here.identity.token):
            assert (await ask(there, foreign, "GET", account)).status_code == 401
    finally:
        await host.stop()


async def ask(cluster: Cluster, token: str, method: str, path: str, body: object = None) -> httpx.Response:
    trusted = ssl.create_default_context(cadata=cluster.identity.authority.certificate.decode())
    async with httpx.AsyncClient(verify=trusted, headers={"Authorization": f"Bearer {token}"}) as api:
        return await api.request(method, cluster.url + path, json=body)
