"""Many lines of text, of which only those on the screen are ever rendered.

Scrolling, a cursor where lines can be chosen, and search. What is shown may be replaced ten times a second: that costs
no layout, since every line is one cell high.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual


class Lines(ScrollView, can_focus=True):
    """Lines to read. `follow` keeps the end in sight as long as the reader is there."""

    DEFAULT_CSS = "Lines { text-wrap: nowrap; scrollbar-size-horizontal: 1; scrollbar-size-vertical: 1; }"
    COMPONENT_CLASSES = {"lines--cursor"}

    def __init__(self, place: str, *, follow: bool = False) -> None:
        super().__init__(id=place, classes="pane")
        self._shown: list[Content] = []
        self._follow = follow

    @property
    def texts(self) -> list[str]:
        """What is there, without styles."""
        return [line.plain for line in self._shown]

    def show(self, lines: Sequence[Content]) -> None:
        """Replace all lines."""
        at_end = self.scroll_offset.y >= self.max_scroll_y
        self._shown = list(lines)
        self._measure()
        if self._follow and at_end:
            self.scroll_end(animate=False, immediate=True)
        self.refresh()

    def add(self, lines: Sequence[Content], most: int) -> None:
        """Append; beyond `most` lines the oldest go."""
        self.show((self._shown + list(lines))[-most:])

    def _measure(self) -> None:
        width = max((line.cell_length for line in self._shown), default=0)
        size = Size(width, len(self._shown))
        if size != self.virtual_size:
            self.virtual_size = size

    def find(self, text: str, start: int, step: int = 1) -> int | None:
        """The next line with this text, after line `start`, around the end."""
        wanted, count = text.lower(), len(self._shown)
        for distance in range(1, count + 1):
            index = (start + step * distance) % count
            if wanted in self._shown[index].plain.lower():
                return index
        return None

    def style_of(self, line: int) -> str:
        """The component class of a line."""
        return ""

    def render_line(self, y: int) -> Strip:
        scroll_x, scroll_y = self.scroll_offset
        index, width = scroll_y + y, self.scrollable_content_region.width
        component = self.style_of(index)
        style = self.get_visual_style(component) if component else self.visual_style
        if index >= len(self._shown):
            return Strip.blank(width, style.rich_style)
        line = self._shown[index]
        strips = Visual.to_strips(self, line, max(width + scroll_x, line.cell_length), 1, style)
        strip = strips[0] if strips else Strip.blank(width, style.rich_style)
        return strip.crop_extend(scroll_x, scroll_x + width, style.rich_style)


class Choices(Lines):
    """Lines of which those with a key can be chosen; the cursor stays on its key when lines come and go."""

    DEFAULT_CSS = "Choices { scrollbar-size-horizontal: 0; }"  # the arrow keys still move it

    class Chosen(Message):
        """Enter, or a second click on the same line."""

        def __init__(self, key: object) -> None:
            super().__init__()
            self.key = key

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._keys: list[object | None] = []
        self._cursor = 0
        self.chosen: object | None = None

    def offer(self, lines: Sequence[tuple[Content, object | None]]) -> None:
        """Replace all lines; those with None are headings."""
        self._keys = [key for _, key in lines]
        if self.chosen in self._keys and self.chosen is not None:
            self._cursor = self._keys.index(self.chosen)
        else:
            self._cursor = self._near(min(self._cursor, len(lines) - 1), 1)
            self.chosen = self._keys[self._cursor] if self._keys else None
        self.show([line for line, _ in lines])

    def _near(self, index: int, step: int) -> int:
        """The next line that can be chosen, else the nearest the other way."""
        count = len(self._keys)
        forward = range(max(index, 0), count) if step > 0 else range(min(index, count - 1), -1, -1)
        backward = range(min(index, count - 1), -1, -1) if step > 0 else range(max(index, 0), count)
        return next((at for at in (*forward, *backward) if self._keys[at] is not None), 0)

    def style_of(self, line: int) -> str:
        return "lines--cursor" if self.has_focus and line == self._cursor and self.chosen is not None else ""

    def move(self, by: int) -> None:
        """The cursor, so many lines."""
        if self._keys:
            self.go(self._near(self._cursor + by, 1 if by > 0 else -1))

    def go(self, line: int) -> None:
        if 0 <= line < len(self._keys) and self._keys[line] is not None:
            self._cursor, self.chosen = line, self._keys[line]
            top = max(0, line - 1) if line and self._keys[line - 1] is None else line
            self.scroll_to_region(Region(self.scroll_offset.x, top, 1, line - top + 1), animate=False, immediate=True)
            self.refresh()

    def on_key(self, event: events.Key) -> None:
        page = max(1, self.scrollable_content_region.height - 1)
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page, "pagedown": page}
        steps |= {"home": -len(self._keys), "end": len(self._keys)}
        if event.key in steps:
            self.move(steps[event.key])
        elif event.key == "enter" and self.chosen is not None:
            self.post_message(self.Chosen(self.chosen))
        else:
            return
        event.stop()
        event.prevent_default()

    def on_click(self, event: events.Click) -> None:
        line = self.scroll_offset.y + event.y
        again = line == self._cursor
        self.go(line)
        if again and self.chosen is not None and line < len(self._keys) and self._keys[line] is not None:
            self.post_message(self.Chosen(self.chosen))
