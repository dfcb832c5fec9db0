"""The Kubernetes manifests of a level: files and folders of YAML, filled in for its seed, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kuartui.catalog.variables import Filler
from kuartui.catalog.yamlfile import Document, parse, read_text
from kuartui.errors import LevelError, did_you_mean
from kuartui.game.level import Level
from kuartui.message import later

SUFFIXES = (".yaml", ".yml", ".json")


def load(folder: Path, names: Sequence[str], level: Level, filler: Filler | None = None) -> list[dict[str, Any]]:
    """The objects of these files and folders (files of a folder by name), lists taken apart."""
    return [obj for _, obj in load_documents(folder, names, filler or Filler(level.values))]


def load_documents(folder: Path, names: Sequence[str], filler: Filler) -> list[tuple[Document, dict[str, Any]]]:
    """Each object with the document that it comes from, for messages."""
    return [
        (document, obj)
        for file in files(folder, names)
        for document in (filler.fill(raw) for raw in parse(read_text(file), str(file)))
        for obj in _objects(document)
    ]


def files(folder: Path, names: Sequence[str]) -> list[Path]:
    """LevelError for one that does not exist or lies outside of the level's folder."""
    found: list[Path] = []
    root = folder.resolve()
    for name in names:
        path = folder / name  # named in messages as the level was
        if not path.resolve().is_relative_to(root):
            raise LevelError(later("{name!r} leads out of the level's folder", name=name), file=str(folder))
        if path.is_dir():
            inside = sorted(item for item in path.iterdir() if item.suffix in SUFFIXES)
            if not inside:
                raise LevelError(later("no manifests in this folder"), file=str(path))
            found += inside
        elif path.exists():
            found.append(path)
        else:
            there = {item.name for item in path.parent.glob("*") if item.suffix in SUFFIXES}
            raise LevelError(later("no such manifest{guess}", guess=did_you_mean(path.name, there)), file=str(path))
    return found


def _objects(document: Document) -> Iterator[dict[str, Any]]:
    value = document.value
    items = value.get("items", []) if isinstance(value, dict) and value.get("kind") == "List" else [value]
    for item in items:
        metadata = item.get("metadata") if isinstance(item, dict) else None
        if not isinstance(metadata, dict) or not all(isinstance(item.get(key), str) for key in ("apiVersion", "kind")):
            raise LevelError(
                later("not a Kubernetes object: needs apiVersion, kind and metadata"),
                file=document.file,
                line=document.line(()),
            )
        if not isinstance(metadata.get("name"), str):
            raise LevelError(later("needs metadata.name"), file=document.file, line=document.line(("metadata",)))
        yield item
