"""Every level that ships is proven on the embedded cluster with the real kubectl: what `kuartui level prove` does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.base import Cluster
from kuartui.cluster.select import choose
from kuartui.play.proof import prove
from kuartui.play.report import text

NAMES = Catalog.default().names()

pytestmark = pytest.mark.e2e


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = choose("embedded", "proofs")
    await made.up()
    yield made
    await made.down()


@pytest.mark.parametrize("name", NAMES)
async def test_a_level_is_sound(cluster: Cluster, name: str) -> None:
    catalog = Catalog.default()
    found = await prove([catalog.level(name), catalog.level(name, 7)], cluster)
    assert [text(line) for line in found.lines if not line.ok] == []
    assert found.closing() == "1 passed, 0 failed"
    level = catalog.level(name)
    runs = {(line.what, line.name) for line in found.lines}
    assert runs >= {("solution", item.name) for item in level.solutions}
    assert runs >= {("cheat", item.name) for item in level.cheats}
    assert ("undo", "undo") in runs
