"""A level in another language: the texts of `Level`, and nothing that plays.

`TranslationSpec` is `spec` of a level.LANGUAGE.yaml. A text that it does not have stays as the level has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct, structs

from kuartui.game.level import Level, Slug, Text, Title
from kuartui.game.spec import Cel, Spec

T = TypeVar("T", bound=Struct)
Texts = tuple[Text | None, ...]


class Titled(Spec, frozen=True, kw_only=True):
    title: Text | None = None


class QuestionText(Titled, frozen=True, kw_only=True):
    """Of a check, a guard or a drill. `observe` is its expression once more (a drill's `until` or `data`), with other
    words."""

    observe: Cel | None = None


class TranslationSpec(Spec, frozen=True, kw_only=True):
    """`spec` of a translation: by name what has a name, by position what has none (null: not translated)."""

    title: Title | None = None
    story: Text | None = None
    task: Text | None = None
    checks: dict[Slug, QuestionText] = {}
    guards: dict[Slug, QuestionText] = {}
    hints: Annotated[Texts, Meta(description="the texts, by position")] = ()
    solutions: dict[Slug, Titled] = {}
    after: dict[Slug, QuestionText] = {}
    events: Annotated[Texts, Meta(description="the messages of setup.events, by position")] = ()
    coach: Annotated[Texts, Meta(description="the texts, by position")] = ()
    references: Annotated[Texts, Meta(description="the titles, by position")] = ()


def translated(level: Level, spec: TranslationSpec) -> Level:
    """The level with these texts. Names and numbers of items must fit (`kuartui.catalog.translation` sees to it)."""
    own = {name: text for name in ("title", "story", "task") if (text := getattr(spec, name)) is not None}
    return structs.replace(
        level,
        **own,
        checks=tuple(_seen(check, check.name, check.attribute, spec.checks) for check in level.checks),
        guards=tuple(_seen(guard, guard.name, guard.attribute, spec.guards) for guard in level.guards),
        hints=_by_position(level.hints, "text", spec.hints),
        solutions=tuple(_titled(item, item.name, spec.solutions) for item in level.solutions),
        after=tuple(
            _seen(drill, drill.name, "data" if drill.until is None else "until", spec.after) for drill in level.after
        ),
        coach=_by_position(level.coach, "text", spec.coach),
        references=_by_position(level.references, "title", spec.references),
        setup=structs.replace(level.setup, events=_by_position(level.setup.events, "message", spec.events)),
    )


def _titled(item: T, name: str, texts: Mapping[str, Titled]) -> T:
    title = texts[name].title if name in texts else None
    return structs.replace(item, title=title) if title is not None else item


def _seen(item: T, name: str, attribute: str, texts: Mapping[str, QuestionText]) -> T:
    """With its title, and the `observe` of what it asks, which is in that attribute."""
    item = _titled(item, name, texts)
    observe = texts[name].observe if name in texts else None
    if observe is None:
        return item
    changed: dict[str, Any] = {attribute: structs.replace(getattr(item, attribute), observe=observe)}
    return structs.replace(item, **changed)


def _by_position(items: tuple[T, ...], field: str, texts: Sequence[str | None]) -> tuple[T, ...]:
    if not texts:
        return items
    return tuple(
        structs.replace(item, **{field: text}) if text is not None else item
        for item, text in zip(items, texts, strict=True)
    )
