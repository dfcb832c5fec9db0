"""A terminal that remembers what scrolled off its top. bittty keeps the screen only.

The page of ordinary output hands over each line that leaves it at the top; the alternate screen (vim, less) has none,
as in any terminal. Another width wraps kept lines anew; what is on the screen bittty cuts or leaves as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from bittty.video import CONTINUATION, Video, WideHead
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual_tty import Terminal
from textual_tty.widget import TerminalChrome

from kuartui.tui.text import clean
from kuartui.tui.widgets.tamed import tame

INTERRUPT = "\x03"
CANNOT_RUN = 126  # as shells count
LINES = 2000  # as many are remembered: 0.5 MiB of ordinary output, 11 MiB where each of 20 words a line has its colour
WHEEL = 3  # lines for one notch
CLEAR_KEPT = 3  # of ED, which `clear` sends, too

Line = tuple[tuple[Any, str], ...]  # runs: a style of bittty, and the text in it


def runs(row: Sequence[tuple[Any, str]], blank: object = None, *, only_blank: bool = False) -> Line:
    """A row of cells without the blank ones at its end, most of which are `blank` itself; with `only_blank`, spaces
    that were written stay. The second cell of a wide character is empty text."""
    end = len(row)
    while end and ((last := row[end - 1]) is blank or (not only_blank and last[1] == " " and last[0] == _PLAIN)):
        end -= 1
    return tuple((style, "".join(text for _, text in cells)) for style, cells in groupby(row[:end], itemgetter(0)))


def cells(line: Line, width: int) -> list[tuple[Any, str]]:
    """A line as a row of at most so many cells: the other way round than `runs`."""
    row: list[tuple[Any, str]] = []
    for style, text in line:
        for letter in text:
            size = cell_len(letter)
            if not size and row:  # it combines with the one before
                style_before, before = row[-1]
                row[-1] = (style_before, before + letter)
            elif len(row) + size <= width:
                row += [(style, WideHead(letter)), (style, CONTINUATION)] if size == 2 else [(style, letter)]
    return row


_PLAIN = Video(1, 1).grid[0][0][0]
_NO_STYLE = Style.null()


def wrapped(line: Line, width: int) -> list[Line]:
    """A line in rows of at most so many cells."""
    if sum(cell_len(text) for _, text in line) <= width:
        return [line]
    rows: list[list[tuple[Any, str]]] = [[]]
    room = width
    for style, text in line:
        begin = 0
        while text.isascii() and begin < len(text):  # by far the most, and quicker in whole rows
            if room <= 0:  # below it after a wide letter in one column
                rows.append([])
                room = width
            rows[-1].append((style, text[begin : begin + room]))
            begin, room = begin + len(rows[-1][-1][1]), room - len(rows[-1][-1][1])
        if begin:
            continue
        for end, size in enumerate(map(cell_len, text)):
            if size > room:
                if text[begin:end]:
                    rows[-1].append((style, text[begin:end]))
                rows.append([])
                begin, room = end, width
            room -= size
        if text[begin:]:
            rows[-1].append((style, text[begin:]))
    return [tuple(row) for row in rows]


def styled(strip: Strip) -> Strip:
    """The same with a style for blanks that have none: Textual's filter for NO_COLOR fails without one."""
    if all(segment.style is not None for segment in strip):
        return strip
    return Strip([Segment(text, style or _NO_STYLE, control) for text, style, control in strip], strip.cell_length)


class Page(Video):  # type: ignore[misc]
    """Ordinary output. `gone` are the lines that left it at the top, the oldest first; `count`, how many ever did;
    `goes_on`, for each whether the next one is its rest."""

    def __init__(self, width: int, height: int, policy: Any) -> None:
        super().__init__(width, height, policy)
        self.gone: deque[Line] = deque(maxlen=LINES)
        self.goes_on: deque[bool] = deque(maxlen=LINES)
        self.count = 0
        self._places: dict[int, int] = {}  # numbers of lines before they were wrapped anew, and after

    def scroll_region_up(self, top: int, bottom: int, count: int) -> None:
        self._keep(top, bottom, count)
        super().scroll_region_up(top, bottom, count)

    def scroll_rectangle_up(
        self, top: int, bottom: int, count: int, *, left: int = 0, right: int | None = None, style_or_ansi: Any = None
    ) -> None:
        if left == 0 and right == self.width - 1:  # with None for right, it is a region, which comes by above
            self._keep(top, bottom, count)
        super().scroll_rectangle_up(top, bottom, count, left=left, right=right, style_or_ansi=style_or_ansi)

    def _keep(self, top: int, bottom: int, count: int) -> None:
        if top == 0 and bottom < self.height:
            for y, row in enumerate(self.grid[: min(count, bottom + 1)]):
                self.goes_on.append(self.wrapped_lines[y])
                self.gone.append(runs(row, self._empty_cell, only_blank=self.wrapped_lines[y]))
                self.count += 1

    def give_back(self, count: int) -> None:
        """As many of the lines that left last come back at the top; what is at the bottom goes for them."""
        self.scroll_down(count)
        for y in range(count - 1, -1, -1):
            row, goes_on = cells(self.gone.pop(), self.width), self.goes_on.pop()
            self.grid[y] = row + [self._empty_cell] * (self.width - len(row))
            self.set_line_wrapped(y, goes_on)
        self.count -= count

    def clear_gone(self) -> None:
        self.gone.clear()
        self.goes_on.clear()

    def resize(self, width: int, height: int) -> None:
        self._places.clear()
        if width != self.width:
            self._wrap_anew(width)
        super().resize(width, height)

    def _wrap_anew(self, width: int) -> None:
        first = self.count - len(self.gone)
        rows, goes_on = list(self.gone), list(self.goes_on)
        self.clear_gone()
        self.count, start = first, 0
        for end, more in enumerate(goes_on):
            if more and end + 1 < len(rows):
                continue
            whole = tuple(run for row in rows[start : end + 1] for run in row)
            parts = wrapped(whole, width)
            before = 0  # cells of the line in the rows until here
            for at in range(start, end + 1):
                self._places[first + at] = self.count + min(before // width, len(parts) - 1)
                before += sum(cell_len(text) for _, text in rows[at])
            self.gone.extend(parts)
            self.goes_on.extend([*[True] * (len(parts) - 1), more])
            self.count += len(parts)
            start = end + 1

    def renumbered(self, number: int) -> int:
        """Which line this one has become by the last resize."""
        return self._places.get(number, number)


def _to_pages(strip: Strip) -> Strip:
    """With those links of a program alone that lead to a web page: the player's terminal opens whatever it is told."""

    def harmless(style: Style | None) -> Style | None:
        link = style.link if style else None
        fine = not link or (link.startswith(("https://", "http://")) and link.isprintable())
        return style if style is None or fine else style.update_link(None)

    if not any(style and style.link for _, style, _ in strip):
        return strip
    return Strip([Segment(text, harmless(style), control) for text, style, control in strip], strip.cell_length)


LONGEST_NOTE = 200  # characters


class Chrome(TerminalChrome):  # type: ignore[misc]
    """bittty renamed this hook after textual-tty 0.4.0, which so never hears that a program takes the mouse."""

    def on_mouse_capture(self, mode: str) -> None:
        taken = self.board.modes.mouse_protocol.name != "OFF"  # else it is for the arrows that the wheel stands for
        self.widget.mouse_mode = mode if taken else "off"

    def on_cwd(self, cwd: str) -> None:
        """Nobody asks for it here, and one that is no URL would end the app."""

    def on_notify(self, text: str) -> None:
        """The same output is shown as it is, and as long as a note is."""
        self.widget.app.notify(clean(text)[:LONGEST_NOTE], markup=False)


class ScrollingTerminal(Terminal):  # type: ignore[misc]
    """`look(lines)` goes back (or, below zero, forth) in what was; whatever is typed returns to the end."""

    CHROME = Chrome
    _exited: bool  # the library's: whether it was told that the program has ended

    class Looked(Message):
        """How many lines above the end it shows, and how many there are above."""

        def __init__(self, back: int, kept: int) -> None:
            super().__init__()
            self.back, self.kept = back, kept

    def __init__(self, command: list[str]) -> None:
        super().__init__(command=command)
        self._unsent = b""
        self.board.host.write = self._send
        tame(self.board)
        blitter = self.board.blitter
        self.page = Page(self.board.width, self.board.height, self.board.width_policy)
        blitter.primary_buffer = blitter.current_buffer = self.page
        self._clear_screen = blitter.clear_screen
        blitter.clear_screen = self._clear
        self._top: int | None = None  # the first line shown, by its number; None: whatever is the end
        self._told = (0, 0)
        self.selected: Selection | None = None  # cells, the last one not included

    def _clear(self, mode: int = 0) -> None:
        if mode == CLEAR_KEPT:
            self.page.clear_gone()
        self._clear_screen(mode)

    # What goes to the program

    def _send(self, text: str, flush: bool = False) -> None:
        """All of it, as fast as the program reads: a pseudo-terminal takes some kilobytes at a time, and the library
        would lose the rest of a paste."""
        if text == INTERRUPT:  # it is not to be read any more
            self._unsent = b""
        self._unsent += text.encode(errors="replace")
        self._go_on_sending()

    def _go_on_sending(self) -> None:
        pty = self.board.pty
        if pty is None or pty.closed:  # nobody is there
            self._unsent = b""
            return
        try:
            self._unsent = self._unsent[pty.write_bytes(self._unsent) :]
        except OSError:  # nor any more
            self._unsent = b""

    # Looking back

    @property
    def fills_screen(self) -> bool:
        """Whether a program has the whole screen, where nothing scrolls off."""
        return bool(self.board.blitter.in_alt_screen)

    @property
    def kept(self) -> int:
        """Lines above the screen."""
        return 0 if self.fills_screen else len(self.page.gone)

    @property
    def back(self) -> int:
        """Lines between what is shown and the end. The same lines stay in sight while more output comes."""
        return 0 if self._top is None else max(0, min(self.page.count - self._top, self.kept))

    def look(self, lines: int) -> None:
        """So many lines further back."""
        back = max(0, min(self.back + lines, self.kept))
        if back != self.back:
            self._top = self.page.count - back if back else None
            self.deselect()  # it is of places on the screen, not of the text
            self.refresh()
            self._tell()

    def _tell(self) -> None:
        told = (self.back, self.kept if self.back else 0)
        if told != self._told:
            self._told = told
            self.post_message(self.Looked(*told))

    def _tick(self) -> None:
        if self._process is None and not self._exited:  # it could not even begin
            self._exited = True
            self.post_message(self.ProcessExited(CANNOT_RUN))
        if self._unsent:
            self._go_on_sending()
        if self._top is not None:
            if not self.back:
                self._top = None  # a program took the screen, or what was kept is cleared
            if self._dirty or self._top is None:
                self.refresh()  # rows of the page are elsewhere, or were
            self._tell()
        super()._tick()

    # What is shown

    def _line(self, y: int) -> Line:
        """Looking back: the line at this place."""
        gone, index = self.page.gone, self.kept - self.back + y
        if index < len(gone):
            return gone[index]
        grid = self.page.grid
        return runs(grid[index - len(gone)]) if index - len(gone) < len(grid) else ()

    def render_line(self, y: int) -> Strip:
        strip = styled(_to_pages(super().render_line(y) if not self.back else self._earlier_line(y)))
        span = self.selected.get_span(y) if self.selected is not None else None
        if span is None:
            return strip
        start, end = span[0], self.size.width if span[1] == -1 else span[1]
        before, chosen, after = strip.divide([start, end, self.size.width])
        mark = self._of_selected()
        marked = [Segment(text, (style or _NO_STYLE) + mark) for text, style, _ in chosen]
        return Strip.join([before, Strip(marked, chosen.cell_length), after])

    def _of_selected(self) -> Style:
        """The theme's; where that is transparent, the text keeps its colours, which Rich has no word for."""
        style = self.screen.get_component_rich_style("screen--selection")
        return Style(bgcolor=style.bgcolor) if style.color == style.bgcolor else style

    def _earlier_line(self, y: int) -> Strip:
        strip = Strip([Segment(text, self._to_rich(style)) for style, text in self._line(y)])
        return strip.adjust_cell_length(self.size.width)

    def deselect(self) -> None:
        """Nothing is selected any more."""
        if self.selected is not None:
            self.selected = None
            self.refresh()

    def _cursor_shown(self) -> bool:
        return not self.back and super()._cursor_shown()

    # What leads there and away

    def _wheel(self, event: events.MouseEvent, button: int, arrow: str) -> None:
        if self.mouse_mode != "off":
            super()._wheel(event, button, arrow)
            return
        event.stop()
        if not self.fills_screen:
            self.look(WHEEL if arrow == "up" else -WHEEL)
            return
        for _ in range(WHEEL):  # less and vi know no wheel, and expect terminals to press arrows for it
            self.board.display.input_key(arrow)

    def on_paste(self, event: events.Paste) -> None:  # the library's own handler runs after this one
        self.look(-LINES)

    def on_click(self, event: events.Click) -> None:
        event.prevent_default()  # with Ctrl it would have a browser open whatever a link says, perhaps in our terminal

    def on_resize(self, event: events.Resize) -> None:
        event.prevent_default()  # the base class's handler runs, too, and would count the border in
        size = self.content_size
        if size.width and size.height:
            self._make_room(size.height)
            before = self.board.height
            self.board.resize(size.width, size.height)
            self._take_back(size.height - before)
            if self._top is not None:
                self._top = self.page.renumbered(self._top)
            self._dirty = True  # the pane was painted at its new size before its rows moved

    def _take_back(self, rows: int) -> None:
        """When the screen gets higher: have what left it last in the new rows, as other terminals do."""
        count = 0 if self.fills_screen else min(rows, len(self.page.gone))
        if count > 0:
            self.page.give_back(count)
            self.board.cursor.y += count

    def _make_room(self, height: int) -> None:
        """Before the screen gets lower: scroll until the cursor's line still is on it, as xterm does. bittty would cut
        off what is at the bottom, where the player is typing."""
        excess = self.board.cursor.y - height + 1
        if excess > 0 and not self.fills_screen:
            self.page.scroll_region_up(0, self.page.height - 1, excess)
            self.board.cursor.y -= excess
