"""While a level is being set up: what is going on, and a way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Footer, LoadingIndicator, Static

from kuartui.game.level import Level
from kuartui.progress.store import AttemptRecord
from kuartui.tui.feed import guarded
from kuartui.tui.messages import Failed, StepTaken
from kuartui.tui.text import lines, paragraphs, plain

if TYPE_CHECKING:
    from kuartui.tui.app import KuartuiApp


class SetupScreen(Screen[None]):
    """Starts or resumes an attempt, then gives way to the play screen."""

    BINDINGS = [Binding("escape", "back", "Cancel", show=True)]
    app: KuartuiApp

    def __init__(self, level: Level | None, record: AttemptRecord | None) -> None:
        super().__init__()
        self._level, self._record = level, record

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(id="story")
            yield LoadingIndicator()
            yield Static(id="step")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        if self._level:
            story = paragraphs(self._level.story)
            self.query_one("#story", Static).update(lines(plain(self._level.title, "bold"), "", story))
        self._begin()

    @work(exclusive=True, exit_on_error=False, group="setup")
    async def _begin(self) -> None:
        game = self.app.game
        if self._record is not None:
            session = await guarded(game.resume(self._record), self.post_message, fatal=True)
        elif self._level is not None:
            session = await guarded(game.begin(self._level, self.post_message), self.post_message, fatal=True)
        else:
            session = None
        if session is not None:
            self.app.show_play(session)

    def on_step_taken(self, message: StepTaken) -> None:
        self.query_one("#step", Static).update(plain(f"{message.text} …", "$text-muted"))

    def on_failed(self, message: Failed) -> None:
        message.stop()
        self.app.go_home()
        self.app.trouble(message.text, message.hint)

    def action_back(self) -> None:
        self.workers.cancel_group(self, "setup")
        self.app.go_home()
