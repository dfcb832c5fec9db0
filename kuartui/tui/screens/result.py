"""Result: the score to the point, the race against your best attempt, what happened, the solutions, the debrief."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Static

from kuartui.game.ghost import Split
from kuartui.message import later
from kuartui.play.breakdown import parts
from kuartui.play.view import Result
from kuartui.prose import check_word
from kuartui.translate import tr
from kuartui.tui import keys
from kuartui.tui.feed import guarded
from kuartui.tui.screens.levels import MEDAL_STYLES
from kuartui.tui.text import clean, fit, join, lines, mark, plain, right, span
from kuartui.tui.widgets.bar import axis
from kuartui.tui.widgets.fitted import Fitted
from kuartui.tui.widgets.keybar import KeyBar

if TYPE_CHECKING:
    from kuartui.tui.app import KuartuiApp

OUTCOMES = {
    "solved": later("Solved"),
    "finished": later("Finished"),
    "time-up": later("Time is up"),
    "abandoned": later("Abandoned"),
}
SIGNS = {
    "passed": ("✓", "$text-success"),
    "lost": ("✗", "$text-error"),
    "guard": ("!", "bold $text-error"),
    "hint": ("?", "$text-accent"),
    "reset": ("↺", "$text-warning"),
    "incident": ("*", "$text-warning"),
    "drill": ("~", "$text-warning"),
    "started": ("▸", "bold"),
    "solutions": ("=", "$text-accent"),
    "paused": ("‖", "$text-muted"),
    "resumed": ("▸", "$text-muted"),
    "write": ("»", "$text-accent"),
    "reaction": ("·", "$text-muted"),
    "warning": ("!", "$text-warning"),
    "over": ("■", "bold"),
}
#: kinds that are in the list, but not on the line, where they would cover what counts
BENEATH = ("started", "write", "reaction", "warning")
SCORE_WIDTH = 34
LEAST_WIDTH = 36  # of checks and timeline
REST_SECONDS = 1.0  # without a key: then the player has seen that this is no longer the shell


class ResultScreen(Screen[None], keys.Explains):
    """How it went. It comes by itself, often in the middle of a command: what is still typed then does nothing here."""

    BINDINGS = keys.bindings("result")
    app: KuartuiApp

    def __init__(self, result: Result, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self.result = result
        self._splits: list[Split] | None = None  # until they are read
        self._typed: float | None = now()  # when the last key came; None once the player has rested

    def compose(self) -> ComposeResult:
        from textual.widgets import Markdown  # here: 1.3 MiB, and no other screen needs it

        from kuartui.tui import markdown

        normal = {name: least for least, name in self.app.HORIZONTAL_BREAKPOINTS}["-normal"]
        self.set_class(self.app.size.width < normal, "-narrow")  # what Textual sets comes after the first frame
        yield Static(self._title(), id="head")
        with VerticalScroll(id="result"):
            with Horizontal(id="summary"):
                yield Static(self._score(), id="score")
                with Vertical(id="race"):
                    yield Fitted(self._checks, least=LEAST_WIDTH, id="checks")
                    yield Fitted(self._timeline, least=LEAST_WIDTH, id="timeline")
            yield Static(self._damage(), id="damage")
            yield Static(self._solutions(), id="solutions")
            yield Markdown(clean(self.result.debrief), id="debrief", parser_factory=markdown.parser, open_links=False)
            yield Static(self._reading(), id="reading")
        yield KeyBar("result")

    def on_mount(self) -> None:
        self._race()
        self.query_one("#solutions").display = False
        self.query_one("#result").focus()

    @work(group="race")
    async def _race(self) -> None:
        """The times of the best attempt beside those of this one."""
        splits = await guarded(self.app.game.call(self.app.game.splits, self.result), self.app.failed)
        self._splits = splits or []
        for fitted in self.query(Fitted):
            fitted.refresh(layout=True)

    # What is shown

    def _title(self) -> Content:
        result = self.result
        outcome = plain(tr(OUTCOMES[result.outcome]), f"bold {'$text-success' if result.score.solved else ''}".strip())
        return join(outcome, plain(f"  {result.level.title}"), plain(f"  {result.level.name}", "$text-muted"))

    def _score(self) -> Content:
        score, level = self.result.score, self.result.level
        rows: list[Content | str] = []
        if score.medal:
            rows.append(plain(tr("{medal} medal", medal=tr(score.medal)), MEDAL_STYLES[score.medal]))
        elif score.solved:
            rows.append(plain(tr("solved, without a medal"), "$text-muted"))
        time, par = span(score.elapsed), span(level.par_time)
        rows += [plain(tr("{points} points", points=score.total), "bold"), tr("{time}, par {par}", time=time, par=par)]
        rows += [plain(self._best(), "$text-muted"), ""]
        for part in parts(score):
            amount = f"{part.points}".replace("-", "−")
            rows.append(plain(fit(part.text, SCORE_WIDTH - 7) + f"{amount:>6}"))
        rows.append(plain("─" * (SCORE_WIDTH - 1), "$foreground 40%"))
        rows.append(plain(fit(tr("score"), SCORE_WIDTH - 7) + f"{score.total:>6}", "bold"))
        return lines(*rows, "")

    def _best(self) -> str:
        result = self.result
        if result.best_before is None:
            return tr("your first attempt at it")
        if result.score.total > result.best_before:
            return tr("a new best, {points} more than before", points=result.score.total - result.best_before)
        return tr("your best is {points}", points=result.best)

    def _checks(self, width: int) -> Content:
        """Each check with its points and when it turned green, beside the best attempt's time."""
        splits = self._splits or []
        ghost = any(split.best is not None for split in splits)
        times = {split.check: split for split in splits}
        tail = 28 if ghost else 13
        head = fit(tr("Checks"), width - tail - 1) + right(tr("points"), 7) + right(tr("time"), 7)
        rows = [plain(head + (right(tr("best"), 7) + right(tr("lead"), 8) if ghost else ""), "bold")]
        for check in self.result.checks:
            split = times.get(check.name)
            at = span(split.at) if split and split.at is not None else "" if self._splits is None else tr("never")
            text = plain(
                fit(check.title, width - tail - 3) + f" {check.points if check.green else 0:>5}" + right(at, 7)
            )
            rows.append(join(mark(check.state), " ", text, self._lead(split) if ghost else ""))
            if check.voided_by:
                rows.append(plain(tr("  no points: {guard}", guard=check.voided_by), "$text-error"))
            elif not check.green and (check.problem or check.observed):
                rows.append(
                    plain(fit(f"  {check_word(check.state)}: {check.problem or check.observed}", width), "$text-muted")
                )
        return lines(*rows, "")

    def _lead(self, split: Split | None) -> Content:
        """The ghost's time, and how far ahead of it you were (+) or behind (−)."""
        if split is None or split.best is None:
            return plain("")
        best = plain(f" {span(split.best):>6}", "$text-muted")
        if split.ahead is None:
            return best
        sign, style = ("+", "$text-success") if split.ahead >= 0 else ("−", "$text-warning")
        return join(best, plain(f"  {sign}{span(abs(split.ahead))}", style))

    def _timeline(self, width: int) -> Content:
        """Everything that happened, on a line against par and limit, then one by one."""
        result = self.result
        par, limit = float(result.level.par_time), float(result.level.time_limit)
        end = max(par * 1.05, result.score.elapsed) if result.score.elapsed < limit * 0.9 else limit
        marks = [(par, "│", "bold $text-accent")]
        marks += [
            (entry.at, *SIGNS[entry.kind])
            for entry in result.timeline
            if entry.kind in SIGNS and entry.kind not in BENEATH
        ]
        rows: list[Content | str] = [plain(tr("Timeline"), "bold"), axis(width, end, marks)]
        place = round(par / end * (width - 1))
        label = tr("par {time}", time=span(par))
        rows.append(plain(" " * max(0, min(place, width - len(label))) + label, "$text-accent"))
        for entry in result.timeline:
            sign, style = SIGNS.get(entry.kind, ("·", "$text-muted"))
            rows.append(
                join(plain(f"{span(entry.at):>7} ", "$text-muted"), plain(sign, style), plain(f" {entry.text}"))
            )
        return lines(*rows, "")

    def _damage(self) -> Content:
        """Guards that broke: what was to be left alone and was not."""
        broken = [guard for guard in self.result.guards if guard.broken]
        if not broken:
            return lines(plain(tr("Nothing was broken that had to stay as it was."), "$text-success"), "")
        rows: list[Content | str] = [plain(tr("Collateral damage"), "bold $text-error")]
        for guard in broken:
            rows.append(join(plain("! ", "bold $text-error"), plain(guard.title)))
            rows.append(plain(f"  {guard.why}", "$text-muted"))
        return lines(*rows, "")

    def _solutions(self) -> Content:
        rows: list[Content | str] = []
        for number, solution in enumerate(self.result.solutions, 1):
            title = solution.title or solution.name
            rows.append(plain(tr("Solution {number}: {title}", number=number, title=title), "bold"))
            for step in solution.run:
                first, *more = step.splitlines()
                rows.append(join(plain("  $ ", "$text-muted"), plain(first, "$text-accent")))
                rows += [plain(f"    {line}", "$text-accent") for line in more]
            rows.append("")
        return lines(*rows)

    def _reading(self) -> Content:
        level = self.result.level
        rows: list[Content | str] = [plain(tr("Read on"), "bold")]
        if level.chapter:
            rows.append(tr("Kubernetes: Up and Running, chapter {chapter}", chapter=level.chapter))
        rows += [join(plain(f"{item.title}: "), plain(item.url, "$text-accent underline")) for item in level.references]
        return lines(*rows, "")

    # Actions

    def on_key(self, event: Key) -> None:
        """A letter that means nothing here begins a command, typed by who has not looked yet."""
        if self._types() or (event.is_printable and event.key not in self.active_bindings):
            self._typed = self._now()

    def _types(self) -> bool:
        """Whether the player still types what was meant for the shell."""
        if self._typed is not None and self._now() - self._typed > REST_SECONDS:
            self._typed = None
        return self._typed is not None

    def _leave_for(self, go: Callable[[], None]) -> None:
        if self._types():
            self.notify(tr("The level is over. Keys work here once you have stopped typing."), markup=False, timeout=4)
        else:
            go()

    def why_not(self, action: str) -> str:
        """Why a key does nothing here."""
        if action in ("solutions", "copy_solution") and not self.result.solutions:
            return tr("this level shows no solutions")
        return ""

    def action_solutions(self) -> None:
        solutions = self.query_one("#solutions")
        solutions.display = not solutions.display
        if solutions.display:
            self.call_after_refresh(
                lambda: self.query_one("#result", VerticalScroll).scroll_to_widget(solutions, top=True)
            )

    def action_copy_solution(self) -> None:
        """The first solution, to the clipboard of the terminal (OSC 52: over ssh too)."""
        if self.result.solutions:
            self.app.copy_to_clipboard("\n".join(self.result.solutions[0].run))
            self.notify(tr("copied the first solution"), markup=False)

    def action_next_level(self) -> None:
        """In the order of the tracks."""
        names = self.app.game.catalog.names()
        here = names.index(self.result.level.name) if self.result.level.name in names else -1
        if here + 1 < len(names):
            self._leave_for(lambda: self.app.play_level(names[here + 1], None))
        else:
            self._leave_for(self.app.go_home)

    def action_try_again(self) -> None:
        self._leave_for(lambda: self.app.play_level(self.result.level.name, None))

    def action_back(self) -> None:
        if self.result.in_exam:
            self.app.show_exam()
        else:
            self.app.go_home()
