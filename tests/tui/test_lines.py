"""Panes of lines: what is cut off is marked, and clicks choose what is under the mouse."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App, ComposeResult

from kuartui.tui.text import plain
from kuartui.tui.widgets.lines import Choices, Lines
from tests.tui.golden import screen_text

LONG = "abcdefghijklmnopqrst"


class Alone(App[None]):
    """A pane and nothing else."""

    CSS = ".pane { border: round white; height: 1fr; }"

    def __init__(self, pane: Lines) -> None:
        super().__init__()
        self.pane = pane
        self.opened: list[object] = []

    def compose(self) -> ComposeResult:
        yield self.pane

    def on_choices_chosen(self, message: Choices.Chosen) -> None:
        self.opened.append(message.key)


async def test_what_is_cut_off_is_marked_at_its_side() -> None:
    pane = Lines("pane")
    app = Alone(pane)
    async with app.run_test(size=(12, 6)) as pilot:
        pane.show([plain(LONG), plain("0123456789"), plain("容器" * 4)])
        await pilot.pause()
        assert [row[1:-1].rstrip() for row in screen_text(app).splitlines()[1:4]] == [
            "abcdefghi…",
            "0123456789",
            "容器容器 …",
        ]
        pane.scroll_to(x=4, animate=False, immediate=True)
        await pilot.pause()
        assert [row[1:-1].rstrip() for row in screen_text(app).splitlines()[1:3]] == ["…fghijklm…", "…56789"]
        pane.scroll_to(x=len(LONG), animate=False, immediate=True)
        await pilot.pause()
        assert screen_text(app).splitlines()[1][1:-1].rstrip() == "…lmnopqrst"


@pytest.fixture
def choices() -> Choices:
    return Choices("pane")


def offer(pane: Choices, *names: str) -> None:
    """Each with its heading and two lines."""
    pane.offer([line for name in names for line in ((plain("HEAD"), None), (plain(name), name), (plain("more"), name))])


async def click(pilot: Any, line: int) -> None:
    await pilot.click("#pane", offset=(3, line + 1))  # below the border
    await pilot.pause()


async def test_the_first_click_chooses_and_the_second_opens(choices: Choices) -> None:
    app = Alone(choices)
    async with app.run_test(size=(30, 12)) as pilot:
        offer(choices, "one", "two")
        await pilot.pause()
        assert choices.chosen == "one"
        await click(pilot, 1)
        assert (choices.chosen, app.opened) == ("one", []), "chosen before, but by nobody"
        await click(pilot, 5)
        assert (choices.chosen, app.opened) == ("two", []), "also by the second of its lines"
        await click(pilot, 3)
        assert (choices.chosen, app.opened) == ("two", []), "a heading is nothing to choose"
        await click(pilot, 4)
        assert app.opened == ["two"]


async def test_keys_go_from_one_to_the_next_however_many_lines_it_has(choices: Choices) -> None:
    app = Alone(choices)
    async with app.run_test(size=(30, 12)) as pilot:
        offer(choices, "one", "two", "three")
        choices.focus()
        seen = [choices.chosen]
        for key in ("down", "down", "down", "up", "up", "end", "home"):
            await pilot.press(key)
            seen.append(choices.chosen)
        assert seen == ["one", "two", "three", "three", "two", "one", "three", "one"]
