"""YAML with line numbers, from people we do not trust.

Plain data only (the safe schema), no duplicate keys, bounded size and bounded growth by aliases. `Document.line` finds
the line of a field path, so that every complaint about a level can name it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kuartui.errors import LevelError, system_words
from kuartui.message import later

MAX_BYTES = 512 * 1024
MAX_NODES = 20_000
MAX_DEPTH = 40
Step = str | int
FieldPath = tuple[Step, ...]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster, where PyYAML has it


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and the line (from 1) where each path begins."""

    file: str
    value: Any
    lines: dict[FieldPath, int] = field(repr=False)

    def line(self, path: FieldPath) -> int:
        """The line of a path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_text(path: Path) -> str:
    """A level's file as text. LevelError when it cannot be read or is absurdly large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LevelError(later("larger than {max_bytes} KiB", max_bytes=MAX_BYTES // 1024), file=str(path))
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise LevelError(later("no such file"), file=str(path)) from error
    except UnicodeDecodeError as error:
        raise LevelError(later("not UTF-8 text"), file=str(path)) from error
    except OSError as error:
        raise LevelError(later("cannot be read: {why}", why=system_words(error)), file=str(path)) from error


def parse(text: str, file: str) -> list[Document]:
    """All documents of a file, empty ones left out."""
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except RecursionError as error:  # of PyYAML without libyaml
        raise LevelError(TOO_MUCH, file=file) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        problem = " ".join(part for part in (error.problem, error.context) if part)
        raise LevelError(
            later("not YAML: {problem}{advice}", problem=problem, advice=_advice(text, line, problem)),
            file=file,
            line=line,
        ) from error
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise LevelError(later("not YAML: {problem}", problem=str(error).splitlines()[0]), file=file) from error
    return [_Builder(file).document(node) for node in nodes if node is not None and node.value != ""]


TOO_MUCH = later("too large or too deep (aliases count in full)")
SHOWN = 40  # characters of a value, in a message
LONGEST_NUMBER = 40  # characters
LOOKED_AT = 400  # characters of a line: what is looked for there takes the square of the time
SCALARS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str"))
COLLECTIONS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq"))
BARE_PLACE = re.compile(
    r"""[:,\[{-]\s+[^"'\s,]*\{\{|^\s*\{\{|\[[^"'\]]*\{\{"""
)  # a value that has a variable and no quotes
COMMAND = re.compile(r"""^\s*- [^\s:'"{\[>|&*]+ .*: """)  # words of a list item, in which YAML finds a key
TAB = re.compile(r" *\t")
QUOTE_PLACE = later("put a value with {{…}} in quotes")


def _advice(text: str, line: int, problem: str) -> str:
    """What people who are new to YAML most often have to do."""
    around = [part[:LOOKED_AT] for part in text.splitlines()[max(0, line - 2) : line]]
    if any(TAB.match(part) for part in around[-1:]):
        return later("; the line begins with a tab: YAML is indented with blanks")
    if problem.startswith("mapping values are not allowed"):
        return later("; put a text with ': ' in it in quotes")
    if any(COMMAND.search(part) for part in around):
        return later("; put a command with ': ' in it on a line of its own, below '- >-'")
    return later("; {advice}", advice=QUOTE_PLACE) if any(BARE_PLACE.search(part) for part in around) else ""


class _Builder:
    """Turns one node tree into values, noting lines; counts what it makes, so that aliases cannot explode."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[FieldPath, int] = {}
        self.made = 0
        self.scalars = yaml.constructor.SafeConstructor()

    def document(self, node: yaml.Node) -> Document:
        self.lines[()] = node.start_mark.line + 1
        return Document(self.file, self._value(node, ()), self.lines)

    def _value(self, node: yaml.Node, path: FieldPath) -> Any:
        self.made += 1
        if self.made > MAX_NODES or len(path) > MAX_DEPTH:
            raise self._error(TOO_MUCH, node)
        if isinstance(node, yaml.CollectionNode) and node.tag not in COLLECTIONS:
            raise self._error(later("no data of type {type}", type=_short(node.tag.rpartition(":")[2])), node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            found = []
            for index, item in enumerate(node.value):
                self.lines[(*path, index)] = item.start_mark.line + 1
                found.append(self._value(item, (*path, index)))
            return found
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value  # JSON has no dates: Kubernetes takes them as strings
        try:
            if node.tag not in SCALARS:
                raise ValueError
            return self._scalar(node)
        except (yaml.YAMLError, ValueError, LookupError) as error:
            raise self._error(
                later(
                    "cannot read {value!r} as {type}",
                    value=_short(node.value),
                    type=_short(node.tag.rpartition(":")[2]),
                ),
                node,
            ) from error

    def _scalar(self, node: yaml.Node) -> Any:
        """A value that JSON has as well. ValueError for others."""
        if node.tag.endswith((":int", ":float")) and len(node.value) > LONGEST_NUMBER:
            raise ValueError
        value = self.scalars.construct_object(node)
        if isinstance(value, str):
            value.encode()  # UnicodeEncodeError, a ValueError, for half a character
            if "\0" in value:
                raise ValueError
        fits = -(2**63) <= value < 2**64 if isinstance(value, int) else True
        if not fits or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError
        return value

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, Any]:
        try:
            self.scalars.flatten_mapping(node)  # <<: *anchor
        except yaml.MarkedYAMLError as error:
            raise self._error(str(error.problem), node) from error
        found: dict[str, Any] = {}
        own: set[str] = set()
        for key_node, value_node in node.value:
            key = self._value(key_node, path)
            if isinstance(key, dict):
                raise self._error(later("a key must be text; {quote_place}", quote_place=QUOTE_PLACE), key_node)
            if not isinstance(key, str):
                raise self._error(
                    later("a key must be text; put {value!r} in quotes", value=_short(key_node.value)), key_node
                )
            if key in own:
                raise self._error(later("{key!r} is there twice", key=_short(key)), key_node)
            own.add(key)
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            found[key] = self._value(value_node, (*path, key))
        return found

    def _error(self, problem: str, node: yaml.Node) -> LevelError:
        return LevelError(problem, file=self.file, line=node.start_mark.line + 1)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def path_text(path: FieldPath) -> str:
    """spec.checks[0].weight"""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
