"""What the interface says, in the player's language: gettext over the catalogues in `locale/`.

    tr("Leave kuartui?")                      # in the language of `kuartui.language.chosen()`
    trn("{n} node", "{n} nodes", 3)           # as many as the language has plurals; {n} is filled in
    tr(later("no port {port}", port=80))      # made where it was found out, said where it is shown: kuartui.message

English is the key and the fallback, text by text. `python docs/translate.py` keeps the catalogues up to date; the build
compiles them (`hatch_build.py`). Texts of levels are data and have their own files (`level.zh-CN.yaml`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from kuartui.language import VARIABLE, best, chosen, tag
from kuartui.message import Message, later

PLACE = Path(__file__).parent / "locale"
DOMAIN = "kuartui"


def tr(message: str, **values: object) -> str:
    """The message in the player's language, `{names}` filled in; of a `later` one, with what it was made of."""
    if isinstance(message, Message):
        values = {**message.values, **values}
        message = message.template
    found = catalogue(chosen()).gettext(message) if message else ""
    return found.format(**_said(values)) if values else found


def trn(one: str, many: str, n: int, **values: object) -> str:
    """The form for `n` things, filled in."""
    return form(one, many, n).format(n=n, **_said(values))


def form(one: str, many: str, n: int) -> str:
    """The form for `n` things, nothing filled in."""
    return catalogue(chosen()).ngettext(one, many, n)


def _said(values: dict[str, object]) -> dict[str, object]:
    """The values, those that are `later` ones in the player's language."""
    return {name: tr(value) if isinstance(value, Message) else value for name, value in values.items()}


def available() -> list[str]:
    """The languages there are catalogues for, as tags."""
    return sorted(place.parents[1].name.replace("_", "-") for place in PLACE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))


def unheard(of_levels: Callable[[], Iterable[str]], option: str = "") -> str:
    """One sentence when `option`, else $KUARTUI_LANG, asks for what is spoken nowhere here: not by us, not by levels,
    whose languages (tags) are looked up only then. "" otherwise, and for a locale that is merely the system's."""
    asked = option or os.environ.get(VARIABLE, "")
    wanted = tag(asked)
    if wanted == "" or (wanted and best(wanted, available())):
        return ""
    there = {*available(), *of_levels()}
    if wanted and best(wanted, there):
        return ""
    return later(
        "there is no language {asked!r} here, so this is in English; there are: {names}",
        asked=asked,
        names=", ".join(["en", *sorted(there)]),
    )


@lru_cache(maxsize=8)
def catalogue(language: str) -> NullTranslations:
    """The messages for somebody who wants this language (a tag)."""
    found = best(language, available()) if language else ""
    if not found:
        return NullTranslations()
    with (PLACE / found.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.mo").open("rb") as file:
        return GNUTranslations(file)
