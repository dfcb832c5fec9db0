"""How far something long is, as a bar on standard error, where a terminal is there to show it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from kuartui.cli import output
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
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    text, count = (TextColumn(what, markup=False) for what in ("{task.description}", "{task.fields[count]}"))
    columns = text, BarColumn(), count, TimeElapsedColumn()
    console = Console(stderr=True)
    # what is printed goes through the bar's console only if both streams are the same terminal, not into a file's stead
    with Bar(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as shown:
        task = shown.add_task("", total=None, count="")

        def report(progress: Progress) -> None:
            if progress.steps:
                far = f"{progress.step}/{progress.steps}"
                shown.update(task, completed=progress.step, total=progress.steps, count=far)
            shown.update(task, description=output.tame(tr(progress.text)))

        yield report


@contextmanager
def steps() -> Iterator[Report]:
    """What to report steps to that begin: a bar in a terminal, else a line for each, which stays."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield narrate
        return
    with bar(True) as shown:
        yield lambda progress: shown(replace(progress, step=max(0, progress.step - 1)))


def nth(report: Report, number: int, of: int) -> Report:
    """What one of several things reports, which has no steps of its own."""
    return lambda progress: report(replace(progress, step=number, steps=of))


def narrate(progress: Progress) -> None:
    """A step of something slow, as a line on standard error."""
    count = f"[{progress.step}/{progress.steps}] " if progress.steps else ""
    output.note(f"{count}{tr(progress.text)}")
