"""While a level is being set up: what is going on, and a way out."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Footer, Static

from kuartui.cluster.base import Progress
from kuartui.game.events import Mode
from kuartui.play.session import AttemptSession
from kuartui.progress.store import AttemptRecord
from kuartui.translate import tr
from kuartui.tui.feed import guarded
from kuartui.tui.messages import Failed, StepTaken
from kuartui.tui.text import lines, paragraphs, plain
from kuartui.tui.widgets.bar import bar

if TYPE_CHECKING:
    from kuartui.tui.app import KuartuiApp

TICK = 0.5
BAR = 44  # cells


class SetupScreen(Screen[None]):
    """Starts or resumes an attempt, then gives way to the play screen."""

    BINDINGS = [Binding("escape", "back", tr("Cancel"), key_display="Esc")]
    app: KuartuiApp

    def __init__(
        self, name: str, seed: int, record: AttemptRecord | None, mode: Mode = "ranked", task: int = 0
    ) -> None:
        """A new attempt at a level, `record` to continue, or a task of the exam."""
        super().__init__()
        self._number = task
        self._mode: Mode = mode
        self._name, self._seed, self._record = name, seed, record
        self._begun = monotonic()
        self._step = Progress("")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(id="story")
            yield Static(id="step")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.set_interval(TICK, self._tell)
        self._tell()
        self._begin()

    @work(exclusive=True, group="setup")
    async def _begin(self) -> None:
        session = await guarded(self._session(), self.post_message, fatal=True)
        if session is not None:
            self.app.show_play(session)

    async def _session(self) -> AttemptSession:
        game = self.app.game
        if self._record is not None:
            self.query_one("#story", Static).update(plain(tr("Continuing {level}", level=self._name), "bold"))
            return await game.run(game.resume(self._record))
        if self._number:
            self.query_one("#story", Static).update(plain(tr("Task {number}", number=self._number), "bold"))
            return await game.run(game.take_up(self._number, self.post_message))
        level = await game.call(game.level, self._name, self._seed)
        story = paragraphs(level.story)
        self.query_one("#story", Static).update(lines(plain(level.title, "bold"), "", story))
        return await game.run(game.begin(level, self.post_message, self._mode))

    def on_step_taken(self, message: StepTaken) -> None:
        self._step = message.progress
        self._tell()

    def _tell(self) -> None:
        """How far it is, and for how long it has been so."""
        step = self._step
        seconds = f"{monotonic() - self._begun:.0f} s"
        done = bar(max(0, step.step - 1) / step.steps, BAR) if step.steps else bar(0, BAR)
        text = f"{tr(step.text)} … {seconds}" if step.text else seconds
        self.query_one("#step", Static).update(lines("", done, plain(text, "$text-muted")))

    def on_failed(self, message: Failed) -> None:
        message.stop()
        self._leave()
        self.app.trouble(message.text, message.hint)

    def action_back(self) -> None:
        self.workers.cancel_group(self, "setup")
        self._leave()

    def _leave(self) -> None:
        """To where it was begun."""
        if self._number:
            self.app.show_exam()
        else:
            self.app.go_home()
