"""The levels that there are: those that ship with kuartui, and packs in the player's data directory.

    catalog = Catalog.default()
    catalog.cards()                       # for lists, cheap
    catalog.level("broken-selector", 7)   # filled in for seed 7
    catalog.cards("zh-CN")                # in Chinese, as far as there is any

A pack is a folder of tracks, a track a folder of levels. `tracks.yaml` in a pack names the tracks and orders their
levels; levels that it does not name come after them by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from kuartui import paths
from kuartui.catalog.reader import LEVEL_FILE, LevelFolder
from kuartui.catalog.tracks import TRACKS_FILE, Track, read_tracks
from kuartui.errors import LevelError, MissingError, UnknownName
from kuartui.game.level import Level, LevelCard


@dataclass(frozen=True, slots=True)
class _Pack:
    root: Path
    tracks: tuple[Track, ...]
    folders: dict[str, Path]


class Catalog:
    """Level folders by name. UnknownName for a name that is not there, LevelError for a broken file."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.packs = [_open_pack(root) for root in roots]
        self._folders: dict[str, Path] = {}
        for pack in self.packs:  # the first pack wins, so a stranger's cannot replace a level of ours
            for name, folder in pack.folders.items():
                self._folders.setdefault(name, folder)
        self._opened: dict[str, LevelFolder] = {}
        self._levels: dict[tuple[str, int, str], Level] = {}

    @classmethod
    def default(cls) -> Catalog:
        """What ships with kuartui, then the packs that the player installed."""
        installed = paths.data_dir() / "packs"
        extra = sorted(item for item in installed.iterdir() if item.is_dir()) if installed.is_dir() else []
        return cls([shipped_levels(), *extra])

    def tracks(self) -> list[Track]:
        return [track for pack in self.packs for track in pack.tracks]

    def names(self) -> list[str]:
        """In the order of the tracks."""
        return list(self._folders)

    def cards(self, language: str = "") -> list[LevelCard]:
        """In the order of the tracks, with the texts of seed 0."""
        return [card(self.level(name, language=language)) for name in self.names()]

    def level(self, name: str, seed: int = 0, language: str = "") -> Level:
        """Filled in for a seed, in a language (a tag, "": English) as far as it is translated."""
        key = (name, seed, language)
        if key not in self._levels:
            self._levels[key] = self.open(name).level(seed, language)
        return self._levels[key]

    def open(self, name: str) -> LevelFolder:
        """The level's folder, parsed."""
        if name not in self._opened:
            self._opened[name] = LevelFolder.open(self.folder(name))
        return self._opened[name]

    def folder(self, name: str) -> Path:
        """Where the level's files are."""
        if name not in self._folders:
            raise UnknownName("level", name, self._folders, hint="" if self._folders else "kuartui level list")
        return self._folders[name]


def card(level: Level) -> LevelCard:
    return LevelCard(
        name=level.name,
        title=level.title,
        track=level.track,
        chapter=level.chapter,
        difficulty=level.difficulty,
        points=level.points,
        par_time=level.par_time,
        time_limit=level.time_limit,
        needs=level.needs,
        exams=level.exams,
        checks=len(level.checks),
        hints=len(level.hints),
    )


def shipped_levels() -> Path:
    """`levels/` in the installed package, or at the root of a checkout (editable installs)."""
    inside = Path(str(resources.files("kuartui"))) / "levels"
    checkout = Path(__file__).resolve().parents[2] / "levels"
    for place in (inside, checkout):
        if place.is_dir():
            return place
    raise MissingError(
        "the levels that belong to kuartui are not installed", hint="pip install --force-reinstall kuartui"
    )


def find(path: Path) -> list[Path]:
    """The level folders at or below a path, for `level prove PATH` and `level lint PATH`."""
    if path.name == LEVEL_FILE and path.is_file():
        return [path.parent]
    found = sorted(file.parent for file in path.rglob(LEVEL_FILE)) if path.is_dir() else []
    if not found:
        raise LevelError(f"no {LEVEL_FILE} there", file=str(path))
    return found


def _open_pack(root: Path) -> _Pack:
    found = {file.parent.name: file.parent for file in sorted(root.glob(f"*/*/{LEVEL_FILE}"))}
    tracks = read_tracks(root).tracks
    order = [name for track in tracks for name in track.levels]
    for name in order:
        if name not in found:
            raise LevelError(f"names level {name!r}, which is not in this pack", file=str(root / TRACKS_FILE))
    return _Pack(root, tracks, {name: found[name] for name in [*order, *(n for n in found if n not in order)]})
