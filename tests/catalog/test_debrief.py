"""Debriefs have the parts that their pack orders."""

from __future__ import annotations

from pathlib import Path

import pytest

from kuartui.catalog.debrief import headings
from kuartui.catalog.lint import lint
from tests.catalog.pack import LEVEL, write

TRACKS = """\
debrief:
  - {heading: What happened, headings: {de: Was geschah}}
  - {heading: The traps, optional: true, headings: {de: Die Fallen}}
  - {heading: In production, headings: {de: Im Betrieb}}
"""
ENGLISH = "# What happened\n\nIt.\n\n# In production\n\nToo.\n"
GERMAN = "# Was geschah\n\nEs.\n\n# Im Betrieb\n\nAuch.\n"


def complaints(root: Path, english: str = ENGLISH, german: str = GERMAN, level: str = LEVEL) -> list[str]:
    folder = write(root, level=level)
    (root / "tracks.yaml").write_text(TRACKS)
    (folder / "debrief.md").write_text(english)
    (folder / "debrief.de.md").write_text(german)
    return [f"{Path(item.file).name}:{item.line}: {item.text}" for item in lint(folder) if "debrief" in item.file]


def test_code_has_no_headings() -> None:
    assert headings("# One\n```\n# not one\n```\n## below\n# Two  \n") == [(1, "One"), (6, "Two")]


@pytest.mark.parametrize(
    ("english", "german"),
    [
        (ENGLISH, GERMAN),
        ("# What happened\n# The traps\n# In production\n", "# Was geschah\n# Die Fallen\n# Im Betrieb\n"),
        ("# What happened\n# A detail\n# In production\n", "# Was geschah\n# Eine Einzelheit\n# Im Betrieb\n"),
    ],
)
def test_parts_that_may_be_left_out_or_added(tmp_path: Path, english: str, german: str) -> None:
    assert complaints(tmp_path, english, german) == []


@pytest.mark.parametrize(
    ("english", "german", "text"),
    [
        ("# What happened\n", "# Was geschah\n", "debrief.md:0: the debrief has no part 'In production'"),
        (
            "# In production\n# What happened\n",
            "# Im Betrieb\n# Was geschah\n",
            "debrief.md:1: 'In production' comes before 'What happened'; the other way round in this pack",
        ),
        (
            ENGLISH,
            GERMAN.replace("Im Betrieb", "In Produktion"),
            "debrief.de.md:5: 'In production' is called 'Im Betrieb' in this pack, not 'In Produktion'",
        ),
        (ENGLISH, "# Was geschah\n", "debrief.de.md:0: the English debrief has 2 parts, this one 1"),
    ],
)
def test_what_is_not_as_in_the_other_levels(tmp_path: Path, english: str, german: str, text: str) -> None:
    assert complaints(tmp_path, english, german) == [text]


def test_a_guided_level_has_parts_of_its_own(tmp_path: Path) -> None:
    level = LEVEL + "  coach: [{text: Watch the check., seconds: 3}]\n"
    assert complaints(tmp_path, "# What you did\n", "# Was du getan hast\n", level) == []
