"""The place of the player's shell: the shell itself, or the line to paste into a terminal of one's own.

A shell that ends (exit, Ctrl-D, killed) says so in its place, and another can be started; nothing else depends on it.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from kuartui.errors import KuartuiError
from kuartui.play.session import AttemptSession
from kuartui.translate import tr
from kuartui.tui.text import lines, plain

if TYPE_CHECKING:
    from kuartui.tui.app import KuartuiApp
    from kuartui.tui.widgets.shell import Shell

PASTE = 'eval "$(kuartui env)"'


class TerminalPane(Vertical):
    """`open` starts the shell, `enter` gives it the focus, `fold` leaves only the line to paste."""

    app: KuartuiApp

    def __init__(self, session: AttemptSession) -> None:
        super().__init__(id="place")
        self.session = session
        self.shell: Shell | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="own")

    @property
    def has_shell_focus(self) -> bool:
        return self.shell is not None and self.screen.focused is self.shell  # `has_focus` is told a moment later

    async def open(self) -> bool:
        """Start a shell where there can be one, also after one that has ended; whether there is one now."""
        before = self.shell
        if before is not None and not before.ended:
            return True
        view = self.session.snapshot()
        self._say()
        if view.kubeconfig is None or os.environ.get("KUARTUI_SHELL") == "0":
            return False
        try:
            path = await asyncio.to_thread(_path)
            from kuartui.tui.widgets.shell import Shell
        except KuartuiError as error:
            self._say(tr(error.message), tr(error.hint))
            return False
        except ImportError as error:
            self._say(tr("there is no terminal here: {problem}", problem=str(error)))
            return False
        if self.shell is not before:  # somebody else was quicker
            return True
        try:
            self.shell = Shell(view.kubeconfig, path, view.level.namespace, view.workspace)
        except KuartuiError as error:  # a full disk, say
            self._say(tr(error.message), tr(error.hint))
            return False
        except OSError as error:
            self._say(tr("there is no terminal here: {problem}", problem=str(error)))
            return False
        await self.mount(self.shell)
        self.query_one("#own").display = False
        if before is not None:
            if (
                self.screen.focused is before
            ):  # before it goes: what is typed meanwhile must not act on whatever is next to it
                self.screen.set_focus(self.shell)
            await before.remove()
        return True

    def enter(self) -> bool:
        """Focus the shell; False where there is none that lives."""
        if self.shell is None or self.shell.ended:
            return False
        self.screen.set_focus(self.shell)
        return True

    def give(self, typed: events.Key | events.Paste) -> None:
        """Have the shell read what was typed elsewhere."""
        if self.shell is not None:
            self.shell.post_message(typed)

    def fold(self, folded: bool) -> None:
        """Without the shell in sight; it goes on running."""
        if self.shell is not None:
            self.shell.display = not folded
            self.query_one("#own").display = folded
        if folded:
            self._say()

    def on_terminal_process_exited(self) -> None:
        """The shell ended. It keeps its place and the focus, with the keys."""
        if self.shell is not None:
            self.shell.end(tr("The shell has ended; your level goes on."), tr("Enter starts another one."))

    async def on_shell_again(self) -> None:
        await self.open()

    def _say(self, *before: str) -> None:
        longer = tr("or: {line}", line=f"export KUBECONFIG={shlex.quote(str(self.session.snapshot().kubeconfig))}")
        head = [plain(text, "bold $text-warning") for text in before if text]
        if head:
            self.query_one("#own").display = True
        own = plain(tr("In a terminal of your own:"), "bold")
        self.query_one("#own", Static).update(lines(*head, own, plain(PASTE, "$text-accent"), plain(longer)))


def _path() -> str:
    """PATH with our kubectl first, where the player's own would not do. MissingError when there is none."""
    from kuartui.cluster import kubectl

    tool = kubectl.find()
    path = os.environ.get("PATH", "")
    return path if kubectl.first_on_path() == tool.path else f"{Path(tool.path).parent}{os.pathsep}{path}"
