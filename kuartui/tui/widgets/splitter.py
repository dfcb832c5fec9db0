"""The bar between two panes: drag it, or use the keys of the focused pane."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widget import Widget


class Splitter(Widget):
    """Tells by how many cells it was dragged."""

    class Dragged(Message):
        def __init__(self, columns: int, rows: int) -> None:
            super().__init__()
            self.columns, self.rows = columns, rows

    _held: tuple[float, float] | None = None

    def render(self) -> str:
        return ""

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._held = (event.screen_x, event.screen_y)
        self.capture_mouse()
        event.stop()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self.release_mouse()
        self._held = None
        event.stop()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._held is not None and self._held != (event.screen_x, event.screen_y):
            columns, rows = event.screen_x - self._held[0], event.screen_y - self._held[1]
            self._held = (event.screen_x, event.screen_y)
            self.post_message(self.Dragged(round(columns), round(rows)))
            event.stop()
