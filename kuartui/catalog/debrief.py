"""The parts of a debrief, as `tracks.yaml` orders them for a pack: players find things where they found them last.

English and translations are held to the same order. A part that the pack does not know may stand anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kuartui.catalog.tracks import DebriefPart
from kuartui.message import later

_FENCE = re.compile(r"^(```|~~~)")
_HEADING = re.compile(r"^# (.+?)\s*$")


def headings(text: str) -> list[tuple[int, str]]:
    """The headings of the first level in Markdown, each with its line, from 1; what looks like one in code is none."""
    found, in_code = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line):
            in_code = not in_code
        elif not in_code and (match := _HEADING.match(line)):
            found.append((number, match[1]))
    return found


def problems(text: str, parts: Sequence[DebriefPart]) -> Iterator[tuple[int, str]]:
    """What an English debrief lacks of the pack's parts, or has in another order: lines (0: none) and sentences."""
    there = {heading: line for line, heading in headings(text)}
    for part in parts:
        if part.heading not in there and not part.optional:
            yield 0, later("the debrief has no part {heading!r}", heading=part.heading)
    known = [(there[part.heading], part.heading) for part in parts if part.heading in there]
    for (line, before), (next_line, after) in zip(known, known[1:], strict=False):
        if next_line < line:
            yield (
                next_line,
                later(
                    "{after!r} comes before {before!r}; the other way round in this pack", after=after, before=before
                ),
            )


def translation_problems(text: str, english: str, parts: Sequence[DebriefPart], tag: str) -> Iterator[tuple[int, str]]:
    """Where a translated debrief has other parts than the English one, or calls them otherwise than the pack does."""
    here, there = headings(text), headings(english)
    if len(here) != len(there):
        text = later("the English debrief has {there} parts, this one {here}", there=len(there), here=len(here))
        yield 0, text
        return
    names = {part.heading: part.headings[tag] for part in parts if tag in part.headings}
    for (line, heading), (_, original) in zip(here, there, strict=True):
        wanted = names.get(original, heading)
        if heading != wanted:
            text = later(
                "{original!r} is called {wanted!r} in this pack, not {heading!r}",
                original=original,
                wanted=wanted,
                heading=heading,
            )
            yield line, text
