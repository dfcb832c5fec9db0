"""The coach of a guided level says one thing at a time, beneath everything else. In other levels it is not there."""

from __future__ import annotations

from textual.widgets import Static

from kuartui.game.coach import advance
from kuartui.play.view import AttemptView
from kuartui.prose import wrapped
from kuartui.translate import tr
from kuartui.tui.text import plain


class Coach(Static):
    """`show(view)` as often as a snapshot is taken."""

    DEFAULT_CSS = """
    Coach { height: auto; max-height: 6; padding: 0 1; background: $panel; border-left: solid $accent; }
    """

    def __init__(self) -> None:
        super().__init__(id="coach")
        self._index, self._since = 0, 0.0
        self.display = False

    def show(self, view: AttemptView) -> None:
        steps = view.level.coach
        green = [check.name for check in view.checks if check.green]
        self._index, self._since = advance(steps, self._index, self._since, view.elapsed, green)
        self.display = self._index < len(steps)
        if self.display:
            head = tr("Coach {number}/{all}  ", number=self._index + 1, all=len(steps))
            text = "\n".join(wrapped(f"{head}{steps[self._index].text}", max(20, self.app.size.width - 4)))
            self.update(plain(text).stylize("bold $text-accent", 0, len(head.rstrip())))
