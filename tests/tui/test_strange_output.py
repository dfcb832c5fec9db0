"""What programs print in the terminal pane does nothing to the player's own terminal."""

from __future__ import annotations

import base64

import pytest

from tests.tui.golden import until
from tests.tui.test_scrollback import terminal


async def test_output_does_not_reach_the_clipboard() -> None:
    async with terminal() as (shell, pilot, _rows):
        shell.feed(f"\x1b]52;c;{base64.b64encode(b'rm -rf ~').decode()}\x07done")
        await pilot.pause(0.1)
        assert pilot.app.clipboard == ""


@pytest.mark.parametrize("text", ["[/x]", "[@click=app.exit]press[/]", "[b"])
async def test_notes_of_programs_are_no_markup(text: str) -> None:
    async with terminal() as (shell, pilot, _rows):
        shell.feed(f"\x1b]9;{text}{'x' * 5000}\x07")
        await until(pilot, lambda: len(pilot.app._notifications) == 1)
        (note,) = pilot.app._notifications
        assert note.message.startswith(text)
        assert (note.markup, len(note.message)) == (False, 200)


@pytest.mark.parametrize(
    "sequence", ["\x1b]22;nonsense\x07", "\x1b]7;file://[\x07", "\x1b]0;[/x]\x07", "\x1b]52;c;!\x07"]
)
async def test_nonsense_ends_nothing(sequence: str) -> None:
    async with terminal() as (shell, pilot, rows):
        shell.feed(f"{sequence}still here")
        await until(pilot, lambda: True)
        assert any("still here" in row for row in await rows())


async def test_links_lead_to_pages_only() -> None:
    async with terminal() as (shell, _pilot, rows):
        shell.feed(
            "\x1b]8;;javascript:a\x9c\x9b31m\x07one\x1b]8;;\x07 \x1b]8;;https://kubernetes.io\x07two\x1b]8;;\x07"
        )
        assert any("one two" in row for row in await rows())
        links = [part.style.link for y in range(3) for part in shell.render_line(y) if part.style and part.style.link]
        assert links == ["https://kubernetes.io"]
