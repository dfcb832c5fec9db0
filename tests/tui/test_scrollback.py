"""What scrolled off the terminal can be looked at again, by keys and by the wheel, and typing returns to the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from rich.cells import cell_len
from textual import events
from textual.app import App, ComposeResult

from kuartui.tui import keys
from kuartui.tui.app import KuartuiApp
from kuartui.tui.screens.play import PlayScreen
from kuartui.tui.widgets import shell as shells
from kuartui.tui.widgets.scrollback import LINES, ScrollingTerminal
from kuartui.tui.widgets.shell import Shell
from tests.tui.golden import screen_text, until
from tests.tui.test_play import playing

ECHO = ["sh", "-c", "stty raw -echo; cat"]  # what is typed comes back as it is


def numbers(first: int, last: int) -> str:
    return "".join(f"\r\nline {number}." for number in range(first, last + 1))


class Alone(App[None]):
    """A terminal and nothing else."""

    def compose(self) -> ComposeResult:
        yield ScrollingTerminal(ECHO)


@asynccontextmanager
async def terminal(
    width: int = 40, height: int = 10
) -> AsyncIterator[tuple[ScrollingTerminal, Any, Callable[[], Any]]]:
    app = Alone()
    async with app.run_test(size=(width, height)) as pilot:
        shown = app.query_one(ScrollingTerminal)
        await until(pilot, lambda: (shown.board.width, shown.board.height) == (width, height))

        async def rows() -> list[str]:
            shown.look(0)
            await pilot.pause(0.05)
            return screen_text(app).splitlines()

        yield shown, pilot, rows


@asynccontextmanager
async def play(
    game: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> AsyncIterator[tuple[PlayScreen, Shell, Any]]:
    monkeypatch.delenv("KUARTUI_SHELL")
    monkeypatch.setattr(shells, "command", lambda *_: ECHO)
    app = KuartuiApp(game)
    async with app.run_test(size=size) as pilot:
        screen = await playing(app, pilot)
        shell = await until(pilot, lambda: screen.terminal.shell)
        await until(pilot, lambda: shell.has_focus and shell.board.width == shell.content_size.width)
        yield screen, shell, pilot


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_every_character_is_the_shells(game: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    """Also those that mean something on the screen beside it, such as the question mark of `[?(@.name=="x")]`."""
    typed = "".join(map(chr, range(0x21, 0x7F)))
    async with play(game, monkeypatch, size) as (screen, shell, pilot):
        for character in typed:
            await pilot.press(character)
        await until(pilot, lambda: typed in "".join(text for row in shell.page.grid for _, text in row))
        assert screen.app.screen is screen
        assert not screen.session.calls  # type: ignore[attr-defined]  # a scripted one


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
@pytest.mark.parametrize("which", [0, 1], ids=["shift", "alt"])
async def test_keys_go_back_and_forth_and_the_border_says_how_far(
    game: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], which: int
) -> None:
    names = {key.action: key.keys.split(",")[which] for key in keys.KEYS if key.place == "shell"}
    async with play(game, monkeypatch, size) as (screen, shell, pilot):
        height = shell.size.height
        shell.feed(numbers(1, 500))
        await until(pilot, lambda: "line 500." in screen_text(pilot.app))
        kept, page = shell.kept, height - 1
        await pilot.press(names["earlier"])
        await until(pilot, lambda: f"line {500 - page}." in screen_text(pilot.app))
        assert "line 500." not in screen_text(pilot.app)
        assert f"{page} of {kept} lines back" in screen_text(pilot.app)
        await pilot.press(names["earlier"])
        await until(pilot, lambda: f"{2 * page} of {kept} lines back" in screen_text(pilot.app))
        await pilot.press(names["later"], names["later"])
        await until(pilot, lambda: "line 500." in screen_text(pilot.app) and "lines back" not in screen_text(pilot.app))
        assert screen.why_not("later") == "that is the end of the terminal"


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_the_terminal_has_the_keys_in_every_layout_that_shows_it(
    game: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    async with play(game, monkeypatch, size) as (screen, shell, pilot):
        for _ in range(6):
            await pilot.press("f4")
            assert screen.focused is (shell if screen.arrangement.layout != "checks" else screen.query_one("#task"))
        screen._focus("task")
        for _ in range(4):
            await pilot.press("f4")
            if screen.arrangement.layout == "side":
                break
            screen._focus("task")
        assert screen.focused is screen.query_one("#task"), "it had them not"


async def test_typing_and_pasting_return_to_the_end(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(game, monkeypatch, (120, 40)) as (_, shell, pilot):
        shell.feed(numbers(1, 100) + "\r\n")
        for what in ("x", "paste"):
            shell.look(50)
            await until(pilot, lambda: "lines back" in screen_text(pilot.app))
            if what == "x":
                await pilot.press("x")
            else:
                shell.post_message(events.Paste("pasted"))
            await until(pilot, lambda: "lines back" not in screen_text(pilot.app))
            assert "line 100." in screen_text(pilot.app)
        await until(pilot, lambda: "xpasted" in screen_text(pilot.app))


async def test_the_footer_has_it_while_there_is_something(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(game, monkeypatch, (80, 24)) as (_, shell, pilot):
        footer = lambda: screen_text(pilot.app).splitlines()[-1]  # noqa: E731
        assert "Earlier" not in footer()
        shell.feed(numbers(1, 100))
        await until(pilot, lambda: "Shift+PgUp Earlier" in " ".join(footer().split()))
        assert "Help" in footer()
        shell.feed("\x1b[?1049h")
        await until(pilot, lambda: "Earlier" not in footer())


async def test_a_program_that_fills_the_terminal_gets_the_keys(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(game, monkeypatch, (120, 40)) as (_, shell, pilot):
        sent: list[str] = []
        monkeypatch.setattr(shell.board.host, "write", sent.append)
        shell.feed(numbers(1, 100))
        await pilot.press("shift+pageup")
        await until(pilot, lambda: shell.back)
        assert not sent
        shell.feed("\x1b[?1049h")
        await until(pilot, lambda: not shell.back)
        await pilot.press("shift+pageup")
        await until(pilot, lambda: sent)
        assert (shell.kept, shell.back) == (0, 0)
        shell.feed("\x1b[?1049l")
        await until(pilot, lambda: shell.kept)


async def test_the_wheel_scrolls_unless_the_program_takes_the_mouse() -> None:
    async with terminal() as (shown, pilot, rows):
        shown.feed(numbers(1, 100))
        await pilot._post_mouse_events([events.MouseScrollUp], shown)
        assert (await rows())[-1] == "line 97."
        await pilot._post_mouse_events([events.MouseScrollDown], shown)
        assert (await rows())[-1] == "line 100."
        shown.feed("\x1b[?1000h\x1b[?1006h")
        await pilot.pause(0.05)
        await pilot._post_mouse_events([events.MouseScrollUp], shown)
        await rows()
        assert shown.back == 0


async def test_the_wheel_presses_arrows_where_a_program_fills_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal() as (shown, pilot, rows):
        sent: list[str] = []
        monkeypatch.setattr(shown.board.host, "write", sent.append)
        shown.feed(numbers(1, 100) + "\x1b[?1049h")
        await pilot._post_mouse_events([events.MouseScrollDown], shown)
        await until(pilot, lambda: "".join(sent) == "\x1b[B" * 3)
        await pilot._post_mouse_events([events.MouseScrollUp], shown)
        await until(pilot, lambda: "".join(sent) == "\x1b[B" * 3 + "\x1b[A" * 3)
        await rows()
        assert shown.back == 0


async def test_the_same_lines_stay_in_sight_while_more_comes() -> None:
    async with terminal() as (shown, _, rows):
        shown.feed(numbers(1, 100))
        shown.look(50)
        before = await rows()
        shown.feed(numbers(101, 200))
        assert await rows() == before
        assert shown.back == 150


async def test_only_so_many_lines_are_kept() -> None:
    async with terminal() as (shown, _, rows):
        shown.feed(numbers(1, 2 * LINES))
        shown.look(10 * LINES)
        assert (await rows())[0] == f"line {2 * LINES - LINES - 9}."
        assert shown.back == shown.kept == LINES
        shown.feed(numbers(1, 20))
        assert (await rows())[0] == f"line {2 * LINES - LINES - 9 + 20}.", "what is forgotten cannot stay in sight"


@pytest.mark.parametrize("background", ["", "\x1b[44m"])
async def test_colours_and_wide_characters_come_back(background: str) -> None:
    async with terminal() as (shown, _, rows):
        shown.feed(f"\r\n\x1b[31mred\x1b[0m 容器{background} ok" + numbers(1, 30))
        shown.look(LINES)
        shown.look(0)
        assert any(row.rstrip() == "red 容器 ok" for row in await rows())
        strip = next(strip for y in range(10) if "red" in (strip := shown.render_line(y)).text)
        red = next(segment for segment in strip if segment.text == "red")
        assert red.style is not None
        assert red.style.color is not None
        assert strip.cell_length == 40


async def test_a_lower_screen_keeps_the_line_of_the_cursor() -> None:
    async with terminal(40, 20) as (shown, pilot, rows):
        shown.feed(numbers(1, 100) + "\r\n$ typed")
        await pilot.resize_terminal(30, 8)
        await until(pilot, lambda: (shown.board.width, shown.board.height) == (30, 8))
        assert (await rows())[-1] == "$ typed"
        shown.look(1)
        assert (await rows())[-1] == "line 100."
        shown.look(LINES)
        assert "line 1." in await rows()


async def test_a_higher_screen_takes_back_what_left_it() -> None:
    async with terminal(40, 8) as (shown, pilot, rows):
        shown.feed("\x1b[31mred\x1b[0m 容器 " + "x" * 40 + numbers(1, 17) + "\r\n$ typed")
        assert shown.kept == 12
        for height in (20, 6, 20, 8, 20):
            await pilot.resize_terminal(40, height)
            await until(pilot, lambda height=height: shown.board.height == height)
            seen = await rows()
            assert seen[-1] == "$ typed"
            assert shown.kept == 20 - height
            assert (shown.board.cursor.x, shown.board.cursor.y) == (7, height - 1)
        assert seen[0] == "red 容器 " + "x" * 31
        assert seen[2:4] == ["line 1.", "line 2."]
        assert shown.page.is_line_wrapped(0)
        assert next(iter(shown.render_line(0))).style.color is not None
        await pilot.resize_terminal(40, 30)
        await until(pilot, lambda: shown.board.height == 30)
        assert (await rows())[19:21] == ["$ typed", ""], "there is no more to take back"


async def test_clear_forgets_a_margin_does_not_hide() -> None:
    async with terminal() as (shown, _, rows):
        shown.feed(numbers(1, 100))
        shown.look(20)
        shown.feed("\x1b[H\x1b[2J\x1b[3J")
        await rows()
        assert (shown.kept, shown.back) == (0, 0)
        shown.feed("\x1b[3;8r\x1b[8;1H" + "\r\n" * 5)
        assert shown.kept == 0, "what scrolls in the middle of the screen never left it at the top"
        shown.feed("\x1b[1;8r\x1b[8;1H" + "\r\n" * 5)
        assert shown.kept == 5


@pytest.mark.parametrize("text", ["0123456789" * 7, "容器" * 20, "ab cd  " * 12 + "end"])
async def test_another_width_wraps_what_is_kept_anew(text: str) -> None:
    async with terminal(40, 10) as (shown, pilot, rows):
        shown.feed(f"\r\n{text}\r\nshort\r\n" + numbers(1, 30))
        for width in (23, 61, 100, 40):
            await pilot.resize_terminal(width, 10)
            await until(pilot, lambda width=width: shown.board.width == width)
            shown.look(LINES)
            seen = await rows()
            begin = next(at for at, row in enumerate(seen) if row.startswith(text[:10]))
            count = seen.index("short") - begin
            assert count == -(-cell_len(text) // (width - width % 2 if "容" in text else width))
            assert "".join(row.ljust(width) for row in seen[begin : begin + count]).replace(" ", "") == text.replace(
                " ", ""
            )
            shown.look(-LINES)
            assert (await rows())[-1] == "line 30."


async def test_the_same_line_stays_in_sight_when_the_width_changes() -> None:
    async with terminal(40, 10) as (shown, pilot, rows):
        shown.feed("".join(f"\r\n{number:03} " + "x" * 60 for number in range(100)))
        shown.look(100)
        top = next(row for row in await rows() if row[0] != "x")
        await pilot.resize_terminal(100, 10)
        await until(pilot, lambda: shown.board.width == 100)
        assert any(row.startswith(top) for row in (await rows())[:2])


async def test_every_cell_has_a_style_for_a_terminal_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with terminal() as (shown, pilot, rows):
        shown.feed(numbers(1, 30))
        shown.board.blitter.current_buffer.resize(30, 5)  # as for a moment when the pane grows
        assert "line 25." in await rows()
        shown.look(5)
        await pilot.pause(0.05)
        assert all(segment.style is not None for y in range(12) for segment in shown.render_line(y))
        assert "line 16." in screen_text(pilot.app)


async def test_a_long_paste_arrives_whole() -> None:
    text = "".join(f"{number} {'x' * 40}\n" for number in range(6000))
    async with terminal() as (shell, pilot, _rows):
        shell.focus()
        heard: list[str] = []
        shell.board.set_pty_data_callback(heard.append)
        shell.post_message(events.Paste(text))
        await until(pilot, lambda: sum(map(len, heard)) >= len(text))
        assert "".join(heard) == text


async def test_an_interrupt_does_not_wait_for_a_paste(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal() as (shell, _pilot, _rows):
        sent: list[bytes] = []
        assert shell.board.pty is not None
        monkeypatch.setattr(shell.board.pty, "write_bytes", lambda data: sent.append(data) or 1)
        shell.board.host.write("pasted")
        shell.board.host.write("\x03")
        assert sent == [b"pasted", b"\x03"]
