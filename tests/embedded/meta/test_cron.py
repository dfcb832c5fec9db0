"""Cron schedules: what they mean and what is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from kuartui.embedded.meta import cron

TUESDAY = datetime(2030, 1, 1, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2030-01-01T12:01"),
        ("*/5 * * * *", "2030-01-01T12:05"),
        ("5/20 * * * *", "2030-01-01T12:05"),
        ("0 0 1 1 *", "2031-01-01T00:00"),
        ("30 2 * * 1-5", "2030-01-02T02:30"),
        ("0 0 13 * 5", "2030-01-04T00:00"),  # the 13th or a Friday
        ("0 0 * * SUN", "2030-01-06T00:00"),
        ("15,45 9-17 * feb *", "2030-02-01T09:15"),
        ("@monthly", "2030-02-01T00:00"),
        ("@every 90s", "2030-01-01T12:02"),
        ("TZ=UTC 0 13 * * *", "2030-01-01T13:00"),
    ],
)
def test_next(text: str, expected: str) -> None:
    found = cron.parse(text).next(TUESDAY)
    assert found is not None
    assert found.isoformat()[:16] == expected


def test_a_day_that_never_comes() -> None:
    assert cron.parse("0 0 30 2 *").next(TUESDAY) is None


def test_time_zone_of_the_question_counts() -> None:
    berlin = TUESDAY.astimezone(ZoneInfo("Europe/Berlin"))
    found = cron.parse("0 14 * * *").next(berlin)
    assert found is not None
    assert found.astimezone(UTC).hour == 13


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [  # those of github.com/robfig/cron
        ("30 2 11 Mar ?", "2012-03-11T00:00:00-05:00", "2013-03-11T02:30:00-04:00"),
        ("30 2 04 Nov ?", "2012-11-04T00:00:00-04:00", "2012-11-04T02:30:00-05:00"),
        ("30 1 04 Nov ?", "2012-11-04T01:45:00-04:00", "2012-11-04T01:30:00-05:00"),
        ("*/20 * * * *", "2012-11-04T01:40:00-04:00", "2012-11-04T01:00:00-05:00"),
    ],
)
def test_what_a_clock_skips_or_shows_twice(text: str, after: str, expected: str) -> None:
    found = cron.parse(text).next(datetime.fromisoformat(after).astimezone(ZoneInfo("America/New_York")))
    assert found is not None
    assert found.isoformat() == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("every day", "expected exactly 5 fields, found 2: [every day]"),
        ("61 * * * *", "end of range (61) above maximum (59): 61"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@often", "unrecognized descriptor: @often"),
        ("", "empty spec string"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        cron.parse(text)
    assert str(caught.value) == message
