"""`kuartui pack`: levels that people publish."""

from __future__ import annotations

import shlex
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from kuartui.cli import output
from kuartui.cli.output import Format, Output
from kuartui.cli.parameters import Argument, Option
from kuartui.cli.run import Noun, command
from kuartui.message import later
from kuartui.prose import plain
from kuartui.translate import tr, trn

if TYPE_CHECKING:
    from kuartui.catalog.packs import Installed

app = Noun(help="Build, install and remove packs of levels.")


@command(app, "build")
def build(
    folder: Annotated[Path, Argument(help="A folder of tracks, each a folder of levels.")] = Path(),
    name: Annotated[str, Option(help="Of the pack; default: what its pack.yaml says.")] = "",
    version: Annotated[str, Option(help="Such as 1.2.0; default: what its pack.yaml says.")] = "",
    to: Annotated[Path, Option(help="The folder to write the archive to.")] = Path(),
) -> None:
    """Write NAME-VERSION.tar.gz, with a manifest and digests. Every level must be without lint errors."""
    from kuartui import paths
    from kuartui.catalog import packfile
    from kuartui.catalog.catalog import find
    from kuartui.catalog.lint import lint
    from kuartui.errors import LevelError, UsageError

    if not name and not (folder / packfile.MANIFEST).exists():
        raise UsageError(later("the pack has no name"), hint="kuartui pack build FOLDER --name NAME --version 1.0.0")
    levels = find(folder)
    errors = [item for level in levels for item in lint(level) if item.severity == "error"]
    for item in errors:
        output.note(plain(tr(item.message)))
    if errors:
        raise LevelError(later("not built: levels have errors"), hint=f"kuartui level lint {shlex.quote(str(folder))}")
    pack = packfile.build(folder, name=name, version=version)
    file = to / f"{pack.name}-{pack.spec.version}.tar.gz"
    try:
        file.write_bytes(packfile.archive(pack))
    except OSError as error:
        raise paths.unwritable(file, error) from error
    counted = (trn("{n} level", "{n} levels", len(levels)), trn("{n} file", "{n} files", len(pack.files)))
    output.line(f"{file}: {', '.join(counted)}, {pack.spec.digest}")


@command(app, "install")
def install(
    archive: Annotated[Path, Argument(help="NAME-VERSION.tar.gz, from somebody you trust to teach.")],
) -> None:
    """Install a pack, or another version of it. It cannot replace a level of kuartui or of another pack."""
    from kuartui.catalog import packs
    from kuartui.catalog.catalog import Catalog

    _not_in_play(packs.installed())
    catalog = Catalog.default()
    pack = packs.install(archive, {level: catalog.owner(level) for level in catalog.names()})
    output.line(
        tr(
            "{name} {version} is installed: {levels}",
            name=pack.name,
            version=pack.spec.version,
            levels=", ".join(pack.levels),
        )
    )


@command(app, "list")
def list_packs(out: Output = Format.text) -> None:
    """List the packs that are installed."""
    from kuartui.catalog import packs

    found = packs.installed()
    if out is Format.json:
        output.data(
            [
                {
                    "name": pack.name,
                    "version": pack.spec.version,
                    "title": pack.spec.title,
                    "tracks": list(pack.spec.tracks),
                    "levels": list(pack.levels),
                    "digest": pack.spec.digest,
                    "path": str(pack.path),
                    "broken": pack.broken,
                }
                for pack in found
            ]
        )
        return
    if not found:
        output.line(tr("no pack is installed"))
        return
    rows = [
        [
            pack.name,
            pack.spec.version,
            len(pack.levels),
            tr("broken: {why}", why=pack.broken) if pack.broken else plain(pack.spec.title),
        ]
        for pack in found
    ]
    output.table([later("NAME"), later("VERSION"), later("LEVELS"), later("TITLE")], rows)


@command(app, "remove")
def remove(name: Annotated[str, Argument(help="Of the pack: kuartui pack list")]) -> None:
    """Remove a pack. Your results in its levels stay."""
    from kuartui.catalog import packs

    _not_in_play([pack for pack in packs.installed() if pack.name == name])
    packs.remove(name)
    output.line(tr("{name} is removed", name=name))


def _not_in_play(found: list[Installed]) -> None:
    """UsageError while a level of one of these packs is in play: its files are still needed."""
    from kuartui.errors import UsageError
    from kuartui.progress.store import Store

    store = Store()
    records = store.not_over()
    store.close()
    for pack, record in product(found, records):
        if Path(record.folder).is_relative_to(pack.path.resolve()):
            hint = later("kuartui exam show, or kuartui exam finish") if record.aside else "kuartui level finish"
            raise UsageError(
                later("{level} of pack {name} is in play", level=record.level, name=pack.name),
                hint=hint,
            )
