"""Stepped time is the cluster's time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from kuartui.cluster.clock import SteppedClock


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
