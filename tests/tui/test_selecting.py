"""What is selected in the terminal with the mouse is copied as it was written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.app import App, ComposeResult

from kuartui.tui.widgets.scrollback import LINES
from kuartui.tui.widgets.selecting import SelectingTerminal
from tests.tui.golden import until
from tests.tui.test_scrollback import ECHO, numbers, play


class Alone(App[None]):
    """A terminal and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def compose(self) -> ComposeResult:
        yield SelectingTerminal(ECHO)

    def on_selecting_terminal_selected(self, message: SelectingTerminal.Selected) -> None:
        self.told.append(message.text)


@asynccontextmanager
async def terminal(
    width: int = 40, height: int = 10
) -> AsyncIterator[tuple[SelectingTerminal, Any, Callable[..., Any]]]:
    app = Alone()
    async with app.run_test(size=(width, height)) as pilot:
        shown = app.query_one(SelectingTerminal)
        await until(pilot, lambda: (shown.board.width, shown.board.height) == (width, height))

        async def drag(start: tuple[int, int], end: tuple[int, int]) -> str:
            await pilot.mouse_down(offset=start)
            await pilot.hover(offset=end)
            await pilot.mouse_up(offset=end)
            await until(pilot, lambda: app.told)
            return app.told.pop()

        yield shown, pilot, drag


async def test_cells_are_what_is_selected() -> None:
    async with terminal() as (shown, _, drag):
        shown.feed("hello 容器 world\r\nsecond line\r\nthird")
        assert await drag((0, 0), (4, 0)) == "hello"
        assert await drag((4, 0), (0, 0)) == "hello", "the other way round"
        assert await drag((6, 0), (9, 0)) == "容器"
        assert await drag((11, 0), (39, 0)) == "world"
        assert await drag((11, 0), (5, 1)) == "world\nsecond"
        assert await drag((0, 0), (39, 9)) == "hello 容器 world\nsecond line\nthird"


async def test_a_line_that_the_width_has_broken_is_whole() -> None:
    command = "kubectl patch deployment web --patch " + "x" * 60
    async with terminal() as (shown, _, drag):
        shown.feed(f"$ {command}\r\ndone")
        assert await drag((2, 0), (39, 2)) == command
        assert await drag((2, 0), (3, 3)) == f"{command}\ndone"
        shown.feed(numbers(1, 30))
        shown.look(LINES)
        assert await drag((2, 0), (39, 2)) == command, "further back, too"


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (1, "pod/web-6d4cf56db6-x2zqs"),
        (26, "registry.example/web:1.2@sha256"),
        (62, "容器"),
    ],
)
async def test_two_clicks_are_for_a_word(column: int, found: str) -> None:
    async with terminal(80) as (shown, pilot, _):
        shown.feed('pod/web-6d4cf56db6-x2zqs "registry.example/web:1.2@sha256" [容器]')
        await pilot.double_click(shown, offset=(column, 0))
        await until(pilot, lambda: pilot.app.told == [found])
        await pilot.double_click(shown, offset=(24, 0))
        await pilot.pause()
        assert pilot.app.told == [found], "there is no word"


async def test_three_clicks_are_for_a_line() -> None:
    async with terminal() as (shown, pilot, _):
        shown.feed("first\r\n" + "long " * 20 + "\r\nlast")
        await pilot.triple_click(shown, offset=(3, 2))
        await until(pilot, lambda: ("long " * 20).strip() in pilot.app.told)


async def test_the_mouse_is_the_programs_where_it_takes_it() -> None:
    async with terminal() as (shown, pilot, _):
        shown.feed("text\x1b[?1000h\x1b[?1006h")
        await pilot.pause(0.05)
        await pilot.mouse_down(offset=(0, 0))
        await pilot.hover(offset=(3, 0))
        await pilot.mouse_up(offset=(3, 0))
        await pilot.double_click(shown, offset=(1, 0))
        await pilot.pause()
        assert not pilot.app.told
        assert shown.selected is None


async def test_what_is_selected_can_be_read() -> None:
    async with terminal() as (shown, _, drag):
        for back in (0, 5):
            shown.feed("\x1b[31mred\x1b[0m plain" + numbers(1, 30) + "\r\n\x1b[31mred\x1b[0m plain")
            shown.look(back)
            await drag((1, 9 - back), (5, 9 - back))
            mark = shown.screen.get_component_rich_style("screen--selection").bgcolor
            strip = shown.render_line(9 - back)
            marked = [segment for segment in strip if segment.style and segment.style.bgcolor == mark]
            assert "".join(segment.text for segment in marked).replace(" ", "") in ("edpl", "ine2")
            assert all(segment.style and segment.style.color != mark for segment in marked)
            assert strip.cell_length == 40


async def test_it_goes_to_the_clipboard_and_typing_ends_it(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(game, monkeypatch, (80, 24)) as (screen, shell, pilot):
        shell.feed("kubectl get pods")
        row, column = shell.region.y, shell.region.x
        await pilot.mouse_down(offset=(column, row))
        await pilot.hover(offset=(column + 6, row))
        await pilot.mouse_up(offset=(column + 6, row))
        await until(pilot, lambda: pilot.app.clipboard == "kubectl")
        assert shell.selected is not None
        assert screen.focused is shell
        await pilot.press("x")
        assert shell.selected is None
