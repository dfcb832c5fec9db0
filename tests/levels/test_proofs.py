"""Every level that ships is proven on the embedded cluster with the real kubectl: what `kuartui level prove` does."""

from __future__ import annotations

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.play.proof import Report, prove
from tests.levels.shipped import each_level, played, sound_lines

SEEDS = (0, 1, 7)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Report:
    return played(request, SEEDS, prove)


@each_level
def test_a_level_is_sound(report: Report, name: str) -> None:
    lines = sound_lines(report, name)
    level = Catalog.default().level(name)
    for seed in SEEDS:
        runs = {(line.what, line.name) for line in lines if line.seed == seed}
        assert runs >= {("level", "start"), ("undo", "undo"), ("solution", level.solutions[0].name)}
    played = {(line.what, line.name) for line in lines}
    assert played >= {("solution", item.name) for item in level.solutions}
    assert played >= {("cheat", item.name) for item in level.cheats} | {("mutation", "checks"), ("par", "par")}
