"""Cards are kept between starts, and never stale."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kuartui import paths
from kuartui.catalog import catalog as module
from kuartui.catalog.catalog import Catalog
from kuartui.catalog.reader import shipped_levels


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    level = shipped_levels() / "services" / "broken-selector"
    shutil.copytree(level, tmp_path / "pack" / "services" / "broken-selector")
    return tmp_path / "pack"


def no_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Path) -> None:
        raise AssertionError(f"{path} was parsed")

    monkeypatch.setattr(module.LevelFolder, "open", opened)


@pytest.mark.parametrize("language", ["", "zh-CN"])
def test_a_second_look_parses_nothing(pack: Path, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    first = Catalog([pack]).cards(language)
    no_parsing(monkeypatch)
    assert Catalog([pack]).cards(language) == first
    assert [card.name for card in first] == ["broken-selector"]


def test_languages_are_kept_apart(pack: Path) -> None:
    english, chinese = Catalog([pack]).cards(), Catalog([pack]).cards("zh-CN")
    assert Catalog([pack]).cards()[0].title == english[0].title != chinese[0].title


def test_a_level_that_changed_is_read_again(pack: Path) -> None:
    before = Catalog([pack]).cards()[0]
    file = pack / "services" / "broken-selector" / "level.yaml"
    file.write_text(file.read_text().replace(before.title, "Everybody is out"))
    os.utime(file, (1, 1))
    assert Catalog([pack]).cards()[0].title == "Everybody is out"


def test_a_damaged_file_and_a_full_disk_do_no_harm(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = Catalog([pack]).cards()
    (kept,) = paths.cache_dir().glob("cards-*.json")
    kept.write_bytes(b'{"version": 1')
    assert Catalog([pack]).cards() == cards
    kept.unlink()
    kept.mkdir()  # cannot be replaced by a file
    assert Catalog([pack]).cards() == cards
