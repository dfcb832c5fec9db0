"""What the core tells the screens."""

from __future__ import annotations

import asyncio
from typing import get_args

from textual.message import Message

from kuartui.catalog.catalog import Catalog
from kuartui.game import events
from kuartui.play import chronicle, present
from kuartui.tui import feed
from kuartui.tui.messages import AttemptChanged
from kuartui.tui.screens.result import BENEATH, SIGNS
from kuartui.tui.widgets.brief import KINDS
from tests.tui.conftest import ScriptedSession


async def test_a_screen_that_was_drawn_before_anybody_listened_is_drawn_again() -> None:
    told: list[Message] = []
    session = ScriptedSession(Catalog.default().level("broken-selector"))
    following = asyncio.create_task(feed.follow(session, told.append))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    following.cancel()
    assert [type(message) for message in told] == [AttemptChanged]


EVENTS = (
    events.Started(at=0, level="x", seed=0),
    events.CheckPassed(at=1, check="x"),
    events.CheckLost(at=1, check="x"),
    events.GuardBroken(at=1, guard="x"),
    events.GuardRestored(at=1, guard="x"),
    events.Violated(at=1, question="x"),
    events.HintTaken(at=1, index=0),
    events.SolutionsOpened(at=1),
    events.ResetDone(at=1),
    events.DrillStarted(at=1, drill="x"),
    events.DrillPassed(at=1, drill="x"),
    events.DrillFailed(at=1, drill="x", why="all 3 are ready"),
    events.TimelineFired(at=1, index=0),
    events.Paused(at=1),
    events.Resumed(at=1),
    events.Finished(at=1, outcome="solved"),
)


def test_every_kind_of_entry_in_the_timeline_has_a_sign() -> None:
    """On the play screen and on the result, whatever event or change of the cluster it comes from."""
    assert {type(event) for event in EVENTS} == set(get_args(events.AttemptEvent)), "a new event belongs in this list"
    level = Catalog.default().level("broken-selector")
    lines = [present.line(level, event) for event in EVENTS]
    kinds = {line.kind for line in lines if line} | {"incident"} | set(get_args(chronicle.Kind))
    assert kinds == set(SIGNS) == set(KINDS)
    assert set(BENEATH) < kinds
