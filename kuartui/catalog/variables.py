"""Fills `{{name}}` in the texts and manifests of a level: data, not code.

    variables: {app: [orders, billing], port: [8080, 9090], shop: [{name: tea, city: Xiamen}]}
    "{{app}}-{{port}}" -> "orders-8080"      "{{port}}" alone -> 8080, a number as it stands in the list
    "{{port|string}}" -> "8080"              "{{shop.city}}" -> "Xiamen"

A seed picks one value of each list. The choice is a hash, so it is the same on every machine and Python.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from kuartui.catalog.yamlfile import Document, FieldPath, path_text
from kuartui.errors import LevelError, did_you_mean
from kuartui.game.level import Value
from kuartui.message import later

PLACE = re.compile(r"\{\{\s*([A-Za-z_]\w*(?:\.\w+)?)\s*(\|\s*string\s*)?\}\}")


def pick(level: str, seed: int, variables: Mapping[str, list[Value] | tuple[Value, ...]]) -> dict[str, Any]:
    """The value of each variable for a seed; seed 0 takes the first of each, so that it reads like the file."""
    return {name: values[_index(level, seed, name, len(values))] for name, values in variables.items()}


def _index(level: str, seed: int, name: str, count: int) -> int:
    if seed == 0:
        return 0
    digest = hashlib.sha256(f"{level}/{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % count


class Filler:
    """Fills documents with picked values, and remembers which variables were used."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.flat: dict[str, str | int] = {}
        for name, value in values.items():
            if isinstance(value, Mapping):
                self.flat.update({f"{name}.{key}": inner for key, inner in value.items()})
            else:
                self.flat[name] = value
        self.used: set[str] = set()

    def fill(self, document: Document) -> Document:
        """A copy with everything filled in. LevelError for a variable that does not exist."""
        return Document(document.file, self._value(document.value, document, ()), document.lines)

    def text(self, text: str, file: str) -> str:
        """Fill a plain text file, such as the debrief."""

        def replacement(match: re.Match[str]) -> str:
            line = text.count("\n", 0, match.start()) + 1
            return str(self._look_up(match.group(1), file, line, ""))

        return PLACE.sub(replacement, text)

    def _value(self, value: Any, document: Document, path: FieldPath) -> Any:
        if isinstance(value, str):
            return self._string(value, document, path)
        if isinstance(value, list):
            return [self._value(item, document, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {
                str(self._string(key, document, (*path, key))): self._value(item, document, (*path, key))
                for key, item in value.items()
            }
        return value

    def _string(self, text: str, document: Document, path: FieldPath) -> str | int:
        if "{{" not in text:
            return text
        whole = PLACE.fullmatch(text)
        if whole is not None and not whole.group(2):
            return self._look_up(whole.group(1), document.file, document.line(path), path_text(path))
        return PLACE.sub(
            lambda match: str(self._look_up(match.group(1), document.file, document.line(path), path_text(path))), text
        )

    def _look_up(self, name: str, file: str, line: int, where: str) -> str | int:
        if name not in self.flat:
            guess = did_you_mean(name, self.flat)
            raise LevelError(
                later("no variable {name!r}{guess}", name=name, guess=guess), file=file, line=line, field=where
            )
        self.used.add(name.partition(".")[0])
        return self.flat[name]
