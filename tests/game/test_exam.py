"""Which tasks an exam has, and what they bring."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as altered

from kuartui.catalog.catalog import Catalog
from kuartui.catalog.curriculum import curriculum
from kuartui.game.attempt import AttemptState
from kuartui.game.exam import Task, by_domain, credit, deal, left, shares, shown, total
from kuartui.game.level import ExamDomain
from tests.game.levels import LEVEL

NOW = datetime(2026, 3, 1, tzinfo=UTC)
EXAMS = {exam.name: {domain.name: domain.weight for domain in exam.domains} for exam in curriculum().exams}


@given(st.dictionaries(st.text(), st.integers(1, 100), min_size=1), st.integers(0, 100))
def test_shares_are_whole_and_near_their_weights(weights: dict[str, int], whole: int) -> None:
    found = shares(weights, whole)
    assert sum(found.values()) == whole
    for name, weight in weights.items():
        assert abs(found[name] - whole * weight / sum(weights.values())) < 1


@pytest.mark.parametrize("exam", ["CKA", "CKAD"])
@pytest.mark.parametrize("seed", range(5))
def test_a_whole_exam_is_like_the_real_one(exam: str, seed: int) -> None:
    """15 to 20 tasks in two hours; each domain has its weight; no level comes twice; there is time for all of them."""
    cards = Catalog.default().cards()
    tasks = deal(cards, exam, EXAMS[exam], 120, seed, {})
    assert 15 <= len(tasks) <= 20
    assert [task.number for task in tasks] == list(range(1, len(tasks) + 1))
    assert len({task.level for task in tasks}) == len(tasks)
    for domain, weight in EXAMS[exam].items():
        assert sum(task.weight for task in tasks if task.domain == domain) == weight
    par = {card.name: card.par_time for card in cards}
    assert sum(par[task.level] for task in tasks) <= 0.9 * 120 * 60


def test_a_short_exam_makes_a_hundred_percent_too() -> None:
    tasks = deal(Catalog.default().cards(), "CKA", EXAMS["CKA"], 30, 1, {})
    assert len(tasks) == 4
    assert sum(task.weight for task in tasks) == 100


def test_the_same_seed_deals_the_same_and_another_one_something_else() -> None:
    cards = Catalog.default().cards()
    one, same, other = (deal(cards, "CKA", EXAMS["CKA"], 120, seed, {}) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_what_was_played_lately_comes_last() -> None:
    cards = [card for card in Catalog.default().cards() if any(at.domain == "storage" for at in card.exams)]
    played = {card.name: NOW - timedelta(days=day) for day, card in enumerate(cards[1:])}
    tasks = deal(cards, "CKA", {"storage": 10}, 15, 3, played)
    assert {task.level for task in tasks} == {cards[0].name, cards[-1].name}


def test_a_level_that_serves_two_domains_comes_once() -> None:
    cards = [card for card in Catalog.default().cards() if any(at.exam == "CKA" for at in card.exams)][:4]
    both = (ExamDomain(exam="CKA", domain="storage"), ExamDomain(exam="CKA", domain="troubleshooting"))
    tasks = deal(
        [altered(card, exams=both) for card in cards], "CKA", {"storage": 40, "troubleshooting": 60}, 60, 1, {}
    )
    assert sorted(task.level for task in tasks) == sorted(card.name for card in cards)
    assert sum(task.weight for task in tasks) == 100


def test_an_exam_that_no_level_serves_has_no_tasks() -> None:
    assert deal([], "CKA", EXAMS["CKA"], 120, 1, {}) == []


def test_a_task_brings_its_green_checks_whatever_time_it_took() -> None:
    names = [check.name for check in LEVEL.checks]
    some = AttemptState(mode="exam", passed=frozenset(names[:1]))
    share = LEVEL.checks[0].weight / LEVEL.total_weight
    assert credit(LEVEL, some) == pytest.approx(share)
    assert credit(LEVEL, replace(some, last_at=1e6)) == pytest.approx(share)
    assert credit(LEVEL, replace(some, broken=frozenset({"half"}))) == pytest.approx(share / 2)
    assert credit(LEVEL, AttemptState(mode="exam", passed=frozenset(names))) == 1.0


def test_the_result_adds_up() -> None:
    marks = [(Task(1, "a", 1, "x", 30), 0.5), (Task(2, "b", 1, "y", 45), 1.0), (Task(3, "c", 1, "x", 25), 0.0)]
    assert total(marks) == 60.0
    assert [(part.domain, part.reached, part.weight) for part in by_domain(marks)] == [("x", 15.0, 55), ("y", 45.0, 45)]


@pytest.mark.parametrize(
    ("reached", "told"), [(65.96, "65"), (65.999999999, "66"), (66.0, "66"), (99.99, "99"), (100.0, "100"), (0.0, "0")]
)
def test_what_was_just_missed_does_not_read_as_reached(reached: float, told: str) -> None:
    assert shown(reached) == told
    assert (float(shown(reached, 1)) >= 66) == (round(reached, 6) >= 66)


def test_the_clock_on_the_wall_ends_it() -> None:
    assert left(NOW, 120, NOW + timedelta(minutes=119)) == 60
    assert left(NOW, 120, NOW + timedelta(minutes=121)) == 0
