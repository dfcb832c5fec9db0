"""The coach goes on when a check is green or the time has passed."""

from __future__ import annotations

from kuartui.game.coach import advance
from kuartui.game.level import CoachStep

STEPS = [CoachStep(text="look", seconds=10), CoachStep(text="do", until="done"), CoachStep(text="bye", seconds=5)]


def test_a_step_stays_for_its_time() -> None:
    assert advance(STEPS, 0, 0, 9.9, ()) == (0, 0)
    assert advance(STEPS, 0, 0, 10, ()) == (1, 10)


def test_a_step_waits_for_its_check_however_long() -> None:
    assert advance(STEPS, 1, 10, 500, ()) == (1, 10)
    assert advance(STEPS, 1, 10, 500, ("done",)) == (2, 500)


def test_what_is_done_already_is_passed_over() -> None:
    assert advance(STEPS, 0, 0, 12, ("done",)) == (2, 12)


def test_after_the_last_step_there_is_none() -> None:
    assert advance(STEPS, 2, 20, 25, ()) == (3, 25)
    assert advance(STEPS, 3, 25, 99, ()) == (3, 25)
    assert advance((), 0, 0, 1, ()) == (0, 0)
