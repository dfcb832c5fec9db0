"""`level prove` and `level lint`: run, report."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kuartui.cli import output
from kuartui.cli.bar import bar, narrate
from kuartui.cli.cluster import choose
from kuartui.cli.level import is_path
from kuartui.cli.output import Format
from kuartui.cli.run import wait
from kuartui.errors import KuartuiError, UsageError
from kuartui.message import later
from kuartui.prose import plain
from kuartui.translate import tr, trn

if TYPE_CHECKING:
    from kuartui.catalog.reader import LevelFolder
    from kuartui.cluster.base import Cluster
    from kuartui.game.level import Level
    from kuartui.play.proof_run import Line

FORMATS = ("text", "json", "junit")


def folders(targets: list[str]) -> list[LevelFolder]:
    """The levels meant: names, or paths to folders; all that come with kuartui without any.

    A proof runs the shell lines of a level. Those of a pack came from elsewhere, so it must be named by its path."""
    from kuartui.catalog.catalog import SHIPPED, Catalog, find
    from kuartui.catalog.reader import LevelFolder

    catalog = Catalog.default()
    found = []
    for target in targets or [name for name in catalog.names() if catalog.owner(name) == SHIPPED]:
        if is_path(target):
            found += [LevelFolder.open(place) for place in find(Path(target))]
        elif catalog.owner(target) == SHIPPED:
            found.append(catalog.open(target))
        else:
            raise UsageError(
                later(
                    "{target} is of pack {pack}, and a proof runs its shell lines as you",
                    target=target,
                    pack=catalog.owner(target),
                ),
                hint=later(
                    "read its solutions and cheats; then: kuartui level prove {folder}",
                    folder=shlex.quote(str(catalog.folder(target))),
                ),
            )
    return found


async def provable(levels: list[Level], cluster: Cluster) -> list[Level]:
    """Without those that this cluster or this machine's Docker engine cannot do; it is said that they are left out."""
    from kuartui.containers.engine import Docker
    from kuartui.play.arena import require
    from kuartui.play.dockside import require_engine

    if cluster.kind != "embedded":  # what a real one can do is known once it is looked at
        await cluster.up(narrate)
    docker, why = Docker(), {}
    try:
        for level in levels:
            if level.name not in why:
                try:
                    require(level, cluster.within_reach, cluster.name)
                    await require_engine(level, docker)
                except KuartuiError as error:
                    why[level.name] = error.message
                    output.note(tr("left out: {why}", why=error.message))
    finally:
        docker.close()
    return [level for level in levels if level.name not in why]


def run_proofs(
    targets: list[str], kind: str, seeds: int, jobs: int, form: str, *, thorough: bool = False, mutate: bool = False
) -> bool:
    """Prove (or try mutants), print the report; whether all holds."""
    if form not in FORMATS:
        raise UsageError(
            later("no output format {form!r}", form=form), hint=later("there are {formats}", formats=", ".join(FORMATS))
        )
    from kuartui.play import mutants, report
    from kuartui.play.proof import cut_short, prove

    levels = [folder.level(seed) for folder in folders(targets) for seed in range(seeds)]
    cluster = choose(kind)
    if not targets:
        levels = wait(lambda: provable(levels, cluster))

    lines: list[Line] = []

    def hear(line: Line) -> None:
        lines.append(line)
        if form == "text":
            output.line(report.text(line))
            sys.stdout.flush()

    begun = time.monotonic()
    try:
        with bar(form == "text") as step:
            if mutate:
                done = wait(lambda: mutants.mutate(levels, cluster, jobs=jobs, on_line=hear, report=step))
            else:
                done = wait(lambda: prove(levels, cluster, jobs=jobs, thorough=thorough, on_line=hear, report=step))
    except KeyboardInterrupt:
        if form == "text":
            output.line(tr(cut_short(lines, levels, time.monotonic() - begun).closing()))
        raise
    if form == "json":
        output.data(report.as_json(done))
    elif form == "junit":
        output.line(report.as_junit(done))
    else:
        output.line(tr(done.closing()))
    return not done.failed


def run_lint(targets: list[str], out: Format) -> bool:
    """Lint, print what was found; whether there is no error."""
    from kuartui.catalog.catalog import Catalog, find
    from kuartui.catalog.lint import lint

    catalog = Catalog.default()
    places: list[Path] = []
    for target in targets or catalog.names():
        places += find(Path(target)) if is_path(target) else [catalog.folder(target)]
    found = [complaint for place in places for complaint in lint(place)]
    errors = sum(complaint.severity == "error" for complaint in found)
    if out is Format.json:
        fields = ("severity", "file", "line", "field", "text")
        output.data([{field: getattr(complaint, field) for field in fields} for complaint in found])
        return not errors
    for complaint in found:
        output.line(plain(tr(complaint.message)))
    counted = (
        trn("{n} level", "{n} levels", len(places)),
        trn("{n} error", "{n} errors", errors),
        trn("{n} warning", "{n} warnings", len(found) - errors),
    )
    output.line(", ".join(counted))
    return not errors
