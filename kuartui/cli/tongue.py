"""Which language a command speaks, and what is said when there is no such language."""

from __future__ import annotations

from collections.abc import Iterable

from kuartui import language
from kuartui.cli import output
from kuartui.translate import tr, unheard


def tell_unheard(option: str = "") -> None:
    """Say so where `option`, else $KUARTUI_LANG, asks for a language that there is not."""

    def of_levels() -> Iterable[str]:
        from kuartui.catalog.catalog import Catalog

        return Catalog.default().languages()

    if sentence := unheard(of_levels, option):
        output.note(tr(sentence))


def speak(option: str) -> str:
    """The tag that a command's own `--lang` asks for, as `language.speak`. It says so when there is no such one."""
    found = language.speak(option)
    if option:
        tell_unheard(option)
    return found
