"""The levels that there are: those that ship with kuartui, and packs in the player's data directory.

catalog = Catalog.default()
catalog.cards()                       # for lists, cheap
catalog.level("broken-selector", 7)   # filled in for seed 7
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kuartui.game.level import Level, LevelCard


class Catalog:
    """Level folders by name. UnknownName for a name that is not there, LevelError for a broken file."""

    def __init__(self, roots: Sequence[Path]) -> None:
        raise NotImplementedError

    @classmethod
    def default(cls) -> Catalog:
        raise NotImplementedError

    def names(self) -> list[str]:
        """In the order of the tracks."""
        raise NotImplementedError

    def cards(self) -> list[LevelCard]:
        """In the order of the tracks, with the texts of seed 0."""
        raise NotImplementedError

    def level(self, name: str, seed: int = 0) -> Level:
        raise NotImplementedError

    def folder(self, name: str) -> Path:
        """Where the level's files are."""
        raise NotImplementedError
