"""The screens do what their keys say; nothing quits by accident; texts are never taken for markup."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from textual.events import Key
from textual.widgets import Input, OptionList

from kuartui.play.present import Seen
from kuartui.play.view import CheckChanged
from kuartui.progress.store import AttemptRecord
from kuartui.tui import keys
from kuartui.tui.app import KuartuiApp
from kuartui.tui.screens.dialogs import Confirm, Help, TooSmall
from kuartui.tui.screens.home import HomeScreen
from kuartui.tui.screens.play import PlayScreen
from kuartui.tui.screens.result import ResultScreen
from kuartui.tui.widgets.fitted import Fitted
from tests.tui.golden import screen_text, until

Text = Callable[[Any], str]


async def playing(app: KuartuiApp, pilot: Any) -> PlayScreen:
    await pilot.pause()
    app.play_level("broken-selector", 0)
    await until(pilot, lambda: isinstance(app.screen, PlayScreen))
    await pilot.pause(0.1)
    screen = app.screen
    assert isinstance(screen, PlayScreen)
    return screen


async def test_home_lists_the_levels_and_the_cluster(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 120)) as pilot:
        await until(pilot, lambda: "cluster ready" in text_of(app) and "Nobody is home" in text_of(app))
        text = text_of(app)
    for title in ("Nobody is home", "Black Friday", "The last hour's orders", "The gardener's keys"):
        assert title in text
    for name in ("broken-selector", "scale-under-load", "redis-crash-recovery"):
        assert name not in text, "a name may tell what is the matter"
    assert "cluster ready: embedded" in text


async def test_the_filter_narrows_the_list_and_escape_clears_it(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 90)) as pilot:
        await until(pilot, lambda: "No warehouse delivers" in text_of(app))
        await pilot.press("slash", *"redis")
        await until(pilot, lambda: "No warehouse delivers" not in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: "No warehouse delivers" in text_of(app))


async def test_a_filter_that_is_typed_at_once_is_a_filter(game: Any, text_of: Text) -> None:
    """In one piece, as a slow line brings it: no letter of it means anything else."""
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 90)) as pilot:
        await until(pilot, lambda: "No warehouse delivers" in text_of(app))
        for letter in "/per/":
            app.post_message(Key("slash" if letter == "/" else letter, letter))
        await until(pilot, lambda: app.screen.query_one("#filter", Input).value == "per/")
        assert isinstance(app.screen, HomeScreen)


async def test_the_filter_shows_the_list_that_it_narrows(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "ring the bell twice" in text_of(app))
        await pilot.press("space")
        await until(pilot, lambda: "2 checks, 3 hints" in text_of(app))
        await pilot.press("slash", *"redis")
        await until(pilot, lambda: "Storage and state" in text_of(app))


async def test_enter_plays_the_highlighted_level(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen._chosen())
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen))
        assert game.sessions[0].level.name == "first-steps"  # the first of the list


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_a_click_selects_and_a_second_one_plays(game: Any, text_of: Text, size: tuple[int, int]) -> None:
    """No clock is started by one click, on the level that is highlighted to begin with neither."""
    app = KuartuiApp(game)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and "Nobody is home" in text_of(app))

        async def click(title: str) -> None:
            row = max(at for at, line in enumerate(text_of(app).splitlines()) if title in line[:50])
            await pilot.click(offset=(6, row))
            await pilot.pause()

        for title, name in (
            ("Start here", "first-steps"),
            ("Nobody is home", "broken-selector"),
            ("The parcel", "image-typo-pull"),
        ):
            await click(title)
            assert app.screen._chosen() == name  # type: ignore[attr-defined]
            assert isinstance(app.screen, HomeScreen)
        await click("Pods and containers")
        await click("Nobody is home")
        assert isinstance(app.screen, HomeScreen), "another one was clicked meanwhile"
        assert not game.sessions
        await click("Nobody is home")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen))
        assert game.sessions[0].level.name == "broken-selector"


@pytest.mark.parametrize("asked", ["qq", "zh-TW", "?!", "zh", "en"])
async def test_a_language_that_there_is_not_is_told(
    game: Any, text_of: Text, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("KUARTUI_LANG", asked)
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen._chosen())
        told = lambda: " ".join(note.message for note in app._notifications)  # noqa: E731
        if asked in ("zh", "en"):
            assert not told()
        else:
            await until(pilot, lambda: f"there is no language '{asked}' here" in told())
            await until(pilot, lambda: "there is no language" in text_of(app))


async def test_a_check_that_turns_green_shows_at_once(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40)) as pilot:
        await playing(app, pilot)
        session = game.sessions[0]
        assert "0/3 checks" in text_of(app)
        first = session.level.checks[0].name
        session.seen[first] = Seen("passing", "3 of 3 seen")
        session.state = replace(session.state, passed=frozenset({first}))
        session.queue.put_nowait(CheckChanged(session.snapshot().checks[0], "failing"))
        await pilot.pause(0.2)
        assert "1/3 checks" in text_of(app)
        assert "✓" in text_of(app)


async def test_a_hint_asks_first_and_cancel_is_focused(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40)) as pilot:
        await playing(app, pilot)
        await pilot.press("f3")
        await pilot.pause(0.1)
        assert isinstance(app.screen, Confirm)
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert "hint" not in game.sessions[0].calls
        await pilot.press("f3")
        await pilot.pause(0.1)
        await pilot.press("tab", "enter")
        await pilot.pause(0.2)
        assert "hint" in game.sessions[0].calls
        assert "Hint 1" in text_of(app)


@pytest.mark.parametrize(("key", "call"), [("f5", "refresh"), ("f8", "reset"), ("f12", "finish")])
async def test_keys_reach_the_attempt(game: Any, key: str, call: str) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40)) as pilot:
        await playing(app, pilot)
        await pilot.press(key)
        await pilot.pause(0.1)
        if isinstance(app.screen, Confirm):
            await pilot.press("tab", "enter")
        await pilot.pause(0.2)
        assert call in game.sessions[0].calls


async def test_finishing_shows_the_result_and_solutions_on_demand(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 60)) as pilot:
        await playing(app, pilot)
        await pilot.press("f12")
        await pilot.pause(0.1)
        await pilot.press("tab", "enter")
        await pilot.pause(0.3)
        assert isinstance(app.screen, ResultScreen)
        assert "points" in text_of(app)
        assert "Solution 1" not in text_of(app)
        await pilot.press("s")
        await pilot.pause(0.2)
        assert "Solution 1:" in text_of(app)
        await pilot.press("escape")
        await pilot.pause(0.1)
        assert isinstance(app.screen, HomeScreen)


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_the_result_has_its_width_from_the_first_frame_on(
    game: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    painted: list[int] = []
    render = Fitted.render
    monkeypatch.setattr(Fitted, "render", lambda self: painted.append(self.content_size.width) or render(self))
    app = KuartuiApp(game)
    async with app.run_test(size=size) as pilot:
        session = await game.begin(game.level("broken-selector", 1), app.post_message)
        app.show_result(session.result())
        await until(pilot, lambda: painted and "Timeline" in screen_text(app))
        await pilot.pause(0.2)
        width = app.screen.query_one("#race").content_size.width
        assert set(painted) <= {width, width + 2}  # before there is a scroll bar
        assert width > size[0] / 2


async def test_a_command_that_is_still_typed_starts_nothing(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuartui.tui.screens.result.REST_SECONDS", 1.0)
    time = 50.0
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30)) as pilot:
        session = await game.begin(game.level("broken-selector", 1), app.post_message)
        screen = ResultScreen(session.result(), now=lambda: time)
        app.push_screen(screen)
        await pilot.pause(0.1)
        for letter in "rollout status next":
            time += 0.3
            await pilot.press("space" if letter == " " else letter)
        assert app.screen is screen
        time += 5.0
        for letter in "kubectl get nodes":
            time += 0.3
            await pilot.press("space" if letter == " " else letter)
        assert app.screen is screen
        time += 1.1
        await pilot.press("t")
        await until(pilot, lambda: app.screen is not screen)


async def test_a_level_is_dealt_as_home_tells_of_it(game: Any, text_of: Text, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(game, "draw", lambda: 1)
    told, other = (game.level("first-steps", seed).namespace for seed in (1, 2))
    assert told != other
    app = KuartuiApp(game)
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: told in text_of(app))
        monkeypatch.setattr(game, "draw", lambda: 2)
        await pilot.press("enter")
        await until(pilot, lambda: bool(game.sessions))
        assert game.sessions[0].level.seed == 1


async def test_only_a_hint_that_costs_something_is_asked_about(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await playing(app, pilot)
        await pilot.press("f3")
        await until(pilot, lambda: "The next hint costs" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert "hint" not in game.sessions[0].calls

    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40)) as pilot:
        app.play_level("first-steps", 0)
        await until(pilot, lambda: "the next is free (F3)" in text_of(app))
        await pilot.press("f3")
        await until(pilot, lambda: "hint" in game.sessions[1].calls)
        assert isinstance(app.screen, PlayScreen)


async def test_who_types_beside_the_terminal_is_told_once(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await playing(app, pilot)
        await pilot.press(*"kubectl label deploy")
        await until(pilot, lambda: text_of(app).count("F9 goes to the") == 1)
        await pilot.press("f4")
        await until(pilot, lambda: "F9 goes to the" not in text_of(app))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_to_end_leaves_as_the_key_does(game: Any, number: int) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        await playing(app, pilot)
        os.kill(os.getpid(), number)
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == 128 + number
    assert game.sessions[0].calls[-1] == "close"


async def test_nothing_ends_by_escape_or_control_c(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause(0.1)
        await pilot.press("escape", "escape", "ctrl+c", "ctrl+q", "q")
        await pilot.pause(0.1)
        assert app.is_running
        await playing(app, pilot)
        await pilot.press("ctrl+c")
        await pilot.pause(0.1)
        assert isinstance(app.screen, PlayScreen)
        await pilot.press("escape")
        await pilot.pause(0.2)
        assert isinstance(app.screen, HomeScreen)
        assert game.sessions[0].calls[-1] == "close"  # let go of, not ended


async def test_layouts_follow_each_other(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(140, 40)) as pilot:
        screen = await playing(app, pilot)
        seen = []
        for _ in range(5):
            names = ("-side", "-stacked", "-terminal", "-checks")
            seen.append([name for name in names if screen.has_class(name)])
            await pilot.press("f4")
            await pilot.pause(0.05)
        assert seen == [["-side"], ["-stacked"], ["-terminal"], ["-checks"], ["-side"]]


async def test_each_layout_looks_different_where_there_is_no_room_side_by_side(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await playing(app, pilot)
        seen = []
        for name in ("terminal only", "checks only", "stacked"):
            await pilot.press("f4")
            await until(pilot, lambda name=name: name in text_of(app))  # type: ignore[misc]
            seen.append(screen.arrangement.layout)
        assert seen == ["terminal", "checks", "side"]  # which it is again where there is room


async def test_texts_of_a_level_are_no_markup(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40)) as pilot:
        await playing(app, pilot)
        session = game.sessions[0]
        name = session.level.checks[0].name
        session.seen[name] = Seen("failing", "args: [--port=80] [/nothing] \x1b[31m[@click=app.quit]x[/]")
        session.trouble = "[/broken]"
        session.queue.put_nowait(CheckChanged(session.snapshot().checks[0], "failing"))
        await pilot.pause(0.2)
        text = text_of(app)
        assert "[--port=80]" in text
        assert "[/nothing]" in text
        assert "[/broken]" in text
        assert "\x1b" not in text


async def test_a_tiny_terminal_gets_one_sentence(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30)) as pilot:
        await playing(app, pilot)
        await pilot.resize_terminal(40, 12)
        await pilot.pause(0.1)
        assert isinstance(app.screen, TooSmall)
        assert "kuartui needs 50x15" in text_of(app)
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.1)
        assert isinstance(app.screen, PlayScreen)


async def test_a_tiny_terminal_stays_covered_until_there_is_room(game: Any) -> None:
    """Also where something came above the cover meanwhile, or another place beneath."""
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30)) as pilot:
        await playing(app, pilot)
        await pilot.resize_terminal(40, 12)
        await pilot.press("f1")
        await pilot.resize_terminal(80, 24)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen))
        await pilot.resize_terminal(40, 12)
        await until(pilot, lambda: isinstance(app.screen, TooSmall))
        app.show_result(game.sessions[0].result())
        await until(pilot, lambda: isinstance(app.screen, TooSmall) and app.place() == "result")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))


async def test_help_while_a_level_is_set_up_tells_of_that(
    game: Any, text_of: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(game, "begin", never)
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 40)) as pilot:
        await pilot.pause()
        app.play_level("broken-selector", 0)
        await pilot.press("f1")
        await until(pilot, lambda: "The level is being set up" in text_of(app))
        assert "Filter the levels" not in text_of(app)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_the_last_note_is_the_only_one(game: Any) -> None:
    """Also where the keys come at once."""
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await playing(app, pilot)
        for key in ("f4", "f4", "f7", "f7"):
            app.post_message(Key(key, None))
        await until(pilot, lambda: "theme: high contrast" in [note.message for note in app._notifications])
        assert len(app._notifications) == 1


async def test_the_same_key_twice_opens_one_dialog(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await playing(app, pilot)
        await pilot.press("f1", "f1")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("f10", "f10", "escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("f8", "f10")  # over another question it tells of the level, too
        assert isinstance(app.screen, Confirm)
        assert "The level goes on" in app.screen.question


@pytest.mark.parametrize("place", ["home", "play", "result"])
async def test_help_names_every_key(game: Any, text_of: Text, place: str) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 60)) as pilot:
        screen = await playing(app, pilot) if place != "home" else None
        if place == "result" and screen is not None:
            app.show_result(game.sessions[0].result())
        await pilot.pause(0.2)
        await pilot.press("f1")
        await pilot.pause(0.1)
        assert isinstance(app.screen, Help)
        text = text_of(app)
        for key in keys.of(place):
            assert re.search(rf" {re.escape(key.shown)} +{re.escape(key.help)}", text)


def test_the_table_of_keys_is_sound() -> None:
    """Each action exists, no key means two things in one place, a footer has room for six."""
    owners = {"home": HomeScreen, "play": PlayScreen, "result": ResultScreen}
    for place, owner in owners.items():
        taken: set[str] = set()
        for key in keys.of(place):
            names = set(key.keys.split(","))
            assert not taken & names
            taken |= names
            own = key.place in (place, "pane", "shell") or key.action == "back"
            target = owner if own else KuartuiApp
            assert hasattr(target, f"action_{key.action}")
        assert sum(key.footer for key in keys.of(place) if key.place != "shell") <= 6
        assert sum(key.footer for key in keys.of(place)) <= 7


def test_only_function_keys_are_ours_beside_a_shell() -> None:
    for key in keys.KEYS:
        if key.place == "play":
            assert all(name.startswith("f") and name[1:].isdigit() for name in key.keys.split(","))


async def test_home_is_where_the_player_was(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a level: at what goes on, or at what was played; who follows the suggestions stays with those."""
    app = KuartuiApp(game)
    shelf, attempt = game.shelf, None
    monkeypatch.setattr(game, "shelf", lambda: replace(shelf(), attempt=attempt))

    async def back_from(level: str, selected: str) -> str:
        home = await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen)
        levels = home.query_one(OptionList)
        levels.highlighted = levels.get_option_index(selected)
        app.play_level(level, 1)
        await until(pilot, lambda: isinstance(app.screen, PlayScreen))
        app.go_home()
        await until(pilot, lambda: not app.played)
        await pilot.pause()
        return str(home._option())

    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen._chosen())
        assert await back_from("scale-under-load", "broken-selector") == "scale-under-load"
        assert await back_from("broken-selector", "suggested:next:first-steps") == "suggested:next:first-steps"
        attempt = AttemptRecord("a1", "label-leak", 1, "ranked", "embedded", "attempt-a1", "", datetime.now(UTC))
        assert await back_from("label-leak", "broken-selector") == "suggested:continue:label-leak"
        await pilot.press("down", "f1", "escape")  # which is no level
        await pilot.pause(0.2)
        assert app.screen._option() != "suggested:continue:label-leak"


@pytest.mark.parametrize("named", ["words", "/levels/words"])
async def test_a_level_in_play_is_continued_by_its_name_or_its_folder(
    game: Any, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    running = AttemptRecord(
        "a1", "words", 1, "ranked", "embedded", "attempt-a1", "", datetime.now(UTC), "/levels/words"
    )
    continued: list[AttemptRecord] = []
    monkeypatch.setattr(game, "running", lambda: running)
    monkeypatch.setattr(KuartuiApp, "play_attempt", lambda self, record: continued.append(record))
    app = KuartuiApp(game, level=named)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: continued)
    assert continued == [running]
