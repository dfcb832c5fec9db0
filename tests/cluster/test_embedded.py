"""The embedded cluster as seen from outside of its process."""

from __future__ import annotations

from pathlib import Path

from kuartui.cluster.embedded import EmbeddedCluster, EmbeddedHost


async def test_a_cluster_whose_process_is_gone_can_still_be_removed(tmp_path: Path) -> None:
    cluster = EmbeddedCluster("left", host=EmbeddedHost(tmp_path))
    folder = tmp_path / "clusters" / "left"
    folder.mkdir(parents=True)
    (folder / "cluster.json").write_text("{}")
    assert (await cluster.status()).phase == "stopped"
    await cluster.down()
    assert (await cluster.status()).phase == "absent"
