"""The themes: dark, light, high contrast, monochrome, and the terminal's own sixteen colours.

Which one comes first follows the terminal: NO_COLOR asks for none, and one that has but sixteen colours gets those.
`tests/tui/test_themes.py` computes the contrast of every text.
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.theme import Theme

from kuartui.message import later

DARK = Theme(
    name="kuartui-dark",
    primary="#4c8dff",
    secondary="#8ab4f8",
    accent="#ffb454",
    warning="#ffcc66",
    error="#ff7a85",
    success="#6fdc8c",
    foreground="#e6e6e6",
    background="#101418",
    surface="#171c22",
    panel="#1f262e",
    dark=True,
)
LIGHT = Theme(
    name="kuartui-light",
    primary="#0b57d0",
    secondary="#3b6fb5",
    accent="#8a4b00",
    warning="#7a5200",
    error="#b3261e",
    success="#146c2e",
    foreground="#1a1c1e",
    background="#fbfbfb",
    surface="#f1f3f5",
    panel="#e3e7eb",
    dark=False,
)
CONTRAST = Theme(
    name="kuartui-contrast",
    primary="#ffffff",
    secondary="#ffffff",
    accent="#ffff00",
    warning="#ffff00",
    error="#ff9c9c",
    success="#7dff7d",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    dark=True,
    text_alpha=1.0,
    variables={"block-cursor-foreground": "#000000", "block-cursor-background": "#ffff00", "text-muted": "#e0e0e0"},
)
MONO = Theme(
    name="kuartui-mono",
    primary="#bbbbbb",
    secondary="#bbbbbb",
    accent="#ffffff",
    warning="#dddddd",
    error="#ffffff",
    success="#eeeeee",
    foreground="#dddddd",
    background="#101010",
    surface="#181818",
    panel="#2a2a2a",
    dark=True,
    variables={"block-cursor-foreground": "#000000", "block-cursor-background": "#dddddd"},
)
OWN = (DARK, LIGHT, CONTRAST, MONO)
#: in the order in which F7 goes through them; the last two use the colours that the terminal was given
NAMES = {
    DARK.name: later("dark"),
    LIGHT.name: later("light"),
    CONTRAST.name: later("high contrast"),
    MONO.name: later("monochrome"),
    "ansi-dark": later("terminal colours, dark"),
    "ansi-light": later("terminal colours, light"),
}


def first(environ: Mapping[str, str]) -> str:
    """The theme for a terminal whose player chose none."""
    if environ.get("NO_COLOR"):
        return MONO.name
    term = environ.get("TERM", "")
    if environ.get("TEXTUAL_COLOR_SYSTEM") == "truecolor":  # a browser
        return DARK.name
    rich = environ.get("COLORTERM") in ("truecolor", "24bit") or "256color" in term or "direct" in term
    return DARK.name if rich else "ansi-dark"
