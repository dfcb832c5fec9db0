"""Messages in the player's language: every one is there, with the same things filled in, and English without it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from babel.messages.pofile import read_po

from kuartui.translate import PLACE, available, later, tr, trn

ROOT = Path(__file__).resolve().parents[1]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def extractor() -> Any:
    return load(ROOT / "docs" / "translate.py")


@pytest.fixture(scope="module")
def chinese() -> Any:
    with (ROOT / "kuartui/locale/zh_CN/LC_MESSAGES/kuartui.po").open("rb") as file:
        return read_po(file, locale="zh_CN")


@pytest.mark.usefixtures("undisturbed")
def test_no_message_is_missing_from_the_chinese_catalogue(extractor: Any, chinese: Any) -> None:
    there = {message.id for message in chinese}
    assert not [message.id for message in extractor.found(ROOT / "kuartui") if message.id not in there]
    assert not extractor.missing(chinese), "python docs/translate.py, then fill in what it names"


def test_a_translation_fills_in_what_the_message_fills_in(chinese: Any) -> None:
    for message in chinese:
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        wanted = set(re.findall(r"\{(\w+)", ids[-1]))
        for string in strings:
            assert set(re.findall(r"\{(\w+)", string)) == wanted, message.id


def test_a_message_is_in_the_language_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "zh-CN" in available()
    word = later("Help")
    assert tr(word) == "Help"
    assert trn("{n} node", "{n} nodes", 1) == "1 node"
    assert trn("{n} node", "{n} nodes", 2) == "2 nodes"
    monkeypatch.setenv("KUARTUI_LANG", "zh_CN.UTF-8")
    assert tr(word) == "帮助"
    assert trn("{n} node", "{n} nodes", 2) == "2 个节点"
    monkeypatch.setenv("KUARTUI_LANG", "fr")
    assert tr(word) == "Help"


def test_what_is_in_no_catalogue_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUARTUI_LANG", "zh-CN")
    unknown = "no such message, ever"
    assert tr(unknown) == unknown
    assert tr("") == ""


def test_messages_cost_nothing_at_the_start() -> None:
    """The compiler of catalogues is for the build, not for players."""
    code = "import sys, kuartui.translate; kuartui.translate.tr('Help'); print('babel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_catalogues_are_compiled_as_they_are_written(chinese: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUARTUI_LANG", "zh-CN")
    for path in PLACE.glob("*/LC_MESSAGES/*.po"):
        assert path.with_suffix(".mo").exists()
    for message in chinese:
        if isinstance(message.id, str) and message.id:
            assert tr(message.id) == message.string
