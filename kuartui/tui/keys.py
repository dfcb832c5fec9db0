"""Every key of the app, in one table: the bindings, the footer, the help and the tests are made from it.

With the shell focused only F-keys are ours, and the keys of place "shell" unless a program such as vim fills the
terminal: everything else belongs to the shell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from textual.binding import Binding

from kuartui.translate import tr

FUNCTION = re.compile(r"f\d+")
NAMES = {
    "question_mark": "?",
    "slash": "/",
    "left": "←",
    "right": "→",
    "enter": "Enter",
    "escape": "Esc",
    "space": "Space",
    "plus": "+",
    "minus": "-",
    "shift+pageup": "Shift+PgUp",
    "shift+pagedown": "Shift+PgDn",
}

#: what is typed after these is for the place that they lead to, however fast it comes: other actions wait until the key
#: has gone through all widgets, and the next keys go to the one that had the focus before
AT_ONCE = ("search",)


class Explains:
    """A screen that can tell why an action does nothing here and now; the app shows that instead of staying silent."""

    def why_not(self, action: str) -> str:
        """One sentence; "" when the action will do something."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Key:
    """`place` is where it works: everywhere, home, play, pane (play, but not in the terminal), shell (play, for the
    terminal), exam, result. `footer` keys are shown there; that of the shell when it does something and there is room;
    `spare` ones where the place leaves room. What works everywhere may be told in one place's footer only: `told`."""

    keys: str
    action: str
    word: str
    help: str
    place: str = "everywhere"
    footer: bool = False
    spare: bool = False
    told: str = ""

    @property
    def shown(self) -> str:
        """As a person reads it."""
        first = self.keys.split(",")[0]
        return NAMES.get(first, first.upper() if FUNCTION.fullmatch(first) else first)


KEYS: tuple[Key, ...] = (
    Key("f1,question_mark", "help", "Help", "Show all keys", footer=True),
    Key("f2", "command_palette", "Commands", "Find and run any command", spare=True),
    Key("f7", "next_theme", "Theme", "Next theme: dark, light, contrast, mono, terminal colours"),
    Key("f10", "leave", "Quit", "Leave kuartui; a level in play goes on and can be continued", spare=True),
    Key("escape", "back", "Back", "One step back; never quits, never ends a level", told="result"),
    Key("enter", "choose", "Play", "Play the selected level, or continue it", "home", footer=True),
    Key("slash", "search", "Search", "Filter the levels", "home", footer=True),
    Key("left", "previous_track", "Track", "Jump to the track before", "home"),
    Key("right", "next_track", "Track", "Jump to the next track", "home"),
    Key("space", "details", "Details", "Show or hide what the level is about", "home", footer=True),
    Key("p", "practice", "Practice", "Practise it: no points, and the clock can be paused", "home"),
    Key("e", "exam", "Exam", "A mock exam: begin one, go on with it, or see how it went", "home"),
    Key("r", "again", "Refresh", "Read levels, scores and cluster state again", "home"),
    Key("f3", "hint", "Hint", "Take the next hint; it costs points, and asks first", "play", footer=True),
    Key("f4", "layout", "Layout", "Layout: side by side, stacked, terminal only, checks only", "play", footer=True),
    Key("f5", "look", "Check", "Look at every check now; they also tick by themselves", "play"),
    Key("f6", "focus_next_pane", "Pane", "Next pane: task, cluster, timeline, terminal", "play", footer=True),
    Key("f8", "reset", "Reset", "Set the level up anew; the clock runs on; asks first", "play"),
    Key("f9", "shell", "Shell", "Enter or leave the terminal", "play", footer=True),
    Key("f12", "finish", "Finish", "End the level with what is green; asks first", "play", footer=True),
    Key(
        "d",
        "describe",
        "Describe",
        "Describe the object chosen in the cluster pane (or Enter)",
        "pane",
    ),
    Key("y", "yaml", "YAML", "Show it as YAML", "pane"),
    Key("l", "logs", "Logs", "Show and follow its logs", "pane"),
    Key("slash", "search", "Search", "Search in the cluster pane, or in what is open", "pane"),
    Key("n", "next_match", "Next", "Next place where the search is found", "pane"),
    Key("c", "copy", "Copy", "Copy what is open, or the name of what is chosen", "pane"),
    Key("p", "pause", "Pause", "Stop the clock, or let it go on; in practice only", "pane"),
    Key("plus,equals_sign", "grow", "Larger", "Larger panes beside the terminal; or drag the bar", "pane"),
    Key("minus", "shrink", "Smaller", "Make them smaller", "pane"),
    Key(
        "shift+pageup,alt+pageup",
        "earlier",
        "Earlier",
        "See what scrolled off the terminal; typing ends it",
        "shell",
        footer=True,
    ),
    Key("shift+pagedown,alt+pagedown", "later", "Later", "Go on towards the end of the terminal", "shell"),
    Key(
        "enter",
        "take_up",
        "Work",
        "Work at the task, the one in play waits; after the end, see how it went",
        "exam",
        footer=True,
    ),
    Key("f", "flag", "Flag", "Flag the task to come back to, or take the flag away", "exam", footer=True),
    Key("f12", "finish", "Finish", "End the exam and see the result; asks first", "exam", footer=True),
    Key("n", "next_level", "Next", "Play the next level", "result", footer=True),
    Key("t", "try_again", "Again", "Play it again with other names and numbers", "result", footer=True),
    Key("s", "solutions", "Solutions", "Show or hide the solutions", "result", footer=True),
    Key("y", "copy_solution", "Copy", "Copy the first solution", "result"),
)

#: what a shell that has the focus leaves to us, and what it does unless a program fills it
OURS = frozenset(name for key in KEYS for name in key.keys.split(",") if FUNCTION.fullmatch(name))
LOOKING = frozenset(name for key in KEYS if key.place == "shell" for name in key.keys.split(","))


def bindings(place: str) -> list[Binding | tuple[str, str] | tuple[str, str, str]]:
    """Textual bindings of a place. F-keys have priority, so that they work while the shell has the focus; what else
    means the same is a character there. So has what begins a search (see `AT_ONCE`), but not where text is typed: the
    screens' `check_action`.

    Back is bound in each screen, since what it means differs.
    """
    return [
        Binding(
            name,
            key.action,
            tr(key.word),
            tooltip=tr(key.help),
            show=key.footer and not number,
            key_display=key.shown,
            priority=key.action in AT_ONCE or FUNCTION.fullmatch(name) is not None,
            id=f"{key.place}.{key.action}.{number}" if number else f"{key.place}.{key.action}",
        )
        for key in KEYS
        if (key.place == place and key.action != "back")
        or (key.action == "back" and place not in ("everywhere", "pane", "shell"))
        for number, name in enumerate(key.keys.split(","))
    ]


def of(place: str) -> list[Key]:
    """The keys that work in a place, its own first."""
    places = (place, "pane", "shell") if place == "play" else (place,)
    return [key for key in KEYS if key.place in places] + [key for key in KEYS if key.place == "everywhere"]
