"""The coach of a guided level is on the play screen, above the footer, and goes away when all is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kuartui.play.present import Seen
from kuartui.play.view import CheckChanged
from kuartui.tui.app import KuartuiApp
from kuartui.tui.widgets.coach import Coach
from tests.tui.test_screens import until


async def test_the_coach_follows_the_checks(game: Any, text_of: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.place() == "home")
        app.play_level("first-steps", 0)
        await until(pilot, lambda: app.place() == "play" and "Coach" in text_of(app))
        session = game.sessions[0]
        last = len(session.level.coach)
        session.elapsed = 100.0
        session.queue.put_nowait(CheckChanged(session.snapshot().checks[0], "failing"))
        await until(pilot, lambda: f"Coach 2/{last}" in text_of(app))
        text = text_of(app)
        assert "get pods" in text  # the end of a step that takes two lines
        await until(pilot, lambda: "Hint" in text_of(app).splitlines()[-1])
        session.seen = {check.name: Seen("passing", "") for check in session.level.checks}
        session.state = replace(session.state, passed=frozenset(session.seen))
        session.elapsed = 130.0
        session.queue.put_nowait(CheckChanged(session.snapshot().checks[0], "failing"))
        await until(pilot, lambda: not app.screen.query_one(Coach).display)
