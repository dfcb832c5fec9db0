"""The play screen: what it shows at every size, what its keys do, and that nothing in it can stop the rest."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from textual import events
from textual.widgets import Input

from kuartui.game.cel import compile_cel
from kuartui.game.level import Check, Level
from kuartui.play.present import Seen
from kuartui.play.view import CheckChanged, TimelineEntry
from kuartui.tui import keys
from kuartui.tui.app import KuartuiApp
from kuartui.tui.messages import ClusterChanged
from kuartui.tui.screens.dialogs import Confirm
from kuartui.tui.screens.home import HomeScreen
from kuartui.tui.screens.play import PlayScreen
from kuartui.tui.screens.result import ResultScreen
from kuartui.tui.widgets import brief
from kuartui.tui.widgets.lines import Choices, Lines
from tests.game.levels import ALWAYS, LEVEL
from tests.tui.golden import SIZES, screen_text, until

Text = Callable[[Any], str]

STORY = "The kiosk is closed: every customer is turned away at the door since last night's clean-up. Find out why."
SAMPLE: Level = msgspec.structs.replace(
    LEVEL,
    name="closed-kiosk",
    title="Nobody is home",
    namespace="market",
    story=STORY,
    task="Make the Service reach exactly the public kiosk pods.",
    checks=(
        Check(name="pods", title="Every public pod is behind the Service", weight=60, state=ALWAYS),
        Check(name="answers", title="A customer gets an answer", weight=30, state=ALWAYS, hold=5.0),
        Check(name="stays", title="It stays so when a pod goes", weight=10, state=ALWAYS, after=("answers",)),
    ),
)


async def settled(app: KuartuiApp, pilot: Any) -> None:
    """Wait until the screen stays the same, footer and all."""
    same, before = 0, ""
    while same < 3:
        await pilot.pause(0.02)
        now = screen_text(app)
        same = same + 1 if now == before and "Help" in now.splitlines()[-1] else 0
        before = now


async def playing(app: KuartuiApp, pilot: Any) -> PlayScreen:
    await until(pilot, lambda: isinstance(app.screen, HomeScreen))
    session = await app.game.begin(SAMPLE, app.post_message)
    session.seen["pods"] = Seen("passing")
    session.seen["answers"] = Seen("failing", "0 of 5: no connection")
    session.seen["stays"] = Seen("waiting")
    session.state = replace(session.state, passed=frozenset({"pods"}), broken=frozenset({"half"}))
    session.timeline = (
        TimelineEntry(0, "started", "Nobody is home"),
        TimelineEntry(12, "write", "kubectl-patch services/kiosk: spec.selector.app=kiosk"),
        TimelineEntry(13, "reaction", "EndpointSlice kiosk-xwrpw: 4 addresses"),
        TimelineEntry(13, "passed", "Every public pod is behind the Service"),
    )
    app.show_play(session)
    await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.query("#cluster"))
    screen = app.screen
    assert isinstance(screen, PlayScreen)
    await until(pilot, lambda: screen._observer)
    screen.post_message(ClusterChanged())
    screen.show()
    await pilot.pause()
    return screen


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pane", ["task", "cluster", "timeline"])
async def test_it_looks_as_it_did(game: Any, golden: Any, size: tuple[int, int], pane: str) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=size) as pilot:
        screen = await playing(app, pilot)
        screen._focus(pane)
        await settled(app, pilot)
        golden(app, f"play-{pane}")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
@pytest.mark.parametrize("layout", ["stacked", "checks"])
async def test_layouts_look_as_they_did(game: Any, golden: Any, size: tuple[int, int], layout: str) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=size) as pilot:
        screen = await playing(app, pilot)
        screen.arrangement.layout = layout
        screen._arrange()
        await settled(app, pilot)
        golden(app, f"play-{layout}")


@pytest.mark.parametrize("size", SIZES)
async def test_the_clock_and_the_checks_never_go_away(game: Any, text_of: Text, size: tuple[int, int]) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=size) as pilot:
        screen = await playing(app, pilot)
        for _ in range(4):
            for pane in ("f6", "f6", "f6", "d"):
                await pilot.press(pane)
                await pilot.pause()
                first = text_of(app).splitlines()[0]
                assert "01:05" in first
                assert "✓✗· 1/3" in first
                assert "broken: Half" in text_of(app).splitlines()[1]
            await pilot.press("escape", "f4")
        assert app.screen is screen


@pytest.mark.parametrize("size", SIZES)
async def test_what_to_do_is_there_at_once(game: Any, text_of: Text, size: tuple[int, int]) -> None:
    """Without scrolling, however long the story is and however many checks there are."""
    app = KuartuiApp(game)
    async with app.run_test(size=size) as pilot:
        screen = await playing(app, pilot)
        assert SAMPLE.task[:20] in text_of(app)
        what = screen.query_one("#what").region
        assert what.height >= 2
        assert screen.query_one("#task").region.contains_region(what)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("before", ["task", "cluster", "terminal"])
async def test_a_hint_comes_into_sight(game: Any, text_of: Text, size: tuple[int, int], before: str) -> None:
    """Each one that is taken, wherever the player was."""
    app = KuartuiApp(game)
    async with app.run_test(size=size) as pilot:
        screen = await playing(app, pilot)
        for number in (1, 2):
            screen._focus("task" if before == "terminal" else before)
            if before == "terminal":
                screen.arrangement.layout = "terminal"
                screen._arrange()
            await pilot.press("f3")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            await pilot.press("right", "enter")
            await until(pilot, lambda number=number: f"Hint {number} (" in text_of(app))
            assert app.screen is screen


async def test_a_check_names_what_it_waits_for_by_title(game: Any) -> None:
    """The names are the author's own. What is done already is waited for no more."""
    session = await game.begin(SAMPLE, None)
    last = msgspec.structs.replace(SAMPLE.checks[2], after=("pods", "answers"))
    session.level = msgspec.structs.replace(SAMPLE, checks=(*SAMPLE.checks[:2], last))
    session.seen["stays"] = Seen("waiting")
    both = "waits for “Every public pod is behind the Service”, “A customer gets an answer”"
    assert both in brief.checks(session.snapshot()).plain
    session.seen["pods"] = Seen("passing")
    assert "waits for “A customer gets an answer”" in brief.checks(session.snapshot()).plain


async def test_keys_that_come_at_once_count_one_by_one(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await playing(app, pilot)
        screen._focus("task")
        screen.action_focus_next_pane()  # before the pane is told that it has the focus
        screen.action_focus_next_pane()
        assert screen.focused is screen.query_one("#timeline")


async def test_an_object_is_chosen_and_shown_in_full(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 40)) as pilot:
        screen = await playing(app, pilot)
        await pilot.press("f6", "f6")
        while screen.focused is not screen.query_one("#cluster"):
            await pilot.press("f6")
        await pilot.press("down", "enter")
        await until(pilot, lambda: "describe pods/kiosk-2: [not markup]" in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: "yaml pods/kiosk-2" in text_of(app))
        await pilot.press("l")
        await until(pilot, lambda: "logs pods/kiosk-2" in text_of(app))
        await pilot.press("c")
        assert app.clipboard.startswith("logs pods/kiosk-2")
        await pilot.press("escape")
        await pilot.pause()
        assert screen.focused is screen.query_one("#cluster")
        await pilot.press("c")
        assert app.clipboard == "pods/kiosk-2"


async def test_search_narrows_the_cluster_and_finds_in_what_is_open(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 40)) as pilot:
        screen = await playing(app, pilot)
        screen._focus("cluster")
        await pilot.press("slash", *"kiosk-2", "enter")
        await until(pilot, lambda: "kiosk-1" not in "\n".join(screen.query_one("#cluster", Lines).texts))
        await pilot.press("escape")
        await until(pilot, lambda: "kiosk-1" in "\n".join(screen.query_one("#cluster", Lines).texts))
        await pilot.press("l")
        fields = screen.query_one("#fields", Lines)
        await until(pilot, lambda: len(fields.texts) > 100)
        await pilot.press("slash", *"line 7", "enter")
        first = fields.scroll_offset.y
        await pilot.press("n")
        await until(pilot, lambda: fields.scroll_offset.y > first)
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert app.screen is screen
        assert not screen.detail.display


async def test_a_search_that_is_typed_at_once_is_a_search(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 40)) as pilot:
        screen = await playing(app, pilot)
        screen._focus("cluster")
        await pilot.pause()
        for letter in "/dylcp/":
            app.post_message(events.Key("slash" if letter == "/" else letter, letter))
        await until(pilot, lambda: screen.query_one("#find", Input).value == "dylcp/")
        assert not screen.detail.display


async def test_the_chosen_object_stays_chosen_when_others_come_and_go(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(100, 40)) as pilot:
        screen = await playing(app, pilot)
        screen._focus("cluster")
        await pilot.press("down")
        pane = screen.query_one("#cluster", Choices)
        chosen = pane.chosen
        game.objects.pods.insert(0, "a-new-one")
        screen.post_message(ClusterChanged())
        await until(pilot, lambda: any("a-new-one" in text for text in pane.texts))
        assert pane.chosen == chosen
        game.objects.pods.clear()
        screen.post_message(ClusterChanged())
        await until(pilot, lambda: not any("kiosk-2" in text for text in pane.texts))
        await pilot.press("up", "down", "end", "home", "pageup", "pagedown")


async def test_layout_and_sizes_are_remembered(game: Any) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(140, 40)) as pilot:
        screen = await playing(app, pilot)
        screen._focus("task")
        before = screen.query_one("#left").outer_size.width
        await pilot.press("plus")
        await until(pilot, lambda: screen.query_one("#left").outer_size.width == before + 4)
        await pilot.press("minus", "minus")
        await until(pilot, lambda: screen.query_one("#left").outer_size.width == before - 4)
        await pilot.mouse_down("#splitter", offset=(0, 5))
        await pilot.hover("#splitter", offset=(10, 5))
        await pilot.mouse_up(offset=(70, 5))
        await until(pilot, lambda: screen.query_one("#left").outer_size.width > before)
        wide = screen.query_one("#left").outer_size.width
    again = KuartuiApp(game)
    async with again.run_test(size=(140, 40)) as pilot:
        screen = await playing(again, pilot)
        await until(pilot, lambda: screen.query_one("#left").outer_size.width == wide)


async def test_a_level_begins_with_its_task_in_sight(game: Any) -> None:
    """Also when the player left the last one with the terminal alone."""
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await playing(app, pilot)
        await pilot.press("f4")
        await until(pilot, lambda: screen.arrangement.layout == "terminal" and not screen.query_one("#left").display)
    again = KuartuiApp(game)
    async with again.run_test(size=(80, 24)) as pilot:
        screen = await playing(again, pilot)
        assert screen.query_one("#what").region.height
        assert screen.query_one("#left").display


async def test_every_key_of_the_screen_does_something(game: Any) -> None:
    """None of them fails, whatever is focused, and the screen is still there afterwards."""
    app = KuartuiApp(game)
    own = [key for key in keys.of("play") if key.action not in ("command_palette", "leave", "back", "help")]
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await playing(app, pilot)
        for pane in ("task", "cluster", "timeline"):
            for key in own:
                screen._focus(pane)
                await pilot.press(key.keys.split(",")[0])
                await pilot.pause()
                while app.screen is not screen or screen.detail.display or screen.query_one("#find", Input).display:
                    await pilot.press("escape")
                    await pilot.pause()
        assert app.screen is screen
    assert "refresh" in game.sessions[0].calls


async def test_practice_can_be_paused(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        app.show_play(await game.begin(SAMPLE, app.post_message, "practice"))
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.query("#cluster"))
        screen = app.screen
        assert isinstance(screen, PlayScreen)
        screen._focus("task")
        await until(pilot, lambda: "practice" in text_of(app).splitlines()[0])
        assert "points" not in text_of(app).splitlines()[0]
        await pilot.press("p")
        await until(pilot, lambda: "the clock stands; p lets it go on" in text_of(app).splitlines()[1])
        await pilot.press("f10")
        asked = await until(pilot, lambda: isinstance(app.screen, Confirm) and app.screen.question)
        assert "its clock stays stopped" in asked
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("p")
        await until(pilot, lambda: "the clock stands" not in text_of(app))
        assert not game.sessions[0].state.paused


async def test_a_dead_cluster_is_told_and_forgotten_when_it_is_back(game: Any, text_of: Text) -> None:
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await playing(app, pilot)
        session = game.sessions[0]
        session.trouble = game.objects.problem = "cannot reach the cluster"
        session.queue.put_nowait(CheckChanged(session.snapshot().checks[0], "failing"))
        await until(pilot, lambda: "cannot reach the cluster; trying again" in text_of(app).splitlines()[1])
        screen._focus("cluster")
        screen.post_message(ClusterChanged())
        await until(pilot, lambda: "showing what was there" in text_of(app))
        session.trouble = game.objects.problem = ""
        session.queue.put_nowait(CheckChanged(session.snapshot().checks[0], "failing"))
        await until(pilot, lambda: "cannot reach" not in text_of(app).splitlines()[1])


def _runs(screen: Any) -> bool:
    """Whether a screen's own tasks, which hold it, go on."""
    return screen is not None and screen.is_running


async def _forget_cancelled_timers() -> None:
    """asyncio keeps what was cancelled, and the context that it was made in, until it would have been due, unless it has
    a hundred of them."""
    loop = asyncio.get_running_loop()
    for _ in range(2 * len(asyncio.all_tasks()) + 200):
        loop.call_later(60, gc.isenabled).cancel()
    await asyncio.sleep(0)


async def test_the_last_level_is_gone_when_the_next_one_begins(game: Any) -> None:
    app = KuartuiApp(game)
    gc.disable()  # it is not to depend on when Python looks by itself
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            left = [weakref.ref(await playing(app, pilot))]
            app.show_result(game.sessions[0].result())
            await until(pilot, lambda: isinstance(app.screen, ResultScreen) and app.screen.query("#solutions"))
            left.append(weakref.ref(app.screen))
            asked = compile_cel("deployment.spec.replicas == 2", ["deployment"])
            await pilot.press("escape")
            await until(pilot, lambda: not any(_runs(screen()) for screen in left))
            await pilot.pause()
            await _forget_cancelled_timers()
            await playing(app, pilot)
            assert [screen() for screen in left] == [None, None]
            assert compile_cel("deployment.spec.replicas == 2", ["deployment"]) is not asked
    finally:
        gc.enable()
