"""Every screen at every size, as a golden; in Chinese too; no screen traps the focus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len
from textual.command import CommandPalette
from textual.screen import Screen
from textual.widgets import OptionList

from kuartui.cluster.base import Progress
from kuartui.game.ghost import Split
from kuartui.game.review import Try
from kuartui.message import later
from kuartui.play.present import Seen
from kuartui.play.view import TimelineEntry
from kuartui.progress.store import AttemptRecord, Best
from kuartui.translate import tr
from kuartui.tui.app import KuartuiApp
from kuartui.tui.messages import StepTaken
from kuartui.tui.screens import exam, setup
from kuartui.tui.screens.dialogs import Confirm
from kuartui.tui.screens.exam import ExamChoice
from kuartui.tui.screens.home import HomeScreen
from kuartui.tui.screens.levels import Shelf, about
from tests.tui.conftest import graded, sheet
from tests.tui.golden import SIZES, Golden, screen_text, until
from tests.tui.test_play import playing

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEVELS = (
    "first-steps",
    "image-typo-pull",
    "init-waits-forever",
    "broken-selector",
    "label-leak",
    "target-port-mismatch",
)


@pytest.fixture
def shelf(game: Any, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Six levels and a short history, whatever else there is by now."""
    cards = [card for card in game.catalog.cards(game.language) if card.name in LEVELS]
    best = {
        "first-steps": Best("first-steps", 50, 80, "gold", 1, True),
        "image-typo-pull": Best("image-typo-pull", 41, 300, "silver", 2, True),
        "broken-selector": Best("broken-selector", 12, 500, "", 1, False),
    }
    tries = [
        Try("first-steps", NOW - timedelta(days=9), True),
        Try("image-typo-pull", NOW - timedelta(days=5), True),
        Try("broken-selector", NOW - timedelta(days=1), False),
    ]
    tracks = {track.name: track.title_in(game.language) for track in game.catalog.tracks()}
    made = Shelf(cards=cards, tracks=tracks, best=best, tries=tries, now=NOW)
    monkeypatch.setattr(game, "shelf", lambda: made)
    return made


async def home(app: KuartuiApp, pilot: Any) -> None:
    await until(pilot, lambda: "v1.36.2" in screen_text(app) and "02:30" in screen_text(app))


async def filtered(app: KuartuiApp, pilot: Any) -> None:
    await home(app, pilot)
    await pilot.press("slash", *"cka due")


async def details(app: KuartuiApp, pilot: Any) -> None:
    await home(app, pilot)
    await pilot.resize_terminal(60, 20)  # where there is room for them beside the list, the key says so
    await settled(app, pilot)
    await pilot.press("space")


async def result(app: KuartuiApp, pilot: Any) -> None:
    """A level half solved, one hint, one guard broken, faster in one check and slower in another."""
    await home(app, pilot)
    from tests.tui.conftest import ScriptedSession

    session = ScriptedSession(app.game.level("broken-selector", 0))
    names = [check.name for check in session.level.checks]
    for name in names[:2]:
        session.seen[name] = Seen("passing", "3 of 3 seen")
    session.elapsed = 290.0
    session.state = replace(
        session.state,
        passed=frozenset(names[:2]),
        hints=frozenset({0}),
        broken=frozenset({"same-service"}),
        why={"same-service": "spec.ports"},
    )
    titles = [check.title for check in session.level.checks]
    timeline = (
        TimelineEntry(0, "started", session.level.title),
        TimelineEntry(70, "passed", titles[0]),
        TimelineEntry(120, "passed", titles[1]),
    )
    app.game.splits = lambda _: [Split(names[0], 70, 95), Split(names[1], 120, 95), Split(names[2], None, 140)]  # type: ignore[method-assign]
    app.show_result(replace(session.result(), timeline=timeline, best=44, best_before=44))


async def helped(app: KuartuiApp, pilot: Any) -> None:
    await home(app, pilot)
    await pilot.press("f1")


async def asked(app: KuartuiApp, pilot: Any) -> None:
    await home(app, pilot)
    await pilot.press("f10")


async def troubled(app: KuartuiApp, pilot: Any) -> None:
    await home(app, pilot)
    app.trouble("the cluster does not answer [/x]", "kuartui cluster status tells more")


async def listed(app: KuartuiApp, pilot: Any) -> None:
    await home(app, pilot)
    await pilot.press("f2")
    await until(pilot, lambda: isinstance(app.screen, CommandPalette) and "F1" in screen_text(app))


async def setting_up(app: KuartuiApp, pilot: Any) -> None:
    """A level whose cluster takes its time."""
    await home(app, pilot)
    step = later("starting a cluster for this attempt")

    async def never(level: Any, post: Any, mode: Any) -> Any:
        post(StepTaken(Progress(step, 2, 4)))
        await asyncio.Event().wait()

    app.game.begin = never  # type: ignore[method-assign]
    app.play_level("broken-selector", 1)
    await until(pilot, lambda: tr(step) in screen_text(app))


def asking(key: str) -> Way:
    """The dialog that a key of the play screen opens."""

    async def way(app: KuartuiApp, pilot: Any) -> None:
        await playing(app, pilot)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, Confirm))

    return way


async def examined(app: KuartuiApp, pilot: Any) -> None:
    """An exam in which one task is in play, one waits and is flagged."""
    await home(app, pilot)
    made = sheet()
    one, two, three = made.rows
    rows = (replace(one, state="waiting", spent=312.0, flagged=True), replace(two, state="in play", spent=65.0), three)
    app.game.sheet = replace(made, rows=rows, left=1234.0)  # type: ignore[attr-defined]
    app.show_exam()
    await until(pilot, lambda: "20:34" in screen_text(app))


async def marked(app: KuartuiApp, pilot: Any) -> None:
    """Its result."""
    await home(app, pilot)
    app.game.sheet = graded(sheet())  # type: ignore[attr-defined]
    app.show_exam()
    await until(pilot, lambda: "54 %" in screen_text(app))


async def choosing(app: KuartuiApp, pilot: Any) -> None:
    await home(app, pilot)
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, ExamChoice) and "CKAD" in screen_text(app))


Way = Callable[[KuartuiApp, Any], Awaitable[None]]
SCREENS: dict[str, Way] = {
    "home": home,
    "filter": filtered,
    "details": details,
    "result": result,
    "help": helped,
    "confirm": asked,
    "trouble": troubled,
    "palette": listed,
    "setup": setting_up,
    "exam": examined,
    "exam-result": marked,
    "exam-choice": choosing,
    "hint": asking("f3"),
    "reset": asking("f8"),
    "finish": asking("f12"),
    "leave": asking("f10"),
}


async def settled(app: KuartuiApp, pilot: Any) -> None:
    """Until two looks in a row show the same."""
    before = ""
    for _ in range(100):
        await pilot.pause(0.02)
        now = screen_text(app)
        if now == before:
            return
        before = now


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "monotonic", lambda: 3.0)
    monkeypatch.setattr(exam, "monotonic", lambda: 3.0)


@pytest.mark.parametrize("size", [(49, 20), (60, 14), (30, 5)])
async def test_a_terminal_that_is_too_small_looks_as_it_did(
    game: Any, shelf: Shelf, golden: Golden, size: tuple[int, int]
) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "kuartui needs" in screen_text(app))
        await settled(app, pilot)
        golden(app, "too-small")


@pytest.mark.parametrize("name", SCREENS)
async def test_screens_look_as_they_did(game: Any, shelf: Shelf, golden: Golden, name: str) -> None:
    """Each at every size, reached by resizing, with a terminal too small for anything in between."""
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30)) as pilot:
        await SCREENS[name](app, pilot)
        for size in SIZES:
            await pilot.resize_terminal(30, 8)
            await pilot.resize_terminal(*size)
            await settled(app, pilot)
            golden(app, name)


@pytest.mark.parametrize(
    "name", ["home", "filter", "result", "help", "confirm", "setup", "palette", "exam", "exam-result", "exam-choice"]
)
async def test_screens_in_chinese_look_as_they_did(
    game: Any, golden: Golden, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, name: str
) -> None:
    monkeypatch.setenv("KUARTUI_LANG", "zh-CN")
    game.language = "zh-CN"
    request.getfixturevalue("shelf")
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40)) as pilot:
        await SCREENS[name](app, pilot)
        await settled(app, pilot)
        golden(app, f"{name}-zh")


@pytest.mark.parametrize("name", SCREENS)
async def test_no_screen_traps_the_focus(game: Any, shelf: Shelf, name: str) -> None:
    """Tab goes round, and Esc leads home from everywhere."""
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30)) as pilot:
        await SCREENS[name](app, pilot)
        await settled(app, pilot)
        focused = [widget for widget in app.screen.focus_chain if widget.can_focus]
        seen = set()
        for _ in range(len(focused) + 1):
            seen.add(app.focused)
            await pilot.press("tab")
        assert seen >= set(focused)
        for _ in range(4):
            await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        assert app.is_running
        assert app.focused is not None
        assert app.focused.id == "levels"


@pytest.mark.parametrize("place", ["confirm", "another"])
async def test_home_is_laid_out_anew_behind_what_is_in_front_of_it(game: Any, shelf: Shelf, place: str) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(160, 45)) as pilot:
        await settled(app, pilot)
        home = app.screen
        rows = lambda: [str(option.prompt) for option in home.query_one(OptionList).options]  # noqa: E731
        wide = rows()
        app.push_screen(Confirm("?", "yes") if place == "confirm" else Screen())
        await pilot.pause()
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: rows() != wide)
        assert max(map(cell_len, rows())) <= home.query_one(OptionList).scrollable_content_region.width
        assert app.screen is not home


async def test_the_name_of_an_exam_is_a_whole_word(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.shelf.cards)
        screen = app.screen
        assert isinstance(screen, HomeScreen)
        found = [card for _, cards in screen.shelf.by_track("cka") for card in cards]
        assert found
        assert all(any(domain.exam == "CKA" for domain in card.exams) for card in found)
        more = [card for _, cards in screen.shelf.by_track("cka troubleshooting") for card in cards]
        assert 0 < len(more) < len(found)


async def test_what_is_in_play_stays_in_sight_of_a_filter(
    game: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = AttemptRecord("a1", "label-leak", 1, "ranked", "embedded", "s", "k", NOW)
    monkeypatch.setattr(game, "shelf", lambda: replace(shelf, attempt=attempt))
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30)) as pilot:
        await home(app, pilot)
        await pilot.press("slash", *"image")
        await until(pilot, lambda: "Nobody is home" not in screen_text(app))
        assert "Continue" in screen_text(app)


def test_when_a_level_comes_back(game: Any, shelf: Shelf) -> None:
    level = game.level("first-steps", 0)
    card = shelf.card("first-steps")
    assert card is not None
    soon = replace(shelf, tries=[Try("first-steps", NOW - timedelta(hours=1), True)])
    late = replace(shelf, tries=[Try("first-steps", NOW - timedelta(days=3), True)])
    assert "review in 1 day" in [str(block) for block in about(soon, card, level)]
    assert "review due for 2 days" in [str(block) for block in about(late, card, level)]


def test_practice_alone_is_no_best_score(game: Any, shelf: Shelf) -> None:
    card = shelf.card("first-steps")
    assert card is not None
    practised = replace(shelf, best={"first-steps": Best("first-steps", 0, None, "", 2, True)})
    blocks = [str(block) for block in about(practised, card, game.level("first-steps", 0))]
    assert "practised, no points yet; 2 attempts" in blocks
