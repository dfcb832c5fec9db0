"""The terminal pane: the player's own shell in a pseudo-terminal.

All use of textual-tty and bittty (pre-alpha, pinned) is here, in scrollback.py and in selecting.py. The subclass mends
what the study of them found: a stale alternate screen, keys that crash or get lost.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from textual import events
from textual.message import Message

from kuartui import paths
from kuartui.play.own_shell import own_shell
from kuartui.prose import wrapped
from kuartui.tui import keys
from kuartui.tui.widgets.scrollback import LINES
from kuartui.tui.widgets.selecting import SelectingTerminal

NOT_OURS = (
    # the library's own, which makes shells warn on machines that lack that locale; else the player's
    *(() if "LC_ALL" in os.environ else ("LC_ALL",)),
    # of a browser's server; a kuartui that is started in here has a terminal
    *("TEXTUAL_DRIVER", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_FPS"),
    *("COLUMNS", "ROWS", "TERM_PROGRAM", "TERM_PROGRAM_VERSION"),
)
_CONTROLS = {
    "ctrl+at": "\x00",
    "ctrl+space": "\x00",
    "ctrl+left_square_bracket": "\x1b",
    "ctrl+backslash": "\x1c",
    "ctrl+right_square_bracket": "\x1d",
    "ctrl+circumflex_accent": "\x1e",
    "ctrl+underscore": "\x1f",
    "ctrl+minus": "\x1f",
    "shift+tab": "\x1b[Z",
}
_BASH_RC = """
[ -r /etc/bash.bashrc ] && . /etc/bash.bashrc
[ -r "$HOME/.bashrc" ] && . "$HOME/.bashrc"
export KUBECONFIG="$KUARTUI_KUBECONFIG"
export PATH="$KUARTUI_PATH"
alias k=kubectl
if [ -r /usr/share/bash-completion/bash_completion ]; then . /usr/share/bash-completion/bash_completion; fi
if command -v kubectl >/dev/null 2>&1 && [ "${BASH_VERSINFO[0]}" -ge 4 ]; then
  if ! type _get_comp_words_by_ref >/dev/null 2>&1; then  # without bash-completion: what kubectl's own asks of it
    COMP_WORDBREAKS=${COMP_WORDBREAKS//[=:]/}
    _get_comp_words_by_ref() {
      words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    }
    __ltrim_colon_completions() { :; }
  fi
  . <(kubectl completion bash) && complete -o default -F __start_kubectl k
fi
PS1='\\[\\e[1;36m\\]${KUARTUI_NAMESPACE}\\[\\e[0m\\] \\$ '
unset KUARTUI_KUBECONFIG KUARTUI_PATH
cd "$KUARTUI_WORKSPACE" 2>/dev/null || cd
"""


_ZSH_RC = """
[ -r "${KUARTUI_ZDOTDIR:-$HOME}/.zshrc" ] && ZDOTDIR="${KUARTUI_ZDOTDIR:-$HOME}" && . "$ZDOTDIR/.zshrc"
export KUBECONFIG="$KUARTUI_KUBECONFIG"
export PATH="$KUARTUI_PATH"
alias k=kubectl
if command -v kubectl >/dev/null 2>&1; then
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -D; }
  source <(kubectl completion zsh)
fi
PROMPT='%F{cyan}%B${KUARTUI_NAMESPACE}%b%f %# '
setopt prompt_subst
unset KUARTUI_KUBECONFIG KUARTUI_PATH KUARTUI_ZDOTDIR
cd "$KUARTUI_WORKSPACE" 2>/dev/null || cd
"""


def command(kubeconfig: Path, path: str, namespace: str, workspace: Path, where: Path) -> list[str]:
    """How to start the player's shell in the workspace, with kubectl ready. `where` is a directory for the shell's
    start-up file, the same for all that begin there. Raises StorageError."""
    shell = own_shell()
    variables = {"KUARTUI_KUBECONFIG": str(kubeconfig), "KUARTUI_PATH": path, "KUARTUI_NAMESPACE": namespace}
    variables |= {"KUBECONFIG": str(kubeconfig), "PATH": path, "TERM": "xterm-256color"}
    variables |= {"KUARTUI_WORKSPACE": str(workspace)}
    without = [part for name in NOT_OURS for part in ("-u", name)]
    start = ["env", *without, *(f"{key}={value}" for key, value in variables.items())]
    name = Path(shell).name
    if name == "bash":
        return [*start, shell, "--rcfile", str(_with(where / "bashrc", _BASH_RC)), "-i"]
    if name == "zsh":
        _with(where / ".zshrc", _ZSH_RC)
        own = os.environ.get("ZDOTDIR", "")
        return [*start, f"ZDOTDIR={where}", *([f"KUARTUI_ZDOTDIR={own}"] if own else []), shell, "-i"]
    return [*start, "/bin/sh", "-c", 'cd "$KUARTUI_WORKSPACE" 2>/dev/null || cd; exec "$0" -i', shell]


def _with(file: Path, text: str) -> Path:
    """The file with this text. One that has it is left alone: it needs no room on the disk."""
    with suppress(OSError):  # then writing it says what is the matter
        if file.read_bytes() == text.encode():
            return file
    return paths.write_private(file, text)


#: as a terminal is after power-on, what it shows apart: a program that was killed leaves modes of its own behind
_AT_REST = "\x1b[?1049l\x1b[!p\x1b[0m\x1b[r\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?25l"


class Shell(SelectingTerminal):
    """The player's shell. Keys in `keys.OURS` are left to the app; those in `keys.LOOKING`, too, unless a program fills
    it.

    Once it has ended, what it showed stays, and what is typed goes nowhere: it was meant for the shell."""

    class Again(Message):
        """The player wants another one after this one has ended."""

    def __init__(self, kubeconfig: Path, path: str, namespace: str, workspace: Path) -> None:
        super().__init__(command=command(kubeconfig, path, namespace, workspace, paths.state_dir() / "shell"))
        self.ended = False

    def end(self, first: str, second: str) -> None:
        """Say in it that there is nobody any more who reads what is typed."""
        self.ended = True
        self.board.stop_process()
        cursor, width = self.board.cursor, max(20, self.board.width)
        if self.fills_screen:
            self.feed("\x1b[?1049l")
        height, column = self.board.height, cursor.x
        self.feed(f"{_AT_REST}\x1b[{min(cursor.y, height - 1) + 1};{column + 1}H")
        self.feed("\r\n" if column else "")
        self.feed("".join(f"\x1b[1;33m{line}\x1b[0m\r\n" for line in wrapped(first, width)))
        self.feed("\r\n".join(wrapped(second, width)))
        self.look(-LINES)

    def feed(self, data: str) -> None:
        """Clear the alternate screen when a program enters it, as xterm does."""
        for index, piece in enumerate(data.split("\x1b[?1049h")):
            if index:
                super().feed("\x1b[?1049h\x1b[2J\x1b[H")
            if piece:
                super().feed(piece)

    async def on_key(self, event: events.Key) -> None:
        event.prevent_default()
        if event.key in keys.OURS or (event.key in keys.LOOKING and not self.fills_screen):
            return
        event.stop()
        self.look(-LINES)
        self.deselect()
        key = event.key
        if self.ended:
            if key == "enter":
                self.post_message(self.Again())
        elif key in _CONTROLS:
            self.board.host.write(_CONTROLS[key])  # as it is: the library's key translation would lose these
        elif key.startswith("alt+") and len(key) == 5:
            self.board.host.write("\x1b" + key[4:])
        elif key.startswith(("super+", "hyper+")) or "++" in key:
            return
        else:
            try:
                super().on_key(event)
            except KeyError:
                return  # a modifier that the library does not know

    def on_paste(self, event: events.Paste) -> None:
        if self.ended:  # nobody reads it
            event.prevent_default()
            event.stop()
