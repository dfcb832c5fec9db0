"""One object in full, over the panes: describe, YAML or logs, with search."""

from __future__ import annotations

from collections.abc import AsyncIterator

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from kuartui.errors import KuartuiError
from kuartui.play.detail import MOST_LINES, View
from kuartui.play.observe import Row
from kuartui.translate import tr
from kuartui.tui.text import plain
from kuartui.tui.widgets.lines import Lines

BATCH = 0.1  # seconds between two additions to what is shown


class Detail(Vertical):
    """`open` shows lines as they come; `close` stops the command they come from."""

    def __init__(self) -> None:
        super().__init__(id="detail")
        self.row: Row | None = None
        self._at = 0

    def compose(self) -> ComposeResult:
        yield Static(id="naming")
        yield Lines("fields", follow=True)

    @property
    def text(self) -> str:
        return "\n".join(self.query_one("#fields", Lines).texts)

    def open(self, source: AsyncIterator[str], row: Row, view: View) -> None:
        self.row = row
        self._at = 0
        pane = self.query_one("#fields", Lines)
        pane.border_title = plain(f"{view} {row.resource}/{row.name}")
        pane.show([plain(f"… {tr('asking kubectl')}", "$text-muted")])
        keys = tr("d describe  y YAML  l logs  / search  n next  c copy  Esc back")
        self.query_one("#naming", Static).update(plain(keys))
        pane.scroll_home(animate=False)
        self.screen.set_focus(pane)
        self._read(source, follow=view == "logs")

    def close(self) -> None:
        self.workers.cancel_group(self, "detail")
        self.row = None

    def focus_text(self) -> None:
        self.screen.set_focus(self.query_one("#fields"))

    @work(exclusive=True, group="detail")
    async def _read(self, source: AsyncIterator[str], *, follow: bool) -> None:
        import asyncio

        pane = self.query_one("#fields", Lines)
        lines: list[str] = []
        fresh = asyncio.Event()
        ended = False

        async def collect() -> None:
            nonlocal ended
            try:
                async for line in source:
                    lines.append(line)
                    del lines[:-MOST_LINES]
                    fresh.set()
            except KuartuiError as error:
                lines.append(tr(error.message))
            finally:
                ended = True
                fresh.set()

        task = asyncio.ensure_future(collect())
        try:
            while not ended:
                await fresh.wait()
                await asyncio.sleep(0 if ended else BATCH)
                fresh.clear()
                first = len(pane.texts) <= 1
                pane.show([plain(line) for line in lines] or [plain(tr("nothing"), "$text-muted")])
                if first and not follow:
                    pane.scroll_home(animate=False, immediate=True)
                elif first:
                    pane.scroll_end(animate=False, immediate=True)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def search(self, text: str, *, onwards: bool = False) -> None:
        """Scroll to the next line with this text."""
        pane = self.query_one("#fields", Lines)
        found = pane.find(text, self._at if onwards else self._at - 1) if text else None
        if found is not None:
            self._at = found
            pane.scroll_to(y=max(0, found - 2), animate=False, immediate=True)
