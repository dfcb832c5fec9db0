"""Every level that ships is proven on the embedded cluster with the real kubectl: what `kuartui level prove` does."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.select import choose
from kuartui.play.proof import Report, prove
from kuartui.play.report import text
from tests.containers.standin import base_image, reason_to_skip

NAMES = Catalog.default().names()
SEEDS = (0, 1, 7)

pytestmark = pytest.mark.e2e


def on_docker(name: str) -> bool:
    return "docker" in Catalog.default().level(name).needs


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Report:
    """All levels that were asked for in one go, so that every core has something to do all the time."""
    catalog = Catalog.default()
    here = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    names = [name for name in NAMES if any(item.callspec.params["name"] == name for item in here)]
    engine = not reason_to_skip() and any(on_docker(name) for name in names)
    levels = [catalog.level(name, seed) for name in names for seed in SEEDS if engine or not on_docker(name)]
    with base_image() if engine else nullcontext():
        return asyncio.run(prove(levels, choose("embedded", "proofs")))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.docker) if on_docker(name) else name for name in NAMES]
)
def test_a_level_is_sound(report: Report, name: str) -> None:
    if on_docker(name) and reason_to_skip():
        pytest.skip(reason_to_skip())
    lines = [line for line in report.lines if line.level == name]
    assert [text(line) for line in lines if not line.ok] == []
    level = Catalog.default().level(name)
    for seed in SEEDS:
        runs = {(line.what, line.name) for line in lines if line.seed == seed}
        assert runs >= {("level", "start"), ("undo", "undo"), ("solution", level.solutions[0].name)}
    played = {(line.what, line.name) for line in lines}
    assert played >= {("solution", item.name) for item in level.solutions}
    assert played >= {("cheat", item.name) for item in level.cheats} | {("mutation", "checks"), ("par", "par")}
