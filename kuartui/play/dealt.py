"""Which level an attempt is at, as it was dealt then."""

from __future__ import annotations

from pathlib import Path

from kuartui.catalog.catalog import Catalog
from kuartui.catalog.reader import LEVEL_FILE, LevelFolder
from kuartui.errors import LevelError, UnknownName
from kuartui.game.level import Level
from kuartui.progress.store import AttemptRecord


def level_of(record: AttemptRecord, language: str = "") -> Level:
    """The level of an attempt as its files are now, in a language. LevelError or UnknownName when they are gone."""
    if not Path(record.folder, LEVEL_FILE).exists():  # kuartui may have been installed anew, elsewhere
        return Catalog.default().level(record.level, record.seed, language)
    return LevelFolder.open(Path(record.folder)).level(record.seed, language)


def level_if_there(record: AttemptRecord) -> Level | None:
    """The same, for who can do without."""
    try:
        return level_of(record)
    except (LevelError, UnknownName):
        return None
