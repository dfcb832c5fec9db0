"""Many lines of text, of which only those on the screen are ever rendered.

Scrolling, a cursor where lines can be chosen, and search. What is shown may be replaced ten times a second: that costs
no layout, since every line is one cell high.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

MORE = "…"  # in place of the last cell of what goes on


def _marked(strip: Strip, before: bool, after: bool, style: Style) -> Strip:
    """The strip, with a mark at the side where text is left out."""
    width, sign = strip.cell_length, Strip([Segment(MORE, style)], 1)
    if before and width:
        strip = Strip.join([sign, strip.crop(1, width)])
    if after and width:
        strip = Strip.join([strip.crop(0, width - 1), sign])
    return strip


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
        shown = strip.crop_extend(scroll_x, scroll_x + width, style.rich_style)
        return _marked(shown, bool(scroll_x), line.cell_length > scroll_x + width, style.rich_style)


class Choices(Lines):
    """Lines of which those with a key can be chosen, several in a row with the same one together; the cursor stays on
    its key when lines come and go."""

    DEFAULT_CSS = "Choices { scrollbar-size-horizontal: 0; }"  # the arrow keys still move it

    class Chosen(Message):
        """Enter, or a second click on the same key."""

        def __init__(self, key: object) -> None:
            super().__init__()
            self.key = key

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._keys: list[object | None] = []
        self._cursor = 0
        self._clicked: object | None = None
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
        """The next line that can be chosen and is the first with its key, else the nearest the other way."""
        count = len(self._keys)
        forward = range(max(index, 0), count) if step > 0 else range(min(index, count - 1), -1, -1)
        backward = range(min(index, count - 1), -1, -1) if step > 0 else range(max(index, 0), count)
        return next((at for at in (*forward, *backward) if self._begins(at)), 0)

    def _begins(self, line: int) -> bool:
        key = self._keys[line]
        return key is not None and (line == 0 or self._keys[line - 1] != key)

    def style_of(self, line: int) -> str:
        chosen = line < len(self._keys) and self.chosen is not None and self._keys[line] == self.chosen
        return "lines--cursor" if self.has_focus and chosen else ""

    def move(self, by: int) -> None:
        """The cursor, so many lines."""
        if self._keys:
            self.go(self._near(self._cursor + by, 1 if by > 0 else -1))

    def go(self, line: int) -> None:
        """The cursor to what this line is of; with its heading and all its lines in sight, as far as there is room."""
        if 0 <= line < len(self._keys) and self._keys[line] is not None:
            self.chosen = self._keys[line]
            self._cursor = first = self._keys.index(self.chosen)
            last = first + sum(key == self.chosen for key in self._keys) - 1
            top = first - 1 if first and self._keys[first - 1] is None else first
            rows = min(last - top + 1, max(1, self.scrollable_content_region.height))
            self.scroll_to_region(Region(self.scroll_offset.x, top, 1, rows), animate=False, immediate=True)
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
        place = event.get_content_offset(self)  # the event's own counts the border in
        line = self.scroll_offset.y + place.y if place is not None else -1
        key = self._keys[line] if 0 <= line < len(self._keys) else None
        if key is None:
            return
        again = key == self.chosen == self._clicked
        self._clicked = key
        self.go(line)
        if again:
            self.post_message(self.Chosen(key))
