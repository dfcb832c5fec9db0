"""What a program prints is shown, and does nothing else. It may be a stranger's log.

bittty does all that a terminal ever did. It answers with words that the output chose (its own title, a setting that
there is not), which the shell takes for typed, with Enter; has function keys type what the output says; changes the
size of its screen; prints on paper instead; repeats a letter 99999999 times; waits for ever for the end of a string;
and raises for what makes no sense, which ends the shell. `tame` takes that away, of a board and of its parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bittty import Board
from bittty.operations import Operation
from bittty.parser import core

#: an answer that says nothing but what the terminal is like
ANSWER = re.compile(
    r"\x1b\[[0-9;:?>=]*[ $&]?[A-Za-z]"  # where the cursor is, modes, sizes, kind of terminal
    r"|\x1b\][0-9;]+rgb:[0-9a-f/]+(\x07|\x1b\\)"  # colours
    r"|\x1bP(1\$r[0-9;: ]*[mqr]|!\|[0-9A-F]+|[0-9]*!~[0-9A-F]+|>\|bittty\([0-9.]+\))\x1b\\"
)
IGNORED = ("DECUDK", "DECSCPP", "MC", "DECMC", "OSC_CLIPBOARD", "OSC_SHELL_MARK")
SIZES = range(14, 20)  # of XTWINOPS: questions about sizes; what else there is changes them, or tells titles
LONG = re.compile(r"\d{5,}")
MOST = "9999"  # of anything that a sequence counts
LONGEST = 1 << 20  # characters of a string before it is taken for none
#: where a string ends; also at another sequence, as in other terminals
_END_OF_STRING = re.compile(r"(?P<st>(?:\x1b\\|\x9C))|(?P<bel>\x07)|(?P<cancel>[\x18\x1A]|(?=\x1b[^\\]))")
CANCEL = "\x18"


def _sense(function: Callable[..., Any], otherwise: Any = None) -> Callable[..., Any]:
    """The same for sequences that make sense; others are left out, as terminals do."""

    def tried(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (ArithmeticError, LookupError, TypeError, ValueError):  # bittty trusts what it reads
            return otherwise

    return tried


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda sequence, *more: function(LONG.sub(MOST, sequence), *more)


_NONSENSE = Operation("NONSENSE")


def _mend_parser() -> None:
    """Its functions are the module's."""
    core.STR_TERM_RE = _END_OF_STRING
    core.parse_csi_operation = _sense(_bounded(core.parse_csi_operation))
    core.parse_osc_operation = _sense(core.parse_osc_operation)
    core.parse_dcs_operation = _sense(core.parse_dcs_operation, _NONSENSE)


_mend_parser()


def tame(board: Board) -> None:
    """Before anything is fed to it."""
    for name in IGNORED:
        del board.registry[name]
    for name, handler in board.registry.items():
        board.registry[name] = _sense(handler)
    window = board.registry["XTWINOPS"]
    board.registry["XTWINOPS"] = lambda operation: window(operation) if _asks_for_sizes(operation) else None
    board.blitter.set_column_mode = lambda _: None  # DECCOLM
    _guard_answers(board)


def _asks_for_sizes(operation: Operation) -> bool:
    numbers = operation.args[0]
    return bool(numbers) and numbers[0] in SIZES


def _guard_answers(board: Board) -> None:
    """What is written while output is read is an answer; everything else, the player's."""
    parser, feed, write, reading = board.parser, board.parser.feed, board.host.write, False

    def fed(chunk: str) -> None:
        nonlocal reading
        reading = True
        try:
            feed(chunk)
            if parser.mode is not None and len(parser.buffer) > LONGEST:
                feed(CANCEL)
        finally:
            reading = False

    def written(data: str, flush: bool = False) -> Any:
        return write(data, flush) if not reading or ANSWER.fullmatch(data) else None

    parser.feed, board.host.write = fed, written
