"""From a level folder to a `Level`: read level.yaml, fill in a seed, decode, and hold it against the rules.

The types in `kuartui.game` are the format, and `kuartui.catalog.decode` decodes by them. What a
type cannot say (names that must exist, par below the limit, expressions that must compile) is in
`kuartui.catalog.rules`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec

from kuartui.catalog import rules, translation
from kuartui.catalog.decode import complaint, convert, decode_spec, open_document
from kuartui.catalog.variables import Filler, pick
from kuartui.catalog.yamlfile import Document, FieldPath, read_text
from kuartui.errors import LevelError, MissingError
from kuartui.game import cel
from kuartui.game.level import Level, LevelSpec, Value
from kuartui.language import best
from kuartui.message import later

KIND = "Level"
LEVEL_FILE = "level.yaml"
DEBRIEF_FILE = "debrief.md"


@cache
def shipped_levels() -> Path:
    """`levels/` in the installed package, or at the root of a checkout (editable installs)."""
    inside = Path(str(resources.files("kuartui"))) / "levels"
    checkout = Path(__file__).resolve().parents[2] / "levels"
    for place in (inside, checkout):
        if place.is_dir():
            return place
    raise MissingError(
        later("the levels that belong to kuartui are not installed"), hint="pip install --force-reinstall kuartui"
    )


def is_shipped(folder: Path) -> bool:
    """Whether a level's folder is one of those that come with kuartui; others are of strangers."""
    return folder.resolve().is_relative_to(shipped_levels().resolve())


@dataclass(frozen=True, slots=True)
class LevelFolder:
    """A level as it lies on disk, parsed but not yet filled in."""

    path: Path
    document: Document
    name: str
    variables: dict[str, list[Value]]

    @classmethod
    def open(cls, path: Path) -> LevelFolder:
        """Read a level folder (or its level.yaml). LevelError when that is no level."""
        folder = path.parent if path.name == LEVEL_FILE else path
        file = folder / LEVEL_FILE
        document, name = open_document(file, KIND)
        if name != folder.resolve().name:
            raise LevelError(
                later(
                    "is {name!r}, but its folder is {folder!r}; they must be the same",
                    name=name,
                    folder=folder.resolve().name,
                ),
                file=str(file),
                line=document.line(("metadata", "name")),
                field="metadata.name",
            )
        return cls(folder, document, name, _variables(document))

    def level(self, seed: int = 0, language: str = "") -> Level:
        """The level for one seed, in this language as far as it is translated ("": English). The first LevelError of
        `read` when it has any."""
        level, problems = self.read(seed, language)
        if level is None or problems:
            raise problems[0]
        return level

    def read(self, seed: int = 0, language: str = "") -> tuple[Level | None, list[LevelError]]:
        """The level for one seed, if it could be decoded, and everything that is wrong with it."""
        level, problems = self._read(seed)
        tag = best(language, self.languages()) if language else ""
        if level is None or problems or not tag:
            return level, problems
        return translation.read(level, self.path, tag)

    def _read(self, seed: int) -> tuple[Level | None, list[LevelError]]:
        if not is_shipped(self.path):
            cel.distrust()
        values = pick(self.name, seed, self.variables)
        filler = Filler(values)
        try:
            document = filler.fill(self._without_variables())
            debrief_file = self.path / DEBRIEF_FILE
            debrief = filler.text(read_text(debrief_file), str(debrief_file)) if debrief_file.exists() else ""
        except LevelError as error:
            return None, [error]
        fields, problems = decode_spec(document, LevelSpec)
        if problems:
            return None, problems
        labels = document.value["metadata"].get("labels") or {}
        level = Level(
            **fields,
            name=self.name,
            labels=labels,
            seed=seed,
            values=values,
            debrief=debrief,
            folder=str(self.path.resolve()),
            digest=self.digest(),
        )
        return level, list(rules.problems(level, document))

    def languages(self) -> list[str]:
        """The tags of the languages that it is translated to."""
        return translation.languages(self.path)

    def digest(self) -> str:
        """A name for the exact content of the folder, whatever the seed and the language."""
        digest = hashlib.sha256()
        files = (item for item in self.path.rglob("*") if item.is_file() and not self._is_translation(item))
        for file in sorted(files):
            digest.update(file.relative_to(self.path).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    def _is_translation(self, file: Path) -> bool:
        return file.parent == self.path and bool(translation.language_of(file.name))

    def _without_variables(self) -> Document:
        spec = {key: value for key, value in self.document.value["spec"].items() if key != "variables"}
        return Document(self.document.file, {**self.document.value, "spec": spec}, self.document.lines)


def _variables(document: Document) -> dict[str, list[Value]]:
    path: FieldPath = ("spec", "variables")
    raw = document.value["spec"].get("variables", {})
    try:
        found: dict[str, list[Value]] = convert(raw, dict[str, list[Value]])
    except msgspec.ValidationError as error:
        raise complaint(str(error), document, path) from error
    for name, values in found.items():
        if not values:
            raise LevelError(
                later("needs at least one value"),
                file=document.file,
                line=document.line((*path, name)),
                field=f"spec.variables.{name}",
            )
    return found
