"""A mock exam on the screens: from home to a task and back, to the result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.widgets import OptionList

from kuartui.game.review import Try
from kuartui.play.view import Finished
from kuartui.progress.store import AttemptRecord, ExamRecord
from kuartui.tui.app import KuartuiApp
from kuartui.tui.screens import exam
from kuartui.tui.screens.dialogs import Confirm
from kuartui.tui.screens.exam import ExamChoice, ExamScreen
from kuartui.tui.screens.home import HomeScreen
from kuartui.tui.screens.levels import Shelf
from kuartui.tui.screens.play import PlayScreen
from kuartui.tui.screens.result import ResultScreen
from kuartui.tui.widgets.keybar import KeyBar
from tests.tui.conftest import sheet
from tests.tui.golden import screen_text, until


async def in_hall(app: KuartuiApp, pilot: Any) -> ExamScreen:
    """At the tasks of an exam that was chosen at home."""
    await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.shelf.cards)
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, ExamChoice) and app.screen.query("#exams").first().has_focus)
    await pilot.press("down", "down", "enter")
    await until(pilot, lambda: isinstance(app.screen, ExamScreen) and app.screen.sheet)
    screen = app.screen
    assert isinstance(screen, ExamScreen)
    assert screen.sheet is not None
    assert (screen.sheet.exam.name, screen.sheet.exam.minutes) == ("CKA", 30)
    return screen


async def at_task(app: KuartuiApp, pilot: Any) -> PlayScreen:
    await in_hall(app, pilot)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.query("#cluster"))
    assert isinstance(app.screen, PlayScreen)
    return app.screen


async def test_a_task_is_left_and_taken_up(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await at_task(app, pilot)
        head = screen_text(app).splitlines()[0]
        assert "left of the exam, 01:05 on this task" in head
        assert "points" not in head
        assert screen.why_not("hint") == "there are no hints in an exam"
        assert screen.why_not("pause")
        screen._focus("task")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ExamScreen) and "in play" in screen_text(app))
        assert "close" in game.sessions[0].calls
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_a_strict_exam_shows_what_is_asked_and_nothing_of_what_is_right(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.shelf.cards)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExamChoice) and app.screen.query("#exams").first().has_focus)
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, ExamScreen) and app.screen.sheet)
        assert "CKA mock exam, 120 minutes, strict" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.query("#cluster"))
        text = screen_text(app)
        session = game.sessions[0]
        assert all(f"- {check.title[:20]}" in text for check in session.level.checks)
        assert "How it went is told after the exam." in text
        assert not any(word in text for word in ("failing", "0 of 3 seen", "guard", "✗", "0/"))
        assert app.screen.why_not("look") == "what is right is told after this exam"


async def test_the_keys_of_a_screen_that_is_being_taken_down_ask_nothing(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await in_hall(app, pilot)
        bar = screen.query_one(KeyBar)
        gone = app.pop_screen()
        await screen.query_one("#tasks").remove()  # one after the other, and the bar looks twice a second
        bar._look()
        await gone


async def test_a_task_that_is_done_shows_no_solution(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        await at_task(app, pilot)
        session = game.sessions[0]
        session.queue.put_nowait(Finished(session.result()))
        await until(pilot, lambda: isinstance(app.screen, ExamScreen))


async def test_handing_in_asks_first(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        await at_task(app, pilot)
        await pilot.press("f12")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "Hand in this task" in screen_text(app)


async def test_the_end_asks_first_and_shows_the_result(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await in_hall(app, pilot)
        await pilot.press("f12")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("right", "enter")
        await until(pilot, lambda: screen.over and "54 %, not passed" in screen_text(app))
        assert screen.why_not("flag") == "the exam is over"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ExamScreen) and app.screen.sheet)
        app.screen.query_one("#tasks", OptionList).highlighted = 2
        assert "never begun" in app.screen.why_not("take_up")


async def test_time_that_is_over_is_looked_at_at_once(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(exam, "monotonic", lambda: now[0])
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await in_hall(app, pilot)
        assert "30:00 left" in screen_text(app)
        await game.finish_exam()
        now[0] += 30 * 60
        screen._tick()
        await until(pilot, lambda: screen.over)


async def test_during_an_exam_there_is_nothing_else_to_play(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, under_way = game.shelf, sheet().exam
    monkeypatch.setattr(game, "shelf", lambda: replace(shelf(), exam=under_way))
    game.sheet = sheet()
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Go on with the CKA mock exam" in screen_text(app))
        await pilot.press("down", "enter")
        await pilot.pause()
        assert isinstance(app.screen, HomeScreen)
        assert game.sessions == []
        await pilot.press("home", "enter")
        await until(pilot, lambda: isinstance(app.screen, ExamScreen))
        await pilot.press("escape")
        home = await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen)
        await pilot.press("down", "e")  # wherever the list is
        await until(pilot, lambda: isinstance(app.screen, ExamScreen))
        await pilot.press("escape")
        await until(pilot, lambda: home.is_current and not app.played)
        assert home._option() == "exam:"


async def test_a_level_in_play_comes_first(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, begun = game.shelf, sheet().exam.begun
    attempt = AttemptRecord("a1", "label-leak", 1, "ranked", "embedded", "s", "k", begun)
    monkeypatch.setattr(game, "shelf", lambda: replace(shelf(), attempt=attempt))
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.shelf.cards)
        await pilot.press("e")
        await until(pilot, lambda: "Continue it" in screen_text(app))
        assert isinstance(app.screen, HomeScreen)


async def test_home_offers_an_exam_to_who_has_played(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = game.shelf
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.shelf.cards)
        assert "tasks by the weights" not in screen_text(app)
        tries = [Try("first-steps", sheet().exam.begun, True)]
        monkeypatch.setattr(game, "shelf", lambda: replace(shelf(), tries=tries))
        await pilot.press("r")
        await until(pilot, lambda: "tasks by the weights of the CKA or the CKAD" in screen_text(app))
        levels = app.screen.query_one("#levels", OptionList)
        levels.highlighted = levels.get_option_index("exam:")
        await until(pilot, lambda: "A mock exam" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ExamChoice))


async def test_the_last_result_can_be_seen_again(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, over = game.shelf, replace(sheet().exam, ended=sheet().exam.begun)
    monkeypatch.setattr(game, "shelf", lambda: replace(shelf(), exam=over))
    game.sheet = sheet()
    await game.finish_exam()
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.shelf.cards)
        await pilot.press("e")
        await until(pilot, lambda: "the result of the last one: CKA" in screen_text(app))
        await pilot.press("end", "enter")
        await until(pilot, lambda: isinstance(app.screen, ExamScreen) and app.screen.over)


def test_an_exam_is_under_way_until_it_is_over() -> None:
    shelf = Shelf()
    assert not shelf.examined
    record: ExamRecord = sheet().exam
    assert replace(shelf, exam=record).examined
    assert replace(shelf, exam=record).suggestions() == []
    assert not replace(shelf, exam=replace(record, ended=record.begun)).examined
