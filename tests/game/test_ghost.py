"""The best attempt beside this one."""

from __future__ import annotations

from kuartui.game.events import CheckLost, CheckPassed, Finished, ResetDone, Started
from kuartui.game.ghost import Split, passed_at, splits


def test_a_check_counts_from_when_it_stayed_green() -> None:
    events = [
        Started(at=0, level="x", seed=1),
        CheckPassed(at=10, check="a"),
        CheckPassed(at=11, check="a"),  # two processes may record the same
        CheckPassed(at=12, check="b"),
        CheckLost(at=20, check="a"),
        CheckPassed(at=30, check="a"),
        Finished(at=31, outcome="solved"),
    ]
    assert passed_at(events) == {"a": 30, "b": 12}


def test_a_reset_takes_all_back() -> None:
    assert passed_at([CheckPassed(at=1, check="a"), ResetDone(at=2), CheckPassed(at=5, check="b")]) == {"b": 5}


def test_splits_tell_who_was_ahead() -> None:
    now, best = [CheckPassed(at=30, check="a")], [CheckPassed(at=40, check="a"), CheckPassed(at=50, check="b")]
    assert splits(["a", "b", "c"], now, best) == [Split("a", 30, 40), Split("b", None, 50), Split("c", None, None)]
    assert splits(["a", "b"], now, best)[0].ahead == 10
    assert splits(["a", "b"], now, best)[1].ahead is None
