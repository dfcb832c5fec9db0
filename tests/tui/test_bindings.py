"""Every key does what the table of keys says it does, in every place, and help names all that is bound.

The tests are made from the table: a key that is added to it fails here until its effect is written down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.widgets import Input

from kuartui.tui import keys
from kuartui.tui.app import KuartuiApp
from kuartui.tui.keys import Key
from kuartui.tui.screens.dialogs import Confirm, Help
from kuartui.tui.screens.exam import ExamChoice, ExamScreen
from kuartui.tui.screens.home import HomeScreen
from kuartui.tui.screens.play import PlayScreen
from kuartui.tui.screens.result import ResultScreen
from kuartui.tui.widgets.lines import Choices
from tests.tui.conftest import sheet
from tests.tui.golden import screen_text, until
from tests.tui.test_play import playing

Look = Callable[[KuartuiApp, Any], Any]


@dataclass(frozen=True)
class Effect:
    """`before` leads to where the key does something; what `look` sees is `after`, or else just differs."""

    look: Look
    after: Any = None
    before: tuple[str, ...] = ()
    size: tuple[int, int] = (140, 40)


def on(kind: type) -> Effect:
    return Effect(lambda app, _: isinstance(app.screen, kind), True)


def left(app: KuartuiApp, screen: Any) -> int:
    width: int = screen.query_one("#left").outer_size.width
    return width


def level(app: KuartuiApp, _: Any) -> Any:
    return [session.level.name for session in app.game.sessions[1:]]  # type: ignore[attr-defined]


def opened(what: str) -> Effect:
    return Effect(lambda app, _: f"{what} pods/kiosk-1: [not markup]" in screen_text(app), True, ("cluster",))


EFFECTS: dict[tuple[str, str], Effect] = {
    ("everywhere", "help"): on(Help),
    ("everywhere", "command_palette"): on(CommandPalette),
    ("everywhere", "next_theme"): Effect(lambda app, _: app.theme),
    ("everywhere", "leave"): on(Confirm),
    ("everywhere", "back"): on(HomeScreen),
    ("home", "choose"): on(PlayScreen),
    ("home", "search"): Effect(lambda app, screen: screen.query_one("#filter", Input).has_focus, True),
    ("home", "previous_track"): Effect(lambda app, screen: screen._chosen(), "first-steps", ("right", "right")),
    ("home", "next_track"): Effect(lambda app, screen: screen._chosen(), before=("right",)),
    ("home", "details"): Effect(lambda app, screen: screen.query_one("#about").display, True, size=(60, 20)),
    ("home", "practice"): Effect(lambda app, _: [session.mode for session in app.game.sessions], ["practice"]),  # type: ignore[attr-defined]
    ("home", "exam"): on(ExamChoice),
    ("home", "again"): Effect(lambda app, _: app.game.reads),  # type: ignore[attr-defined]
    ("play", "hint"): on(Confirm),
    ("play", "layout"): Effect(lambda app, screen: screen.arrangement.layout, "stacked"),
    ("play", "look"): Effect(lambda app, _: "refresh" in app.game.sessions[0].calls, True),  # type: ignore[attr-defined]
    ("play", "focus_next_pane"): Effect(lambda app, _: app.focused),
    ("play", "reset"): on(Confirm),
    ("play", "shell"): Effect(lambda app, screen: screen.arrangement.layout, "side", ("f4", "f4", "f4")),
    ("play", "finish"): on(Confirm),
    ("pane", "describe"): opened("describe"),
    ("pane", "yaml"): opened("yaml"),
    ("pane", "logs"): opened("logs"),
    ("pane", "search"): Effect(lambda app, screen: screen.query_one("#find", Input).has_focus, True),
    ("pane", "next_match"): Effect(
        lambda app, screen: screen.detail._at, None, ("cluster", "l", "wait", "slash", *"line 7", "enter")
    ),
    ("pane", "copy"): Effect(lambda app, _: app.clipboard, "pods/kiosk-1", ("cluster",)),
    ("pane", "pause"): Effect(lambda app, _: app.game.sessions[0].state.paused, True, ("task", "practice")),  # type: ignore[attr-defined]
    ("pane", "grow"): Effect(left, None, ("task",)),
    ("pane", "shrink"): Effect(left, None, ("task",)),
    ("exam", "take_up"): on(PlayScreen),
    ("exam", "flag"): Effect(lambda app, _: app.game.sheet.rows[0].flagged, True),  # type: ignore[attr-defined]
    ("exam", "finish"): on(Confirm),
    ("result", "next_level"): Effect(level, ["label-leak"]),
    ("result", "try_again"): Effect(level, ["broken-selector"]),
    ("result", "solutions"): Effect(lambda app, screen: screen.query_one("#solutions").display, True),
    ("result", "copy_solution"): Effect(lambda app, _: app.clipboard.startswith("kubectl"), True),
}
ELSEWHERE = {"shell"}  # in test_scrollback.py, with a terminal
PLACES = {"everywhere": ("home", "play", "exam", "result"), "pane": ("play",), "shell": ("play",)}
PRESSES = [
    pytest.param(place, key, name, id=f"{place}-{key.action}-{name}")
    for key in keys.KEYS
    if key.place not in ELSEWHERE
    for place in PLACES.get(key.place, (key.place,))
    for name in key.keys.split(",")
]


async def arrive(app: KuartuiApp, pilot: Any, place: str) -> Any:
    """On the screen of a place, with what it shows in it."""
    await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen._chosen())
    if place == "play":
        screen = await playing(app, pilot)
        await until(pilot, lambda: screen.query_one("#cluster", Choices).chosen and screen.focused)
    elif place == "exam":
        app.game.sheet = sheet()  # type: ignore[attr-defined]
        app.show_exam()
        await until(pilot, lambda: isinstance(app.screen, ExamScreen) and app.screen.sheet and app.focused)
    elif place == "result":
        session = await app.game.begin(app.game.level("broken-selector", 1), app.post_message)
        app.show_result(session.result())  # type: ignore[attr-defined]
        await until(pilot, lambda: isinstance(app.screen, ResultScreen) and app.focused)
    return app.screen


@pytest.mark.parametrize(("place", "key", "name"), PRESSES)
async def test_a_key_does_what_it_says(game: Any, place: str, key: Key, name: str) -> None:
    effect = EFFECTS[key.place, key.action]
    game.reads = 0
    shelf = game.shelf

    def counted() -> Any:
        game.reads += 1
        return shelf()

    game.shelf = counted
    app = KuartuiApp(game)
    async with app.run_test(size=effect.size) as pilot:
        screen = await arrive(app, pilot, place)
        for step in effect.before:
            if step in ("task", "cluster", "timeline"):
                screen._focus(step)
            elif step == "practice":
                game.sessions[0].mode = "practice"
            elif step == "wait":
                await until(pilot, lambda: "line 100" in screen.detail.text)
            else:
                await pilot.press(step)
            await pilot.pause()
        was = effect.look(app, screen)
        await pilot.press(name)
        if effect.after is None:
            await until(pilot, lambda: effect.look(app, screen) != was)
        else:
            await until(pilot, lambda: effect.look(app, screen) == effect.after)


@pytest.mark.parametrize("place", ["home", "play", "exam", "result"])
async def test_help_and_palette_have_all_that_is_bound(game: Any, place: str) -> None:
    """Whatever key a screen of ours binds is in the table, which help and palette are made from."""
    app = KuartuiApp(game)
    async with app.run_test(size=(140, 60)) as pilot:
        screen = await arrive(app, pilot, place)
        bound = {
            (name, binding.action)
            for owner in (app, screen)
            for name, bindings in owner._bindings.key_to_bindings.items()
            for binding in bindings
            if not binding.system and type(owner) in (KuartuiApp, HomeScreen, PlayScreen, ExamScreen, ResultScreen)
        }
        told = {(name, key.action) for key in keys.of(place) for name in key.keys.split(",")}
        inherited = {(name, binding.action) for binding in _of_textual() for name in binding.key.split(",")}
        assert bound - inherited <= told
        commands = {command.title for command in app.get_system_commands(screen)}
        assert {key.help for key in keys.of(place) if key.action != "command_palette"} <= commands


def _of_textual() -> list[Any]:
    from textual.screen import Screen

    return [binding for bindings in Screen._merge_bindings().key_to_bindings.values() for binding in bindings]
