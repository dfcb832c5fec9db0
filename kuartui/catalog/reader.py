"""From a level folder to a `Level`: read level.yaml, fill in a seed, decode, and hold it against the rules.

The types in `kuartui.game` are the format: msgspec decodes by them, and its complaints are turned into ones that name
file, line and field and guess what was meant. What a type cannot say (names that must exist, par below the limit,
expressions that must compile) is in `kuartui.catalog.rules`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from kuartui.catalog import rules
from kuartui.catalog.variables import Filler, pick
from kuartui.catalog.yamlfile import Document, FieldPath, Step, parse, path_text, read_text
from kuartui.errors import LevelError, did_you_mean
from kuartui.game import level as level_types
from kuartui.game import spec as spec_types
from kuartui.game.duration import Duration
from kuartui.game.level import Level, LevelSpec, Value

API_VERSION = "kuartui.dev/v1alpha1"
KIND = "Level"
LEVEL_FILE = "level.yaml"
DEBRIEF_FILE = "debrief.md"


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
        documents = parse(read_text(file), str(file))
        if len(documents) != 1 or not isinstance(documents[0].value, dict):
            raise LevelError(f"expected one document of kind {KIND}", file=str(file), line=1)
        document = documents[0]
        name = _envelope(document)
        if name != folder.name:
            raise LevelError(
                f"is {name!r}, but its folder is {folder.name!r}; they must be the same",
                file=str(file),
                line=document.line(("metadata", "name")),
                field="metadata.name",
            )
        return cls(folder, document, name, _variables(document))

    def level(self, seed: int = 0) -> Level:
        """The level for one seed. The first LevelError of `problems` when it has any."""
        level, problems = self.read(seed)
        if level is None or problems:
            raise problems[0]
        return level

    def read(self, seed: int = 0) -> tuple[Level | None, list[LevelError]]:
        """The level for one seed, if it could be decoded, and everything that is wrong with it."""
        values = pick(self.name, seed, self.variables)
        filler = Filler(values)
        try:
            document = filler.fill(self._without_variables())
            debrief_file = self.path / DEBRIEF_FILE
            debrief = filler.text(read_text(debrief_file), str(debrief_file)) if debrief_file.exists() else ""
        except LevelError as error:
            return None, [error]
        fields, problems = _decode_spec(document)
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
            folder=str(self.path),
            digest=self.digest(),
        )
        return level, list(rules.problems(level, document))

    def digest(self) -> str:
        """A name for the exact content of the folder, whatever the seed."""
        digest = hashlib.sha256()
        for file in sorted(item for item in self.path.rglob("*") if item.is_file()):
            digest.update(file.relative_to(self.path).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    def _without_variables(self) -> Document:
        spec = {key: value for key, value in self.document.value["spec"].items() if key != "variables"}
        return Document(self.document.file, {**self.document.value, "spec": spec}, self.document.lines)


def _envelope(document: Document) -> str:
    """Check what is around the spec; the level's name."""

    def fail(problem: str, *path: Step) -> LevelError:
        return LevelError(problem, file=document.file, line=document.line(path), field=path_text(path))

    value = document.value
    if value.get("apiVersion") != API_VERSION:
        raise fail(f"expected {API_VERSION}, got {value.get('apiVersion')!r}", "apiVersion")
    if value.get("kind") != KIND:
        raise fail(f"expected {KIND}, got {value.get('kind')!r}", "kind")
    for key in value:
        if key not in ("apiVersion", "kind", "metadata", "spec"):
            raise fail(f"unknown field{did_you_mean(key, ('apiVersion', 'kind', 'metadata', 'spec'))}", key)
    for key in ("metadata", "spec"):
        if not isinstance(value.get(key), dict):
            raise fail("missing or not a mapping", key)
    for key in value["metadata"]:
        if key not in ("name", "labels", "annotations"):
            raise fail(f"unknown field{did_you_mean(key, ('name', 'labels', 'annotations'))}", "metadata", key)
    labels = value["metadata"].get("labels") or {}
    if not isinstance(labels, dict) or not all(isinstance(item, str) for item in labels.values()):
        raise fail("labels must be text; put numbers in quotes", "metadata", "labels")
    name = value["metadata"].get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
        raise fail("a level's name is lower case letters, digits and dashes", "metadata", "name")
    return name


def _variables(document: Document) -> dict[str, list[Value]]:
    path: FieldPath = ("spec", "variables")
    raw = document.value["spec"].get("variables", {})
    try:
        found = msgspec.convert(raw, dict[str, list[Value]])
    except msgspec.ValidationError as error:
        raise _complaint(str(error), document, path) from error
    for name, values in found.items():
        if not values:
            raise LevelError(
                "needs at least one value",
                file=document.file,
                line=document.line((*path, name)),
                field=f"spec.variables.{name}",
            )
    return found


def _decode_spec(document: Document) -> tuple[dict[str, Any], list[LevelError]]:
    """Decode field by field, and lists item by item, so that one mistake does not hide the next."""
    spec = document.value["spec"]
    known = {item.encode_name: item for item in msgspec.structs.fields(LevelSpec)}
    found: dict[str, Any] = {}
    problems: list[LevelError] = []
    for key in spec:
        if key not in known:
            path: FieldPath = ("spec", key)
            problem = f"unknown field{did_you_mean(key, known)}"
            problems.append(LevelError(problem, file=document.file, line=document.line(path), field=path_text(path)))
    for key, item in known.items():
        if key not in spec:
            if item.required:
                problems.append(
                    LevelError(
                        f"missing field {key!r}", file=document.file, line=document.line(("spec",)), field="spec"
                    )
                )
            continue
        parts = list(_decode_field(spec[key], item.type, ("spec", key), document))
        problems += [part for part in parts if isinstance(part, LevelError)]
        found[item.name] = parts[-1]
    return found, problems


def _decode_field(value: Any, type_: Any, path: FieldPath, document: Document) -> Iterator[Any]:
    """Errors, if there are any; then the value (or the last error)."""
    item_type = _item_type(type_)
    if item_type is not None and isinstance(value, list):
        failed = False
        for index, item in enumerate(value):
            try:
                _convert(item, item_type)
            except msgspec.ValidationError as error:
                failed = True
                yield _complaint(str(error), document, (*path, index))
        if failed:
            return
    try:
        yield _convert(value, type_)
    except msgspec.ValidationError as error:
        yield _complaint(str(error), document, path)


def _item_type(type_: Any) -> Any:
    inner = getattr(type_, "__origin__", None)
    if inner is not tuple and hasattr(type_, "__metadata__"):  # Annotated[tuple[X, ...], Meta(…)]
        return _item_type(type_.__origin__)
    return type_.__args__[0] if inner is tuple and len(type_.__args__) == 2 else None


def _convert(value: Any, type_: Any) -> Any:
    return msgspec.convert(value, type_, dec_hook=_special)


def _special(type_: type, value: Any) -> Any:
    if type_ is Duration:
        return Duration.parse(value)
    raise NotImplementedError(type_)


_AT = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<key>key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")


def _complaint(text: str, document: Document, base: FieldPath) -> LevelError:
    """msgspec's words, as ours: with the full path, the line, and a guess for a misspelt field."""
    match = _AT.match(text)
    problem, tail = (match["problem"], match["path"] or "") if match else (text, "")
    path: FieldPath = base
    for name, index in _STEP.findall(tail):
        if not name and not index:  # [...]: some key of a mapping, msgspec does not say which
            break
        path = (*path, name or int(index))
    unknown = re.match(r"Object contains unknown field `(.*)`", problem)
    missing = re.match(r"Object missing required field `(.*)`", problem)
    if unknown:
        path = (*path, unknown[1])
        problem = f"unknown field{did_you_mean(unknown[1], _field_names())}"
    elif missing:
        problem = f"missing field {missing[1]!r}"
    else:
        problem = (problem[:1].lower() + problem[1:]).replace("`", "")
    return LevelError(problem, file=document.file, line=document.line(path), field=path_text(path))


@lru_cache(maxsize=1)
def _field_names() -> frozenset[str]:
    structs = [
        item
        for module in (level_types, spec_types)
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, msgspec.Struct)
    ]
    return frozenset(found.encode_name for struct in structs for found in msgspec.structs.fields(struct))
