"""Home: the levels by track with what you made of them, and how the cluster is. Paints before there is a cluster."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.events import Click, Resize
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from kuartui.cluster.base import Progress
from kuartui.game.events import Mode
from kuartui.game.level import LevelCard
from kuartui.message import later
from kuartui.play.exams import offered
from kuartui.progress.store import AttemptRecord
from kuartui.translate import tr, trn
from kuartui.tui import keys
from kuartui.tui.feed import guarded
from kuartui.tui.messages import ClusterSeen, Failed, StepTaken
from kuartui.tui.screens.exam import ABOUT as EXAM_ABOUT
from kuartui.tui.screens.exam import ExamChoice
from kuartui.tui.screens.levels import Shelf, about, exam_row, heading, row, suggestion
from kuartui.tui.text import clean, join, plain
from kuartui.tui.widgets.bar import bar
from kuartui.tui.widgets.keybar import KeyBar
from kuartui.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from kuartui.tui.app import KuartuiApp

LOOK_SECONDS = 5.0
SLOW_SECONDS = 2.0  # without an answer until we say so
TICK_SECONDS = 0.2
SUGGESTED = "suggested:"
EXAM = "exam:"
PHASES = {
    "absent": later("absent"),
    "stopped": later("stopped"),
    "starting": later("starting"),
    "ready": later("ready"),
    "broken": later("broken"),
}


class LevelList(OptionList):
    """A click selects, a second one on the same level chooses it as Enter does: a clock is not started by accident.

    Tells when it has another size: also while a dialog or another place is in front of it, which the screen's own size
    would tell before there is a new layout."""

    class Sized(Message):
        """Rows of this width are wanted."""

    _clicked: str | None = None

    async def _on_click(self, event: Click) -> None:
        event.prevent_default()  # the base class's would choose at once
        line: int | None = event.style.meta.get("option")
        if line is None or (option := self.get_option_at_index(line)).disabled:
            return
        again = line == self.highlighted and option.id == self._clicked
        self.highlighted, self._clicked = line, option.id
        if again:
            self._clicked = None
            self.action_select()

    def on_resize(self, event: Resize) -> None:
        self.post_message(self.Sized())


class HomeScreen(Screen[None], keys.Explains):
    """Pick a level."""

    BINDINGS = keys.bindings("home")
    app: KuartuiApp

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()
        self._asked: float | None = None  # since when the cluster owes an answer
        self._step = Progress("")
        self._details = False

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Input(placeholder=tr("filter: name, title, track, exam; open, due, gold"), id="filter")
        with Horizontal(id="columns"):
            yield LevelList(id="levels")
            with VerticalScroll(id="about", can_focus=False):
                yield Prose(id="story")
        yield Static(id="broken")
        yield Static(id="cluster")
        yield KeyBar("home")

    def on_mount(self) -> None:
        self.query_one("#filter", Input).display = False
        self.query_one("#broken").display = False
        self._say(plain(tr("cluster: looking for it"), "$text-muted"))
        self._read()
        self._tell_language()
        self._watch_cluster()
        self.set_interval(TICK_SECONDS, self._tick)
        self.query_one("#levels").focus()

    def on_screen_resume(self) -> None:
        self._read()

    def on_level_list_sized(self) -> None:
        self._fill()

    # What is shown

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        shelf = await guarded(self.app.game.call(self.app.game.shelf), self._cannot_read)
        if shelf is not None:
            self.shelf = shelf
            with suppress(NoMatches):  # the screen may be on its way out by now
                self._fill(self._returned())
                self._tell_broken()

    def _returned(self) -> str:
        """What to select after a level was played: where it goes on, or else its row, to see what it brought. Whoever
        follows the suggestions stays with those. "" is what was selected before."""
        if not self.is_current or not self.app.played:
            return ""
        level, self.app.played = self.app.played, ""
        if self.shelf.examined:
            return EXAM
        if self.shelf.attempt is not None and self.shelf.attempt.level == level:
            return f"{SUGGESTED}continue:{level}"
        return "" if self._option().startswith(SUGGESTED) else level

    @work(group="language")
    async def _tell_language(self) -> None:
        if unheard := await self.app.game.call(self.app.game.unheard):
            self.app.notify(clean(tr(unheard)), markup=False, severity="warning", timeout=10)

    def _cannot_read(self, message: Failed) -> None:
        """Of the records, say: what was read before stays."""
        hint = f" ({tr(message.hint)})" if message.hint else ""
        self._note(plain(f"✗ {tr(message.text)}{hint}", "$text-error"))

    def _tell_broken(self) -> None:
        """Packs and levels that could not be read, and why."""
        broken = self.shelf.broken
        if not broken:
            self._note(None)
            return
        name, problem = next(iter(broken.items()))
        more = f" (+{len(broken) - 1})" if len(broken) > 1 else ""
        text = tr("! {name} is left out: {problem}", name=name, problem=problem)
        self._note(plain(f"{text}{more}", "$text-warning"))

    def _note(self, text: Content | None) -> None:
        note = self.query_one("#broken", Static)
        note.display = text is not None
        if text is not None:
            note.update(text)

    def _fill(self, selected: str = "") -> None:
        shelf, levels = self.shelf, self.query_one("#levels", OptionList)
        wanted = self.query_one("#filter", Input).value
        chosen, width = selected or self._option(), self._width()
        levels.clear_options()
        suggestions = [(kind, card) for kind, card in shelf.suggestions() if not wanted or kind == "continue"]
        if suggestions or shelf.examined:
            levels.add_option(Option(plain(fit_heading(tr("Up next"), width), "bold $text-accent"), disabled=True))
        if shelf.examined and shelf.exam is not None:
            text = tr("Go on with the {exam} mock exam", exam=shelf.exam.name)
            levels.add_option(Option(plain(f"▸ {text}", "bold $text-warning"), id=EXAM))
        for kind, card in suggestions:
            levels.add_option(Option(suggestion(shelf, kind, card, width), id=f"{SUGGESTED}{kind}:{card.name}"))
        if suggestions and shelf.tries and shelf.attempt is None and not wanted:  # who is new here begins with a level
            levels.add_option(Option(exam_row(width), id=EXAM))
        for track, cards in shelf.by_track(wanted):
            levels.add_option(Option(heading(shelf, track, cards, width), disabled=True))
            for card in cards:
                levels.add_option(Option(row(shelf, card, width), id=card.name))
        self._highlight(chosen)
        self.query_one("#head", Static).update(self._head())
        if not levels.option_count:
            empty = tr("no level is like that; Esc shows all") if shelf.cards else tr("reading the levels …")
            levels.add_option(Option(plain(empty), disabled=True))
            self.query_one("#story", Prose).show()

    def _highlight(self, chosen: str) -> None:
        """What was chosen before, else the first that can be."""
        levels = self.query_one("#levels", OptionList)
        ids = [option.id for option in levels.options if option.id]
        if ids:
            levels.highlighted = levels.get_option_index(chosen if chosen in ids else ids[0])

    def _width(self) -> int:
        """Of a row of the list; before the first layout as on a small terminal."""
        return max(30, self.query_one("#levels").scrollable_content_region.width - 2)

    def _head(self) -> Content:
        shelf = self.shelf
        solved, total = len(shelf.solved()), len(shelf.cards)
        parts: list[Content | str] = [plain("kuartui", "bold $text-accent"), "  "]
        parts += [bar(solved / total if total else 0, 16), "  "]
        if total:  # nothing is known before the first look
            parts.append(tr("{solved} of {total} solved", solved=solved, total=total))
            parts.append(tr(", {points} points", points=shelf.points()))
        medals = shelf.medals()
        if medals and self.size.width >= 80:
            parts.append(plain("   " + ", ".join(f"{count} {tr(name)}" for name, count in medals), "$text-muted"))
        return join(*parts)

    def _option(self) -> str:
        levels = self.query_one("#levels", OptionList)
        if levels.highlighted is None or not levels.option_count:
            return ""
        return levels.get_option_at_index(levels.highlighted).id or ""

    def _chosen(self) -> str:
        """The level that is highlighted, in the suggestions or in its track."""
        return self._option().rpartition(":")[2]

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option.id == EXAM:
            self.workers.cancel_group(self, "about")
            self.query_one("#story", Prose).show(plain(tr("A mock exam"), "bold"), "", tr(EXAM_ABOUT))
            return
        card = self.shelf.card((event.option.id or "").rpartition(":")[2])
        if card is not None:
            self._tell_about(card)

    @work(exclusive=True, group="about")
    async def _tell_about(self, card: LevelCard) -> None:
        playing = self.shelf.attempt
        seed = playing.seed if playing and playing.level == card.name else self.app.game.seed(card.name)
        level = await guarded(self.app.game.call(self.app.game.level, card.name, seed), self.app.failed)
        if level is not None:
            with suppress(NoMatches):
                self.query_one("#story", Prose).show(*about(self.shelf, card, level))
                self.query_one("#about").scroll_home(animate=False)

    # The cluster

    @work(exclusive=True, group="cluster")
    async def _watch_cluster(self) -> None:
        """Bring it up, look at it now and then, and bring it up again when it went away."""
        game, up = self.app.game, False
        while True:
            self._asked = time.monotonic()
            if up or await guarded(game.run(game.up(self.post_message)), self.post_message):
                status = await guarded(game.run(game.status()), self.post_message)
                up = status is not None and status.phase == "ready"
                if status is not None:
                    self.post_message(ClusterSeen(status))
            self._asked = None
            await asyncio.sleep(LOOK_SECONDS)

    def _say(self, text: Content) -> None:
        self.query_one("#cluster", Static).update(text)

    def _tick(self) -> None:
        """While the cluster starts, or does not answer: for how long by now."""
        waited = 0.0 if self._asked is None else time.monotonic() - self._asked
        step, seconds = self._step, f"{waited:.1f} s"
        if step.text:
            done = join(bar((step.step - 1) / step.steps, 8, "$text-warning"), " ") if step.steps else ""
            text = tr("cluster: {step} … {seconds}", step=step.text, seconds=seconds)
            self._say(join(done, plain(text, "$text-warning")))
        elif waited > SLOW_SECONDS:
            text = tr("! cluster: no answer for {seconds}, still asking", seconds=seconds)
            self._say(plain(text, "$text-warning"))

    def on_step_taken(self, message: StepTaken) -> None:
        self._step = message.progress
        self._tick()

    def on_cluster_seen(self, message: ClusterSeen) -> None:
        status, self._step = message.status, Progress("")
        if status.phase == "ready":
            nodes = trn("{n} node", "{n} nodes", status.nodes)
            text = tr("● cluster ready: {kind}, Kubernetes {version}", kind=self.app.game.kind, version=status.version)
            self._say(plain(tr("{one}, {other}", one=text, other=nodes), "$text-success"))
        else:
            detail = status.detail or tr("trying to bring it up")
            text = tr("✗ cluster {phase}: {detail}", phase=tr(PHASES[status.phase]), detail=detail)
            self._say(plain(text, "$text-error"))

    def on_failed(self, message: Failed) -> None:
        message.stop()
        self._step = Progress("")
        hint = f" ({tr(message.hint)})" if message.hint else ""
        self._say(plain(tr("✗ cluster: {what}", what=message.text) + hint, "$text-error"))

    # Actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """A character where text is typed."""
        return action not in keys.AT_ONCE or not isinstance(self.focused, Input)

    def why_not(self, action: str) -> str:
        """Why a key does nothing here and now."""
        if action in ("choose", "practice") and not self._option():
            return tr("there is no level to play here")
        if action == "details" and not self.has_class("-details") and self.query_one("#about").display:
            return tr("the details are beside the list already")
        return ""

    def on_option_list_option_selected(self) -> None:
        self.action_choose()

    def action_practice(self) -> None:
        self._play("practice")

    def action_choose(self) -> None:
        self._play("ranked")

    def action_exam(self) -> None:
        """Go on with the exam that is under way, or choose one."""
        exam = self.shelf.exam
        if self.shelf.examined:
            self.app.show_exam()
            return
        if self.shelf.attempt is not None:
            self._still_playing(self.shelf.attempt)
            return
        choice = ExamChoice([item.name for item in offered()], exam.name if exam is not None else "")
        self.app.push_screen(choice, self._take)

    def _take(self, chosen: tuple[str, int, bool] | None) -> None:
        if chosen is not None:
            self._examine(*chosen)

    @work(group="exam")
    async def _examine(self, name: str, minutes: int, strict: bool) -> None:
        """Begin an exam; without minutes, show the last one."""
        begun = not minutes or await guarded(
            self.app.game.run(self.app.game.begin_exam(name, minutes, strict=strict)), self.app.failed
        )
        if begun:
            self.app.show_exam()

    def _play(self, mode: Mode) -> None:
        """The selected level; what is in play goes on as it began."""
        if self._option() == EXAM:
            self.action_exam()
            return
        if self.shelf.examined:
            self.notify(tr("an exam is under way: first in the list, or e"), markup=False, severity="warning")
            return
        name, attempt = self._chosen(), self.shelf.attempt
        if attempt is not None and (not name or attempt.level == name):
            self.app.play_attempt(attempt)
        elif attempt is not None:
            self._still_playing(attempt)
        elif name:
            self.app.play_level(name, None, mode)

    def _still_playing(self, attempt: AttemptRecord) -> None:
        playing = self.shelf.card(attempt.level)
        text = tr(
            "{level} is still in play. Continue it (first in the list), or finish it there with F12.",
            level=playing.title if playing else attempt.level,
        )
        self.notify(clean(text), markup=False, severity="warning")

    def action_search(self) -> None:
        if self._details:
            self.action_details()
        field = self.query_one("#filter", Input)
        field.display = True
        self.set_focus(field)  # at once: what is typed next is for it

    def on_input_changed(self) -> None:
        self._fill()

    def on_input_submitted(self) -> None:
        self.set_focus(self.query_one("#levels"))

    def action_back(self) -> None:
        """Out of the details and the filter; never out of the app."""
        if self._details:
            self.action_details()
            return
        field = self.query_one("#filter", Input)
        field.value = ""
        field.display = False
        self.set_focus(self.query_one("#levels"))

    def action_details(self) -> None:
        """On a narrow screen the details take the place of the list."""
        self._details = not self._details
        self.set_class(self._details, "-details")

    def action_previous_track(self) -> None:
        self._jump(-1)

    def action_next_track(self) -> None:
        self._jump(1)

    def _jump(self, step: int) -> None:
        """To the first level of the next track, or of the one before."""
        levels = self.query_one("#levels", OptionList)
        options = levels.options
        starts = [
            index + 1
            for index, option in enumerate(options)
            if option.id is None and index + 1 < len(options) and options[index + 1].id
        ]
        here = levels.highlighted or 0
        after = [start for start in starts if start > here]
        before = [start for start in starts if start < here]
        if step > 0 and after:
            levels.highlighted = after[0]
        elif step < 0 and before:
            levels.highlighted = before[-1]

    def action_again(self) -> None:
        self._read()
        self._watch_cluster()

    def recommended(self) -> LevelCard | None:
        """What to play next."""
        return self.shelf.recommended()


def fit_heading(text: str, width: int) -> str:
    return f"{text} ".ljust(width)
