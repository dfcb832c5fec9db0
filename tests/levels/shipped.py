"""What the tests over all levels share: which levels there are, and one run over those that were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.base import Cluster
from kuartui.cluster.select import choose
from kuartui.game.level import Level
from kuartui.play.proof import Report
from kuartui.play.proof_run import Line
from kuartui.play.report import text
from tests.containers.standin import base_image, reason_to_skip

NAMES = Catalog.default().names()

Play = Callable[[Sequence[Level], Cluster], Coroutine[Any, Any, Report]]


def on_docker(name: str) -> bool:
    return "docker" in Catalog.default().level(name).needs


each_level = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.docker) if on_docker(name) else name for name in NAMES]
)


def played(request: pytest.FixtureRequest, seeds: Sequence[int], play: Play) -> Report:
    """All levels that were asked for in one go, so that every core has something to do all the time."""
    catalog = Catalog.default()
    here = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    names = [name for name in NAMES if any(item.callspec.params["name"] == name for item in here)]
    engine = not reason_to_skip() and any(on_docker(name) for name in names)
    levels = [catalog.level(name, seed) for name in names for seed in seeds if engine or not on_docker(name)]
    with base_image() if engine else nullcontext():
        return asyncio.run(play(levels, choose("embedded", "proofs")))


def sound_lines(report: Report, name: str) -> list[Line]:
    """What the report says of a level, no line of which may have failed. Skips where its engine is not there."""
    if on_docker(name) and reason_to_skip():
        pytest.skip(reason_to_skip())
    lines = [line for line in report.lines if line.level == name]
    wrong = [text(line) for line in lines if not line.ok]
    assert not wrong, "\n".join(wrong)
    return lines
