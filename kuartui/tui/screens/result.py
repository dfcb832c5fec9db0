"""Result: the score to the point, what was seen, the solutions, the debrief."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Markdown, Static

from kuartui.play.view import Result
from kuartui.tui import keys
from kuartui.tui.text import WORDS, clean, join, lines, mark, plain, span

if TYPE_CHECKING:
    from kuartui.tui.app import KuartuiApp

OUTCOMES = {"solved": "Solved", "finished": "Finished", "time-up": "Time is up", "abandoned": "Abandoned"}


class ResultScreen(Screen[None]):
    """How it went."""

    BINDINGS = keys.bindings("result")
    app: KuartuiApp

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="result"):
            yield Static(id="score")
            yield Static(id="solutions")
            yield Markdown(clean(self.result.debrief), id="debrief", open_links=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#score", Static).update(self._score())
        solutions = self.query_one("#solutions", Static)
        solutions.update(self._solutions())
        solutions.display = False
        self.query_one("#result").focus()

    def _score(self) -> Content:
        result = self.result
        medal = f", {result.score.medal} medal" if result.score.medal else ""
        title = f"{OUTCOMES[result.outcome]}: {result.level.title}"
        rows: list[Content | str] = [plain(title, "bold"), ""]
        rows.append(plain(f"{result.score.total} points in {span(result.score.elapsed)}{medal}", "bold $text-success"))
        before = "the first time" if result.best_before is None else f"before: {result.best_before}"
        rows += [plain(f"best {result.best} ({before})", "$text-muted"), ""]
        rows += [plain(f"  {what:<22} {amount:>8}") for what, amount in result.score.lines()]
        rows.append("")
        for check in result.checks:
            line = f"  {check.points}p {WORDS[check.state]}"
            rows.append(join(mark(check.state), " ", plain(check.title), plain(line, "$text-muted")))
        rows += [
            plain(f"! broken: {guard.title}. {guard.why}", "$text-error") for guard in result.guards if guard.broken
        ]
        rows += ["", plain("What happened", "bold")]
        rows += [plain(f"  {span(entry.at)}  {entry.text}") for entry in result.timeline]
        return lines(*rows, "")

    def _solutions(self) -> Content:
        rows: list[Content | str] = []
        for solution in self.result.solutions:
            rows.append(plain(f"Solution: {solution.title or solution.name}", "bold"))
            rows += [plain(f"  {line}", "$text-accent") for line in "\n".join(solution.run).splitlines()]
            rows.append("")
        return lines(*rows)

    def action_solutions(self) -> None:
        solutions = self.query_one("#solutions")
        solutions.display = not solutions.display

    def action_next_level(self) -> None:
        names = self.app.game.catalog.names()
        here = names.index(self.result.level.name) if self.result.level.name in names else -1
        if here + 1 < len(names):
            self.app.play_level(names[here + 1], None)
        else:
            self.app.go_home()

    def action_try_again(self) -> None:
        self.app.play_level(self.result.level.name, None)

    def action_back(self) -> None:
        self.app.go_home()
