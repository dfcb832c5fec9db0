"""How commands print: text for people, JSON for scripts, one clear sentence for errors.

Data goes to standard output, narration and errors to standard error.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

from kuartui.cli.parameters import Option
from kuartui.errors import KuartuiError, StorageError, system_words
from kuartui.message import later
from kuartui.prose import cells, plain
from kuartui.translate import tr


class Format(StrEnum):
    text = "text"
    json = "json"


Output = Annotated[Format, Option("--output", "-o", help="text for people, json for scripts.")]

COLOURS = re.compile("(\x1b\\[(?:0|3[123])m)")
ENCODABLE = "kuartui"  # what to do with letters that an encoding lacks, as Python names it
MARKS = {True: ("32", "✓"), False: ("31", "✗"), None: ("33", "…")}


def settle_streams() -> None:
    """Have all three standard streams. One that was closed is the null device: a file would get its number else, and
    have what others write to it. What standard output cannot encode becomes a question mark, but bytes of file names
    stay what they are."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    codecs.register_error(ENCODABLE, _encodable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ENCODABLE)


def _encodable(error: UnicodeError) -> tuple[bytes, int]:
    """What is written of letters that an encoding does not have, as `codecs.register_error` wants it."""
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end]
    return b"".join(os.fsencode(a) if "\udc80" <= a <= "\udcff" else b"?" for a in letters), error.end


def line(text: str = "", *, exactly: bool = False) -> None:
    """Data for standard output, without what would steer a terminal, which a level or a cluster may have said;
    `exactly` as it is, for a program to read. A reader that went away (`| head`) is no error; StorageError for a full
    disk."""
    with standard_output():
        print(text if exactly else tame(text))  # noqa: T201


def tame(text: str) -> str:
    """Without control characters, but for tabs, line breaks and the colours of `mark`."""
    parts = COLOURS.split(text)
    return "".join(part if index % 2 else _printable(part) for index, part in enumerate(parts))


def _printable(text: str) -> str:
    return (
        text if text.isprintable() else "".join(letter for letter in text if letter in "\n\t" or letter.isprintable())
    )


@contextmanager
def standard_output() -> Iterator[None]:
    """Around what writes to it: a reader that went away is no error, and a full disk has its sentence."""
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still in the buffer must go somewhere
        if not isinstance(error, BrokenPipeError):
            raise StorageError(later("cannot write to standard output: {why}", why=system_words(error))) from error


def note(text: str) -> None:
    """Narration, on standard error. Where there is no room for it, or nobody reads it, a command goes on without."""
    try:
        print(tame(text), file=sys.stderr, flush=True)  # noqa: T201
    except OSError:  # what is left in its buffer would be an error in the end, since Python 3.13
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def data(value: Any) -> None:
    """One JSON document; what would steer a terminal is escaped in it."""
    in_ascii = codecs.lookup(sys.stdout.encoding or "utf-8").name != "utf-8"
    text = json.dumps(value, indent=2, ensure_ascii=in_ascii, default=str)
    line("".join(letter if letter == "\n" or letter.isprintable() else json.dumps(letter)[1:-1] for letter in text))


def fail(error: KuartuiError, as_json: bool = False) -> None:
    """Say what went wrong, and what to do about it."""
    if as_json:
        data({"error": {"message": error.message, "hint": error.hint, "exitCode": error.exit_code}})
    note(tr("error: {text}", text=plain(tr(error.message))))
    if error.hint:
        hint(error.hint)


def hint(text: str) -> None:
    """What to do next, or about an error, on standard error."""
    note(tr("hint: {text}", text=plain(tr(text))))


def mark(state: bool | None) -> str:
    """A mark and its colour, where standard output takes colours."""
    code, sign = MARKS[state]
    return f"\x1b[{code}m{sign}\x1b[0m" if colours() else sign


def colours() -> bool:
    """Whether to colour: a terminal that is not dumb, and no NO_COLOR (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as kubectl prints them: upper case header (`later` texts), three blanks between."""
    lines = [[tr(name) for name in header], *[[str(cell) for cell in row] for row in rows]]
    widths = [max(cells(row[column]) for row in lines) for column in range(len(header))]
    for row in lines:
        padded = (cell + " " * (size - cells(cell)) for cell, size in zip(row, widths, strict=True))
        line("   ".join(padded).rstrip())
