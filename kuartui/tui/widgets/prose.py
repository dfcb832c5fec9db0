"""Running text, wrapped as its script wants it: between words in English, between characters in Chinese.

Textual wraps at blanks, and Chinese has none.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from kuartui.prose import paragraphs, wrapped
from kuartui.tui.text import clean, is_listing, plain

Block = Content | str  # content keeps its lines; strings are running text


class Prose(Widget):
    """Blocks below each other; a string is wrapped to the widget's width, content stays as it is."""

    DEFAULT_CSS = "Prose { height: auto; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._blocks: tuple[Block, ...] = ()

    def show(self, *blocks: Block) -> None:
        """Replace what is shown."""
        if blocks != self._blocks:
            self._blocks = blocks
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._content(width).get_height({}, width) if self._blocks else 0

    def render(self) -> Content:
        return self._content(self.content_size.width or 80)

    def _content(self, width: int) -> Content:
        return Content("\n").join(_block(block, width) for block in self._blocks)


def _block(block: Block, width: int) -> Content:
    return block if isinstance(block, Content) else plain("\n".join(lines(block, max(width, 10))))


def lines(text: str, width: int) -> Iterable[str]:
    """A level's text in lines; lists and indented code keep their own."""
    for index, part in enumerate(clean(text).strip("\n").split("\n\n")):
        if index:
            yield ""
        if is_listing(part):
            for line in part.split("\n"):
                yield from wrapped(line, width) if not line.startswith("    ") else [line]
        else:
            yield from paragraphs(part, width)
