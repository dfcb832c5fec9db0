"""The soak of bench/, an hour of it: what is churned ends as it was asked for."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "bench" / "soak.py"


async def test_an_hour_of_churn_leaves_nothing_stuck(capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("soak", SOAK)
    assert spec is not None
    assert spec.loader is not None
    soak = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(soak)
    soak.APPS = 4
    failed = await soak.main(1)
    assert not failed, capsys.readouterr().out
