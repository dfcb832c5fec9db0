"""Themes are legible: every colour that carries text has the contrast that WCAG asks for on what lies behind it."""

from __future__ import annotations

from typing import Any

import pytest
from textual.color import Color

from kuartui.tui import themes
from kuartui.tui.app import KuartuiApp

#: 4.5 is WCAG's AA for normal text, 7 its AAA
TEXTS = ("foreground", "text-success", "text-warning", "text-error", "text-accent", "text-muted")
GROUNDS = ("background", "surface", "panel")


def contrast(one: Color, other: Color) -> float:
    """The ratio of luminances, 1 to 21."""
    lights = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lights[0] + 0.05) / (lights[1] + 0.05)


def _luminance(colour: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def shown(value: str, ground: Color) -> Color:
    """The colour as it is painted on the ground: `auto 60%` is black or white, whichever reads, blended in."""
    if value.startswith("auto"):
        alpha = float(value.split()[1].rstrip("%")) / 100 if " " in value else 1.0
        return ground.blend(ground.get_contrast_text(1.0), alpha)
    colour = Color.parse(value)
    return ground.blend(colour, colour.a) if colour.a < 1 else colour


@pytest.mark.parametrize("theme", themes.OWN, ids=lambda theme: theme.name)
def test_every_text_can_be_read(theme: themes.Theme) -> None:
    wanted = 7.0 if theme is themes.CONTRAST else 4.5
    colours = theme.to_color_system().generate()
    poor = []
    for ground in GROUNDS:
        behind = Color.parse(colours[ground])
        for text in TEXTS:
            ratio = contrast(shown(colours[text], behind), behind)
            if ratio < wanted:
                poor.append(f"{text} on {ground}: {ratio:.1f}")
    cursor = Color.parse(colours["block-cursor-background"])
    ratio = contrast(shown(colours["block-cursor-foreground"], cursor), cursor)
    if ratio < wanted:
        poor.append(f"the selected row: {ratio:.1f}")
    assert not poor


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"TERM": "xterm-256color"}, "kuartui-dark"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "kuartui-dark"),
        ({"TERM": "linux"}, "ansi-dark"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "kuartui-mono"),
        ({"TEXTUAL_COLOR_SYSTEM": "truecolor"}, "kuartui-dark"),
    ],
)
def test_the_first_theme_follows_the_terminal(environ: dict[str, str], wanted: str) -> None:
    assert themes.first(environ) == wanted
    assert wanted in themes.NAMES


def test_the_monochrome_theme_has_no_hue() -> None:
    colours = themes.MONO
    for name in ("primary", "accent", "warning", "error", "success", "foreground", "background", "surface", "panel"):
        red, green, blue = Color.parse(getattr(colours, name)).rgb
        assert red == green == blue


def test_an_empty_no_color_asks_for_nothing(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    assert not KuartuiApp(game).no_color
    monkeypatch.setenv("NO_COLOR", "1")
    assert KuartuiApp(game).no_color


async def test_without_colours_no_theme_turns_all_black(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal's own colours are unknown: made grey, text and ground are both black."""
    monkeypatch.setenv("NO_COLOR", "1")
    app = KuartuiApp(game)
    async with app.run_test() as pilot:
        seen = set()
        for _ in themes.NAMES:
            await pilot.press("f7")
            seen.add(app.theme)
        assert seen == {theme.name for theme in themes.OWN}
