"""A bug shows one friendly screen; nothing that waits holds up a key; what is broken is said, and why a key is dead."""

from __future__ import annotations

import asyncio
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.css.query import NoMatches
from textual.widgets import Button

from kuartui.game.events import Finished, Started
from kuartui.progress.store import AttemptRecord, Store
from kuartui.tui import failure
from kuartui.tui.app import KuartuiApp
from kuartui.tui.failure import FailureApp
from kuartui.tui.messages import AttemptChanged
from kuartui.tui.screens.dialogs import Help
from kuartui.tui.screens.home import HomeScreen
from kuartui.tui.screens.play import PlayScreen
from tests.tui.golden import SIZES, Golden, screen_text, until


def record(attempt_id: str) -> AttemptRecord:
    from datetime import UTC, datetime

    return AttemptRecord(attempt_id, "broken-selector", 7, "ranked", "embedded", "attempt-1", "", datetime.now(UTC))


def played() -> None:
    """One attempt that is over, one that is in play."""
    store = Store()
    store.begin(record("a1"))
    store.append("a1", Started(at=0.0, level="broken-selector", seed=7, mode="ranked", digest=""))
    store.append("a1", Finished(at=5.0, outcome="abandoned"))
    store._execute("UPDATE attempts SET outcome = 'abandoned' WHERE id = ?", ("a1",))
    store.begin(record("a2"))
    store.append("a2", Started(at=0.0, level="broken-selector", seed=7, mode="ranked", digest=""))
    store.close()


def bug() -> Exception:
    try:
        {}["spec[0]"]
    except KeyError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("where", ["handler", "worker", "attempt"])
async def test_a_bug_anywhere_ends_in_the_failure(game: Any, home: Path, where: str) -> None:
    """In a handler of a screen, in a worker, in the attempt's own loop: none is lost."""
    app = KuartuiApp(game)
    with pytest.raises((RuntimeError, Exception), match="no such luck"):  # the pilot raises what the app caught
        async with app.run_test(size=(100, 30)) as pilot:
            app.play_level("broken-selector", 0)
            await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.query("#cluster"))
            session = game.sessions[0]

            def broken(*_: Any) -> Any:
                raise RuntimeError("no such luck")

            if where == "handler":
                session.snapshot = broken
                app.screen.call_later(app.screen.show)
            elif where == "worker":
                session.refresh = broken
                await pilot.press("f5")
            else:
                session.queue.put_nowait(RuntimeError("no such luck"))
            await until(pilot, lambda: app.failure)
    assert app.failure is not None
    assert app.failure.what == "RuntimeError: no such luck"
    log = home / "kuartui" / "state" / failure.LOG
    assert "no such luck" in log.read_text()
    assert str(log) in app.failure.details


@pytest.mark.parametrize("left", [True, False])
async def test_what_comes_to_a_screen_that_has_been_left_is_no_bug(
    game: Any, monkeypatch: pytest.MonkeyPatch, left: bool
) -> None:
    """It is taken down piece by piece, and still hears of the attempt; a screen that is there has all its pieces."""
    go = asyncio.Event()

    async def late(screen: PlayScreen, _: AttemptChanged) -> None:
        await go.wait()
        screen.query_one("#gone")

    app = KuartuiApp(game)
    with nullcontext() if left else pytest.raises(NoMatches):
        async with app.run_test(size=(100, 30)) as pilot:
            app.play_level("broken-selector", 0)
            await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.query("#cluster"))
            screen = app.screen
            monkeypatch.setattr(PlayScreen, "on_attempt_changed", late)
            screen.post_message(AttemptChanged())
            if left:
                app.go_home()
            go.set()
            await until(pilot, lambda: not screen.is_attached if left else app.failure)
    assert (app.failure is None) == left


async def test_the_failure_says_what_is_saved_and_leads_back(home: Path) -> None:
    played()
    app = FailureApp(failure.of(bug()))
    async with app.run_test(size=(80, 24)) as pilot:
        text = " ".join(screen_text(app).split())
        assert "KeyError: 'spec[0]'" in text
        assert "1 attempt that is over is saved." in text
        assert "broken-selector is saved as far as you came" in text
        await pilot.press("enter")
    assert app.return_value == "broken-selector"


async def test_a_failure_without_an_attempt_leads_home_or_out(home: Path) -> None:
    for key, wanted in (("enter", ""), ("escape", None)):
        app = FailureApp(failure.of(bug()))
        async with app.run_test(size=(80, 24)) as pilot:
            assert isinstance(app.focused, Button)
            await pilot.press(key)
        assert app.return_value == wanted


async def test_the_failure_looks_as_it_did(golden: Golden, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played()
    made = failure.of(bug())
    made = failure.Failure(made.what, made.saved, made.details.replace(str(home), "/home/player"), made.level)
    for size in SIZES:
        app = FailureApp(made)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            golden(app, "failure")


def test_after_a_failure_the_player_may_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` shows the failure, then a new app with the level that is in play."""
    from kuartui.tui import app as module

    played()
    shown: list[tuple[str, str | None]] = []

    def run(self: App[Any]) -> Any:
        if isinstance(self, FailureApp):
            shown.append(("failure", self.failure.level))
            return self.failure.level
        assert isinstance(self, KuartuiApp)
        shown.append(("app", self._first[0]))
        if len(shown) == 1:
            self.failure = failure.of(bug())
            return 70
        return 0

    monkeypatch.setattr(App, "run", run)
    assert module.run() == 0
    assert shown == [("app", None), ("failure", "broken-selector"), ("app", "broken-selector")]


async def test_a_disk_that_hangs_does_not_hold_up_a_key(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the records blocks; help opens and closes meanwhile, and the levels come when the disk answers."""
    answers = threading.Event()
    shelf = game.shelf

    def slow() -> Any:
        assert answers.wait(30)
        return shelf()

    monkeypatch.setattr(game, "shelf", slow)
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 90)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        assert "Nobody is home" not in screen_text(app)
        assert not answers.is_set()
        answers.set()
        await until(pilot, lambda: "Nobody is home" in screen_text(app))


async def test_records_that_cannot_be_read_are_told_on_the_screen(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from kuartui.errors import StorageError

    def full() -> Any:
        raise StorageError("cannot use progress.sqlite3: disk is full", hint="is there space?")

    monkeypatch.setattr(game, "shelf", full)
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "disk is full (is there space?)" in screen_text(app))
        assert isinstance(app.screen, HomeScreen)


async def test_a_broken_pack_is_told_at_home(game: Any) -> None:
    game.catalog.broken["strangers/[bad]"] = "level.yaml:3: spec.checks: needs at least one"
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "! strangers/[bad] is left out: level.yaml:3: spec.checks" in screen_text(app))


async def test_a_slow_cluster_shows_as_such_and_comes_back(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At home while it owes an answer; in play while it is silent, though no watch noticed."""
    import asyncio

    from kuartui.tui.screens import home as module

    monkeypatch.setattr(module, "SLOW_SECONDS", 0.0)
    answers, status = threading.Event(), game.status

    async def slow() -> Any:
        await asyncio.to_thread(answers.wait, 30)
        return await status()

    monkeypatch.setattr(game, "status", slow)
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "cluster: no answer for" in screen_text(app))
        answers.set()
        await until(pilot, lambda: "cluster ready" in screen_text(app))
        app.play_level("broken-selector", 0)
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.query("#cluster"))
        game.objects.silent = 7.2
        await until(pilot, lambda: "the cluster has not answered for 7 s; waiting for it" in screen_text(app))
        game.objects.silent = 0.0
        await until(pilot, lambda: "has not answered" not in screen_text(app))


async def test_a_key_that_does_nothing_says_why(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        app.play_level("broken-selector", 0)
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.query("#cluster"))
        screen = app.screen
        assert isinstance(screen, PlayScreen)
        await until(pilot, lambda: screen._observer)
        session = game.sessions[0]
        while session.snapshot().next_hint_cost is not None:
            await session.hint()
        screen._focus("task")
        for key, reason in (("n", "there is no search"), ("f3", "there are no more hints")):
            await pilot.press(key)
            await until(pilot, lambda reason=reason: reason in screen_text(app))  # type: ignore[misc]
            assert app.screen is screen
        screen.arrangement.layout = "checks"
        screen._arrange()
        await pilot.press("plus")
        await until(pilot, lambda: "there is one pane only" in screen_text(app))
