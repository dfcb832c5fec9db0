"""How the play screen's panes are laid out: which are there, where, and how large; chosen by size and by key.

side      task and cluster at the left, the terminal at the right; below 100 columns there is no room for that
stacked   above each other; with less than 110 columns the task, the cluster and the timeline take turns
terminal  the terminal alone, under the clock: for a while, an editor's for example
checks    no terminal, for those who have their own beside it
"""

from __future__ import annotations

from typing import Any

from textual.screen import Screen

from kuartui.message import later

LAYOUTS = {
    "side": later("side by side"),
    "stacked": later("stacked"),
    "terminal": later("terminal only"),
    "checks": later("checks only"),
}
VIEWS = ("task", "cluster", "timeline")
ROOM_BESIDE = 100  # columns that two panes side by side need
ROOM_FOR_TWO = 110  # columns from which task and cluster fit beside each other
TALL = 34  # rows from which they fit above each other
LEAST_COLUMNS, LEAST_TERMINAL = 24, 40
LEAST_ROWS = 5


class Arrangement:
    """Of one screen. `view` is what the left pane shows where there is room for one, `second` below the task where
    there is room for two. Sizes are None until the player chose some."""

    def __init__(self) -> None:
        self.layout = "side"
        self.view = "task"
        self.second = "cluster"
        self.columns: int | None = None
        self.rows: int | None = None

    @classmethod
    def remembered(cls, memory: dict[str, str]) -> Arrangement:
        """As it was last time; what makes no sense is left out. The terminal alone is not for a beginning, which is to
        show what to do."""
        made = cls()
        layout, columns, rows = (memory.get(name, "") for name in ("layout", "columns", "rows"))
        made.layout = layout if layout in LAYOUTS and layout != "terminal" else made.layout
        made.columns = int(columns) if columns.isdecimal() else None
        made.rows = int(rows) if rows.isdecimal() else None
        return made

    def memory(self) -> dict[str, str]:
        """What to remember; nothing about sizes that nobody chose."""
        chosen = {"columns": self.columns, "rows": self.rows}
        return {"layout": self.layout, **{name: str(size) for name, size in chosen.items() if size is not None}}

    @property
    def shell_shown(self) -> bool:
        return self.layout != "checks"

    @property
    def sizable(self) -> bool:
        """Whether there is a bar to move."""
        return self.layout in ("side", "stacked")

    def next_layout(self, columns: int) -> None:
        """The one after, of those that look different in so many columns."""
        names = [name for name in LAYOUTS if name != "stacked" or self.layout == name or columns >= ROOM_BESIDE]
        self.layout = names[(names.index(self.layout) + 1) % len(names)]

    def shape(self, columns: int) -> str:
        """The layout as it looks in so many columns."""
        return "stacked" if self.layout == "side" and columns < ROOM_BESIDE else self.layout

    def show(self, view: str) -> None:
        """Have this pane in sight."""
        self.view = view
        if view != "task":
            self.second = view

    def resize(self, screen: Screen[Any], columns: int, rows: int) -> None:
        """The left (upper) pane, by so many cells."""
        size = screen.query_one("#left").outer_size
        if self._above(screen):
            self.rows = self._fit_rows(screen, size.height + rows)
        else:
            self.columns = self._fit_columns(screen, size.width + columns)

    def apply(self, screen: Screen[Any]) -> None:
        """Put the panes where they belong."""
        above, width, height = self._above(screen), screen.size.width, screen.size.height
        both = width >= ROOM_FOR_TWO if above or self.layout == "checks" else height >= TALL
        for name in LAYOUTS:
            screen.set_class(name == self.layout, f"-{name}")
        screen.set_class(above, "-rows")
        screen.set_class(both, "-both")
        screen.set_class(width < ROOM_BESIDE, "-tight")
        for name in VIEWS:
            second = both and name == self.second
            screen.query_one(f"#{name}").display = name == self.view or second or (both and name == "task")
            if both and name == self.view and name not in ("task", self.second):
                screen.query_one(f"#{name}").display = False
        left = screen.query_one("#left")
        left.styles.width = left.styles.height = None
        if self.layout == "checks":
            return
        if above:
            left.styles.height = self._fit_rows(screen, self.rows or round(height * (0.4 if height < TALL else 0.45)))
        else:
            left.styles.width = self._fit_columns(screen, self.columns or (46 if width < 140 else round(width * 0.4)))

    def _above(self, screen: Screen[Any]) -> bool:
        return self.layout == "stacked" or (self.layout != "checks" and screen.size.width < ROOM_BESIDE)

    def _fit_columns(self, screen: Screen[Any], columns: int) -> int:
        return max(LEAST_COLUMNS, min(columns, screen.size.width - LEAST_TERMINAL))

    def _fit_rows(self, screen: Screen[Any], rows: int) -> int:
        return max(LEAST_ROWS, min(rows, screen.size.height - 2 - LEAST_ROWS))
