"""What programs print in the terminal pane does nothing to the player's own terminal."""

from __future__ import annotations

import base64

import pytest

from kuartui.tui.widgets.scrollback import ScrollingTerminal, wrapped
from tests.tui.golden import until
from tests.tui.test_scrollback import terminal


def written(shell: ScrollingTerminal, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the program is sent from now on."""
    sent: list[str] = []

    def write(data: bytes) -> int:
        sent.append(data.decode())
        return len(data)

    assert shell.board.pty is not None
    monkeypatch.setattr(shell.board.pty, "write_bytes", write)
    return sent


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


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b]0;touch /tmp/x\r\x07\x1b[21t\x1b[20t",  # the title
        "\x1bP$q\rtouch /tmp/x\r\x1b\\",  # a setting that there is not
        "\x1bP+q41\r42\x1b\\",  # a capability
        "\x1b]50;touch /tmp/x\r\x07\x1b]50;?\x07",  # the font
        "\x1b]52;c;dG91Y2g=\x07\x1b]52;c;?\x07",  # the clipboard
        "\x1bP0;1|23/746f7563680d\x1b\\",  # what F11 types
    ],
)
async def test_output_types_nothing(sequence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer in the output's own words would be typed into the shell, some of them with Enter."""
    async with terminal() as (shell, pilot, _rows):
        sent = written(shell, monkeypatch)
        shell.feed(sequence)
        shell.focus()
        await pilot.press("f11")
        assert sent == ["\x1b[23~"]


async def test_questions_about_the_terminal_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal() as (shell, _pilot, _rows):
        sent = written(shell, monkeypatch)
        shell.feed("\x1b[6n\x1b[c\x1b[>c\x1b[18t\x1b[?2026$p\x1b]11;?\x07\x1bP$qm\x1b\\\x1bP$q q\x1b\\\x1b[>q")
        assert len(sent) == 9
        assert sent[0] == "\x1b[1;1R"


@pytest.mark.parametrize(
    "sequence", ["\x1b[8;30;200t", "\x1b[99999999t", "\x1b[132$|", "\x1b[?40h\x1b[?3h", "\x1b[5i", "\x1b[?5i"]
)
async def test_output_changes_neither_the_size_nor_where_it_goes(sequence: str) -> None:
    async with terminal() as (shell, _pilot, rows):
        shell.feed(f"{sequence}still here")
        assert (shell.board.width, shell.board.height) == (40, 10)
        assert any("still here" in row for row in await rows())


@pytest.mark.parametrize("begin", ["\x1b]0;", "\x1bX", "\x1bP", "\x1b_"])
async def test_a_string_without_an_end_ends_at_the_next_colour(begin: str) -> None:
    async with terminal() as (shell, _pilot, rows):
        shell.feed(f"{begin}never")
        shell.feed("ended\r\n")
        shell.feed("\x1b[1;36mprompt\x1b[0m $ ")
        assert (await rows())[0] == "prompt $"


async def test_a_string_without_an_end_takes_no_memory() -> None:
    async with terminal() as (shell, _pilot, rows):
        shell.feed("\x1bX")
        for _ in range(40):
            shell.feed("y" * 65536)
        shell.feed("\r\nstill here")
        assert len(shell.board.parser.buffer) < 1 << 20
        assert any("still here" in row for row in await rows())


@pytest.mark.parametrize("final", ["b", "I", "Z", "S", "@", "L", " @"])
async def test_what_a_sequence_counts_ends(final: str) -> None:
    async with terminal() as (shell, _pilot, rows):
        shell.feed(f"a\x1b[99999999{final}\x1b[5;1Hstill here")
        assert any("still here" in row for row in await rows())


@pytest.mark.parametrize(
    "sequence", ["\x1b]²;x\x07", "\x1b[99999999$x", "\x1b[=1;5;2026;?;9${", f"\x1b[{'9' * 5000}m", "\x1bP²|²/x\x1b\\"]
)
async def test_what_makes_no_sense_leaves_the_shell_alone(sequence: str) -> None:
    async with terminal() as (shell, pilot, _rows):
        shell.focus()
        shell.board.host.write(sequence)  # which comes back
        await pilot.press(*"still")
        await until(pilot, lambda: "still" in "".join(text for row in shell.page.grid for _, text in row))
        assert shell.board.process is not None


async def test_a_link_opens_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    async with terminal() as (shell, pilot, _rows):
        shell.feed("\x1b]8;;file:///etc/passwd\x07link\x1b]8;;\x07")
        await pilot.pause(0.1)
        await pilot.click(shell, offset=(1, 0), control=True)
        assert opened == []


def test_one_column_is_enough_for_wide_letters() -> None:
    assert "".join(text for row in wrapped(((None, "中ab"),), 1) for _, text in row) == "中ab"
