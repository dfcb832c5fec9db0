"""What is shown after a bug: one screen that tells what was saved and where the log is, and a way to go on.

An app of its own, since the other one cannot be trusted any more: the message loop of whatever failed is gone.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static
from textual.worker import WorkerFailed

from kuartui import paths
from kuartui.errors import KuartuiError
from kuartui.progress.store import Store
from kuartui.translate import tr, trn
from kuartui.tui import choices, themes
from kuartui.tui.text import lines, plain

LOG = "crash.log"


@dataclass(frozen=True, slots=True)
class Failure:
    """A bug in words: `what` happened, what was `saved`, where the `details` are; the `level` that is in play."""

    what: str
    saved: tuple[str, ...]
    details: str
    level: str = ""

    def text(self) -> Content:
        head = plain(tr("kuartui has a bug, and this screen ended because of it."), "bold $text-error")
        return lines(head, self.what, "", *self.saved, "", plain(self.details, "$text-muted"))


def of(error: Exception) -> Failure:
    """Keep the traceback in a file, and look what is saved."""
    cause = error.error if isinstance(error, WorkerFailed) else error
    trace = "".join(traceback.format_exception(cause))
    place = paths.state_dir() / LOG
    try:
        paths.write_private(place, trace)
        details = tr("The details are in {place}; please send them to the people who make kuartui.", place=place)
    except KuartuiError as full:
        details = f"{full.message}\n{trace}"
    level, saved = _saved()
    return Failure(f"{type(cause).__name__}: {cause}", saved, details, level)


def _saved() -> tuple[str, tuple[str, ...]]:
    """The level in play, and what the player need not worry about, as read back from the disk just now."""
    try:
        store = Store()
        try:
            running = store.running()
            events = len(store.events(running.id)) if running is not None else 0
            over = store.count()
        finally:
            store.close()
    except KuartuiError as error:
        return "", (tr(error.message), tr(error.hint))
    told = [trn("{n} attempt that is over is saved.", "{n} attempts that are over are saved.", over)]
    if running is not None and events:
        told.append(tr("{level} is saved as far as you came, and goes on; so does its clock.", level=running.level))
    return running.level if running is not None and events else "", tuple(told)


class FailureApp(App[str], inherit_bindings=False):
    """Returns the level to go on with, "" for the home screen; None when the player leaves."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [Binding("escape,f10,ctrl+c", "leave", tr("Leave")), Binding("left,right", "focus_next", show=False)]

    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure
        for theme in themes.OWN:
            self.register_theme(theme)
        chosen = choices.read().get("theme", "")
        self.theme = chosen if chosen in themes.NAMES else themes.DARK.name

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="failure"):
            yield Static(self.failure.text())
            with Horizontal(classes="buttons"):
                yield Button(plain(tr("Leave")), id="leave")
                if self.failure.level:
                    yield Button(plain(tr("Go on with {level}", level=self.failure.level)), id="level")
                else:
                    yield Button(plain(tr("Go on")), id="home")

    def on_mount(self) -> None:
        self.query(Button).last().focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        answers = {"level": self.failure.level, "home": ""}
        self.exit(answers.get(event.button.id or ""))

    def action_leave(self) -> None:
        self.exit(None)
