"""The score is a pure function of the events, and fair."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from kuartui.game.attempt import AttemptState, is_clear, replay
from kuartui.game.events import (
    AttemptEvent,
    CheckLost,
    CheckPassed,
    DrillPassed,
    Finished,
    GuardBroken,
    GuardRestored,
    HintTaken,
    Paused,
    ResetDone,
    Resumed,
    SolutionsOpened,
    Started,
    decode,
    encode,
)
from kuartui.game.level import Drill, Ref
from kuartui.game.score import medal, potential, score, time_factor
from tests.game.levels import LEVEL

NAMES = [check.name for check in LEVEL.checks]
GUARDS = [guard.name for guard in LEVEL.guards] + ["keep-running", "system-as-was"]
START = Started(at=0, level="sample", seed=1)

moments = st.floats(0, 400, allow_nan=False).map(lambda value: round(value, 2))
things = st.one_of(
    st.builds(CheckPassed, at=moments, check=st.sampled_from(NAMES)),
    st.builds(CheckLost, at=moments, check=st.sampled_from(NAMES)),
    st.builds(GuardBroken, at=moments, guard=st.sampled_from(GUARDS), why=st.text(max_size=5)),
    st.builds(GuardRestored, at=moments, guard=st.sampled_from(GUARDS)),
    st.builds(HintTaken, at=moments, index=st.integers(0, 1)),
    st.builds(ResetDone, at=moments),
    st.builds(SolutionsOpened, at=moments),
    st.builds(Finished, at=moments, outcome=st.sampled_from(["solved", "finished", "time-up", "abandoned"])),
)
stories = st.lists(things, max_size=25)


def played(*events: AttemptEvent) -> AttemptState:
    return replay(LEVEL, [START, *events])


def all_passed(at: float = 50) -> list[AttemptEvent]:
    return [CheckPassed(at=at, check=name) for name in NAMES]


@given(stories, moments)
def test_a_score_is_never_below_zero_or_above_the_base(events: list[AttemptEvent], elapsed: float) -> None:
    result = score(LEVEL, played(*events), elapsed)
    assert 0 <= result.total <= LEVEL.points
    assert 0 <= result.share <= 1
    assert result.total <= potential(LEVEL, played(*events), elapsed)


@given(stories)
def test_recording_something_twice_changes_nothing(events: list[AttemptEvent]) -> None:
    doubled = [event for event in events if not isinstance(event, ResetDone) for _ in (1, 2)]
    single = [event for event in events if not isinstance(event, ResetDone)]
    assert played(*doubled) == played(*single)


@given(stories)
def test_events_survive_storage(events: list[AttemptEvent]) -> None:
    assert [decode(encode(event)) for event in events] == events


@given(stories, stories)
def test_nothing_after_the_end_counts(events: list[AttemptEvent], later: list[AttemptEvent]) -> None:
    end = Finished(at=60, outcome="finished")
    assert played(*events, end) == played(*events, end, *later)


@given(stories, moments, st.integers(0, 1))
def test_a_hint_never_pays(events: list[AttemptEvent], elapsed: float, index: int) -> None:
    with_hint = [HintTaken(at=0, index=index), *events]
    assert score(LEVEL, played(*with_hint), elapsed).total <= score(LEVEL, played(*events), elapsed).total


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_being_slower_never_pays(one: float, other: float) -> None:
    fast, slow = sorted((one, other))
    assert time_factor(LEVEL, fast) >= time_factor(LEVEL, slow)


def test_time() -> None:
    assert [time_factor(LEVEL, at) for at in (0, 100, 200, 300, 900)] == [1, 1, 0.75, 0.5, 0.5]
    assert [medal(LEVEL, at) for at in (100, 101, 200, 201)] == ["gold", "silver", "silver", "bronze"]


def test_a_clean_run_within_par_brings_everything() -> None:
    result = score(LEVEL, played(*all_passed(), Finished(at=80, outcome="solved")), 999)
    assert (result.total, result.medal, result.solved, result.elapsed) == (100, "gold", True, 80)


def test_partial_credit() -> None:
    assert score(LEVEL, played(CheckPassed(at=5, check="one")), 10).total == 60


def test_a_guard_takes_what_it_says() -> None:
    def total(*guards: str) -> int:
        return score(LEVEL, played(*all_passed(), *(GuardBroken(at=60, guard=name) for name in guards)), 60).total

    assert [total("half"), total("part"), total("all"), total("half", "part")] == [50, 70, 0, 35]
    assert total("keep-running") == 0  # every level has that one
    assert total("system-as-was") == 50


def test_a_mended_guard_is_forgiven_unless_it_is_sticky() -> None:
    mended = played(*all_passed(), GuardBroken(at=60, guard="all"), GuardRestored(at=61, guard="all"))
    stuck = played(*all_passed(), GuardBroken(at=60, guard="forever"), GuardRestored(at=61, guard="forever"))
    assert is_clear(LEVEL, mended)
    assert not is_clear(LEVEL, stuck)
    assert score(LEVEL, stuck, 70).total == 0


def test_a_reset_forgives_but_costs_time() -> None:
    state = played(GuardBroken(at=60, guard="forever"), ResetDone(at=150), *all_passed(200))
    result = score(LEVEL, state, 200)
    assert (result.total, result.guard_factor, state.resets) == (75, 1.0, 1)


def test_hints_cost_a_share_of_the_base() -> None:
    state = played(HintTaken(at=1, index=0), HintTaken(at=2, index=1), *all_passed())
    assert score(LEVEL, state, 50).total == 85


def test_looking_at_the_solutions_is_practice() -> None:
    result = score(LEVEL, played(SolutionsOpened(at=1), *all_passed()), 50)
    assert (result.total, result.ranked, result.medal) == (0, False, None)


def test_what_is_within_reach_counts_guards_that_can_be_mended_as_mended() -> None:
    """Broken now, worth nothing now; only what nothing mends is lost for good."""
    for name in ("all", "half", "part"):
        state = played(GuardBroken(at=10, guard=name, why=""))
        assert potential(LEVEL, state, 20) == potential(LEVEL, played(), 20) == LEVEL.points
    assert potential(LEVEL, played(GuardBroken(at=10, guard="forever", why="")), 20) == 0


@given(
    stories, st.lists(st.tuples(st.integers(0, 25), moments, st.sampled_from([Paused, Resumed])), max_size=6), moments
)
def test_a_clock_that_was_stopped_changes_no_score(
    events: list[AttemptEvent], stops: list[tuple[int, float, type[Paused | Resumed]]], elapsed: float
) -> None:
    more = list(events)
    for position, at, kind in stops:
        more.insert(position, kind(at=at))
    assert score(LEVEL, played(*more), elapsed) == score(LEVEL, played(*events), elapsed)


@given(
    st.permutations(
        [*all_passed(), HintTaken(at=9, index=0), HintTaken(at=8, index=1), GuardBroken(at=7, guard="half")]
    )
)
def test_what_is_independent_may_come_in_any_order(events: list[AttemptEvent]) -> None:
    """As two processes write it."""
    first = played(*all_passed(), HintTaken(at=9, index=0), HintTaken(at=8, index=1), GuardBroken(at=7, guard="half"))
    assert played(*events) == first


@given(stories, st.booleans())
def test_without_its_drills_nothing_is_solved(events: list[AttemptEvent], passed: bool) -> None:
    """And with them, it is solved as it would be without any."""
    drill = Drill(name="rubber", title="A drill", restart=Ref(kind="Deployment", name="app"))
    level = structs.replace(LEVEL, after=(drill,))
    end = [*(event for event in events if not isinstance(event, ResetDone)), Finished(at=90, outcome="finished")]
    story = [DrillPassed(at=1, drill="rubber"), *end] if passed else end
    found = score(level, replay(level, [START, *story]), 90)
    without = score(LEVEL, played(*end), 90)
    assert found.solved == (passed and without.solved)
    assert (found.medal is not None) == (passed and without.medal is not None)
    assert found.total == without.total
