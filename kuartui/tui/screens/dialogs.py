"""Dialogs: a question with Cancel focused, and the help made from the table of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from kuartui.translate import tr
from kuartui.tui.keys import Key
from kuartui.tui.text import join, lines, plain


class Confirm(ModalScreen[bool]):
    """Asks before something that cannot be taken back."""

    BINDINGS = [Binding("escape", "dismiss(False)", tr("Cancel")), Binding("left,right", "app.focus_next", show=False)]

    def __init__(self, question: str, yes: str) -> None:
        super().__init__()
        self.question, self._yes = question, yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(plain(self.question))
            with Horizontal(classes="buttons"):
                yield Button(plain(tr("Cancel")), id="no")
                yield Button(plain(self._yes), id="yes", variant="warning")

    def on_mount(self) -> None:
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


class Help(ModalScreen[None]):
    """All keys that work here."""

    BINDINGS = [Binding("escape,f1,question_mark,q", "dismiss(None)", tr("Close"))]

    def __init__(self, title: str, keys: Sequence[Key], about: str) -> None:
        super().__init__()
        self._heading, self._rows, self._about = title, keys, about

    def compose(self) -> ComposeResult:
        width = max(8, *(len(key.shown) + 1 for key in self._rows))
        rows = [join(plain(f"{key.shown:<{width}}", "bold $text-accent"), plain(tr(key.help))) for key in self._rows]
        with Vertical(classes="dialog help"):
            yield Static(plain(self._heading, "bold"))
            with VerticalScroll():
                yield Static(lines(plain(self._about), "", *rows))
            yield Static(plain(tr("Esc closes this"), "$text-muted"))

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()


class Trouble(ModalScreen[None]):
    """Something went wrong that the player should know: one sentence and what to do."""

    BINDINGS = [Binding("escape,enter", "dismiss(None)", tr("Close"))]

    def __init__(self, text: str, hint: str) -> None:
        super().__init__()
        self._text, self._hint = text, hint

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(lines(plain(self._text, "bold $text-error"), "", plain(self._hint)))
            with Horizontal(classes="buttons"):
                yield Button(plain(tr("Close")), id="close")

    def on_mount(self) -> None:
        self.query_one("#close").focus()

    def on_button_pressed(self) -> None:
        self.dismiss(None)


class TooSmall(ModalScreen[None]):
    """Covers the screens while the terminal is too small for them; the attempt goes on beneath. What comes above it,
    such as help, stays until it is closed, also where there is `room` again by then."""

    def __init__(self, columns: int, rows: int, room: Callable[[], bool]) -> None:
        super().__init__()
        self._room = room
        self._needed = tr(
            "kuartui needs {columns}x{rows} characters; make the terminal larger", columns=columns, rows=rows
        )

    def compose(self) -> ComposeResult:
        yield Static(plain(self._needed))

    def on_screen_resume(self) -> None:
        if self._room() and self.is_current:  # it may be on its way out already
            self.dismiss(None)
