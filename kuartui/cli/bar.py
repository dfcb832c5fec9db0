"""How far something long is, as a bar on standard error, where a terminal is there to show it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.cluster.base import Progress, Report


@contextmanager
def bar(wanted: bool) -> Iterator[Report]:
    """What to report steps to. Lines printed meanwhile go above the bar; it goes away in the end. Without `wanted`, or
    where standard error is no terminal that can redraw a line, nothing is shown."""
    from kuartui.cluster.base import silent

    if not wanted or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    console = Console(stderr=True)
    # what is printed goes through the bar's console only if both streams are the same terminal, not into a file's stead
    with Bar(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as shown:
        task = shown.add_task("", total=None)

        def report(progress: Progress) -> None:
            shown.update(task, description=tr(progress.text), completed=progress.step, total=progress.steps)

        yield report
