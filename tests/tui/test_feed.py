"""What the core tells the screens."""

from __future__ import annotations

import asyncio

from textual.message import Message

from kuartui.catalog.catalog import Catalog
from kuartui.tui import feed
from kuartui.tui.messages import AttemptChanged
from tests.tui.conftest import ScriptedSession


async def test_a_screen_that_was_drawn_before_anybody_listened_is_drawn_again() -> None:
    told: list[Message] = []
    session = ScriptedSession(Catalog.default().level("broken-selector"))
    following = asyncio.create_task(feed.follow(session, told.append))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    following.cancel()
    assert [type(message) for message in told] == [AttemptChanged]
