"""Locks between processes: who waits, who is told, and that who waits can be stopped."""

import asyncio
import fcntl
from pathlib import Path

import pytest

from kuartui import locks


async def test_one_at_a_time(tmp_path: Path):
    place = tmp_path / "folder" / "lock"
    order = []

    async def work(name: str) -> None:
        async with locks.alone(place):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    await asyncio.gather(work("one"), work("two"))
    assert order == ["one begins", "one ends", "two begins", "two ends"]


async def test_whoever_waits_for_a_passing_lock_gets_a_new_one(tmp_path: Path):
    place = tmp_path / "lock"
    inside = 0

    async def work() -> None:
        nonlocal inside
        async with locks.alone(place, passing=True):
            inside += 1
            assert inside == 1
            await asyncio.sleep(locks.POLL * 1.5)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(4)))
    assert not place.exists()


async def test_patience_ends(tmp_path: Path):
    place = tmp_path / "lock"
    async with locks.alone(place):
        with pytest.raises(TimeoutError):
            async with locks.alone(place, patience=0):
                pass


def test_who_waits_does_not_hold_up_the_end(tmp_path: Path):
    """A thread in flock(2) would: the loop waits for its threads when it ends."""
    place = tmp_path / "lock"

    async def wait() -> None:
        async with locks.alone(place):
            pytest.fail("another has it")

    with place.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(wait(), 0.01))
