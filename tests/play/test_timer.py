"""The attempt's clock survives restarts and stands while paused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kuartui.play import timer
from kuartui.progress.store import Anchor


class Machine:
    """A real clock that a test sets."""

    steppable = False

    def __init__(self) -> None:
        self.seconds, self.wall = 1000.0, datetime(2026, 11, 23, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.wall

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    advance = sleep


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(timer, "boot_id", lambda: "this boot")
    return Machine()


def test_it_counts_on_in_another_process(machine: Machine) -> None:
    anchor = Anchor(10.0, 1000.0, machine.wall.timestamp(), "this boot", True)
    machine.seconds += 30
    machine.wall -= timedelta(days=1)
    assert timer.elapsed(machine, anchor) == 40, "the wall clock does not matter within one boot"


def test_after_a_reboot_the_wall_clock_counts(machine: Machine) -> None:
    anchor = Anchor(10.0, 999_999.0, machine.wall.timestamp(), "another boot", True)
    machine.wall += timedelta(seconds=25)
    assert timer.elapsed(machine, anchor) == 35


def test_it_never_goes_back(machine: Machine) -> None:
    anchor = Anchor(10.0, 999_999.0, machine.wall.timestamp() + 500, "another boot", True)
    assert timer.elapsed(machine, anchor) == 10
    assert timer.elapsed(machine, anchor, least=60.0) == 60


def test_paused_it_stands(machine: Machine) -> None:
    anchor = Anchor(10.0, 1000.0, machine.wall.timestamp(), "this boot", False)
    machine.seconds += 500
    assert timer.elapsed(machine, anchor) == 10
