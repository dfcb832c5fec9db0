"""Compiles the message catalogues (`kuartui/locale/**/*.po`) for wheels and for editable installs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Catalogues(BuildHookInterface):
    """A wheel gets the compiled files from a directory of their own: the checkout may be read-only."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        self._work = tempfile.TemporaryDirectory()
        for source in sorted(root.glob("kuartui/locale/*/LC_MESSAGES/*.po")):
            inside = source.relative_to(root).with_suffix(".mo")
            place = root if version == "editable" else Path(self._work.name)
            compile_catalogue(source, place / inside)
            if version != "editable":
                build_data["force_include"][str(place / inside)] = str(inside)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._work.cleanup()


def compile_catalogue(source: Path, target: Path) -> None:
    """Messages that are not translated are left out, so that they are shown in English."""
    with source.open("rb") as file:
        messages = read_po(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        write_mo(file, messages)
