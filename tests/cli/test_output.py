"""What commands print steers no terminal, whoever wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from kuartui import paths
from kuartui.cli import output
from kuartui.cli.app import app
from tests.catalog.pack import LEVEL, write

CLIPBOARD = "\x1b]52;c;cm0gLXJmIH4=\x07"
EVIL = f"{CLIPBOARD}\x9b8m\u202egood\u200b"
STEERING = "\x1b\x07\x9b\u202e\u200b"


def test_lines_keep_our_colours_alone(capsys: pytest.CaptureFixture[str]) -> None:
    output.line(f"\x1b[32m✓\x1b[0m {EVIL}\ta\n")
    output.note(EVIL)
    output.table(["A"], [[EVIL]])
    said = capsys.readouterr()
    assert said.out.startswith("\x1b[32m✓\x1b[0m ]52;c;cm0gLXJmIH4=8mgood\ta\n")
    assert not set(said.err + said.out.replace("\x1b[32m", "").replace("\x1b[0m", "")) & set(STEERING)


def test_json_is_the_same_value_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"title": EVIL + "\U000e0041 é 中文 👍", "lines": ["a\nb"]}
    output.data(value)
    said = capsys.readouterr().out
    assert json.loads(said) == value
    assert "é 中文 👍" in said
    assert not set(said) & {*STEERING, "\U000e0041"}


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_level_of_a_pack_has_no_say(form: str, home: Path) -> None:
    title = r'"\e]52;c;cm0gLXJmIH4=\a\x9b31mShop\u202e"'
    folder = write(paths.data_dir() / "levels", "mine", level=LEVEL.replace("title: A", f"title: {title} #", 1))
    for words in (["level", "list"], ["level", "show", "mine"], ["level", "lint", str(folder)]):
        said = CliRunner().invoke(app, [*words, *(["--output", form] if words[1] != "lint" else [])])
        assert said.exit_code == 0, said.output
        assert "Shop" in said.stdout or words[1] == "lint"
        assert not set(said.output) & set(STEERING)
