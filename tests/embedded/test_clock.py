"""Stepped time: it passes only when told to, in order, and never ahead of work that needs none."""

from __future__ import annotations

import asyncio

import pytest

from kuartui.embedded.clock import FastClock


async def test_timers_run_in_order_each_followed_by_all_that_it_sets_off() -> None:
    clock, seen = FastClock(), []

    async def work(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        for step in range(3):
            seen.append((name, step, clock.monotonic()))
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(work("late", 2)), asyncio.create_task(work("soon", 1))]
    await clock.advance(1.5)
    assert seen == [("soon", step, 1) for step in range(3)]
    assert clock.monotonic() == 1.5
    await clock.advance(0.5)
    assert seen[3:] == [("late", step, 2) for step in range(3)]
    await asyncio.gather(*tasks)


async def test_what_is_left_of_a_span_passes_even_if_floating_point_cannot_add_it() -> None:
    clock, looks = FastClock(), 0

    def look(begun: float) -> None:
        nonlocal looks
        looks += 1
        left = 0.3 - (clock.monotonic() - begun)
        if left > 0 and looks < 50:
            clock.call_later(left, lambda: look(begun))

    for _ in range(400):
        await clock.advance(0.1)
        looks = 0
        look(clock.monotonic())
        await clock.advance(1)
        assert looks < 5


async def test_time_stands_still_while_something_is_busy() -> None:
    clock, rang = FastClock(), []
    clock.call_later(1, lambda: rang.append(clock.monotonic()))
    with clock.busy():
        passing = asyncio.create_task(clock.advance(5))
        await asyncio.sleep(0.01)
        assert not rang
        assert clock.monotonic() == 0
    await passing
    assert rang == [1]
    assert clock.monotonic() == 5


async def test_clocks_side_by_side_do_not_wait_for_each_other() -> None:
    clocks = [FastClock() for _ in range(3)]
    ticks = dict.fromkeys(clocks, 0)

    async def tick(clock: FastClock) -> None:
        while True:
            await clock.sleep(1)
            ticks[clock] += 1

    tasks = [asyncio.create_task(tick(clock)) for clock in clocks]
    await asyncio.gather(*(clock.advance(10 * (1 + index)) for index, clock in enumerate(clocks)))
    assert list(ticks.values()) == [10, 20, 30]
    with clocks[0].busy():
        held = asyncio.create_task(clocks[0].advance(5))
        await clocks[1].advance(5)
        assert ticks[clocks[1]] == 25
        assert ticks[clocks[0]] == 10
    await held
    assert ticks[clocks[0]] == 15
    for task in tasks:
        task.cancel()


async def test_what_comes_afterwards_sees_all_of_a_moment_and_no_later_one() -> None:
    clock, seen, looked = FastClock(), [], []

    async def work(name: str) -> None:
        await clock.sleep(1)
        await asyncio.sleep(0)
        seen.append(name)
        clock.afterwards(lambda: looked.append((clock.monotonic(), list(seen))))

    tasks = [asyncio.create_task(work(name)) for name in "abc"]
    clock.call_later(1.5, lambda: seen.append("later"))
    await clock.advance(2)
    assert looked == [(1, ["a", "b", "c"])] * 3
    await asyncio.gather(*tasks)


async def test_what_comes_afterwards_does_not_wait_for_somebody_who_lets_time_pass() -> None:
    clock, seen = FastClock(), []

    async def work() -> None:
        for step in range(3):
            await asyncio.sleep(0)
            seen.append(step)

    def look() -> None:
        seen.append("looked")
        if seen.count("looked") < 3:
            clock.afterwards(look)

    clock.afterwards(look)
    await work()
    clock.call_later(0, lambda: seen.append("timer"))
    await clock.settle()
    assert seen == [0, 1, 2, "looked", "looked", "looked"]
    await clock.advance(0)
    assert seen[6:] == ["timer"]


async def test_what_fails_afterwards_stops_nobody_else() -> None:
    clock, seen = FastClock(), []

    def fail() -> None:
        raise ZeroDivisionError

    clock.afterwards(fail)
    clock.afterwards(lambda: seen.append("looked"))
    clock.call_later(1, lambda: seen.append("timer"))
    await clock.advance(2)
    assert seen == ["looked", "timer"]


async def test_sockets_are_answered_while_much_is_done() -> None:
    clock = FastClock()
    answered = asyncio.Event()

    async def endless() -> None:
        while not answered.is_set():
            await asyncio.sleep(0)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.set()
        writer.close()

    async def ask(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        asking = asyncio.create_task(ask(server.sockets[0].getsockname()[1]))
        working = asyncio.create_task(endless())
        await asyncio.wait_for(clock.advance(1), 5)
        await asyncio.gather(asking, working)


async def test_who_gives_up_lets_no_more_time_pass() -> None:
    clock, rang = FastClock(), []
    clock.call_later(1, lambda: rang.append(1))
    with clock.busy():
        passing = asyncio.create_task(clock.advance(5))
        await asyncio.sleep(0)
        passing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await passing
    await asyncio.sleep(0)
    assert not rang
    await clock.advance(1)
    assert rang == [1]


async def test_a_failing_callback_stops_nobody_else() -> None:
    clock, rang, told = FastClock(), [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    async def work() -> None:
        await clock.sleep(1)
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)

    task = asyncio.create_task(work())
    clock.call_later(2, lambda: rang.append(clock.monotonic()))
    await clock.advance(3)
    assert rang == [2]
    assert isinstance(told[0], ZeroDivisionError)
    await task
