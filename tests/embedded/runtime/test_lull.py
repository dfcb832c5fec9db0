"""bashkit's thread is held while all shells wait, and only then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from bashkit import Bash

from kuartui.embedded.clock import FastClock, RealClock
from kuartui.embedded.node.runtime import lull
from kuartui.embedded.node.runtime.lull import Lull

LONG = 60.0


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lull, "QUIET_SECONDS", 0.001)
    monkeypatch.setattr(lull, "HOLD_SECONDS", LONG)


async def _stuck(tries: int = 200) -> asyncio.Future[object] | None:
    """A script that does not get on, because the thread is held; None if it never is."""
    for _ in range(tries):
        await asyncio.sleep(lull.OPEN_SECONDS * 2)
        running = asyncio.ensure_future(Bash().execute("true", capture=0))
        await asyncio.wait([running], timeout=0.1)
        if not running.done():
            return running
    return None


async def test_the_thread_is_held_until_a_shell_stirs() -> None:
    all_of_them = Lull()
    all_of_them.stir("one", RealClock(), waits=True)
    all_of_them.stir("other", RealClock(), waits=True)
    running = await _stuck()
    assert running
    all_of_them.stir("other", RealClock(), waits=False)
    await asyncio.wait_for(running, LONG / 2)


async def test_the_last_shell_lets_the_thread_go() -> None:
    all_of_them = Lull()
    all_of_them.stir("one", RealClock(), waits=True)
    running = await _stuck()
    assert running
    all_of_them.forget("one")
    await asyncio.wait_for(running, LONG / 2)


@pytest.mark.parametrize(
    "stir",
    [
        pytest.param(lambda some: some.stir("other", RealClock(), waits=False), id="one that works"),
        pytest.param(lambda some: some.stir("other", FastClock(), waits=True), id="stepped time"),
    ],
)
async def test_no_hold(stir: Callable[[Lull], None]) -> None:
    some = Lull()
    some.stir("one", RealClock(), waits=True)
    stir(some)
    assert await _stuck(5) is None
    some.forget("one")
    some.forget("other")


async def test_a_thread_that_computes_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lull.time, "thread_time", time.monotonic)
    some = Lull()
    some.stir("one", RealClock(), waits=True)
    assert await _stuck(5) is None
    some.forget("one")
