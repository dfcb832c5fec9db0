"""Texts come in the language that was asked for, or in English."""

from __future__ import annotations

import pytest

from kuartui.errors import UsageError
from kuartui.language import best, chosen, for_scripts, speak, tag


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("zh_CN.UTF-8", "zh-CN"),
        ("zh-cn", "zh-CN"),
        ("zh_Hans_CN", "zh-Hans-CN"),
        ("de_DE@euro", "de-DE"),
        ("es-419", "es-419"),
        ("en_GB.UTF-8", ""),
        ("C.UTF-8", ""),
        ("POSIX", ""),
        ("no such thing", None),
        ("../../etc", None),
    ],
)
def test_tags(name: str, found: str | None) -> None:
    assert tag(name) == found


def test_the_first_that_is_set_counts() -> None:
    variables = {"LANG": "de_DE.UTF-8", "LC_MESSAGES": "zh_TW", "LC_ALL": ""}
    assert chosen(environ=variables) == "zh-TW"
    assert chosen(environ={**variables, "LC_ALL": "C"}) == ""
    assert chosen(environ={**variables, "LC_ALL": "C", "KUARTUI_LANG": "zh-CN"}) == "zh-CN"
    assert chosen("en", {"KUARTUI_LANG": "zh-CN"}) == ""
    assert chosen(environ={"LANG": "?!"}) == chosen(environ={}) == ""
    with pytest.raises(UsageError, match="'x1' is no language"):
        chosen("x1")


def test_the_best_of_what_there_is() -> None:
    assert best("zh-CN", ["zh-CN", "zh-TW"]) == "zh-CN"
    assert best("zh-SG", ["zh-CN", "zh-TW"]) == best("zh", ["zh-CN"]) == best("zh-Hans", ["zh-CN"]) == "zh-CN"
    assert best("zh-HK", ["zh-CN", "zh-TW"]) == "zh-TW"
    assert best("zh-TW", ["zh-CN"]) == "", "whoever reads traditional characters is not given simplified ones"
    assert best("de-AT", ["de-DE"]) == "de-DE"
    assert best("", ["de-DE"]) == best("fr", ["de-DE"]) == ""


def test_an_option_counts_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUARTUI_LANG", "de")
    assert speak("") == chosen() == "de"
    assert speak("zh-CN") == chosen() == "zh-CN"
    assert speak("en") == chosen() == ""


@pytest.mark.parametrize("asked", ["zh-CN", ""])
def test_data_is_written_in_english_meanwhile(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("KUARTUI_LANG", asked)
    with pytest.raises(RuntimeError), for_scripts():
        assert chosen() == ""
        raise RuntimeError
    assert chosen() == (asked or "de-DE")
