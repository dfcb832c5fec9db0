"""`tracks.yaml` in a pack: its tracks, the order of their levels, and the languages that it promises."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kuartui.catalog.decode import complaint, convert
from kuartui.catalog.yamlfile import parse, read_text
from kuartui.errors import LevelError
from kuartui.language import best
from kuartui.message import later

TRACKS_FILE = "tracks.yaml"


class Track(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ordered list of levels."""

    name: str
    title: str
    levels: tuple[str, ...] = ()
    titles: dict[str, str] = {}  # in other languages, by tag

    def title_in(self, language: str) -> str:
        """The title for somebody who reads `language` (a tag, "": English)."""
        return self.titles.get(best(language, self.titles), self.title)


class DebriefPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part that each debrief of the pack has, under one heading."""

    heading: str
    optional: bool = False
    headings: dict[str, str] = {}  # in other languages, by tag


class Tracks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file. In `languages` every level is there whole: lint takes a missing text for an error.

    `debrief`: its parts, in their order; lint holds every level to them but the guided ones.
    """

    tracks: tuple[Track, ...] = ()
    languages: tuple[str, ...] = ()
    debrief: tuple[DebriefPart, ...] = ()


def read_tracks(root: Path) -> Tracks:
    """Of the pack at `root`; an empty one where there is no file."""
    file = root / TRACKS_FILE
    if not file.exists():
        return Tracks()
    documents = parse(read_text(file), str(file))
    if len(documents) != 1:
        raise LevelError(later("expected one document with tracks"), file=str(file), line=1)
    try:
        found: Tracks = convert(documents[0].value, Tracks)
    except msgspec.ValidationError as error:
        raise complaint(str(error), documents[0], ()) from error
    return found
