"""No check of a level that ships is idle: for each there is a build in which it is always green, and a proof that fails."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.select import choose
from kuartui.play.mutants import mutate
from kuartui.play.proof import Report
from kuartui.play.report import text
from tests.containers.standin import base_image, reason_to_skip
from tests.levels.test_proofs import NAMES, on_docker

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Report:
    """All levels that were asked for in one go, so that every core has something to do all the time."""
    catalog = Catalog.default()
    here = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    names = [name for name in NAMES if any(item.callspec.params["name"] == name for item in here)]
    engine = not reason_to_skip() and any(on_docker(name) for name in names)
    levels = [catalog.level(name) for name in names if engine or not on_docker(name)]
    with base_image() if engine else nullcontext():
        return asyncio.run(mutate(levels, choose("embedded", "mutants")))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.docker) if on_docker(name) else name for name in NAMES]
)
def test_each_check_is_needed(report: Report, name: str) -> None:
    if on_docker(name) and reason_to_skip():
        pytest.skip(reason_to_skip())
    lines = [line for line in report.lines if line.level == name]
    assert [text(line) for line in lines if not line.ok] == []
    assert [line.name for line in lines] == [check.name for check in Catalog.default().level(name).checks]
