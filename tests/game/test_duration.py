"""Durations, clocks and quantities are read as Kubernetes writes them."""

from __future__ import annotations

import pytest

from kuartui.game.duration import Duration, clock_text
from kuartui.game.quantity import quantity


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1m30s", 90), ("2h", 7200), ("250ms", 0.25), (15, 15), ("0s", 0)]
)
def test_durations(text: object, seconds: float) -> None:
    assert Duration.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "3", "3 m", "m", "-5s", True, None, "99999h", "1m!"])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["90s", "1m", "1h30m", "1h1m1s", "0s"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    written = str(Duration.parse(text))
    assert Duration.parse(written) == Duration.parse(text)
    assert "60s" not in written


def test_clock_text() -> None:
    assert [clock_text(seconds) for seconds in (0, 65.9, 3661, -3)] == ["0:00", "1:05", "1:01:01", "0:00"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("200m", 0.2), ("1", 1), ("64Mi", 64 * 2**20), ("1e3", 1000), ("1.5Gi", 1.5 * 2**30), ("12k", 12000), ("-1", -1)],
)
def test_quantities(text: str, value: float) -> None:
    assert quantity(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "m", "1 Mi", "1mi", "0x1", "1Ki2"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity(text)
