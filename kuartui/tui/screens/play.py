"""Play: the story, the checks as they tick, the clock, and a terminal with kubectl."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from kuartui.errors import KuartuiError
from kuartui.play.session import AttemptSession
from kuartui.play.view import AttemptView
from kuartui.tui import keys
from kuartui.tui.feed import follow, guarded
from kuartui.tui.messages import AttemptChanged, AttemptEnded, Failed
from kuartui.tui.screens.dialogs import Confirm
from kuartui.tui.text import WORDS, join, lines, mark, paragraphs, plain, span

if TYPE_CHECKING:
    from kuartui.tui.app import KuartuiApp

LAYOUTS = ("side", "stacked", "checks")
TICK = 0.5


class PlayScreen(Screen[None]):
    """One attempt."""

    BINDINGS = keys.bindings("play")
    app: KuartuiApp

    def __init__(self, session: AttemptSession) -> None:
        super().__init__()
        self.session = session
        self._arrangement = ""
        self._mended = ""

    def compose(self) -> ComposeResult:
        yield Static(id="clock")
        with Horizontal(id="panes"):
            with VerticalScroll(id="brief"):
                yield Static(id="checks")
                yield Static(id="story")
            with Vertical(id="terminal"):
                yield Static(id="own")
        yield Footer(show_command_palette=False)

    async def on_mount(self) -> None:
        self._story()
        self.show()
        await self._open_shell()
        self.set_interval(TICK, self._tick)
        self._follow()
        self._arrange("side")

    async def _open_shell(self) -> None:
        """The terminal pane, or the one line to paste where there can be none."""
        view = self.session.snapshot()
        own = self.query_one("#own", Static)
        line = 'eval "$(kuartui env)"'
        longer = f"or: export KUBECONFIG={shlex.quote(str(view.kubeconfig))}"
        own.update(lines(plain("In a terminal of your own:", "bold"), plain(line, "$text-accent"), plain(longer)))
        own.display = False
        if view.kubeconfig is None or self.app.is_web or os.environ.get("KUARTUI_SHELL") == "0":
            own.display = True
            return
        from kuartui.cluster import kubectl

        try:
            tool = kubectl.find()
        except KuartuiError as error:
            own.update(lines(plain(error.message, "bold $text-error"), plain(error.hint), "", plain(line)))
            own.display = True
            return
        try:
            from kuartui.tui.widgets.shell import Shell
        except ImportError:
            own.display = True
            return
        path = os.environ.get("PATH", "")
        if kubectl.first_on_path() != tool.path:
            path = f"{tool.path.parent}{os.pathsep}{path}"
        shell = Shell(view.kubeconfig, path, view.level.namespace)
        await self.query_one("#terminal").mount(shell)
        shell.focus()

    # What is shown

    def _story(self) -> None:
        level = self.session.snapshot().level
        parts: list[Content | str] = [plain(level.title, "bold"), ""]
        parts += [paragraphs(level.story), "", plain("Task", "bold"), paragraphs(level.task)]
        parts += ["", plain(f"namespace {level.namespace}", "$text-muted")]
        self.query_one("#story", Static).update(lines(*parts))

    def show(self) -> None:
        view = self.session.snapshot()
        self.query_one("#clock", Static).update(self._clock_line(view))
        self.query_one("#checks", Static).update(self._checks(view))

    def _tick(self) -> None:
        view = self.session.snapshot()
        self.query_one("#clock", Static).update(self._clock_line(view))
        if any(check.state == "holding" for check in view.checks):
            self.query_one("#checks", Static).update(self._checks(view))

    def _clock_line(self, view: AttemptView) -> Content:
        level = view.level
        style = "$text-error" if view.remaining < 60 else "$text-warning" if view.elapsed > level.par_time else ""
        clock = plain(f" {span(view.elapsed)}", f"bold {style}".strip())
        green = sum(check.green for check in view.checks)
        rest = f" par {span(level.par_time)}, limit {span(level.time_limit)}   {green}/{len(view.checks)} checks"
        points = f"   {view.score.total} points, {view.potential} possible"
        name = plain(f"   {level.name}", "$text-muted")
        line = join(clock, plain(rest), plain(points), name)
        trouble = view.trouble or (f"{view.phase}: {view.progress}" if view.phase in ("setup", "drill") else "")
        return join(line, plain(f"   {trouble}", "$text-error")) if trouble else line

    def _checks(self, view: AttemptView) -> Content:
        rows: list[Content | str] = []
        for check in view.checks:
            word = WORDS[check.state]
            if check.state == "holding":
                word = f"holding, {span(check.hold_left)} left"
            head = join(mark(check.state), " ", plain(check.title), plain(f"  {check.points}p {word}", "$text-muted"))
            rows.append(head)
            seen = check.problem or check.observed
            if seen and not check.green:
                rows.append(plain(f"    {seen}", "$text-muted"))
            if check.voided_by:
                rows.append(plain(f"    no points: {check.voided_by}", "$text-error"))
        for guard in view.guards:
            if guard.broken:
                text = f"! broken: {guard.title}. {guard.why}" + (" (F8 resets)" if guard.sticky else "")
                rows.append(plain(text, "bold $text-error"))
        for hint in view.hints:
            rows.append(plain(f"Hint {hint.index + 1}: {hint.text.strip()}", "$text-accent"))
        return lines(*rows, "")

    # What happens

    @work(exclusive=True, exit_on_error=False, group="attempt")
    async def _follow(self) -> None:
        await guarded(follow(self.session, self.post_message), self.post_message)

    def on_attempt_changed(self, message: AttemptChanged) -> None:
        self.show()

    async def on_attempt_ended(self, message: AttemptEnded) -> None:
        await self.session.close()
        self.app.show_result(message.result)

    def on_failed(self, message: Failed) -> None:
        message.stop()
        self.app.trouble(message.text, message.hint)

    # Layout and focus

    def _arrange(self, layout: str) -> None:
        self._arrangement = layout
        for name in LAYOUTS:
            self.set_class(name == layout, f"-{name}")
        own = self.query_one("#own")
        shell = self.query("#shell")
        if shell:
            own.display = layout == "checks"
            shell.first().display = layout != "checks"

    def action_layout(self) -> None:
        self._arrange(LAYOUTS[(LAYOUTS.index(self._arrangement) + 1) % len(LAYOUTS)])

    def action_shell(self) -> None:
        """In or out of the terminal."""
        shell = self.query("#shell")
        if not shell:
            self.notify("there is no terminal here; use one of your own", markup=False)
        elif shell.first().has_focus:
            self.query_one("#brief").focus()
        else:
            if self._arrangement == "checks":
                self._arrange("side")
            shell.first().focus()

    def action_focus_next_pane(self) -> None:
        self.action_shell()

    # The attempt

    def action_look(self) -> None:
        self._run("look")

    def action_hint(self) -> None:
        view = self.session.snapshot()
        if view.next_hint_cost is None:
            self.notify("there are no more hints", markup=False)
            return
        question = f"The next hint costs {view.next_hint_cost} points. Take it?"
        self.app.push_screen(Confirm(question, "Take it"), self._if_yes("hint"))

    def action_reset(self) -> None:
        question = "Set the level up anew? What you did is undone; the clock runs on."
        self.app.push_screen(Confirm(question, "Reset"), self._if_yes("reset"))

    def action_finish(self) -> None:
        view = self.session.snapshot()
        question = f"End the level now, with {view.score.total} points?"
        self.app.push_screen(Confirm(question, "Finish"), self._if_yes("finish"))

    def _if_yes(self, what: str) -> Callable[[bool | None], None]:
        """What a dialog calls with its answer."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._run(what)

        return answered

    @work(exit_on_error=False, group="act")
    async def _run(self, what: str) -> None:
        session = self.session
        if what == "look":
            await guarded(session.refresh(), self.post_message)
        elif what == "hint":
            await guarded(session.hint(), self.post_message)
        elif what == "reset":
            self.notify("setting the level up anew", markup=False)
            await guarded(session.reset(), self.post_message)
        elif what == "finish":
            await guarded(session.finish(), self.post_message)
        self.post_message(AttemptChanged())

    async def action_back(self) -> None:
        """Home; the attempt goes on."""
        await self.session.close()
        self.app.go_home()
