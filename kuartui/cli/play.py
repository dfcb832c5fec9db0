"""`kuartui` and `kuartui play`: the screens."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import click

from kuartui.cli import output
from kuartui.cli.cluster import AllowRights, Kind
from kuartui.cli.parameters import LARGEST, Argument, Option
from kuartui.cli.run import command
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.game.events import Mode


def add_to(app: click.Group) -> None:
    """Register the command on the root."""

    @command(app, "play")
    def play(
        level: Annotated[
            str, Argument(metavar="LEVEL|PATH", help="A level's name (kuartui level list), or its folder.")
        ],
        seed: Annotated[int | None, Option(min=0, max=LARGEST, help="The same seed gives the same level.")] = None,
        cluster: Kind = "embedded",
        practice: Annotated[bool, Option("--practice", help="No points; the clock may be paused.")] = False,
        allow_rights: AllowRights = False,
    ) -> None:
        """Play a level on the screen."""
        from kuartui.cli.level import allow, is_path, open_level

        found = open_level(level, seed or 0)  # an unknown or broken level is told here, before a screen hides it
        if allow_rights:
            allow(found)
        _run(cluster, found.folder if is_path(level) else level, seed, "practice" if practice else "ranked")


def home(cluster: str) -> None:
    """The home screen."""
    _run(cluster, None, None)


def _run(cluster: str, level: str | None, seed: int | None, mode: Mode = "ranked") -> None:
    from kuartui.cluster.select import check_kind

    check_kind(cluster)
    if not has_screen():
        output.note(tr("this is no terminal that can show the screens; playing without them works everywhere:"))
        output.note(f"  kuartui level {'start ' + shlex.quote(str(level)) if level else 'list'}")
        raise click.exceptions.Exit(2)
    from kuartui.tui.app import run

    raise click.exceptions.Exit(run(cluster, level=level, seed=seed, mode=mode))


def has_screen() -> bool:
    """Whether standard input and output are a terminal that can place a cursor, or `kuartui serve` is behind them."""
    if os.environ.get("TEXTUAL_DRIVER"):
        return True
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")
