"""What the levels cover: chapters of the book and domains of the exams, from `levels/curriculum.yaml`.

`docs/curriculum.md` is the published table; `python -m kuartui.catalog.curriculum` prints it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from kuartui.catalog.catalog import SHIPPED, Catalog
from kuartui.catalog.decode import complaint, convert
from kuartui.catalog.reader import shipped_levels
from kuartui.catalog.yamlfile import parse, read_text
from kuartui.errors import did_you_mean
from kuartui.game.level import Level
from kuartui.message import later

FILE = "curriculum.yaml"
SLACK = 5.0  # points that a domain's share may be under its weight


class Domain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    title: str
    weight: int  # percent


class Exam(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`aside`: its weights are no aim of ours. `minutes` and `pass_` (percent) are those of the real one."""

    name: str
    title: str
    domains: tuple[Domain, ...]
    aside: bool = False
    minutes: int = 120
    pass_: int = msgspec.field(name="pass", default=66)


class Chapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: int
    title: str
    playable: bool = True


class Curriculum(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    exams: tuple[Exam, ...]
    chapters: tuple[Chapter, ...]


class Share(msgspec.Struct, frozen=True):
    """A domain, the levels that serve it, and their part of all levels of that exam in percent."""

    domain: Domain
    levels: tuple[Level, ...]
    percent: float

    @property
    def short(self) -> bool:
        return self.percent < self.domain.weight - SLACK


@lru_cache(maxsize=1)
def curriculum() -> Curriculum:
    """The facts. LevelError when the file is broken."""
    file = shipped_levels() / FILE
    document = parse(read_text(file), str(file))[0]
    try:
        found: Curriculum = convert(document.value, Curriculum)
    except msgspec.ValidationError as error:
        raise complaint(str(error), document, ()) from error
    return found


def problems(level: Level) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """What a level says of exams and chapters that are none: the complaint, and the path below `spec`."""
    exams = {exam.name: [domain.name for domain in exam.domains] for exam in curriculum().exams}
    for index, item in enumerate(level.exams):
        if item.domain not in exams[item.exam]:
            known = exams[item.exam]
            guess = did_you_mean(item.domain, known) or later("; there are {names}", names=", ".join(known))
            text = later("{exam} has no domain {domain!r}{guess}", exam=item.exam, domain=item.domain, guess=guess)
            yield text, ("exams", index, "domain")


def shares(exam: Exam, levels: Sequence[Level]) -> list[Share]:
    """How the levels of an exam are spread over its domains."""
    tagged = [(level, item.domain) for level in levels for item in level.exams if item.exam == exam.name]
    total = max(1, len(tagged))
    found = []
    for domain in exam.domains:
        own = tuple(level for level, name in tagged if name == domain.name)
        found.append(Share(domain, own, 100 * len(own) / total))
    return found


def text() -> str:
    """The published table."""
    catalog = Catalog.default()
    levels = [catalog.level(name) for name in catalog.names() if catalog.owner(name) == SHIPPED]
    return "\n".join(_lines(levels)) + "\n"


def _lines(levels: Sequence[Level]) -> Iterator[str]:
    yield "# What the levels cover"
    yield ""
    yield "Made from `levels/` by `python -m kuartui.catalog.curriculum > docs/curriculum.md`; the facts about exams"
    yield "and book are in `levels/curriculum.yaml`. A level counts once for each exam that it names."
    for exam in curriculum().exams:
        found = shares(exam, levels)
        if exam.aside and not any(share.levels for share in found):
            continue
        yield ""
        yield f"## {exam.name}: {exam.title}"
        yield ""
        yield "| domain | weight | our share | levels |"
        yield "|---|---:|---:|---|"
        for share in found:
            domain, mark = share.domain, " (short)" if share.short and not exam.aside else ""
            yield f"| {domain.title} | {domain.weight} % | {share.percent:.0f} %{mark} | {_names(share.levels)} |"
        yield ""
        yield from _verdict(exam, found)
    yield ""
    yield "## Chapters of *Kubernetes: Up and Running* (2nd edition)"
    yield ""
    yield "| chapter | | levels |"
    yield "|---:|---|---|"
    for chapter in curriculum().chapters:
        own = [level for level in levels if level.chapter == str(chapter.number)]
        yield f"| {chapter.number} | {chapter.title} | {_names(own) if chapter.playable else 'nothing to play'} |"


def _verdict(exam: Exam, found: Sequence[Share]) -> Iterator[str]:
    if exam.aside:
        yield "Levels that serve this exam too; its weights are no aim of ours."
        return
    short = [f"{share.domain.title} by {share.domain.weight - share.percent:.0f}" for share in found if share.short]
    yield f"More than {SLACK:g} points under its weight: {', '.join(short) or 'none'}."


def _names(levels: Sequence[Level]) -> str:
    return f"{len(levels)}: " + ", ".join(f"`{level.name}`" for level in levels) if levels else "none yet"


if __name__ == "__main__":
    sys.stdout.write(text())
