"""Goldens: what a screen shows, as plain text in `tests/tui/golden/NAME.txt`, so that a review can read the difference.

`pytest tests/tui --update-goldens` writes them anew. A screen that is compared must not depend on the time, the machine
or what runs beside it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PLACE = Path(__file__).parent / "golden"
SIZES = ((60, 20), (80, 24), (120, 40), (200, 60))


def screen_text(app: Any) -> str:
    """What is on the screen, as plain text, all layers of it."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


async def until(pilot: Any, holds: Callable[[], Any]) -> Any:
    """Wait for something to become so; what it was."""
    for _ in range(500):
        if found := holds():
            return found
        await pilot.pause(0.02)
    raise AssertionError("it did not become so")


class Golden:
    """`golden(app, "play")` compares the screen with `play-80x24.txt` of its size; `golden(text, "x")` with `x.txt`."""

    def __init__(self, update: bool) -> None:
        self.update = update

    def __call__(self, shown: Any, name: str) -> None:
        if not isinstance(shown, str):
            name = f"{name}-{shown.size.width}x{shown.size.height}"
            shown = screen_text(shown)
        path = PLACE / f"{name}.txt"
        text = shown.rstrip("\n") + "\n"
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return
        if not path.exists():
            pytest.fail(f"no golden {path.name}; pytest --update-goldens writes it, then read it")
        wanted = path.read_text()
        if text != wanted:
            change = difflib.unified_diff(wanted.splitlines(), text.splitlines(), "golden", "now", lineterm="")
            pytest.fail(f"{path.name} is not what is shown:\n" + "\n".join(change), pytrace=False)
