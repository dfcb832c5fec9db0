"""Bars made of characters: how much of something is done, readable without colour."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from kuartui.tui.text import join, plain

FULL, EMPTY = "━", "─"


def bar(share: float, width: int, style: str = "$text-success") -> Content:
    """`share` (0..1) of `width` cells."""
    full = round(max(0.0, min(1.0, share)) * width)
    full = max(full, 1) if share > 0 else full
    return join(plain(FULL * full, style), plain(EMPTY * (width - full), "$foreground 30%"))


def axis(width: int, end: float, marks: Iterable[tuple[float, str, str]]) -> Content:
    """Moments (seconds, sign, style) on a line from 0 to `end`; later ones cover earlier ones."""
    cells = [(EMPTY, "$foreground 40%") for _ in range(width)]
    for at, sign, style in marks:
        place = min(width - 1, max(0, round(at / end * (width - 1)))) if end > 0 else 0
        cells[place] = (sign, style)
    return join(*(plain(sign, style) for sign, style in cells))
