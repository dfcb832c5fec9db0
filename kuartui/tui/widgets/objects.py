"""The cluster pane: what belongs to the level, by kind, as `kubectl get` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from textual.content import Content

from kuartui.play.observe import Row, Section
from kuartui.translate import tr
from kuartui.tui.text import clean, join, plain

TONES = {"good": ("✓", "$text-success"), "bad": ("✗", "$text-error"), "busy": ("…", "$text-warning")}
WIDEST = 60  # cells of a column; messages come last and may be longer


def table(sections: Iterable[Section], *, problem: str, search: str, room: int) -> list[tuple[Content, Row | None]]:
    """Lines with the row each stands for, None for headings; columns move closer where they then fit `room` (cells)."""
    lines: list[tuple[Content, Row | None]] = []
    if problem:
        lines.append((plain("! " + tr("{problem}; showing what was there", problem=problem), "$text-error"), None))
    found = list(sections)
    spaces = {row.namespace for section in found for row in section.rows if row.namespace}
    for section in found:
        if not section.rows:
            continue
        lines += _section(section, named=len(spaces) > 1, room=room)
    if not any(row for _, row in lines):
        text = tr("nothing has {text} in it", text=repr(search)) if search else tr("nothing here yet")
        lines.append((plain(text, "$text-muted"), None))
    return lines


def _section(section: Section, *, named: bool, room: int) -> list[tuple[Content, Row | None]]:
    rows = [(*((row.namespace,) if named and row.namespace else ()), *row.cells) for row in section.rows]
    space = ("NAMESPACE",) if named and section.rows[0].namespace else ()
    heads = [*space, section.kind, *(title.upper() for title in section.columns[1:])]  # the kind, not NAME
    widths = _widths([heads, *rows])
    closest = 1 + len(widths) + sum(widths)  # a cell between columns, and the mark of two cells before them
    gap = " " if closest <= room < closest + len(widths) - 1 else "  "
    lines: list[tuple[Content, Row | None]] = [(plain(f"  {_cells(heads, widths, gap)}", "bold $text-muted"), None)]
    for row, cells in zip(section.rows, rows, strict=True):
        sign, style = TONES.get(row.tone, (" ", ""))
        text = plain(_cells(cells, widths, gap))
        lines.append((join(plain(f"{sign} ", style), text), row))
    if section.more:
        lines.append((plain("  " + tr("and {n} more", n=section.more), "$text-muted"), None))
    return lines


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    columns = max(len(row) for row in rows)
    return [min(WIDEST, max(cell_len(clean(row[at])) for row in rows if at < len(row))) for at in range(columns)]


def _cells(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    texts = [clean(cell).replace("\n", " ") for cell in cells]
    padded = [text + " " * max(0, width - cell_len(text)) for text, width in zip(texts, widths, strict=False)]
    return gap.join(padded).rstrip()
