"""Home: the levels by track with what you made of them, and how the cluster is. Paints before there is a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from kuartui.game.level import LevelCard
from kuartui.progress.store import AttemptRecord, Best
from kuartui.translate import trn
from kuartui.tui import keys
from kuartui.tui.feed import guarded
from kuartui.tui.messages import ClusterSeen, Failed, StepTaken
from kuartui.tui.text import clean, join, lines, paragraphs, plain, span

if TYPE_CHECKING:
    from kuartui.tui.app import KuartuiApp

MEDALS = {"gold": "gold", "silver": "silver", "bronze": "bronze"}
LOOK_SECONDS = 5.0


class HomeScreen(Screen[None]):
    """Pick a level."""

    BINDINGS = keys.bindings("home")
    app: KuartuiApp

    def __init__(self) -> None:
        super().__init__()
        self._cards: list[LevelCard] = []
        self._best: dict[str, Best] = {}
        self._attempt: AttemptRecord | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Input(placeholder="filter levels", id="filter")
        with Horizontal(id="columns"):
            yield OptionList(id="levels")
            with VerticalScroll(id="about", can_focus=False):
                yield Static(id="story")
        with Vertical(id="state"):
            yield Static(id="cluster")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#filter", Input).display = False
        self._say(plain("cluster: looking", "$text-muted"))
        self._read()
        self._watch_cluster()
        self.query_one("#levels").focus()

    def on_screen_resume(self) -> None:
        self._read()

    # What is shown

    def _read(self) -> None:
        game = self.app.game
        self._cards, self._best, self._attempt = game.cards(), game.best(), game.running()
        self._fill()

    def _fill(self) -> None:
        wanted = self.query_one("#filter", Input).value.strip().lower()
        cards = [card for card in self._cards if wanted in f"{card.name} {card.title} {card.track}".lower()]
        titles = self.app.game.tracks()
        levels = self.query_one("#levels", OptionList)
        chosen = self._chosen()
        levels.clear_options()
        track = ""
        for card in cards:
            if card.track != track:
                track = card.track
                levels.add_option(Option(plain(titles.get(track, track), "bold $text-accent"), disabled=True))
            levels.add_option(Option(self._row(card), id=card.name))
        names = [card.name for card in cards]
        start = chosen if chosen in names else self._recommended(names)
        if start:
            levels.highlighted = levels.get_option_index(start)
        total = sum(best.score for best in self._best.values())
        solved = sum(best.solved for best in self._best.values())
        head = join(plain("kuartui", "bold"), plain(f"   {solved} of {len(self._cards)} solved, {total} points"))
        if self._attempt:
            head = join(head, plain(f"   {self._attempt.level} is in play: Enter continues it", "$text-warning"))
        self.query_one("#head", Static).update(head)

    def _row(self, card: LevelCard) -> Content:
        best = self._best.get(card.name)
        score = "-" if best is None else f"{best.score}"
        medal = MEDALS.get(best.medal, "") if best else ""
        mark = "▶" if self._attempt and self._attempt.level == card.name else "✓" if best and best.solved else " "
        stars = "*" * card.difficulty
        name = plain(f"{mark} {card.name:<22.22}")
        rest = plain(f" {stars:<5} {score:>4}/{card.points:<3} {medal}", "$text-muted")
        return join(name, rest)

    def _recommended(self, names: list[str]) -> str:
        """What is in play, else the first that is not solved, else the first."""
        if self._attempt and self._attempt.level in names:
            return self._attempt.level
        open_ones = [name for name in names if not (name in self._best and self._best[name].solved)]
        return (open_ones or names or [""])[0]

    def _chosen(self) -> str:
        levels = self.query_one("#levels", OptionList)
        if levels.highlighted is None or not levels.option_count:
            return ""
        return levels.get_option_at_index(levels.highlighted).id or ""

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        card = next((card for card in self._cards if card.name == event.option.id), None)
        if card is None:
            return
        level = self.app.game.level(card.name, 0)
        par, limit = span(card.par_time), span(card.time_limit)
        exams = ", ".join(f"{domain.exam} {domain.domain}" for domain in card.exams)
        parts: list[Content | str] = [
            plain(card.title, "bold"),
            plain(f"{'*' * card.difficulty}  {card.points} points, par {par}, limit {limit}", "$text-muted"),
        ]
        if exams:
            parts.append(plain(exams, "$text-muted"))
        best = self._best.get(card.name)
        if best:
            parts.append(plain(f"best {best.score} in {span(best.elapsed)}, {best.attempts} attempts", "$text-success"))
        self.query_one("#story", Static).update(lines(*parts, "", paragraphs(level.story), "", paragraphs(level.task)))

    # The cluster

    @work(exclusive=True, exit_on_error=False, group="cluster")
    async def _watch_cluster(self) -> None:
        import asyncio

        await guarded(self.app.game.up(self.post_message), self.post_message)
        while True:
            status = await guarded(self.app.game.status(), self.post_message)
            if status is not None:
                self.post_message(ClusterSeen(status))
            await asyncio.sleep(LOOK_SECONDS)

    def _say(self, text: Content) -> None:
        self.query_one("#cluster", Static).update(text)

    def on_step_taken(self, message: StepTaken) -> None:
        self._say(plain(f"cluster: {message.text} …", "$text-warning"))

    def on_cluster_seen(self, message: ClusterSeen) -> None:
        status = message.status
        if status.phase == "ready":
            nodes = trn("{n} node", "{n} nodes", status.nodes)
            self._say(plain(f"cluster: ready, embedded Kubernetes {status.version}, {nodes}", "$text-success"))
        else:
            self._say(plain(f"cluster: {status.phase} {status.detail}", "$text-error"))

    def on_failed(self, message: Failed) -> None:
        message.stop()
        self._say(plain(f"cluster: {message.text} ({message.hint})", "$text-error"))

    # Actions

    def on_option_list_option_selected(self) -> None:
        self.action_choose()

    def action_choose(self) -> None:
        name = self._chosen()
        if self._attempt is not None and (not name or self._attempt.level == name):
            self.app.play_attempt(self._attempt)
        elif self._attempt is not None:
            text = f"{self._attempt.level} is still in play. Continue it (Enter on it), or finish it there with F12."
            self.notify(clean(text), markup=False, severity="warning")
        elif name:
            self.app.play_level(name, None)

    def action_search(self) -> None:
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def on_input_changed(self) -> None:
        self._fill()

    def on_input_submitted(self) -> None:
        self.query_one("#levels").focus()

    def action_back(self) -> None:
        """Out of the filter; never out of the app."""
        field = self.query_one("#filter", Input)
        field.value = ""
        field.display = False
        self.query_one("#levels").focus()

    def action_again(self) -> None:
        self._read()
