"""The app: screens, themes, commands, and what happens when something breaks."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from typing import Any

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen

from kuartui import paths
from kuartui.errors import BUG, KuartuiError
from kuartui.play.session import AttemptSession
from kuartui.play.view import Result
from kuartui.progress.store import AttemptRecord
from kuartui.translate import later, tr
from kuartui.tui import choices, keys, themes
from kuartui.tui.feed import Game
from kuartui.tui.screens.dialogs import Confirm, Help, TooSmall, Trouble
from kuartui.tui.screens.home import HomeScreen
from kuartui.tui.screens.play import PlayScreen
from kuartui.tui.screens.result import ResultScreen
from kuartui.tui.screens.setup import SetupScreen
from kuartui.tui.text import clean, plain

TITLES = {"home": later("Home"), "play": later("Play"), "result": later("Result")}
ABOUT = {
    "home": later("Pick a level. The cluster starts by itself."),
    "play": later(
        "Fix the cluster with kubectl, in the terminal here or in your own. Checks tick by themselves. "
        "While the terminal has the focus, only F-keys are kuartui's: F9 leaves it."
    ),
    "result": later("How it went. Only your best attempt at a level counts."),
}
SMALLEST = (50, 15)


class KuartuiApp(App[int], inherit_bindings=False):
    """The terminal interface."""

    TITLE = "kuartui"
    CSS_PATH = "app.tcss"
    COMMAND_PALETTE_BINDING = "f2"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (130, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]
    BINDINGS = [*keys.bindings("everywhere"), Binding("ctrl+c", "copy_or_nothing", show=False, system=True)]
    AUTO_FOCUS = None

    def __init__(self, game: Game, level: str | None = None, seed: int | None = None) -> None:
        self._surroundings = dict(os.environ)  # Textual takes NO_COLOR away
        super().__init__()
        self.game = game
        self._first = level, seed
        for theme in themes.OWN:
            self.register_theme(theme)

    def on_mount(self) -> None:
        chosen = choices.read().get("theme", "")
        self.theme = chosen if chosen in themes.NAMES else themes.first(self._surroundings)
        if self._surroundings.get("KUARTUI_MOTION") == "none":
            self.animation_level = "none"
        self.push_screen(HomeScreen())
        level, seed = self._first
        if level:
            running = self.game.running()
            if running is not None and level in (running.level, running.folder):
                self.play_attempt(running)
            else:
                self.play_level(level, seed)

    def on_resize(self, event: Resize) -> None:
        """Say so where there is no room for the screens."""
        small = event.size.width < SMALLEST[0] or event.size.height < SMALLEST[1]
        shown = isinstance(self.screen, TooSmall)
        if small and not shown:
            self.push_screen(TooSmall(*SMALLEST))
        elif shown and not small:
            self.pop_screen()

    # Places

    def play_level(self, name: str, seed: int | None) -> None:
        """Set a level up and play it; without a seed, with a new one."""
        import random

        try:
            level = self.game.level(name, random.SystemRandom().randrange(1, 10_000) if seed is None else seed)
        except KuartuiError as error:
            self.trouble(error.message, error.hint)
            return
        self._go(SetupScreen(level, None))

    def play_attempt(self, record: AttemptRecord) -> None:
        """Go on with an attempt."""
        self._go(SetupScreen(None, record))

    def show_play(self, session: AttemptSession) -> None:
        self._go(PlayScreen(session))

    def show_result(self, result: Result) -> None:
        self._go(ResultScreen(result))

    def go_home(self) -> None:
        while len(self.screen_stack) > 2:
            self.pop_screen()

    def _go(self, screen: Screen[None]) -> None:
        """One place at a time above home."""
        self.go_home()
        self.push_screen(screen)

    def trouble(self, text: str, hint: str = "") -> None:
        """Tell of something that went wrong."""
        self.push_screen(Trouble(clean(text), clean(hint)))

    # Actions

    def place(self) -> str:
        """home, play or result."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, PlayScreen):
                return "play"
            if isinstance(screen, ResultScreen):
                return "result"
        return "home"

    def action_help(self) -> None:
        place = self.place()
        self.push_screen(Help(tr(TITLES[place]), keys.of(place), tr(ABOUT[place])))

    def action_next_theme(self) -> None:
        names = list(themes.NAMES)
        index = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(index + 1) % len(names)]
        choices.keep("theme", self.theme)
        self.notify(tr("theme: {name}", name=tr(themes.NAMES[self.theme])), markup=False, timeout=2)

    def action_leave(self) -> None:
        playing = isinstance(self.screen, PlayScreen)
        question = tr("Leave kuartui? The level goes on, and so does its clock.") if playing else tr("Leave kuartui?")
        self.push_screen(Confirm(question, tr("Leave")), lambda yes: self._leave() if yes else None)

    def _leave(self) -> None:
        self.run_worker(self._close_and_exit(), exit_on_error=False)

    async def _close_and_exit(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, PlayScreen):
                await screen.session.close()
        self.exit(0)

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

    # Trouble

    def _handle_exception(self, error: Exception) -> None:
        """Keep the traceback in a file instead of on the player's screen."""
        text = "".join(traceback.format_exception(error))
        place = paths.state_dir() / "crash.log"
        try:
            paths.write_private(place, text)
            where = f"the details are in {place}"
        except KuartuiError:
            where = text
        if os.environ.get("KUARTUI_DEBUG") or self.is_headless:
            super()._handle_exception(error)
            return
        self._return_code = BUG
        self.exit(BUG, message=_farewell(error, where))


def _farewell(error: Exception, where: str) -> Content:
    text = f"kuartui has a bug: {type(error).__name__}: {error}\nNothing you played is lost; {where}"
    return plain(text)


def run(cluster: str = "embedded", level: str | None = None, seed: int | None = None) -> int:
    """Show the app until the player leaves; the exit code."""
    game = Game(cluster)
    try:
        return KuartuiApp(game, level, seed).run() or 0
    finally:
        game.close()


def first_paint() -> None:
    """Open the home screen without a terminal and leave once it is painted: for measurements."""

    class Measured(KuartuiApp):
        def on_ready(self) -> None:
            self.exit(0)

    game = Game("embedded")
    Measured(game).run(headless=True)
    game.close()
