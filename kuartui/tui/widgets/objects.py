"""The cluster pane: what belongs to the level, by kind, as `kubectl get` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from textual.content import Content

from kuartui.play.observe import Row, Section
from kuartui.prose import wrapped
from kuartui.translate import tr
from kuartui.tui.text import clean, fit, join, plain

TONES = {"good": ("✓", "$text-success"), "bad": ("✗", "$text-error"), "busy": ("…", "$text-warning")}
WIDEST = 60  # cells of a column; messages come last and may be longer
INDENT = 4  # cells before a message that has lines of its own
MESSAGE_LINES = 3  # of an event, where they do not fit beside the rest; Enter shows all of it


def table(sections: Iterable[Section], *, problem: str, search: str, room: int) -> list[tuple[Content, Row | None]]:
    """Lines with the row each stands for, None for headings. Columns move closer where `room` (cells) is short, and
    messages of events get lines of their own where they do not fit."""
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
    messages: list[list[str]] = [[] for _ in rows]
    if section.kind == "Event" and heads[-1] == "MESSAGE" and _closest(_widths([heads, *rows])) > room:
        messages = [_message(cells[-1], room - INDENT) for cells in rows]
        left = [at for at, head in enumerate(heads) if head not in ("TYPE", "MESSAGE")]  # the mark says the type
        heads, rows = [heads[at] for at in left], [tuple(cells[at] for at in left if at < len(cells)) for cells in rows]
    widths = _widths([heads, *rows])
    gap = "  " if _closest(widths) + len(widths) - 1 <= room else " "
    lines: list[tuple[Content, Row | None]] = [(plain(f"  {_cells(heads, widths, gap)}", "bold $text-muted"), None)]
    for row, cells, message in zip(section.rows, rows, messages, strict=True):
        sign, style = TONES.get(row.tone, (" ", ""))
        text = plain(_cells(cells, widths, gap))
        lines.append((join(plain(f"{sign} ", style), text), row))
        lines += [(plain(" " * INDENT + line), row) for line in message]
    if section.more:
        lines.append((plain("  " + tr("and {n} more", n=section.more), "$text-muted"), None))
    return lines


def _message(text: str, width: int) -> list[str]:
    """In lines of so many cells, with a mark where there is more of it."""
    found = list(wrapped(clean(text), max(20, width)))
    if len(found) > MESSAGE_LINES:
        rest = " ".join(found[MESSAGE_LINES - 1 :])
        found[MESSAGE_LINES - 1 :] = [fit(rest, max(20, width))]
    return found


def _closest(widths: Sequence[int]) -> int:
    """Cells of a table with one cell between columns, and the mark of two cells before them."""
    return 1 + len(widths) + sum(widths)


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    columns = max(len(row) for row in rows)
    return [min(WIDEST, max(cell_len(clean(row[at])) for row in rows if at < len(row))) for at in range(columns)]


def _cells(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    texts = [clean(cell).replace("\n", " ") for cell in cells]
    padded = [text + " " * max(0, width - cell_len(text)) for text, width in zip(texts, widths, strict=False)]
    return gap.join(padded).rstrip()
