"""Every level that ships is proven on the embedded cluster with the real kubectl: what `kuartui level prove` does."""

from __future__ import annotations

import asyncio

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.select import choose
from kuartui.play.proof import Report, prove
from kuartui.play.report import text

NAMES = Catalog.default().names()
SEEDS = (0, 1, 7)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Report:
    """All levels that were asked for in one go, so that every core has something to do all the time."""
    catalog = Catalog.default()
    here = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    names = [name for name in NAMES if any(item.callspec.params["name"] == name for item in here)]
    levels = [catalog.level(name, seed) for name in names for seed in SEEDS]
    return asyncio.run(prove(levels, choose("embedded", "proofs")))


@pytest.mark.parametrize("name", NAMES)
def test_a_level_is_sound(report: Report, name: str) -> None:
    lines = [line for line in report.lines if line.level == name]
    assert [text(line) for line in lines if not line.ok] == []
    level = Catalog.default().level(name)
    for seed in SEEDS:
        runs = {(line.what, line.name) for line in lines if line.seed == seed}
        assert runs >= {("level", "start"), ("undo", "undo"), ("solution", level.solutions[0].name)}
    played = {(line.what, line.name) for line in lines}
    assert played >= {("solution", item.name) for item in level.solutions}
    assert played >= {("cheat", item.name) for item in level.cheats} | {("mutation", "checks"), ("par", "par")}
