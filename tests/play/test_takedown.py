"""One process at a time finds the place of an attempt or takes it down."""

from __future__ import annotations

import asyncio

from kuartui.play.takedown import alone


async def test_a_third_waits_for_the_second_which_waited_for_the_first(home: object) -> None:
    """The first takes the lock away when it is through; who waited for that very file still has it."""
    inside: list[str] = []
    doors = {name: asyncio.Event() for name in ("first", "second", "third")}

    async def come(name: str) -> None:
        async with alone("0123456789ab"):
            inside.append(name)
            await doors[name].wait()
            inside.remove(name)

    async def until_inside(name: str) -> None:
        async with asyncio.timeout(5):
            while inside != [name]:
                await asyncio.sleep(0.01)

    tasks = [asyncio.ensure_future(come("first"))]
    await until_inside("first")
    tasks.append(asyncio.ensure_future(come("second")))
    await asyncio.sleep(0.2)
    doors["first"].set()
    await until_inside("second")
    tasks.append(asyncio.ensure_future(come("third")))
    await asyncio.sleep(0.3)
    together = [*inside]
    doors["second"].set()
    doors["third"].set()
    await asyncio.gather(*tasks)
    assert together == ["second"]
