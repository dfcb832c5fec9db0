"""Exam: the tasks of a mock exam under one clock, and its result."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.screen import ModalScreen, Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from kuartui.game.exam import shown
from kuartui.message import later
from kuartui.play.exams import STATES, Row, Sheet, heading
from kuartui.translate import tr
from kuartui.tui import keys
from kuartui.tui.feed import guarded
from kuartui.tui.messages import Failed
from kuartui.tui.screens.dialogs import Confirm
from kuartui.tui.text import fit, join, lines, plain, right, span
from kuartui.tui.widgets.bar import bar
from kuartui.tui.widgets.keybar import KeyBar

if TYPE_CHECKING:
    from kuartui.tui.app import KuartuiApp

TICK_SECONDS = 1.0
READ_SECONDS = 5.0  # the command line may work at the same exam
SHORT = 600.0  # seconds left from which the time is a warning
SIGNS = {
    "new": ("·", "$text-muted"),
    "in play": ("▸", "bold $text-warning"),
    "waiting": ("◦", "$text-warning"),
    "handed in": ("✓", "$text-success"),
}
LENGTHS = ((120, False), (60, False), (30, False), (120, True))  # minutes that are offered, and whether strict


class ExamScreen(Screen[None], keys.Explains):
    """Pick a task."""

    BINDINGS = keys.bindings("exam")
    app: KuartuiApp

    def __init__(self) -> None:
        super().__init__()
        self.sheet: Sheet | None = None
        self._read_at = 0.0

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield OptionList(id="tasks")
        yield Static(id="parts")
        yield KeyBar("exam")

    def on_mount(self) -> None:
        self.set_interval(TICK_SECONDS, self._tick)
        self.query_one("#tasks").focus()
        self._read()

    def on_screen_resume(self) -> None:
        self._read()

    def on_resize(self) -> None:
        self._fill()

    # What is shown

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        sheet = await guarded(self.app.game.run(self.app.game.exam_sheet()), self.app.failed)
        if sheet is not None:
            self.sheet, self._read_at = sheet, monotonic()
            with suppress(NoMatches):  # the screen may be on its way out by now
                self._fill()

    @property
    def over(self) -> bool:
        return self.sheet is not None and self.sheet.reached is not None

    def _left(self) -> float:
        """Seconds, counted on since the sheet was read."""
        return max(0.0, self.sheet.left - (monotonic() - self._read_at)) if self.sheet is not None else 0.0

    def _tick(self) -> None:
        if self.sheet is None or self.over or not self.is_current:
            return
        self._head()
        if self._left() <= 0 or monotonic() - self._read_at >= READ_SECONDS:
            self._read()

    def _head(self) -> None:
        sheet = self.sheet
        if sheet is None:
            return
        name = plain(heading(sheet.exam), "bold")
        if sheet.reached is not None:
            word = tr("passed") if sheet.passed else tr("not passed")
            style = "bold $text-success" if sheet.passed else "bold $text-warning"
            end = plain(f"{shown(sheet.reached)} %, {word}", style)
            told = join(end, plain("  " + tr("{percent} % pass the real one", percent=sheet.to_pass), "$text-muted"))
        else:
            left = self._left()
            begun = sum(row.state != "new" for row in sheet.rows)
            time_left = plain(tr("{time} left", time=span(left)), "bold $text-warning" if left < SHORT else "bold")
            told = join(time_left, plain("  " + tr("{begun} of {total} begun", begun=begun, total=len(sheet.rows))))
        self.query_one("#head", Static).update(join(name, "  ", told))

    def _fill(self) -> None:
        if self.sheet is None:
            return
        self._head()
        tasks = self.query_one("#tasks", OptionList)
        chosen, width = tasks.highlighted, max(40, tasks.scrollable_content_region.width - 2)
        tasks.clear_options()
        tasks.add_options(Option(self._row(row, width), id=str(row.task.number)) for row in self.sheet.rows)
        in_play = next((index for index, row in enumerate(self.sheet.rows) if row.state == "in play"), 0)
        tasks.highlighted = in_play if chosen is None else chosen
        parts = self.query_one("#parts", Static)
        parts.display = self.over
        parts.update(self._parts())

    def _row(self, row: Row, width: int) -> Content:
        """Sign, number, weight, title, domain where there is room, how far it is, the time that it took."""
        sign, style = SIGNS[row.state]
        if self.over:
            sign, style = _mark(row.credit or 0.0)
        flagged = "⚑" if row.flagged and not self.over else " "
        state = f"{row.credit or 0:.0%}" if self.over else tr(STATES[row.state])
        spent = span(row.spent) if row.spent else "-"
        head = f" {row.task.number:>2} {row.task.weight:>3} % "
        tail = f" {fit(state, 9)}{right(spent, 8)}"
        room = width - cell_len(head) - cell_len(tail) - 3
        domain = plain(fit(f" {row.domain}", room - 40), "$text-muted") if room > 60 else ""
        title = plain(fit(row.title, 40 if room > 60 else max(8, room)))
        return join(plain(f"{sign}{flagged}", style), plain(head, "$text-muted"), title, domain, plain(tail, style))

    def _parts(self) -> Content:
        """The result by domain."""
        if self.sheet is None:
            return plain("")
        room = max(10, self.size.width - 16 - 4)
        return lines(
            *(
                join(
                    bar(part.reached / part.weight if part.weight else 0.0, 16),
                    plain(fit(f" {part.reached:5.1f} / {part.weight:>3} %  {part.domain}", room)),
                )
                for part in self.sheet.parts
            )
        )

    # Actions

    def _chosen(self) -> Row | None:
        at = self.query_one("#tasks", OptionList).highlighted
        return self.sheet.rows[at] if self.sheet is not None and at is not None else None

    def why_not(self, action: str) -> str:
        """Why a key does nothing here and now."""
        if action not in ("take_up", "flag", "finish"):
            return ""
        row = self._chosen()
        if self.over and action == "take_up":
            begun = row is not None and row.state != "new"
            return "" if begun else tr("this task was never begun; it is a level on the home screen")
        if self.over:
            return tr("the exam is over")
        if action in ("take_up", "flag") and row is not None and row.state == "handed in":
            return tr("task {number} was handed in", number=row.task.number)
        return ""

    async def on_option_list_option_selected(self) -> None:
        await self.app.run_action("take_up", default_namespace=self)

    def action_take_up(self) -> None:
        row = self._chosen()
        if row is not None and self.over:
            self._review(row.task.number)
        elif row is not None:
            self.app.play_task(row.task.number)

    @work(exclusive=True, group="review")
    async def _review(self, number: int) -> None:
        """How a task went, with its solution, now that it may be told."""
        result = await guarded(self.app.game.run(self.app.game.review_task(number)), self.app.failed)
        if result is not None:
            self.app.show_result(result)

    @work(group="act")
    async def action_flag(self) -> None:
        row = self._chosen()
        if row is not None:
            await guarded(self.app.game.call(self.app.game.flag, row.task.number), self.app.failed)
            self._read()

    def action_finish(self) -> None:
        question = tr("End the exam with {time} left?", time=span(self._left()))
        self.app.push_screen(Confirm(question, tr("Finish")), self._if_yes)

    def _if_yes(self, yes: bool | None) -> None:
        if yes:
            self._finish()

    @work(group="act")
    async def _finish(self) -> None:
        await guarded(self.app.game.run(self.app.game.finish_exam()), self.app.failed)
        self._read()

    def on_failed(self, message: Failed) -> None:
        message.stop()
        self.app.trouble(message.text, message.hint)

    def action_back(self) -> None:
        """Home; the exam's clock goes on."""
        self.app.go_home()


def _mark(credit: float) -> tuple[str, str]:
    """A sign for what a task brought: all, a part, nothing."""
    if credit >= 1:
        return "✓", "$text-success"
    return ("◦", "$text-warning") if credit else ("✗", "$text-error")


class ExamChoice(ModalScreen[tuple[str, int, bool] | None]):
    """Which exam, for how long, and whether it is strict; minutes 0 for the result of the last one."""

    BINDINGS = [("escape", "dismiss(None)", tr("Cancel"))]

    def __init__(self, names: list[str], last: str) -> None:
        super().__init__()
        self._names, self._last = names, last

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog exams"):
            yield Static(lines(plain(tr("A mock exam"), "bold"), "", plain(tr(ABOUT)), ""))
            yield OptionList(id="exams")

    def on_mount(self) -> None:
        exams = self.query_one("#exams", OptionList)
        for name in self._names:
            for minutes, strict in LENGTHS:
                text = tr("{exam}, {minutes} minutes", exam=name, minutes=minutes)
                if strict:
                    text = tr("{one}, {other}", one=text, other=tr("strict"))
                exams.add_option(Option(plain(text), id=f"{name}:{minutes}:{'strict' if strict else ''}"))
        if self._last:
            text = tr("the result of the last one: {exam}", exam=self._last)
            exams.add_option(Option(plain(text), id=f"{self._last}:0:"))
        exams.highlighted = 0
        exams.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        name, minutes, strict = (event.option.id or "").split(":")
        self.dismiss((name, int(minutes), bool(strict)))


ABOUT = later(
    "Tasks by the weights of the exam's domains, under one clock that nothing stops. No hints, and no solutions before "
    "its end; in a strict one no verdicts, either."
)
