"""Installed packs: folders below the player's data directory, put there whole or not at all.

$XDG_DATA_HOME/kuartui/packs/NAME/    installed by `kuartui pack install`
$XDG_DATA_HOME/kuartui/levels/        the player's own tracks, if any
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kuartui import paths
from kuartui.catalog import packfile
from kuartui.catalog.packfile import MANIFEST, Pack, PackSpec
from kuartui.catalog.reader import LEVEL_FILE, LevelFolder
from kuartui.catalog.tracks import read_tracks
from kuartui.catalog.yamlfile import read_text
from kuartui.errors import LevelError, UnknownName, system_words
from kuartui.message import later

RESERVED = ("kuartui", "levels")


@dataclass(frozen=True, slots=True)
class Installed:
    """A pack as it lies on disk. `broken` is why it cannot be used, empty when it can."""

    name: str
    path: Path
    spec: PackSpec
    levels: tuple[str, ...] = ()
    broken: str = ""


def packs_dir() -> Path:
    return paths.data_dir() / "packs"


def roots() -> list[Path]:
    """Where the player's levels are, the own ones first."""
    own = paths.data_dir() / "levels"
    places = sorted(packs_dir().iterdir()) if packs_dir().is_dir() else []
    return [item for item in (own, *places) if item.is_dir() and not item.name.startswith(".")]


def installed() -> list[Installed]:
    """Every pack, broken ones with their reason."""
    return [_look(root) for root in roots() if root.parent == packs_dir()]


def install(archive: Path, taken: Mapping[str, str]) -> Installed:
    """Put the pack of an archive in place, over an earlier version of it. `taken` says which pack has a level name
    already. LevelError when it is not sound; then nothing has changed."""
    pack = packfile.read_archive(archive)
    if pack.name in RESERVED:
        raise LevelError(later("{name} is no name for a pack: it is kuartui's own", name=pack.name), file=str(archive))
    place = paths.private_dir(packs_dir())
    try:
        lock = os.open(place, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another install must not sweep this one away
            _put(pack, place, str(archive), taken)
        finally:
            os.close(lock)
    except OSError as error:
        raise paths.unwritable(place, error) from error
    return _look(place / pack.name)


def _put(pack: Pack, place: Path, where: str, taken: Mapping[str, str]) -> None:
    _sweep(place)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
    try:
        root = new / pack.name
        _write(pack, root)
        names = _sound_levels(root, where)
        for name in names:
            owner = taken.get(name, pack.name)
            if owner != pack.name:
                raise LevelError(later("level {name} is in {owner} already", name=name, owner=owner), file=where)
        _swap(root, place / pack.name)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def remove(name: str) -> None:
    """UnknownName for a pack that is not installed."""
    known = [pack.name for pack in installed()]
    if name not in known:
        raise UnknownName(later("pack"), name, known, hint="" if known else later("no pack is installed"))
    gone = Path(tempfile.mkdtemp(prefix=".old-", dir=packs_dir()))
    try:
        os.replace(packs_dir() / name, gone / name)  # out of sight at once, then file by file
    except OSError as error:
        raise paths.unwritable(packs_dir() / name, error) from error
    finally:
        shutil.rmtree(gone, ignore_errors=True)


def _look(root: Path) -> Installed:
    spec = PackSpec()
    try:
        name, spec = packfile.manifest(read_text(root / MANIFEST), str(root / MANIFEST))
        if name != root.name:
            raise LevelError(later("is of pack {name!r}", name=name), file=str(root / MANIFEST))
        files = {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}
        packfile.from_files(files, str(root))
        return Installed(root.name, root, spec, tuple(_sound_levels(root, str(root))))
    except LevelError as error:
        return Installed(root.name, root, spec, broken=error.message)
    except OSError as error:
        return Installed(root.name, root, spec, broken=later("cannot be read: {why}", why=system_words(error)))


def _sound_levels(root: Path, where: str) -> list[str]:
    """The names of its levels, each of which can be read in every language that it has."""
    folders = sorted(file.parent for file in root.glob(f"*/*/{LEVEL_FILE}"))
    names = [folder.name for folder in folders]
    if not names:
        raise LevelError(later("there is no level in it"), file=where)
    for name in names:
        if names.count(name) > 1:
            raise LevelError(later("level {name} is in two tracks", name=name), file=where)
    for folder in folders:
        opened = LevelFolder.open(folder)
        for language in ("", *opened.languages()):
            opened.level(language=language)
    for track in read_tracks(root).tracks:
        for name in track.levels:
            if name not in names:
                raise LevelError(
                    later("track {name} names level {level!r}, which is not in the pack", name=track.name, level=name),
                    file=where,
                )
    return names


def _write(pack: Pack, root: Path) -> None:
    root.mkdir(mode=0o700)
    for path, data in pack.files.items():
        packfile.check_path(path, pack.name)  # once more, right where it matters
        target = root / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with target.open("xb") as file:
            file.write(data)


def _swap(new: Path, place: Path) -> None:
    """Put `new` in place of what is there; should that fail, what was there is back."""
    old = new.parent / "replaced"
    if place.exists():
        os.replace(place, old)
    try:
        os.replace(new, place)
    except OSError:
        if old.exists():
            os.replace(old, place)
        raise


def _sweep(place: Path) -> None:
    """What an install that was killed left behind; a pack that it had just put aside goes back."""
    for left in place.glob(".new-*"):
        old = left / "replaced"
        with contextlib.suppress(OSError, LevelError):
            name, _ = packfile.manifest(read_text(old / MANIFEST), str(old))
            if not (place / name).exists():
                os.replace(old, place / name)
        shutil.rmtree(left, ignore_errors=True)
    for left in place.glob(".old-*"):
        shutil.rmtree(left, ignore_errors=True)
