"""Stepped time is the cluster's time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from kuartui.cluster.clock import SteppedClock
from kuartui.errors import ClusterError


def test_the_time_is_the_clusters_however_much_later_we_began() -> None:
    began = datetime(2026, 11, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    passed = 40.0

    async def drive(seconds: float) -> datetime:
        nonlocal passed
        passed += seconds
        return began + timedelta(seconds=passed)

    clock = SteppedClock(drive, start=began + timedelta(seconds=9))
    asyncio.run(clock.advance(4.0))
    assert clock.now() == began + timedelta(seconds=44)
    assert clock.monotonic() == 4.0


def test_a_sleeper_sees_the_moment_that_it_slept_for() -> None:
    began = datetime(2026, 11, 1, tzinfo=UTC)

    async def drive(seconds: float) -> datetime:
        return began + timedelta(seconds=seconds)

    async def wake() -> list[datetime]:
        clock = SteppedClock(drive, start=began - timedelta(seconds=7))
        seen = []

        async def sleeper() -> None:
            await clock.sleep(1.5)
            seen.append(clock.now())

        task = asyncio.ensure_future(sleeper())
        await asyncio.sleep(0)
        await clock.advance(4.0)
        await task
        return seen

    assert asyncio.run(wake()) == [began + timedelta(seconds=1.5)]


def test_whoever_waits_for_a_sleeper_hears_of_the_first_one() -> None:
    async def watch() -> tuple[bool, bool, bool]:
        clock = SteppedClock()
        told = asyncio.ensure_future(clock.sleeper())
        await asyncio.sleep(0)
        before = told.done()
        nap = asyncio.ensure_future(clock.sleep(5.0))
        await asyncio.wait_for(told, 5)
        await asyncio.wait_for(clock.sleeper(), 5)  # who comes later finds the same one
        await clock.advance(5.0)
        await nap
        again = asyncio.ensure_future(clock.sleeper())  # that one is awake now
        await asyncio.sleep(0)
        after = again.done()
        again.cancel()
        return before, nap.done(), after

    assert asyncio.run(watch()) == (False, True, False)


async def test_it_rests_when_no_step_is_under_way() -> None:
    go_on = asyncio.Event()

    async def drive(_seconds: float) -> None:
        await go_on.wait()

    clock = SteppedClock(drive)
    await asyncio.wait_for(clock.rest(), 5)
    step = asyncio.ensure_future(clock.advance(1.0))
    await asyncio.sleep(0)
    resting = asyncio.ensure_future(clock.rest())
    await asyncio.sleep(0)
    assert not resting.done()
    go_on.set()
    await asyncio.wait_for(resting, 5)
    assert clock.monotonic() == 1.0
    await step


async def test_it_rests_after_a_step_that_failed() -> None:
    async def drive(_seconds: float) -> None:
        raise ClusterError("away")

    clock = SteppedClock(drive)
    with pytest.raises(ClusterError):
        await clock.advance(1.0)
    await asyncio.wait_for(clock.rest(), 5)
