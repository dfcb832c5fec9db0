"""A process is forked only when all of its threads are at rest, and a fork that fails leaves it as it was."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import Any

import pytest

from kuartui.embedded import live_fork

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process is forked so on Linux only")


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Forks that were asked for; there are none here."""
    asked: list[int] = []

    def fork() -> int:
        asked.append(os.getpid())
        return 4711

    monkeypatch.setattr(live_fork.os, "fork", fork)
    return asked


def never(_: Any) -> Any:
    raise AssertionError("nothing is moved in the parent")


async def test_the_loop_goes_on_in_the_parent(forks: list[int]) -> None:
    heard: list[str] = []
    asyncio.get_running_loop().call_soon(heard.append, "before")
    assert await live_fork.fork(never) == 4711
    asyncio.get_running_loop().call_soon(heard.append, "after")
    await asyncio.sleep(0)
    assert heard == ["before", "after"]
    assert len(forks) == 1


async def test_there_is_no_fork_while_another_thread_works(forks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_fork, "LOOKS", 20)
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            sum(range(1000))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with pytest.raises(live_fork.ForkError, match="do not come to rest"):
            await live_fork.fork(never)
    finally:
        over.set()
        worker.join()
    assert not forks
    assert await live_fork.fork(never) == 4711


async def test_a_system_that_refuses_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(live_fork.os, "fork", refuse)
    with pytest.raises(live_fork.ForkError, match="Resource temporarily unavailable"):
        await live_fork.fork(never)


async def test_other_systems_are_not_tried(forks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_fork, "AVAILABLE", False)
    with pytest.raises(live_fork.ForkError, match="this system"):
        await live_fork.fork(never)
    assert not forks
