"""The footer: at most six keys that work here and now, from the table of keys. Each can be clicked. A seventh, which
shows what scrolled off the terminal, is there while it does something, where there is room; and where a place has few
keys of its own, the way to all commands and the way out. The way back is told where nothing else leads on."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from kuartui.translate import tr
from kuartui.tui import keys
from kuartui.tui.keys import Key
from kuartui.tui.text import join, plain

LOOK = 0.5  # seconds between two looks which keys do something
ROOMY = 80  # columns
MOST = 6  # keys


class KeyCap(Static):
    """One key and its word."""

    def __init__(self, key: Key) -> None:
        face = join(plain(f" {key.shown} ", "bold $footer-key-foreground"), plain(f"{tr(key.word)} "))
        super().__init__(face, classes="keycap")
        self.key = key
        self.tooltip = plain(tr(key.help))

        self.display = key.place != "shell" and not key.spare

    def tell(self, reason: str) -> None:
        """Dimmed, with the reason, while the key does nothing here and now."""
        self.set_class(bool(reason), "-off")
        if self.key.place == "shell" or self.key.spare:
            self.display = not reason and self.app.size.width >= ROOMY
        self.tooltip = plain(reason or tr(self.key.help))

    async def on_click(self) -> None:
        owner = self.app if self.key.place == "everywhere" and self.key.action != "back" else self.screen
        await self.app.run_action(self.key.action, default_namespace=owner)


class KeyBar(Horizontal):
    """The keys of a place, its own first."""

    def __init__(self, place: str) -> None:
        super().__init__(id="keys")
        self._place = place

    def on_mount(self) -> None:
        self.set_interval(LOOK, self._look)
        self._look()

    def on_resize(self) -> None:
        self._look()

    def _look(self) -> None:
        screen = self.screen
        if screen in self.app.screen_stack and isinstance(screen, keys.Explains):  # or it is being taken down
            for cap in self.query(KeyCap):
                cap.tell(screen.why_not(cap.key.action))

    def compose(self) -> ComposeResult:
        shown = [key for key in keys.of(self._place) if key.footer or key.told == self._place]
        own = sum(key.place != "shell" and not key.told for key in shown)
        shown += [key for key in keys.of(self._place) if key.spare][: max(0, MOST - own)]
        for key in sorted(shown, key=lambda key: key.place == "shell"):
            yield KeyCap(key)
