"""A shell that ends keeps its place: what it showed, the focus, and what is typed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from kuartui import paths
from kuartui.tui.app import KuartuiApp
from kuartui.tui.screens.play import PlayScreen
from kuartui.tui.widgets import shell as shells
from kuartui.tui.widgets.shell import Shell
from kuartui.tui.widgets.terminal import TerminalPane
from tests.tui.golden import screen_text, until
from tests.tui.test_play import playing

ONE_LINE = ["sh", "-c", "echo ready; read line; echo last words"]
KILLED = ["sh", "-c", r"echo before; printf '\033[?1049h\033[?1000h\033[?1006h\033[3;5r'; read line"]
ENDED = "The shell has ended; your level goes on."


@asynccontextmanager
async def ended(
    game: Any, monkeypatch: pytest.MonkeyPatch, command: list[str], size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[PlayScreen, Shell, Any]]:
    """A level whose shell has just ended."""
    monkeypatch.delenv("KUARTUI_SHELL")
    monkeypatch.setattr(shells, "command", lambda *_: command)
    app = KuartuiApp(game)
    async with app.run_test(size=size) as pilot:
        screen = await playing(app, pilot)
        shell = await until(pilot, lambda: screen.terminal.shell)
        await until(pilot, lambda: shell.has_focus and shell.board.width == shell.content_size.width)
        await pilot.press("enter")
        await until(pilot, lambda: ENDED in screen_text(app))
        yield screen, shell, pilot


async def test_there_is_one_in_a_browser_too(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KuartuiApp, "is_web", property(lambda _: True))
    monkeypatch.setattr("kuartui.tui.app._alone", lambda: False)
    async with ended(game, monkeypatch, ONE_LINE) as (screen, shell, _):
        assert screen.terminal.shell is shell


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 45)])
async def test_what_is_typed_next_does_nothing(
    game: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    async with ended(game, monkeypatch, ONE_LINE, size) as (screen, shell, pilot):
        assert "last words" in screen_text(pilot.app)
        before, chosen = screen.arrangement.memory(), screen._row()
        for key in (*"kubectl get pods -o yaml|less /dync?+-=", "ctrl+d", "ctrl+c", "up", "down", "tab", "escape"):
            await pilot.press(key)
        shell.post_message(events.Paste("kubectl delete pods --all\n"))
        await pilot.pause()
        assert pilot.app.screen is screen
        assert screen.focused is shell
        assert not screen.detail.display
        assert not screen.query_one("#find", Input).display
        assert (screen.arrangement.memory(), screen._row()) == (before, chosen)
        assert not screen.session.calls  # type: ignore[attr-defined]  # a scripted one
        assert "last words" in screen_text(pilot.app)


@pytest.mark.parametrize("way", [["enter"], ["f9", "f9"], ["f6", "f6", "f6", "f6"]])
async def test_another_one_is_started(game: Any, monkeypatch: pytest.MonkeyPatch, way: list[str]) -> None:
    """By Enter in it, and by whatever leads into the terminal; keys may come at once, also before it is there."""
    async with ended(game, monkeypatch, ONE_LINE) as (screen, shell, pilot):
        await pilot.press(*way)
        following = await until(pilot, lambda: screen.terminal.shell is not shell and screen.terminal.shell)
        await until(pilot, lambda: screen.focused is following and "ready" in screen_text(pilot.app))
        assert ENDED not in screen_text(pilot.app)
        assert list(screen.query(Shell)) == [following]
        await pilot.press("enter")
        await until(pilot, lambda: ENDED in screen_text(pilot.app))


async def test_a_program_that_went_with_it_leaves_nothing_behind(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ended(game, monkeypatch, KILLED) as (_, shell, pilot):
        assert "before" in screen_text(pilot.app)
        assert not shell.fills_screen
        assert shell.mouse_mode == "off"


async def test_it_goes_out_of_sight_with_the_layout_and_comes_back(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ended(game, monkeypatch, ONE_LINE) as (screen, _, pilot):
        screen.arrangement.layout = "checks"
        screen._arrange()
        await until(pilot, lambda: ENDED not in screen_text(pilot.app) and "kuartui env" in screen_text(pilot.app))
        screen.arrangement.layout = "side"
        screen._arrange()
        await until(pilot, lambda: ENDED in screen_text(pilot.app))


async def test_a_shell_that_cannot_begin_says_so(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be no pseudo-terminal left; and there is another try."""

    def none() -> tuple[int, int]:
        raise OSError("out of pty devices")

    monkeypatch.delenv("KUARTUI_SHELL")
    monkeypatch.setattr(shells, "command", lambda *_: ONE_LINE)
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        with monkeypatch.context() as patch:
            patch.setattr("pty.openpty", none)
            screen = await playing(app, pilot)
            await until(pilot, lambda: ENDED in screen_text(app))
            shell = screen.terminal.shell
        await pilot.press("enter")
        await until(pilot, lambda: screen.terminal.shell is not shell and "ready" in screen_text(app))


async def test_a_full_disk_is_no_bug(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> list[str]:
        raise OSError(28, "No space left on device")

    monkeypatch.delenv("KUARTUI_SHELL")
    monkeypatch.setattr(shells, "command", full)
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await playing(app, pilot)
        await until(pilot, lambda: "No space left" in screen_text(app))
        assert app.screen is screen


async def test_it_leaves_nothing_where_temporary_files_are(
    game: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KUARTUI_SHELL")
    monkeypatch.setenv("SHELL", shutil.which("bash") or "/bin/sh")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await playing(app, pilot)
        await until(pilot, lambda: screen.terminal.shell)
        assert [*(tmp_path / "temporary").iterdir()] == []


async def test_a_place_that_cannot_be_written_is_told(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUARTUI_SHELL")
    monkeypatch.setenv("SHELL", shutil.which("bash") or pytest.skip("no bash here"))
    paths.write_private(paths.state_dir() / "shell", "a file in its place")
    app = KuartuiApp(game)
    async with app.run_test(size=(240, 45)) as pilot:  # room for the path of a test in one line
        screen = await playing(app, pilot)
        await until(pilot, lambda: "file exists" in screen_text(app) and "make it writable" in screen_text(app))
        assert app.screen is screen


@pytest.mark.parametrize("letters", ["echo /? plcdy+-=", "/"])
async def test_what_is_typed_before_it_is_there_is_for_it(
    game: Any, monkeypatch: pytest.MonkeyPatch, letters: str
) -> None:
    """In the order in which it came, also what comes while it gets the focus."""
    there = asyncio.Event()

    async def slowly(pane: TerminalPane) -> bool:
        await there.wait()
        return await opened(pane)

    opened = TerminalPane.open
    monkeypatch.setattr(TerminalPane, "open", slowly)
    monkeypatch.delenv("KUARTUI_SHELL")
    monkeypatch.setattr(shells, "command", lambda *_: ["sh", "-c", 'read -r line; echo "<$line>"; read line'])
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await playing(app, pilot)
        for letter in letters:
            await pilot.press(letter)
        app.post_message(events.Paste(" pasted"))
        await pilot.pause()
        assert app.screen is screen
        assert not screen.query_one("#find").display
        there.set()
        await pilot.press("!", "enter")
        await until(pilot, lambda: f"<{letters} pasted!>" in screen_text(app))
        assert app.screen is screen
