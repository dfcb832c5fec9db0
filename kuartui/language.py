"""The language of texts: what the player asked for, and the best of what there is.

Asked for is the first of `--lang`, $KUARTUI_LANG, $LC_ALL, $LC_MESSAGES and $LANG that is not empty, in the order of
POSIX. Names are BCP 47 tags in their usual spelling (zh-CN); "" is English, which everything is written in first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from kuartui.errors import UsageError
from kuartui.message import later

VARIABLE = "KUARTUI_LANG"
VARIABLES = (VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG")
TAG = re.compile(r"([a-z]{2,3})(?:-([a-z]{4}))?(?:-([a-z]{2}|\d{3}))?", re.IGNORECASE)
#: who writes Chinese how, where the tag does not say (CLDR's likely subtags); a bare zh is simplified
TRADITIONAL = ("TW", "HK", "MO")


def chosen(option: str = "", environ: Mapping[str, str] = os.environ) -> str:
    """The tag that was asked for, "" for English. UsageError when `option` is no language; a strange variable of the
    system only means English."""
    if option:
        found = tag(option)
        if found is None:
            raise UsageError(
                later("{option!r} is no language", option=option), hint=later("give a tag such as en or zh-CN")
            )
        return found
    name = next((value for variable in VARIABLES if (value := environ.get(variable))), "")
    return tag(name) or ""


def speak(option: str) -> str:
    """The tag that was asked for; an `option` counts for this whole process from now on, and for what it starts."""
    found = chosen(option)
    if option:
        os.environ[VARIABLE] = found or "en"
    return found


@contextmanager
def for_scripts() -> Iterator[None]:
    """Meanwhile this whole process speaks English: for what is written down as data, whoever asked for it."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "en"
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def tag(name: str) -> str | None:
    """zh_CN.UTF-8, zh-cn -> zh-CN; C, POSIX, en_GB -> "" (English); None for what is no language."""
    plain = re.split(r"[.@]", name, maxsplit=1)[0].replace("_", "-")
    if not name or plain in ("C", "POSIX"):
        return ""
    match = TAG.fullmatch(plain)
    if match is None:
        return None
    language, script, region = (part or "" for part in match.groups())
    if language.lower() == "en":
        return ""
    return "-".join(part for part in (language.lower(), script.title(), region.upper()) if part)


def best(wanted: str, available: Iterable[str]) -> str:
    """The one of `available` (tags) for somebody who wants `wanted`: the same, else the same language in the same
    script, else "" (English). zh-SG reads zh-CN, zh-TW does not."""
    there = sorted(available)
    if wanted in there:
        return wanted
    return next((item for item in there if wanted and _written(item) == _written(wanted)), "")


def _written(name: str) -> tuple[str, str]:
    """The language and the script of a tag."""
    match = TAG.fullmatch(name)
    language, script, region = (part or "" for part in match.groups()) if match else (name, "", "")
    if language == "zh" and not script:
        script = "Hant" if region in TRADITIONAL else "Hans"
    return language, script
