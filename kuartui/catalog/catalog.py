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
from functools import lru_cache
from pathlib import Path

import msgspec

from kuartui.catalog import translation
from kuartui.catalog.cards import CardFile
from kuartui.catalog.packs import roots as player_roots
from kuartui.catalog.reader import LEVEL_FILE, LevelFolder, shipped_levels
from kuartui.catalog.tracks import TRACKS_FILE, Track, read_tracks
from kuartui.errors import LevelError, UnknownName
from kuartui.game.level import Level, LevelCard
from kuartui.message import later

SHIPPED = "kuartui"
KEPT = 2  # folders that are kept parsed, half a megabyte each: those that are asked for again are asked for at once


@dataclass(frozen=True, slots=True)
class _Pack:
    name: str
    tracks: tuple[Track, ...]
    folders: dict[str, Path]


class Catalog:
    """Level folders by name. UnknownName for a name that is not there, LevelError for a broken file.

    The first root must be sound. What is wrong with another one is in `broken`, by the name of the pack, or by
    pack/level; everything else is there all the same."""

    def __init__(self, roots: Sequence[Path], first: str = "") -> None:
        """`first` names the first pack, if not as its folder."""
        self.packs: list[_Pack] = []
        self.broken: dict[str, str] = {}
        self._folders: dict[str, Path] = {}
        self._owners: dict[str, str] = {}
        for index, root in enumerate(roots):
            self._add(root, "" if index else first, strict=not index)
        self._open = lru_cache(maxsize=KEPT)(LevelFolder.open)

    def _add(self, root: Path, name: str, *, strict: bool) -> None:
        try:
            pack = _open_pack(root, name or root.name)
        except LevelError as error:
            if strict:
                raise
            self.broken[root.name] = error.message
            return
        self.packs.append(pack)
        for name, folder in pack.folders.items():
            if name in self._folders:  # the first pack wins, so a stranger's cannot replace a level of ours
                self.broken[f"{pack.name}/{name}"] = f"{self._owners[name]} has a level of this name already"
            else:
                self._folders[name], self._owners[name] = folder, pack.name

    @classmethod
    def default(cls) -> Catalog:
        """What ships with kuartui, then the levels and packs in the player's data directory."""
        return cls([shipped_levels(), *player_roots()], first=SHIPPED)

    def tracks(self) -> list[Track]:
        """By name: the first pack that has a track gives its title, later ones may add levels."""
        found: dict[str, Track] = {}
        for track in (track for pack in self.packs for track in pack.tracks):
            known = found.get(track.name)
            levels = (*known.levels, *track.levels) if known else track.levels
            found[track.name] = msgspec.structs.replace(known or track, levels=levels)
        return list(found.values())

    def owner(self, name: str) -> str:
        """The pack that a level is in; "kuartui" for one that ships with it."""
        self.folder(name)
        return self._owners[name]

    def languages(self) -> set[str]:
        """The tags of those that some level is translated to; English is not among them."""
        return {tag for folder in self._folders.values() for tag in translation.languages(folder)}

    def names(self) -> list[str]:
        """In the order of the tracks."""
        return list(self._folders)

    def cards(self, language: str = "") -> list[LevelCard]:
        """In the order of the tracks, with the texts of seed 0. A broken level of an added pack is left out, and told
        in `broken`."""
        found, kept = [], CardFile(language)
        for name, folder in self._folders.items():
            made = kept.get(folder)
            if made is None:
                try:
                    made = card(LevelFolder.open(folder).level(0, language))
                except LevelError as error:
                    if self._owners[name] == self.packs[0].name:
                        raise
                    self.broken[f"{self._owners[name]}/{name}"] = error.message
                    continue
                kept.put(folder, made)
            found.append(made)
        kept.save()
        return found

    def level(self, name: str, seed: int = 0, language: str = "") -> Level:
        """Filled in for a seed, in a language (a tag, "": English) as far as it is translated."""
        return self.open(name).level(seed, language)

    def open(self, name: str) -> LevelFolder:
        """The level's folder, parsed."""
        return self._open(self.folder(name))

    def folder(self, name: str) -> Path:
        """Where the level's files are."""
        if name not in self._folders:
            raise UnknownName(later("level"), name, self._folders, hint="" if self._folders else "kuartui level list")
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


def find(path: Path) -> list[Path]:
    """The level folders at or below a path, for `level prove PATH` and `level lint PATH`."""
    if path.name == LEVEL_FILE and path.is_file():
        return [path.parent]
    found = sorted(file.parent for file in path.rglob(LEVEL_FILE)) if path.is_dir() else []
    if not found:
        raise LevelError(later("no {level_file} there", level_file=LEVEL_FILE), file=str(path))
    return found


def _open_pack(root: Path, name: str) -> _Pack:
    found = {file.parent.name: file.parent for file in sorted(root.glob(f"*/*/{LEVEL_FILE}"))}
    tracks = read_tracks(root).tracks
    order = [name for track in tracks for name in track.levels]
    for level in order:
        if level not in found:
            raise LevelError(
                later("names level {level!r}, which is not in this pack", level=level), file=str(root / TRACKS_FILE)
            )
    named = {track.name for track in tracks}
    others = dict.fromkeys(folder.parent.name for folder in found.values() if folder.parent.name not in named)
    more = [Track(name=other, title=other.replace("-", " ").capitalize()) for other in others]
    folders = {level: found[level] for level in [*order, *(level for level in found if level not in order)]}
    return _Pack(name, (*tracks, *more), folders)
