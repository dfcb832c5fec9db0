"""`level new`: a small level that is sound from its first minute, to be changed into another one step by step."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from kuartui.catalog import schema
from kuartui.errors import StorageError, UsageError, system_words
from kuartui.message import later

SCHEMA_FILE = "level.schema.json"
TRANSLATION_SCHEMA = "level-translation.schema.json"
FILES = ("level.yaml", "debrief.md", "setup/10-app.yaml")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def is_untouched(folder: Path, file: str) -> bool:
    """Whether a file of a level is what `new_level` wrote, but for the names of level and track."""
    place = folder.resolve()
    return (place / file).exists() and (place / file).read_text("utf-8") == _text(file, place.parent.name, place.name)


def _text(file: str, track: str, name: str) -> str:
    text = (resources.files("kuartui.catalog") / "template" / file).read_text(encoding="utf-8")
    return text.replace("NAME", name, 1).replace("TRACK", track, 1)


def new_level(pack: Path, track: str, name: str) -> Path:
    """Make `pack/track/name`, and put the schemas for editors at the root of the pack. The level's folder.

    UsageError for a name that is none or is taken, StorageError where nothing can be written."""
    for noun, word in ((later("level"), name), (later("track"), track)):
        if not NAME.fullmatch(word):
            raise UsageError(
                later("{word!r} is no name for a {noun}", word=word, noun=noun),
                hint=later("lower case letters, digits and dashes, as in shop-window"),
            )
    folder = pack / track / name
    if folder.exists():
        raise UsageError(
            later("{folder} is there already", folder=folder), hint=later("choose another name, or remove that folder")
        )
    try:
        for file in FILES:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_text(file, track, name), encoding="utf-8")
        (pack / SCHEMA_FILE).write_text(schema.text(), encoding="utf-8")
        (pack / TRANSLATION_SCHEMA).write_text(schema.text(schema.translation()), encoding="utf-8")
    except OSError as error:
        raise StorageError(later("cannot write {path}: {why}", path=folder, why=system_words(error))) from error
    return folder
