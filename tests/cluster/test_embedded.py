"""The embedded cluster as seen from outside of its process."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from kuartui.cluster.access import read_access
from kuartui.cluster.embedded import EmbeddedCluster, EmbeddedHost
from kuartui.cluster.rest import Api
from kuartui.errors import ApiError


async def test_a_cluster_whose_process_is_gone_can_still_be_removed(tmp_path: Path) -> None:
    cluster = EmbeddedCluster("left", host=EmbeddedHost(tmp_path))
    folder = tmp_path / "clusters" / "left"
    folder.mkdir(parents=True)
    (folder / "cluster.json").write_text("{}")
    assert (await cluster.status()).phase == "stopped"
    await cluster.down()
    assert (await cluster.status()).phase == "absent"


async def test_our_own_clients_come_in_by_a_socket_and_need_their_token_there_too(tmp_path: Path) -> None:
    host = EmbeddedHost(tmp_path / "s", tied=True)
    cluster = EmbeddedCluster("c", host=host)
    try:
        await cluster.up()
        access = read_access(cluster.kubeconfig)
        assert stat.S_IMODE(os.stat(access.socket).st_mode) == 0o600
        async with Api(access) as api:
            assert (await api.get("/api/v1/namespaces/default"))["metadata"]["name"] == "default"
        async with Api(replace(access, token="of-a-stranger")) as stranger:
            with pytest.raises(ApiError) as caught:
                await stranger.get("/api/v1/namespaces/default")
        assert caught.value.code == 401
        await cluster.down()
        assert not os.path.exists(access.socket)
    finally:
        host.stop()
