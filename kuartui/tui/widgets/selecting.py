"""Selecting in a terminal: by cells, words (double click) and lines (triple click); what is selected is copied.

Textual's own selection knows no cells here and would take the whole terminal; and Ctrl-C, which copies elsewhere, is
the shell's. So the mouse copies as it does in tmux.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from textual import events
from textual.geometry import Offset
from textual.message import Message
from textual.selection import Selection

from kuartui.tui.widgets.scrollback import Line, ScrollingTerminal, runs

LEFT = 1
BESIDE_WORDS = frozenset(" \t\"'`()[]{}<>|;,=")  # names, paths, images and addresses are one word


def places(line: Line) -> Iterator[tuple[int, str]]:
    """The characters of a row with the cell that each begins at; what combines with one has the cell after it."""
    cell = 0
    for _, text in line:
        for letter in text:
            yield cell, letter
            cell += cell_len(letter)


def cut(line: Line, start: int, end: int) -> str:
    """What begins in these cells."""
    return "".join(
        letter
        for cell, letter in places(line)
        if start <= cell < end or (cell_len(letter) == 0 and start < cell <= end)
    )


def word(line: Line, at: int) -> tuple[int, int]:
    """From which cell to before which one the word at this cell goes; the same twice where there is none."""
    found = list(places(line))
    here = next((index for index, (cell, letter) in enumerate(found) if cell <= at < cell + cell_len(letter)), None)
    if here is None or found[here][1] in BESIDE_WORDS:
        return at, at
    first = last = here
    while first and found[first - 1][1] not in BESIDE_WORDS:
        first -= 1
    while last + 1 < len(found) and found[last + 1][1] not in BESIDE_WORDS:
        last += 1
    return found[first][0], found[last][0] + cell_len(found[last][1])


class SelectingTerminal(ScrollingTerminal):
    """Tells what was selected as soon as the button is released."""

    class Selected(Message):
        """Text to copy."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, command: list[str]) -> None:
        super().__init__(command)
        self._from: Offset | None = None  # where the button went down

    @property
    def allow_select(self) -> bool:
        """Textual's own way is not for terminals."""
        return False

    def _place(self, event: events.MouseEvent) -> Offset:
        width, height = self.size
        return Offset(max(0, min(event.offset.x, width - 1)), max(0, min(event.offset.y, height - 1)))

    def _select(self, start: Offset, end: Offset) -> None:
        """From one cell to another one, both of them included; either may come first."""
        first, last = sorted((start, end), key=lambda place: (place.y, place.x))
        self.selected = Selection(first, last + (1, 0))
        self.refresh()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button == LEFT and self.mouse_mode == "off":
            self.screen.clear_selection()  # what is selected in another pane
            self.deselect()
            self._from = self._place(event)
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._from is not None:
            self._select(self._from, self._place(event))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._from is not None:
            self._from = None
            self.release_mouse()
            self._tell_selected()

    def on_click(self, event: events.Click) -> None:
        if self.mouse_mode != "off" or event.chain < 2:
            return
        place, width = self._place(event), self.size.width
        if event.chain == 2:
            start, end = word(self._row(place.y), place.x)
            if start < end:
                self._select(Offset(start, place.y), Offset(end - 1, place.y))
        else:
            first = last = place.y
            while first and self._goes_on(first - 1):
                first -= 1
            while last < self.size.height - 1 and self._goes_on(last):
                last += 1
            self._select(Offset(0, first), Offset(width - 1, last))
        self._tell_selected()

    def _tell_selected(self) -> None:
        if text := self.selected_text():
            self.post_message(self.Selected(text))

    # What is there

    def _row(self, y: int) -> Line:
        """The row that is shown at this place; blanks at its end count where the line goes on."""
        page = self.page if self.back else self.board.blitter.current_buffer
        y -= self.back
        if y < 0:
            return self.page.gone[self.kept + y]
        return runs(page.grid[y], page._empty_cell, only_blank=page.is_line_wrapped(y)) if y < page.height else ()

    def _goes_on(self, y: int) -> bool:
        """Whether the line of this row has its rest in the next one."""
        page = self.page if self.back else self.board.blitter.current_buffer
        y -= self.back
        return self.page.goes_on[self.kept + y] if y < 0 else bool(page.is_line_wrapped(y))

    def selected_text(self) -> str:
        """Lines as they were written: those that the width has broken are whole."""
        text, width = "", self.size.width
        for y in range(self.size.height):
            if self.selected is None or (span := self.selected.get_span(y)) is None:
                continue
            start, end = span
            to_end = end == -1 or end >= width
            piece = cut(self._row(y), start, width if to_end else end)
            text += piece if to_end and self._goes_on(y) else piece.rstrip() + "\n"
        return text.strip("\n")
