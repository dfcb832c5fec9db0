"""Safe text. Whatever comes from a level, a cluster or another player goes through here before it is shown.

Textual reads `[...]` as markup in most places, so `args: [--port=80]` loses text and `[/x]` ends the app; control
characters reach the terminal. `plain` takes away both dangers.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from kuartui.prose import joined

MARKS = {"passing": "✓", "failing": "✗", "holding": "…", "waiting": "·", "unknown": "?"}
STYLES = {"passing": "$text-success", "failing": "$text-error", "holding": "$text-warning"}


def clean(text: str) -> str:
    """Without control characters; tabs become blanks."""
    spaced = text.replace("\t", "    ").replace("\r", "")
    return "".join(letter for letter in spaced if letter == "\n" or letter.isprintable())


def plain(text: str, style: str = "") -> Content:
    """Text to show as it is."""
    return Content.styled(clean(text), style) if style else Content(clean(text))


def paragraphs(text: str) -> str:
    """Running text: single line breaks of a level file are not meant for the screen's width."""
    blocks = [block.strip("\n") for block in clean(text).strip().split("\n\n")]
    return "\n\n".join(block if is_listing(block) else " ".join(joined(block).split()) for block in blocks)


def is_listing(block: str) -> bool:
    """Lists and indented code keep their lines."""
    return any(line.startswith(("    ", "- ", "* ", "  - ")) for line in block.split("\n"))


def lines(*parts: Content | str) -> Content:
    """Parts below each other."""
    return Content("\n").join(part if isinstance(part, Content) else plain(part) for part in parts)


def join(*parts: Content | str) -> Content:
    """Parts side by side."""
    return Content("").join(part if isinstance(part, Content) else plain(part) for part in parts)


def fit(text: str, width: int) -> str:
    """Exactly `width` cells: cut, with a mark that something is missing, or filled with blanks."""
    text = clean(text)
    cut = set_cell_size(text, width)
    return cut if cut.startswith(text) or width < 2 else set_cell_size(text, width - 1) + "…"


def right(text: str, width: int) -> str:
    """Filled with blanks on the left to `width` cells."""
    return " " * max(0, width - cell_len(text)) + text


def span(seconds: float) -> str:
    """12:05; 1:02:03."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def mark(state: str) -> Content:
    """A check's mark, coloured; the word beside it says the same."""
    return Content.styled(MARKS[state], STYLES.get(state, "$text-muted"))
