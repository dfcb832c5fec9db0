"""No check of a level that ships is idle: for each there is a build in which it is always green, and a proof that fails."""

from __future__ import annotations

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.play.mutants import mutate
from kuartui.play.proof import Report
from kuartui.play.report import text
from tests.containers.standin import reason_to_skip
from tests.levels.shipped import each_level, on_docker, played

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Report:
    return played(request, (0,), mutate)


@each_level
def test_each_check_is_needed(report: Report, name: str) -> None:
    if on_docker(name) and reason_to_skip():
        pytest.skip(reason_to_skip())
    lines = [line for line in report.lines if line.level == name]
    assert [text(line) for line in lines if not line.ok] == []
    assert [line.name for line in lines] == [check.name for check in Catalog.default().level(name).checks]
