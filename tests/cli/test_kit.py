"""The authoring kit as an author types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kuartui.catalog import packs
from kuartui.cli.app import app


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    place = tmp_path / "desk"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def kuartui(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    return result


def test_a_new_level_is_named_by_its_path(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = kuartui("level", "new", "shop-window", "--track", "basics").stdout
    assert "kuartui level prove basics/shop-window" in said
    assert kuartui("level", "lint", "basics/shop-window").stdout == "1 level, 0 errors, 0 warnings\n"
    monkeypatch.chdir(desk / "basics")
    assert "The shop window is dark" in kuartui("level", "show", "shop-window").stdout
    monkeypatch.chdir(desk / "basics" / "shop-window")
    assert kuartui("level", "lint", ".").stdout.startswith("1 level, 0 errors")
    assert (
        "is there already"
        in kuartui("level", "new", "shop-window", "--track", "basics", "--pack", "../..", code=2).stderr
    )


def test_a_new_level_cannot_have_the_name_of_a_shipped_one(desk: Path) -> None:
    said = kuartui("level", "new", "broken-selector", "--track", "basics", code=2).stderr
    assert "kuartui has a level broken-selector itself" in said
    assert list(desk.iterdir()) == []


def test_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    english = kuartui("level", "show", "broken-selector").stdout
    assert english.startswith("Nobody is home\n")
    chinese = kuartui("level", "show", "broken-selector", "--lang", "zh-CN").stdout
    assert chinese.startswith("门前无人应\n")
    monkeypatch.setenv("KUARTUI_LANG", "")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert kuartui("level", "show", "broken-selector").stdout == chinese
    assert "门前无人应" in kuartui("level", "list", "--track", "services").stdout
    assert kuartui("level", "show", "broken-selector", "--lang", "en").stdout == english
    assert "'x1' is no language" in kuartui("level", "list", "--lang", "x1", code=2).stderr


def test_a_language_that_there_is_not(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said once, on standard error, and all goes on in English."""
    english = kuartui("level", "show", "broken-selector")
    assert english.stderr == ""
    sentence = "there is no language 'qq' here, so this is in English; there are: en, zh-CN\n"
    for way in (
        ("--lang", "qq", "level", "show", "broken-selector"),
        ("level", "show", "broken-selector", "--lang=qq"),
    ):
        monkeypatch.setenv("KUARTUI_LANG", "en")
        said = kuartui(*way)
        assert (said.stdout, said.stderr) == (english.stdout, sentence)
    monkeypatch.setenv("KUARTUI_LANG", "qq")
    assert kuartui("level", "show", "broken-selector", "-o", "json").stderr == sentence
    assert kuartui("level", "list", "--lang", "en").stderr == sentence
    kuartui("level", "new", "shop-window", "--track", "basics")
    (desk / "basics" / "shop-window" / "debrief.qq.md").write_text("...\n")
    monkeypatch.setenv("KUARTUI_LANG", "en")
    assert kuartui("level", "show", "basics/shop-window", "--lang", "qq").stderr == "", "one's own level may have it"


def test_the_language_of_the_whole_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUARTUI_LANG", "en")  # put back afterwards: --lang sets it for what the command starts
    assert kuartui("--lang", "zh", "level", "show", "broken-selector").stdout.startswith("门前无人应\n")


def test_a_pack_from_build_to_remove(desk: Path) -> None:
    kuartui("level", "new", "shop-window", "--track", "basics")
    assert "the pack has no name" in kuartui("pack", "build", code=2).stderr
    kuartui("pack", "build", "--name", "acme", "--version", "1.0.0")
    assert "acme 1.0.0 is installed: shop-window" in kuartui("pack", "install", "acme-1.0.0.tar.gz").stdout
    (found,) = json.loads(kuartui("pack", "list", "--output", "json").stdout)
    assert (found["name"], found["version"], found["levels"], found["broken"]) == ("acme", "1.0.0", ["shop-window"], "")
    assert "shop-window" in kuartui("level", "list", "--track", "basics").stdout
    assert "a proof runs its shell lines as you" in kuartui("level", "prove", "shop-window", code=2).stderr
    kuartui("pack", "remove", "acme")
    assert "no track 'basics'" in kuartui("level", "list", "--track", "basics", code=2).stderr


def test_a_pack_with_lint_errors_is_not_built(desk: Path) -> None:
    kuartui("level", "new", "shop-window", "--track", "basics")
    file = desk / "basics" / "shop-window" / "level.yaml"
    file.write_text(file.read_text().replace("weight: 60", "weight: 50"))
    said = kuartui("pack", "build", "--name", "acme", code=3).stderr
    assert "weights add up to 90" in said
    assert not list(desk.glob("*.tar.gz"))


def test_a_broken_pack_is_named_and_left_out(desk: Path) -> None:
    kuartui("level", "new", "shop-window", "--track", "basics")
    kuartui("pack", "build", "--name", "acme")
    kuartui("pack", "install", "acme-0.1.0.tar.gz")
    (packs.packs_dir() / "acme" / "basics" / "shop-window" / "level.yaml").write_text("\x1b[31mred: [")
    listed = kuartui("level", "list")
    assert "broken-selector" in listed.stdout
    assert "acme/shop-window is left out" in listed.stderr
    assert "\x1b[31m" not in listed.stderr
    assert "broken:" in kuartui("pack", "list").stdout


def test_schemas() -> None:
    assert json.loads(kuartui("level", "schema").stdout)["title"] == "kuartui level"
    assert "observe" in kuartui("level", "schema", "--translation").stdout
