"""Cards of levels, kept between starts: to parse and compile 57 levels takes most of a second and 25 MB, to look when
their files changed takes a millisecond.

A file in the cache directory that may be lost, damaged or old: whatever does not fit is made anew.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

import kuartui
from kuartui import paths
from kuartui.errors import KuartuiError
from kuartui.game.level import LevelCard

Stamp = tuple[tuple[str, int, int], ...]  # name, time of change (ns) and size of each file that a card is made from


class _File(msgspec.Struct):
    version: str
    cards: dict[str, tuple[Stamp, LevelCard]]  # by folder


class CardFile:
    """The kept cards of one language."""

    def __init__(self, language: str) -> None:
        self._path = paths.cache_dir() / f"cards-{language or 'en'}.json"
        self._kept: dict[str, tuple[Stamp, LevelCard]] = {}
        self._fresh = False
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_File, dec_hook=lambda kind, value: kind(value))
        except (OSError, ValueError):  # msgspec's errors are ValueErrors
            return
        if found.version == kuartui.__version__:
            self._kept = found.cards

    def get(self, folder: Path) -> LevelCard | None:
        """The card of a level whose files are as they were."""
        stamp, card = self._kept.get(str(folder), ((), None))
        return card if card is not None and stamp == stamp_of(folder) else None

    def put(self, folder: Path, card: LevelCard) -> None:
        self._kept[str(folder)] = stamp_of(folder), card
        self._fresh = True

    def save(self) -> None:
        """Keep what is new; a full disk is no reason to show no levels."""
        if self._fresh:
            try:
                kept = _File(kuartui.__version__, self._kept)
                paths.write_private(self._path, msgspec.json.encode(kept, enc_hook=float))  # durations are floats
            except KuartuiError:
                return


def stamp_of(folder: Path) -> Stamp:
    """Of level.yaml and its translations."""
    found = []
    for file in sorted(folder.glob("level*.yaml")):
        stat = file.stat()
        found.append((file.name, stat.st_mtime_ns, stat.st_size))
    return tuple(found)
