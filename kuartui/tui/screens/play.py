"""Play: the checks as they tick, the clock, the cluster as it is, what changed, and a terminal with kubectl."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from textual import events, work
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import Input, Static

from kuartui.message import later
from kuartui.play.detail import View
from kuartui.play.observe import Observer, Row
from kuartui.play.session import AttemptSession
from kuartui.translate import tr
from kuartui.tui import choices, keys
from kuartui.tui.feed import follow, guarded, observe
from kuartui.tui.messages import AttemptChanged, AttemptEnded, AttemptReset, ClusterChanged, Failed
from kuartui.tui.screens.arrangement import LAYOUTS, Arrangement
from kuartui.tui.screens.dialogs import Confirm
from kuartui.tui.text import plain
from kuartui.tui.widgets import brief
from kuartui.tui.widgets.coach import Coach
from kuartui.tui.widgets.detail import Detail
from kuartui.tui.widgets.keybar import KeyBar
from kuartui.tui.widgets.lines import Choices, Lines
from kuartui.tui.widgets.objects import table
from kuartui.tui.widgets.splitter import Splitter
from kuartui.tui.widgets.terminal import TerminalPane

if TYPE_CHECKING:
    from kuartui.tui.app import KuartuiApp
    from kuartui.tui.widgets.scrollback import ScrollingTerminal
    from kuartui.tui.widgets.selecting import SelectingTerminal

TICK = 0.5
TITLES = {"task": later("Task"), "cluster": later("Cluster"), "timeline": later("Timeline")}


class PlayScreen(Screen[None], keys.Explains):
    """One attempt."""

    BINDINGS = [*keys.bindings("play"), *keys.bindings("pane"), *keys.bindings("shell")]
    CSS_PATH = "play.tcss"
    app: KuartuiApp

    def __init__(self, session: AttemptSession) -> None:
        super().__init__()
        self.session = session
        self.arrangement = Arrangement.remembered(choices.read())
        self._observer: Observer | None = None
        self._timeline = -1
        self._offered: int | None = None  # the hint that the player is asked about
        self._ticks = 0
        self._away = False  # whether a layout without the terminal took the focus from it
        self._typed: list[events.Key | events.Paste] | None = []  # what the shell is to have once there is one

    def compose(self) -> ComposeResult:
        yield Static(id="clock")
        yield Static(id="alarm")
        with Container(id="panes"):
            with Container(id="left"):
                with VerticalScroll(id="task", classes="pane"):
                    for part in ("what", "checks", "hints", "story"):
                        yield Static(id=part)
                yield Choices("cluster")
                yield Lines("timeline", follow=True)
            yield Splitter(id="splitter")
            with Vertical(id="terminal", classes="pane"):
                yield TerminalPane(self.session)
        yield Detail()
        yield Input(id="find", placeholder=tr("search"), select_on_focus=False)
        yield Coach()
        yield KeyBar("play")

    async def on_mount(self) -> None:
        for name, title in TITLES.items():
            self.query_one(f"#{name}").border_title = tr(title)
        for name in ("alarm", "detail", "find"):
            self.query_one(f"#{name}").display = False
        view = self.session.snapshot()
        self.query_one("#what", Static).update(brief.task(view))
        self.query_one("#story", Static).update(brief.story(view))
        self._arrange()
        self.show()
        self._open_terminal()
        self.set_interval(TICK, self._tick)
        self._follow()
        self._observe()

    @work(group="terminal")
    async def _open_terminal(self) -> None:
        opened = await self.terminal.open()
        typed, self._typed = self._typed or [], None
        if opened and self.arrangement.shell_shown and not self.detail.display:
            for event in typed:
                self.terminal.give(event)
            self.terminal.enter()
        elif self.focused is None:
            self.query_one("#task").focus()

    # What is typed before the shell has the focus is for the shell, and does nothing else

    def on_key(self, event: events.Key) -> None:
        if event.key not in {"escape", *keys.OURS, *keys.LOOKING}:
            self._keep_for_shell(event, events.Key(event.key, event.character))

    def on_paste(self, event: events.Paste) -> None:
        self._keep_for_shell(event, events.Paste(event.text))

    def _keep_for_shell(self, event: events.Event, copy: events.Key | events.Paste) -> None:
        if self._awaits_shell and self._typed is not None:
            self._typed.append(copy)
        elif self.terminal.has_shell_focus:  # it was on its way here when the shell got the focus
            self.terminal.give(copy)
        else:
            return
        event.stop()

    @property
    def _awaits_shell(self) -> bool:
        return self._typed is not None and self.focused is None and self.arrangement.shell_shown

    @property
    def terminal(self) -> TerminalPane:
        return self.query_one(TerminalPane)

    @property
    def detail(self) -> Detail:
        return self.query_one(Detail)

    # What is shown

    def show(self) -> None:
        """Everything that a snapshot tells."""
        view = self.session.snapshot()
        self._head()
        self.query_one("#checks", Static).update(brief.checks(view))
        self.query_one("#hints", Static).update(brief.hints(view))
        if len(view.timeline) != self._timeline:
            self._timeline = len(view.timeline)
            self.query_one("#timeline", Lines).show([brief.entry(item) for item in view.timeline])

    def _head(self) -> None:
        view = self.session.snapshot()
        self.query_one("#clock", Static).update(brief.clock(view, self.size.width - 2))
        self.query_one(Coach).show(view)
        silent = self._observer.silent if self._observer is not None else 0.0
        alarm, text = self.query_one("#alarm", Static), brief.alarm(view, silent)
        alarm.display = text is not None
        if text is not None:
            alarm.update(text)
        if any(check.state == "holding" for check in view.checks):
            self.query_one("#checks", Static).update(brief.checks(view))

    def _tick(self) -> None:
        self._ticks += 1
        with suppress(NoMatches):  # the last tick of a screen that is being taken down
            self._head()
            if self._ticks % 2 == 0:
                self._show_objects()

    def _show_objects_still(self) -> None:
        with suppress(NoMatches):  # the screen may be on its way out by now
            self._show_objects()

    def _show_objects(self) -> None:
        pane = self.query_one("#cluster", Choices)
        if self._observer is None or not pane.display or self.detail.display:
            return
        search = self.query_one("#find", Input).value
        pane.border_subtitle = f"/{search}" if search else ""
        sections, room = self._observer.sections(search), pane.scrollable_content_region.width
        pane.offer(table(sections, problem=self._observer.problem, search=search, room=room))

    # What happens

    @work(exclusive=True, group="attempt")
    async def _follow(self) -> None:
        await guarded(self.app.game.run(follow(self.session, self.post_message)), self.post_message)

    @work(exclusive=True, group="observe")
    async def _observe(self) -> None:
        """Watch the level's objects; anew after a reset, which brings new credentials."""
        game = self.app.game
        self._observer = await guarded(game.call(game.observer, self.session), self.post_message)
        if self._observer is not None:
            await guarded(game.run(observe(self._observer, self.post_message)), self.post_message)

    def on_cluster_changed(self, message: ClusterChanged) -> None:
        self._show_objects()

    def on_attempt_changed(self, message: AttemptChanged) -> None:
        self.show()

    def on_attempt_reset(self, message: AttemptReset) -> None:
        self._observe()

    def on_attempt_ended(self, message: AttemptEnded) -> None:
        self.app.game.let_go(self.session)
        if self.in_exam:  # what was to be done is told after its end
            self.app.show_exam()
        else:
            self.app.show_result(message.result)

    @property
    def in_exam(self) -> bool:
        return self.session.snapshot().mode == "exam"

    def on_failed(self, message: Failed) -> None:
        message.stop()
        self.app.trouble(message.text, message.hint)

    # Layout and focus

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()
        self._head()

    def _arrange(self) -> None:
        self.arrangement.apply(self)
        self.terminal.fold(not self.arrangement.shell_shown)
        self.call_after_refresh(self._show_objects_still)  # once the pane has its new width

    def _remember(self) -> None:
        self._arrange()
        for name, value in self.arrangement.memory().items():
            self.app.game.keep(name, value)

    def action_layout(self) -> None:
        """The next one. The terminal has the keys again when it comes back, if it had them when it went."""
        self._away = self._away or self.terminal.has_shell_focus
        self.arrangement.next_layout(self.size.width)
        self._remember()
        self.notify(tr(LAYOUTS[self.arrangement.shape(self.size.width)]), markup=False, timeout=2)
        shown = self.arrangement.shell_shown
        if self.arrangement.layout == "terminal" or (shown and (self._away or self.focused is None)):
            self.terminal.enter()
        elif not shown or self.focused is None:
            self._focus(self.arrangement.view)
        self._away = self._away and not shown

    def action_grow(self) -> None:
        self._resize_by(1)

    def action_shrink(self) -> None:
        self._resize_by(-1)

    def _resize_by(self, step: int) -> None:
        self.arrangement.resize(self, 4 * step, step)
        self._remember()

    def on_splitter_dragged(self, message: Splitter.Dragged) -> None:
        self.arrangement.resize(self, message.columns, message.rows)
        self._remember()

    def action_shell(self) -> None:
        """In or out of the terminal."""
        if self.terminal.has_shell_focus:
            self._focus("task")
            return
        if self.detail.display:
            self._close_detail()
        if not self.arrangement.shell_shown:
            self.arrangement.layout = "side"
            self._remember()
        if not self.terminal.enter():
            self._open_terminal()

    def action_earlier(self) -> None:
        """What scrolled off the terminal, a screenful less one line further back."""
        if (shell := self.terminal.shell) is not None:
            shell.look(max(1, shell.size.height - 1))

    def action_later(self) -> None:
        if (shell := self.terminal.shell) is not None:
            shell.look(-max(1, shell.size.height - 1))

    def on_scrolling_terminal_looked(self, message: ScrollingTerminal.Looked) -> None:
        """Say in the border how far back the terminal shows."""
        back, kept = message.back, message.kept
        sign = tr("↑ {back} of {kept} lines back · Shift+PgDn", back=back, kept=kept) if back else ""
        self.query_one("#terminal").border_subtitle = plain(sign, "$text-warning") if sign else ""

    def on_selecting_terminal_selected(self, message: SelectingTerminal.Selected) -> None:
        self.app.copy_to_clipboard(message.text)
        self.notify(tr("copied"), markup=False, timeout=2)

    def action_focus_next_pane(self) -> None:
        """Task, cluster, timeline, terminal, and around."""
        if self.detail.display:
            self._close_detail()
        order = ["task", "cluster", "timeline", *(["terminal"] if self.terminal.shell is not None else [])]
        here = (
            "terminal" if self.terminal.has_shell_focus else next((name for name in order if self._has(name)), "task")
        )
        following = order[(order.index(here) + 1) % len(order)]
        if following == "terminal":
            self.action_shell()
        else:
            self._focus(following)

    def _has(self, name: str) -> bool:
        return self.focused is not None and self.query_one(f"#{name}") in self.focused.ancestors_with_self

    def _focus(self, name: str) -> None:
        if self.arrangement.layout == "terminal":
            self.arrangement.layout = "side"
        self.arrangement.show(name)
        self._arrange()
        self.set_focus(self.query_one(f"#{name}"))  # at once: what had it may be about to go

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """A character where text is typed."""
        around = self.focused.ancestors_with_self if self.focused is not None else []
        typing = self._awaits_shell or any(isinstance(node, (Input, TerminalPane)) for node in around)
        return action not in keys.AT_ONCE or not typing

    # What does nothing here and now

    def why_not(self, action: str) -> str:
        """Why a key does nothing here."""
        if action in ("describe", "yaml", "logs") and not isinstance(self._row(), Row):
            return tr("choose something in the cluster pane first (F6); F9 goes to the terminal")
        if action == "copy" and not self.detail.display and not isinstance(self._row(), Row):
            return tr("choose something to copy in the cluster pane first (F6); F9 goes to the terminal")
        if action == "next_match" and not (self.detail.display and self.query_one("#find", Input).value):
            return tr("there is no search in something that is open; / begins one")
        if action in ("grow", "shrink") and not self.arrangement.sizable:
            return tr("there is one pane only; F4 changes the layout")
        if action in ("earlier", "later"):
            return self._why_not_look(action)
        if action == "pause" and self.session.snapshot().mode != "practice":
            return tr("the clock stops in practice only; p on the home screen begins it")
        if action == "look" and self.session.withheld:
            return tr("what is right is told after this exam")
        if action == "hint" and self.in_exam:
            return tr("there are no hints in an exam")
        if action == "hint" and self.session.snapshot().next_hint_cost is None:
            return tr("there are no more hints")
        return ""

    def _why_not_look(self, action: str) -> str:
        shell = self.terminal.shell
        if shell is None or not shell.display:
            return tr("there is no terminal in sight (F9)")
        if shell.fills_screen:
            return tr("a program fills the terminal; its own keys scroll it")
        if action == "earlier" and not shell.kept:
            return tr("nothing has scrolled off the terminal")
        if action == "earlier" and shell.back == shell.kept:
            return tr("that is the first line that the terminal has kept")
        return tr("that is the end of the terminal") if action == "later" and not shell.back else ""

    def _row(self) -> object:
        """What is open, or else chosen in the cluster pane."""
        return self.detail.row if self.detail.display else self.query_one("#cluster", Choices).chosen

    # One object in full

    def on_choices_chosen(self, message: Choices.Chosen) -> None:
        self._open_detail("describe")

    def action_describe(self) -> None:
        self._open_detail("describe")

    def action_yaml(self) -> None:
        self._open_detail("yaml")

    def action_logs(self) -> None:
        self._open_detail("logs")

    def _open_detail(self, view: View) -> None:
        row = self._row()
        if not isinstance(row, Row):
            return
        self.query_one("#panes").display = False
        self.detail.display = True
        self.detail.open(self.app.game.detail(self.session, row, view), row, view)

    def _close_detail(self) -> None:
        self.detail.close()
        self.query_one("#panes").display = True
        self._focus("cluster")  # before the detail goes, or the focus would fall on whatever is next to it
        self.detail.display = False

    def action_copy(self) -> None:
        """What is open, else the chosen line; over OSC 52, so that it works through ssh."""
        row = self.query_one("#cluster", Choices).chosen
        text = self.detail.text if self.detail.display else f"{row.resource}/{row.name}" if isinstance(row, Row) else ""
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(tr("copied"), markup=False, timeout=2)

    # Search

    def action_search(self) -> None:
        field = self.query_one("#find", Input)
        field.display = True
        if not self.detail.display:
            self._focus("cluster")
        self.set_focus(field)  # at once: what is typed next is for it

    def on_input_changed(self, event: Input.Changed) -> None:
        if self.detail.display:
            self.detail.search(event.value)
        else:
            self._show_objects()

    def on_input_submitted(self) -> None:
        if self.detail.display:
            self.detail.focus_text()
        else:
            self._focus("cluster")
        self.query_one("#find").display = bool(self.query_one("#find", Input).value)

    def action_next_match(self) -> None:
        if self.detail.display:
            self.detail.search(self.query_one("#find", Input).value, onwards=True)

    def _close_search(self) -> None:
        field = self.query_one("#find", Input)
        field.value = ""
        field.display = False
        if self.detail.display:
            self.detail.focus_text()
        else:
            self._focus("cluster")

    # The attempt

    def action_look(self) -> None:
        self._run("look")

    def action_pause(self) -> None:
        self._run("go on" if self.session.snapshot().paused else "pause")

    def action_hint(self) -> None:
        view = self.session.snapshot()
        cost, self._offered = view.next_hint_cost, len(view.hints)
        if not cost:
            self._run("hint")
            return
        question = tr("The next hint costs {cost} points. Take it?", cost=cost)
        self.app.push_screen(Confirm(question, tr("Take it")), self._if_yes("hint"))

    def action_reset(self) -> None:
        question = tr("Set the level up anew? What you did is undone; the clock runs on.")
        self.app.push_screen(Confirm(question, tr("Reset")), self._if_yes("reset"))

    def action_finish(self) -> None:
        question = tr("End the level now, with {points} points?", points=self.session.snapshot().score.total)
        if self.in_exam:
            question = tr("Hand in this task as it is, for good? Esc outside the terminal only leaves it.")
        self.app.push_screen(Confirm(question, tr("Finish")), self._if_yes("finish"))

    def _if_yes(self, what: str) -> Callable[[bool | None], None]:
        """What a dialog calls with its answer."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._run(what)

        return answered

    @work(group="act")
    async def _run(self, what: str) -> None:
        session, run = self.session, self.app.game.run
        if what == "look":
            await guarded(run(session.refresh()), self.post_message)
        elif what == "hint":
            await guarded(run(session.hint(self._offered)), self.post_message)
            self.show()
            self._show_hints()
        elif what == "pause":
            await guarded(run(session.pause()), self.post_message)
        elif what == "go on":
            await guarded(run(session.unpause()), self.post_message)
        elif what == "reset":
            await guarded(run(session.reset()), self.post_message)
        elif what == "finish":
            await guarded(run(session.finish()), self.post_message)
        self.post_message(AttemptChanged())

    def _show_hints(self) -> None:
        """Have the last one in sight, wherever the player is."""
        if self.terminal.has_shell_focus and self.arrangement.layout != "terminal":
            self.arrangement.show("task")
            self._arrange()
        elif not self.detail.display:
            self._focus("task")
        task, hints = self.query_one("#task", VerticalScroll), self.query_one("#hints")
        task.call_after_refresh(task.scroll_to_widget, hints, animate=False, origin_visible=False)

    def action_back(self) -> None:
        """Out of the search, out of the detail, then home; the attempt goes on."""
        if self.query_one("#find").display:
            self._close_search()
        elif self.detail.display:
            self._close_detail()
        elif self.in_exam:
            self.app.game.let_go(self.session)
            self.app.show_exam()
        else:
            self.app.game.let_go(self.session)
            self.app.go_home()
