"""No check of a level that ships is idle: for each there is a build in which it is always green, and a proof that fails."""

from __future__ import annotations

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.play.mutants import mutate
from kuartui.play.proof import Report
from tests.levels.shipped import each_level, played, sound_lines

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Report:
    return played(request, (0,), mutate)


@each_level
def test_each_check_is_needed(report: Report, name: str) -> None:
    lines = sound_lines(report, name)
    assert [line.name for line in lines] == [check.name for check in Catalog.default().level(name).checks]
