"""The parts of a score add up to it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kuartui.game.score import Score
from kuartui.play.breakdown import parts


def made(base: int, share: float, guards: float, time: float, cost: int, ranked: bool = True) -> Score:
    total = max(0, round(base * share * guards * time) - cost) if ranked else 0
    return Score(total, base, share, guards, time, cost, 60.0, share == 1, ranked, None)


@given(
    st.sampled_from([50, 100, 150, 200, 300]),
    st.floats(0, 1),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.floats(0.5, 1),
    st.integers(0, 105),
    st.booleans(),
)
def test_the_parts_add_up(base: int, share: float, guards: float, time: float, cost: int, ranked: bool) -> None:
    score = made(base, share, guards, time, cost, ranked)
    assert sum(part.points for part in parts(score)) == score.total


def test_each_part_says_what_it_took() -> None:
    found = parts(made(100, 0.8, 0.5, 0.9, 5))
    assert [(part.text, part.points) for part in found] == [
        ("points of the level", 100),
        ("checks passed: 80%", -20),
        ("guards broken: 50% is left", -40),
        ("slower than par: 90%", -4),
        ("hints", -5),
    ]
