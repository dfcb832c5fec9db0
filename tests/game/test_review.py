"""Spaced review and what comes next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuartui.game.duration import lasting
from kuartui.game.level import LevelCard
from kuartui.game.review import GAPS, Try, due, recommended, reviews

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(day: float, level: str = "a", solved: bool = True, late: bool = False) -> Try:
    return Try(level, START + timedelta(days=day), solved, late)


def card(name: str, difficulty: int = 1, track: str = "pods") -> LevelCard:
    return LevelCard(
        name=name,
        title=name,
        track=track,
        chapter="",
        difficulty=difficulty,
        points=50,
        par_time=lasting(60),
        time_limit=lasting(120),
        needs=(),
        exams=(),
        checks=1,
        hints=0,
    )


def test_a_level_that_was_never_solved_is_not_reviewed() -> None:
    assert reviews([at(0, solved=False), at(1, solved=False)]) == []


def test_the_gaps_grow_with_each_solution_in_time() -> None:
    tries, day = [], 0.0
    for gap in GAPS:
        tries.append(at(day))
        assert reviews(tries)[0].due == START + timedelta(days=day + gap)
        day += gap
    tries.append(at(day))
    assert reviews(tries)[0].due == START + timedelta(days=day + GAPS[-1])


@pytest.mark.parametrize(
    ("third", "gap"), [(at(4, solved=False), GAPS[0]), (at(4, late=True), GAPS[1]), (at(1.5), GAPS[1])]
)
def test_failing_starts_over_and_late_or_early_ones_do_not_climb(third: Try, gap: int) -> None:
    [review] = reviews([at(0), at(1), third])
    assert review.due == third.when + timedelta(days=gap)


def test_the_longest_overdue_comes_first() -> None:
    tries = [at(0, "b"), at(0.5, "a"), at(9, "c")]
    now = START + timedelta(days=9.5)
    assert [review.level for review in due(tries, now)] == ["b", "a"]
    assert due(tries, now)[0].late_by(now) == timedelta(days=8.5)


def test_the_order_of_attempts_given_does_not_matter() -> None:
    tries = [at(0), at(1), at(4)]
    assert reviews(tries) == reviews(reversed(tries))


CARDS = [card("p1"), card("p2", 3), card("s1", 1, "services"), card("s2", 2, "services")]


@pytest.mark.parametrize(
    ("tries", "wanted"),
    [
        ([], "p1"),
        ([at(0, "p1", solved=False)], "p1"),
        ([at(0, "p1")], "s1"),  # p2 is two steps harder than what was solved
        ([at(0, "p1"), at(1, "s1")], "s2"),  # on in the track that was played last
        ([at(0, "p1"), at(1, "s1"), at(2, "s2")], "p2"),
        ([at(0, "p1"), at(1, "s1"), at(2, "s2"), at(3, "p2")], ""),
        ([at(0, "gone")], "p1"),  # a pack that was removed
    ],
)
def test_what_is_recommended(tries: list[Try], wanted: str) -> None:
    assert recommended(CARDS, tries) == wanted


def test_where_all_is_hard_the_easiest_is_recommended() -> None:
    assert recommended([card("x", 5), card("y", 4)], []) == "y"


tries = st.lists(
    st.builds(
        at, st.integers(0, 2000).map(lambda hours: hours / 24), st.sampled_from("ab"), st.booleans(), st.booleans()
    ),
    unique_by=lambda item: item.when,
)


@given(tries, st.randoms(use_true_random=False))
def test_a_review_comes_a_day_after_the_last_try_at_the_earliest(history: list[Try], chance: Random) -> None:
    """And whatever the order in which they are told, each level that was solved has one, within the longest gap."""
    found = reviews(history)
    shuffled = list(history)
    chance.shuffle(shuffled)
    assert reviews(shuffled) == found
    assert {review.level for review in found} == {item.level for item in history if item.solved}
    for review in found:
        last = max(item.when for item in history if item.level == review.level)
        assert timedelta(days=GAPS[0]) <= review.due - last <= timedelta(days=GAPS[-1])
