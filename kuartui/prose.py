"""Words and paragraphs for a terminal, in scripts with spaces between words and in those without.

Chinese may break between any two characters, but no line begins with a full stop or ends with an opening bracket; a
line break in the source is a space between Latin words and nothing between Chinese ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from kuartui.message import later
from kuartui.translate import tr

CLOSING = "。，、；：？！）】》」』”"
OPENING = "（【《「『“"
#: a piece that must stay together: a Latin word, or one wide character with the punctuation that clings to it
PIECE = re.compile(rf"\s+|[{OPENING}]*(?:[^\s{OPENING}{CLOSING}⺀-鿿豈-﫿＀-￯]+|[^\s])[{CLOSING}]*")

CHECKS = {
    "passing": later("passed"),
    "failing": later("not yet"),
    "holding": later("holding"),
    "waiting": later("waits for others"),
    "unknown": later("not known"),
}

OUTCOMES = {
    "solved": later("solved"),
    "finished": later("finished"),
    "time-up": later("time is up"),
    "abandoned": later("abandoned"),
}


def outcome_word(outcome: str) -> str:
    """How an attempt ended as words, in the player's language."""
    return tr(OUTCOMES[outcome])


def check_word(state: str) -> str:
    """A check's state as a word, in the player's language."""
    return tr(CHECKS[state])


def plain(text: str) -> str:
    """Without control characters: a level or a cluster must not steer the terminal."""
    return "".join(letter for letter in text if letter == "\n" or letter.isprintable())


def cells(text: str) -> int:
    """Columns that a text takes in a terminal."""
    return sum(2 if _wide(letter) else 0 if unicodedata.combining(letter) else 1 for letter in text)


def padded(text: str, width: int) -> str:
    """The text in a column of so many cells, which `format` does not know how to count."""
    return text + " " * (width - cells(text))


def paragraphs(text: str, width: int) -> Iterator[str]:
    """The lines of a text whose paragraphs are parted by empty lines, an empty line between them."""
    for index, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if index:
            yield ""
        yield from wrapped(paragraph, width)


def wrapped(paragraph: str, width: int) -> Iterator[str]:
    """One paragraph in lines of at most `width` columns, unless a single word is longer."""
    line = ""
    for piece in PIECE.findall(joined(paragraph)):
        if line and cells((line + piece).rstrip()) > width:
            yield line.rstrip()
            line = piece.lstrip()
        else:
            line += piece
    if line.strip():
        yield line.rstrip()


def joined(paragraph: str) -> str:
    """Its lines as one."""
    first, *rest = [line.strip() for line in paragraph.strip().splitlines()] or [""]
    for line in rest:
        first += line if tight(first, line) else f" {line}"
    return first


def tight(before: str, after: str) -> bool:
    """Whether a line break between two lines stands for nothing rather than for a blank."""
    return bool(before and after) and _wide(before[-1]) and (_wide(after[0]) or before[-1] in CLOSING)


def _wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"
