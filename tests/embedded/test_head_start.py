"""A clock with a head start: past time passes at once, the present is never overtaken, and then it is a real clock."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from kuartui.embedded.clock import HeadStartClock


async def test_the_past_passes_at_once() -> None:
    clock = HeadStartClock(60)
    begun, rang = time.monotonic(), []
    clock.call_later(50, lambda: rang.append(clock.monotonic()))
    assert (datetime.now(UTC) - clock.now()).total_seconds() == pytest.approx(60, abs=0.5)
    await clock.advance(55)
    assert rang == [50]
    assert time.monotonic() - begun < 1


async def test_it_never_gets_ahead_of_the_present() -> None:
    clock = HeadStartClock(0.1)
    begun = time.monotonic()
    await clock.advance(0.3)
    assert time.monotonic() - begun >= 0.19
    assert clock.now() <= datetime.now(UTC)


async def test_released_it_is_a_real_clock_with_the_same_timers() -> None:
    clock = HeadStartClock(30)
    rang: list[str] = []
    clock.call_later(10, lambda: rang.append("past"))
    clock.call_later(30.2, lambda: rang.append("future"))
    clock.call_later(30.1, lambda: rang.append("cancelled")).cancel()
    waiting = asyncio.ensure_future(clock.sleep(30.15))
    await clock.release()
    assert rang == ["past"]
    assert not clock.stepped
    assert abs((datetime.now(UTC) - clock.now()).total_seconds()) < 0.1
    assert clock.monotonic() == pytest.approx(30, abs=0.15)
    await asyncio.wait_for(waiting, 1)
    begun = time.monotonic()
    await clock.sleep(0.1)
    assert time.monotonic() - begun >= 0.09
    assert rang == ["past", "future"]


async def test_what_comes_afterwards_comes_before_and_after_its_release() -> None:
    clock = HeadStartClock(60)
    seen: list[str] = []
    clock.afterwards(lambda: seen.append("in the past"))
    await clock.release()
    assert seen == ["in the past"]
    clock.afterwards(lambda: seen.append("in the present"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen[1:] == ["in the present"]
