"""The soak of bench/, an hour of it: what is churned ends as it was asked for, and memory does not grow."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SOAK = Path(__file__).parents[2] / "bench" / "soak.py"


def bench() -> ModuleType:
    """bench/soak.py, which is no package."""
    spec = importlib.util.spec_from_file_location("soak", SOAK)
    assert spec is not None
    assert spec.loader is not None
    soak = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(soak)
    return soak


async def test_an_hour_of_churn_leaves_nothing_stuck_and_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    soak = bench()
    soak.APPS = 2
    failed = await soak.main(1, rests=3)
    assert not failed, capsys.readouterr().out


def test_growth_is_told() -> None:
    soak = bench()
    fine = [soak.Size(100, 1 << 20, 0), soak.Size(150, 2 << 20, 0), soak.Size(152, 2 << 20, 0)]
    assert soak.grown(fine) == []
    assert soak.grown([*fine, soak.Size(160, 3 << 20, 0)]) == [
        "a leak: 160 Python objects at rest, after 150",
        "a leak: 3072 KiB at rest, after 2048 KiB",
    ]
