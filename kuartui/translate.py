"""What the interface says, in the player's language: gettext over the catalogues in `locale/`.

    tr("Leave kuartui?")                      # in the language of `kuartui.language.chosen()`
    trn("{n} node", "{n} nodes", 3)           # as many as the language has plurals; {n} is filled in
    WORD = later("Quit")                      # to be found by the extractor now; tr(WORD) where it is shown

English is the key and the fallback, text by text. `python docs/translate.py` keeps the catalogues up to date; the build
compiles them (`hatch_build.py`). Texts of levels are data and have their own files (`level.zh-CN.yaml`).
"""

from __future__ import annotations

from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from kuartui.language import best, chosen

PLACE = Path(__file__).parent / "locale"
DOMAIN = "kuartui"


def tr(message: str, **values: object) -> str:
    """The message in the player's language, `{names}` filled in."""
    found = catalogue(chosen()).gettext(message) if message else ""
    return found.format(**values) if values else found


def trn(one: str, many: str, n: int, **values: object) -> str:
    """The form for `n` things, filled in."""
    return catalogue(chosen()).ngettext(one, many, n).format(n=n, **values)


def later(message: str) -> str:
    """A message that is translated where it is shown."""
    return message


def available() -> list[str]:
    """The languages there are catalogues for, as tags."""
    return sorted(place.parents[1].name.replace("_", "-") for place in PLACE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))


@lru_cache(maxsize=8)
def catalogue(language: str) -> NullTranslations:
    """The messages for somebody who wants this language (a tag)."""
    found = best(language, available()) if language else ""
    if not found:
        return NullTranslations()
    with (PLACE / found.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.mo").open("rb") as file:
        return GNUTranslations(file)
