"""Content that is made for the width that it gets: right from the first frame on, and after each change of it."""

from __future__ import annotations

from collections.abc import Callable

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget


class Fitted(Widget):
    """`content(width)` in that width, or in `least` columns where there are fewer; `refresh(layout=True)` when it has
    changed."""

    DEFAULT_CSS = "Fitted { height: auto; width: 1fr; }"

    def __init__(self, content: Callable[[int], Content], *, least: int, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._content, self._least = content, least

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._content(max(self._least, width)).get_height({}, width)

    def render(self) -> Content:
        return self._content(max(self._least, self.content_size.width))
