"""The app: screens, themes, commands, and what happens when something breaks."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from textual._context import active_message_pump
from textual.actions import ActionParseResult
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.command import CommandPalette
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.events import Resize
from textual.geometry import Size
from textual.notifications import Notify
from textual.screen import Screen
from textual.worker import WorkerFailed, get_current_worker

from kuartui.errors import BUG
from kuartui.game import cel
from kuartui.game.events import Mode
from kuartui.message import later
from kuartui.play.session import AttemptSession
from kuartui.play.view import Result
from kuartui.progress.store import AttemptRecord
from kuartui.translate import tr
from kuartui.tui import choices, failure, heap, keys, themes, widget_cache
from kuartui.tui.failure import Failure, FailureApp
from kuartui.tui.feed import Game, guarded
from kuartui.tui.keys import Explains
from kuartui.tui.messages import Failed
from kuartui.tui.screens.dialogs import Confirm, Help, TooSmall, Trouble
from kuartui.tui.screens.exam import ExamScreen
from kuartui.tui.screens.home import EXAM, HomeScreen
from kuartui.tui.screens.play import PlayScreen
from kuartui.tui.screens.result import ResultScreen
from kuartui.tui.screens.setup import SetupScreen
from kuartui.tui.text import clean

TITLES = {
    "home": later("Home"),
    "setup": later("Setting up"),
    "play": later("Play"),
    "exam": later("Exam"),
    "result": later("Result"),
}
ABOUT = {
    "home": later("Pick a level. The cluster starts by itself."),
    "setup": later("The level is being set up, and begins by itself. Esc leads back without it."),
    "play": later(
        "Fix the cluster with kubectl, in the terminal here or in your own. Checks tick by themselves. "
        "While the terminal has the focus, only F-keys are kuartui's: F9 leaves it."
    ),
    "exam": later("Each task is worth its percent: what is green in it when you leave it counts, time does not."),
    "result": later("How it went. Only your best attempt at a level counts."),
}
SMALLEST = (50, 15)
BY_SIGNAL = 128  # and its number: the exit code of what a signal ended, as shells count
SERVED_EVERY = 2.0  # seconds between two looks at whether a browser's server is still there
GARBAGE = (700, 10, 10)  # Python's own thresholds of its garbage collector


class KuartuiApp(App[int], inherit_bindings=False):
    """The terminal interface."""

    TITLE = "kuartui"
    CSS_PATH = "app.tcss"
    COMMAND_PALETTE_BINDING = "f2"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (130, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]
    BINDINGS = [*keys.bindings("everywhere"), Binding("ctrl+c", "copy_or_nothing", show=False, system=True)]
    AUTO_FOCUS = None

    def __init__(self, game: Game, level: str | None = None, seed: int | None = None, mode: Mode = "ranked") -> None:
        self._surroundings = dict(os.environ)  # Textual takes NO_COLOR away
        if not os.environ.get("NO_COLOR"):
            os.environ.pop("NO_COLOR", None)  # an empty one asks for nothing (no-color.org); Textual heeds it
        super().__init__()
        widget_cache.mend()
        self.game = game
        self._first = level, seed, mode
        self.played = ""  # the level, or the exam, that home goes to once it is seen again
        self.failure: Failure | None = None  # why the app ended by itself
        for theme in themes.OWN:
            self.register_theme(theme)

    def on_mount(self) -> None:
        chosen = choices.read().get("theme", "")
        self.theme = chosen if chosen in self._themes() else themes.first(self._surroundings)
        if self._surroundings.get("KUARTUI_MOTION") == "none":
            self.animation_level = "none"
        loop = asyncio.get_running_loop()
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
            loop.add_signal_handler(signal.SIGHUP, self._leave, BY_SIGNAL + signal.SIGHUP)  # the terminal was closed
        if self.is_web:
            self.set_interval(SERVED_EVERY, self._leave_if_alone)
        else:  # a browser's driver has its own
            loop.add_signal_handler(signal.SIGTERM, self._leave, BY_SIGNAL + signal.SIGTERM)
        self.push_screen(HomeScreen())
        self._cover(self.size)
        level, seed, mode = self._first
        if level:
            self.run_worker(self._begin_with(level, seed, mode))

    def on_ready(self) -> None:
        """From now on look for garbage as often as Python does by itself: the command line looks rarely, which suits
        its start and no long life."""
        gc.set_threshold(*GARBAGE)

    async def _begin_with(self, level: str, seed: int | None, mode: Mode) -> None:
        """The level of the command line: continued if it is in play."""
        running = await guarded(self.game.call(self.game.running), self.failed)
        if running is not None and level in (running.level, running.folder):
            self.play_attempt(running)
        else:
            self.play_level(level, seed, mode)

    def on_resize(self, event: Resize) -> None:
        if len(self.screen_stack) > 1:  # else home comes first
            self._cover(event.size)

    def _cover(self, size: Size) -> None:
        """Say so where there is no room for the screens; what covers them goes by itself once there is."""
        if not _has_room(size) and not any(isinstance(screen, TooSmall) for screen in self.screen_stack):
            self.push_screen(TooSmall(*SMALLEST, lambda: _has_room(self.size)))
        elif _has_room(size) and isinstance(self.screen, TooSmall):
            self.pop_screen()

    # Places

    def play_level(self, name: str, seed: int | None, mode: Mode = "ranked") -> None:
        """Set a level up and play it; without a seed, with a new one."""
        self.played = name
        self._go(SetupScreen(name, self.game.deal(name) if seed is None else seed, None, mode))

    def play_attempt(self, record: AttemptRecord) -> None:
        """Go on with an attempt."""
        self.played = record.level
        self._go(SetupScreen(record.level, record.seed, record))

    def play_task(self, number: int) -> None:
        """Work at a task of the exam."""
        self._go(SetupScreen("", 0, None, task=number))

    def show_exam(self) -> None:
        self.played = EXAM
        self._go(ExamScreen())

    def show_play(self, session: AttemptSession) -> None:
        gc.collect()  # the last level's screens, 4 MB in circles that Python might find an hour later; nobody types now
        cel.forget()  # what its checks asked
        heap.trim()
        self._go(PlayScreen(session))

    def show_result(self, result: Result) -> None:
        """How a level went, or a task of an exam: then Esc leads back to the others."""
        self._go(ResultScreen(result))

    def go_home(self) -> None:
        self._clear()
        self._cover(self.size)

    def _clear(self) -> None:
        while len(self.screen_stack) > 2:
            self.pop_screen()

    def _go(self, screen: Screen[None]) -> None:
        """One place at a time above home."""
        self._clear()
        self.push_screen(screen)
        self._cover(self.size)

    def trouble(self, text: str, hint: str = "") -> None:
        """Tell of something that went wrong."""
        self.push_screen(Trouble(clean(tr(text)), clean(tr(hint))))

    def failed(self, message: Failed) -> None:
        """Tell what a worker could not do."""
        self.trouble(message.text, message.hint)

    def on_notify(self, _: Notify) -> None:
        """The last note only: each answers one key, and a pile of them would cover the screen and its dialogs. They
        come here one by one, however fast the keys do."""
        self.clear_notifications()

    # Actions

    def place(self) -> str:
        """home, setup, play, exam or result."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, ExamScreen):
                return "exam"
            if isinstance(screen, PlayScreen):
                return "play"
            if isinstance(screen, ResultScreen):
                return "result"
            if isinstance(screen, SetupScreen):
                return "setup"
        return "home"

    def action_help(self) -> None:
        if isinstance(self.screen, Help):
            self.screen.dismiss(None)
            return
        place = self.place()
        self.push_screen(Help(tr(TITLES[place]), keys.of(place), tr(ABOUT[place])))

    def action_next_theme(self) -> None:
        names = self._themes()
        index = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(index + 1) % len(names)]
        self.game.keep("theme", self.theme)
        self.notify(tr("theme: {name}", name=tr(themes.NAMES[self.theme])), markup=False, timeout=2)

    def _themes(self) -> list[str]:
        """Those that can be read here: where no colours are wanted, the terminal's own ones all turn black."""
        return [name for name in themes.NAMES if not (self.no_color and name.startswith("ansi"))]

    def action_command_palette(self) -> None:
        """Textual's, with its one sentence in the player's language."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder=tr("Search for commands…"), id="--command-palette"))

    def action_leave(self) -> None:
        playing = next((screen for screen in self.screen_stack if isinstance(screen, PlayScreen)), None)
        question = tr("Leave kuartui?")
        if playing is not None and playing.session.snapshot().paused:
            question = tr("Leave kuartui? The level can be continued; its clock stays stopped.")
        elif playing is not None:
            question = tr("Leave kuartui? The level goes on, and so does its clock.")
        if not (isinstance(self.screen, Confirm) and self.screen.question == question):  # it is asked already
            self.push_screen(Confirm(question, tr("Leave")), lambda yes: self._leave() if yes else None)

    def _leave_if_alone(self) -> None:
        """`kuartui serve` was killed: nobody sees this any more, and nobody would end it."""
        if _alone():
            self._leave()

    def _leave(self, code: int = 0) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, PlayScreen):
                self.game.let_go(screen.session)
        self.exit(code)

    def action_copy_or_nothing(self) -> None:
        """Ctrl-C copies what is selected and never ends anything."""
        selected = self.screen.get_selected_text()
        if selected:
            self.copy_to_clipboard(selected)
            self.notify(tr("copied"), markup=False)
        else:
            self.notify(tr("Ctrl-C does not leave kuartui; F10 does"), markup=False)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every action in the palette."""
        target = screen if self.place() != "home" or isinstance(screen, HomeScreen) else self
        for key in keys.of(self.place()):
            owner = target if key.place != "everywhere" else self
            call = getattr(owner, f"action_{key.action}", None)
            if call is not None and key.action != "command_palette":
                yield SystemCommand(tr(key.help), f"{tr(key.word)} ({key.shown})", call)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """A key that does nothing here and now says why."""
        target, name, _ = self._parse_action(action, default_namespace or self, namespaces)
        reason = target.why_not(name) if isinstance(target, Explains) else ""
        if reason:
            self.notify(clean(reason), markup=False, timeout=4)
            return True
        return await super().run_action(action, default_namespace, namespaces)

    # Trouble

    def _is_going(self, error: Exception) -> bool:
        """Whether what failed just now belongs to a screen that has been left."""
        here = get_current_worker().node if isinstance(error, WorkerFailed) else active_message_pump.get(None)
        nodes = here.ancestors_with_self if isinstance(here, DOMNode) else []
        return any(isinstance(node, Screen) and node not in self.screen_stack for node in nodes)

    def _handle_exception(self, error: Exception) -> None:
        """Whatever nobody foresaw, in a handler or in a worker: keep the traceback in a file, end this app, and let
        `run` show one screen about it."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        if isinstance(cause, NoMatches) and (self._exit or self._is_going(error)):
            return  # a tick, a message, a worker that came to a screen which is being taken down, piece by piece
        if self.is_web and isinstance(cause, BrokenPipeError) and _alone():
            self.exit()  # nobody sees it any more
            return
        if self.failure is None:
            self.failure = failure.of(error)
        if self.is_headless or "KUARTUI_DEBUG" in os.environ:
            super()._handle_exception(error)
            return
        self._return_code = BUG
        self.exit(BUG, message=self.failure.text() if self.is_web else None)


def _alone() -> bool:
    """Whether the server that shows this in a browser is gone: nobody holds the other end of standard input."""
    poll = select.poll()
    poll.register(sys.__stdin__ or 0, 0)
    return bool(poll.poll(0))


def _has_room(size: Size) -> bool:
    return size.width >= SMALLEST[0] and size.height >= SMALLEST[1]


def run(cluster: str = "embedded", level: str | None = None, seed: int | None = None, mode: Mode = "ranked") -> int:
    """Show the app until the player leaves; the exit code. After a failure the player may go on, in a new app."""
    while True:
        game = Game(cluster)
        try:
            app = KuartuiApp(game, level, seed, mode)
            code = app.run() or 0
        finally:
            ended = game.close()
        if app.failure is None or app.is_web or "KUARTUI_DEBUG" in os.environ:
            break
        again = FailureApp(app.failure).run()
        if again is None:
            break
        level, seed = again or None, None
    if not ended:  # a call that nobody answers holds a thread, which would hold the player's terminal
        sys.stdout.flush()
        os._exit(code)
    return code


def first_paint() -> None:
    """Open the home screen without a terminal and leave once it is painted: for measurements."""

    class Measured(KuartuiApp):
        def on_ready(self) -> None:
            self.exit(0)

    game = Game("embedded")
    Measured(game).run(headless=True)
    game.close()
