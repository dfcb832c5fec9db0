"""Messages in the player's language: every one is there, with the same things filled in, and English without it."""

from __future__ import annotations

import ast
import copy
import importlib.util
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from babel.messages.pofile import read_po

from kuartui.errors import KuartuiError, LevelError, UnknownName
from kuartui.message import later
from kuartui.translate import PLACE, available, tr, trn, unheard

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


def test_a_sentence_is_said_anew_with_what_it_was_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    cause = later("the disk is full")
    sentence = later("{what} failed: {cause}", what=later("pulling {image}", image="web:1"), cause=cause)
    assert sentence == "pulling web:1 failed: the disk is full"
    monkeypatch.setenv("KUARTUI_LANG", "zh-CN")
    assert tr(sentence) == tr(copy.deepcopy(sentence)) == tr(pickle.loads(pickle.dumps(sentence)))
    assert tr(sentence) == "拉取 web:1失败：磁盘已满"
    assert tr("error: {text}", text=cause) == "错误：磁盘已满"
    assert type(tr(sentence)) is str, "what is stored is plain text"


def test_errors_are_english_for_scripts_and_said_in_the_players_language(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = UnknownName(later("level"), "brokn", ["broken"])
    broken = LevelError(later("no such file"), file="a.yaml", line=3, field="spec.setup")
    monkeypatch.setenv("KUARTUI_LANG", "zh-CN")
    assert str(unknown) == "no level 'brokn'; did you mean broken?"
    assert tr(unknown.message) == "没有关卡 'brokn'；你是不是想说 broken？"
    assert broken.message == "a.yaml:3: spec.setup: no such file"
    assert tr(broken.message) == "a.yaml:3: spec.setup: 没有这个文件"
    braces = LevelError(later("not YAML: {problem}", problem="{x}"), file="{y}.yaml")
    assert tr(braces.message) == "{y}.yaml: 不是 YAML：{x}"


# Every sentence goes through the catalogue: the ones that are shown, and the ones that errors and steps are made of.

PACKAGE = ROOT / "kuartui"
OWN_WORDS = "embedded"  # Kubernetes' words
SHOWN = {"line", "note", "hint", "confirm", "prompt", "notify", "plain", "Static", "Button", "Label", "update"}
WORDS = re.compile(r"[A-Za-z]{2,}[,;:]? [A-Za-z]{2,}")
COMMAND = re.compile(r"^\$|^ *(kuartui|kubectl|docker|export|pip) |^[A-Z]+=")


def error_names() -> set[str]:
    """The classes of the error tree, wherever they are."""
    found, todo = set(), [KuartuiError]
    while todo:
        kind = todo.pop()
        found.add(kind.__name__)
        todo += kind.__subclasses__()
    return found


def sentences(tree: ast.AST, errors: set[str]) -> list[str]:
    """What is handed, as a bare text, to something that shows it."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        texts = [item.value for item in call.keywords if item.arg == "hint"]
        if name in errors | SHOWN | {"Progress", "Finding", "Line", "_line", "Complaint", "_complain"}:
            texts += call.args
        if name == "Binding" and len(call.args) > 2:
            found += literals(call.args[2])  # a single word is shown there, too
        for text in texts:
            found += [bare for bare in literals(text) if WORDS.search(bare) and not COMMAND.search(bare)]
    return found


def literals(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["{}".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))]
    if isinstance(node, ast.IfExp):
        return [*literals(node.body), *literals(node.orelse)]
    if isinstance(node, ast.BinOp):
        return [*literals(node.left), *literals(node.right)]
    return []


@pytest.mark.usefixtures("undisturbed")
def test_no_sentence_passes_the_catalogue_by() -> None:
    bare = []
    errors = error_names()
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith(OWN_WORDS):
            bare += [f"{place}: {text}" for text in sentences(ast.parse(path.read_text()), errors)]
    assert not bare, "wrap it in tr() where it is shown, in later() where it is found out"


@pytest.mark.parametrize(
    ("asked", "heard"),
    [
        ("", True),
        ("en", True),
        ("en_GB.UTF-8", True),
        ("zh-SG", True),
        ("de-AT", True),  # a pack has it
        ("qq", False),
        ("zh-TW", False),  # simplified characters only
        ("no such thing", False),
    ],
)
def test_a_language_that_nothing_is_in_is_named(asked: str, heard: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUARTUI_LANG", asked)
    monkeypatch.setenv("LANG", "qq_QQ.UTF-8")  # the system's own locale is nobody's wish
    sentence = f"there is no language {asked!r} here, so this is in English; there are: en, de, zh-CN"
    assert tr(unheard(lambda: ["de"])) == ("" if heard else sentence)
    assert unheard(lambda: ["de"], "zh-CN") == "", "an option counts before the variable"


def test_a_bare_sentence_would_be_found() -> None:
    bad = 'raise UsageError(f"no {x} there, sorry", hint="look again")\noutput.line("all is well" if ok else tr("no"))'
    good = 'raise UsageError(later("no {x}", x=x), hint="kuartui level list")\noutput.line(f"{file}: {size}")'
    assert sentences(ast.parse(bad), {"UsageError"}) == ["look again", "no {} there, sorry", "all is well"]
    assert sentences(ast.parse(good), {"UsageError"}) == []
