"""The catalogue finds levels, orders them and does not let a stranger replace ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from kuartui.catalog.catalog import Catalog, find
from kuartui.errors import LevelError, UnknownName
from tests.catalog.pack import LEVEL, write


def test_the_shipped_levels_are_there() -> None:
    names = Catalog.default().names()
    assert {"broken-selector", "scale-under-load", "redis-crash-recovery", "least-privilege-rbac"} <= set(names)
    cards = {card.name: card for card in Catalog.default().cards()}
    assert cards["broken-selector"].points == 50


def test_difficulty_rises_within_a_track_and_each_level_has_its_place() -> None:
    catalog = Catalog.default()
    for track in catalog.tracks():
        difficulties = [catalog.level(name).difficulty for name in track.levels]
        assert difficulties == sorted(difficulties), track.name
    placed = [name for track in catalog.tracks() for name in track.levels]
    assert sorted(placed) == sorted(catalog.names()), "levels/tracks.yaml names every level"


def test_an_unknown_name_is_guessed() -> None:
    with pytest.raises(UnknownName, match="no level 'broken-selecter'; did you mean broken-selector") as caught:
        Catalog.default().level("broken-selecter")
    assert caught.value.exit_code == 2


def test_tracks_order_levels(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path, name)
    (tmp_path / "tracks.yaml").write_text("tracks: [{name: first, title: First, levels: [c, a]}]")
    catalog = Catalog([tmp_path])
    assert catalog.names() == ["c", "a", "b"]
    assert [track.title for track in catalog.tracks()] == ["First"]


def test_a_track_that_names_a_missing_level(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / "tracks.yaml").write_text("tracks: [{name: first, title: First, levels: [z]}]")
    with pytest.raises(LevelError, match="names level 'z'"):
        Catalog([tmp_path])


def test_the_first_pack_wins(tmp_path: Path) -> None:
    write(tmp_path / "ours", "same")
    write(tmp_path / "theirs", "same", level=LEVEL.replace("A quiet shop", "A loud shop"))
    assert Catalog([tmp_path / "ours", tmp_path / "theirs"]).level("same").title == "A quiet shop"


def test_find(tmp_path: Path) -> None:
    folder = write(tmp_path, "a")
    assert find(tmp_path) == find(folder) == find(folder / "level.yaml") == [folder]
    with pytest.raises(LevelError, match=r"no level\.yaml"):
        find(tmp_path / "nowhere")
