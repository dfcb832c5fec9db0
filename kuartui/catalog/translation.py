"""Levels in other languages: `level.LANGUAGE.yaml` and `debrief.LANGUAGE.md` beside the level's own files.

They change texts only, so they are left out of a level's digest: whoever plays in Chinese plays the same level.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from msgspec import structs

from kuartui.catalog.decode import decode_spec, open_document
from kuartui.catalog.variables import Filler
from kuartui.catalog.yamlfile import Document, FieldPath, path_text, read_text
from kuartui.errors import LevelError, did_you_mean
from kuartui.game.cel import CelError, compile_cel
from kuartui.game.level import Level
from kuartui.game.questions import expressions
from kuartui.game.spec import AnySpec
from kuartui.game.translation import TranslationSpec, translated
from kuartui.message import later

KIND = "LevelTranslation"
FILE = re.compile(r"(?:level\.(?P<level>[A-Za-z0-9-]+)\.yaml|debrief\.(?P<debrief>[A-Za-z0-9-]+)\.md)")


def language_of(name: str) -> str:
    """The tag in the name of a translation's file; "" for any other file."""
    match = FILE.fullmatch(name)
    return (match["level"] or match["debrief"]) if match else ""


def languages(folder: Path) -> list[str]:
    """The tags of the languages that a level folder is translated to, English not among them."""
    return sorted({tag for item in folder.iterdir() if (tag := language_of(item.name))})


def texts_file(folder: Path, tag: str) -> Path:
    return folder / f"level.{tag}.yaml"


def debrief_file(folder: Path, tag: str) -> Path:
    return folder / f"debrief.{tag}.md"


def read(level: Level, folder: Path, tag: str) -> tuple[Level, list[LevelError]]:
    """The level in the language of `tag`, with English for what is not translated; and everything that is wrong."""
    filler = Filler(level.values)
    problems: list[LevelError] = []
    try:
        debrief = debrief_file(folder, tag)
        if debrief.exists():
            level = structs.replace(level, debrief=filler.text(read_text(debrief), str(debrief)))
        if texts_file(folder, tag).exists():
            spec, problems = _spec(texts_file(folder, tag), level, filler)
            level = translated(level, spec) if not problems else level
    except LevelError as error:
        problems = [error]
    return level, problems


def missing(level: Level, folder: Path, tag: str) -> list[str]:
    """What is there in English only: story, checks.endpoints.title, hints[2], debrief.md, or a `later` word for all.
    `level` is in English."""
    if tag not in languages(folder):
        return [later("everything")]
    spec = TranslationSpec()
    if texts_file(folder, tag).exists():
        spec, _ = _spec(texts_file(folder, tag), level, Filler(level.values))
    found = list(_untranslated(level, spec))
    return found if debrief_file(folder, tag).exists() or not level.debrief else [*found, "debrief.md"]


def _untranslated(level: Level, spec: TranslationSpec) -> Iterator[str]:
    yield from (field for field in ("title", "story", "task") if getattr(spec, field) is None)
    for group, name, _, question in _asked(level):
        own = getattr(spec, group).get(name)
        if own is None or own.title is None:
            yield f"{group}.{name}.title"
        if _says(question) and (own is None or own.observe is None):
            yield f"{group}.{name}.observe"
    for item in level.solutions:
        if item.title and (item.name not in spec.solutions or spec.solutions[item.name].title is None):
            yield f"solutions.{item.name}.title"
    hints = [hint.text for hint in level.hints]
    messages = [event.message for event in level.setup.events]
    coach = [step.text for step in level.coach]
    for field, texts in (("hints", hints), ("events", messages), ("coach", coach)):
        given = getattr(spec, field) or [None] * len(texts)
        yield from (f"{field}[{i}]" for i, text in enumerate(texts) if text and given[i] is None)


def _asked(level: Level) -> Iterator[tuple[str, str, str, AnySpec | None]]:
    """What has a title and may say what it saw: group, name, kind, and what it asks."""
    for check in level.checks:
        yield "checks", check.name, check.type, check.spec
    for guard in level.guards:
        yield "guards", guard.name, guard.type, guard.spec
    for drill in level.after:
        yield "after", drill.name, "drill", drill.until or drill.data


def _says(question: AnySpec | None) -> bool:
    """Whether what was seen is told in words: an expression without any, such as string(n), needs no translation."""
    observe = getattr(question, "observe", "")
    return bool(re.search(r"[A-Za-z]{3}", " ".join(_literals(observe))))


def _literals(expression: str) -> list[str]:
    """The strings of a CEL expression that a player may read: without keys in brackets and format's verbs."""
    plain = re.sub(r"""\[\s*("[^"]*"|'[^']*')\s*\]""", "", expression)
    found = re.findall(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", plain)
    return [a or b for a, b in found]


def _spec(file: Path, level: Level, filler: Filler) -> tuple[TranslationSpec, list[LevelError]]:
    """The translation in a file, and all that is wrong with it. LevelError for what cannot be read at all."""
    raw, name = open_document(file, KIND)
    if name != level.name:
        line = raw.line(("metadata", "name"))
        raise LevelError(
            later("is of {name!r}, not of {level!r}", name=name, level=level.name),
            file=str(file),
            line=line,
            field="metadata.name",
        )
    document = filler.fill(raw)
    fields, problems = decode_spec(document, TranslationSpec)
    if problems:
        return TranslationSpec(), problems
    spec = TranslationSpec(**fields)
    return spec, list(_problems(level, spec, document))


def _problems(level: Level, spec: TranslationSpec, document: Document) -> Iterator[LevelError]:
    """What a translation has that its level has not, and expressions that are wrong."""

    def problem(text: str, *path: str | int) -> LevelError:
        full: FieldPath = ("spec", *path)
        return LevelError(text, file=document.file, line=document.line(full), field=path_text(full))

    known: dict[str, Collection[str]] = {
        "checks": [check.name for check in level.checks],
        "guards": [guard.name for guard in level.guards],
        "solutions": [item.name for item in level.solutions],
        "after": [item.name for item in level.after],
    }
    for group, names in known.items():
        for name in getattr(spec, group):
            if name not in names:
                noun = NOUNS[group]
                yield problem(
                    later("no {noun} {name!r}{guess}", noun=noun, name=name, guess=did_you_mean(name, names)),
                    group,
                    name,
                )
    for field, count in (
        ("hints", len(level.hints)),
        ("events", len(level.setup.events)),
        ("coach", len(level.coach)),
        ("references", len(level.references)),
    ):
        given = len(getattr(spec, field))
        if given and given != count:
            yield problem(later("the level has {count}, here are {given}", count=count, given=given), field)
    for group, name, kind, question in _asked(level):
        own = getattr(spec, group).get(name)
        if own is not None and own.observe is not None:
            wrong = _expression_problem(question, kind, own.observe)
            if wrong:
                yield problem(wrong, group, name, "observe")


NOUNS = {"checks": later("check"), "guards": later("guard"), "solutions": later("solution"), "after": later("drill")}


def _expression_problem(question: AnySpec | None, kind: str, observe: str) -> str:
    if question is None or not hasattr(question, "observe"):
        return later("{type} says by itself what it saw", type=kind)
    variables = next((names for _, _, names in expressions(question)), ())
    try:
        compile_cel(observe, variables)
    except CelError as error:
        return str(error)
    return ""
