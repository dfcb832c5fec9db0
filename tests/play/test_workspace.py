"""The player's workspace: the level's files, filled in, in a directory of the attempt's own that checks can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from kuartui.catalog.decode import convert
from kuartui.catalog.reader import LevelFolder
from kuartui.game.level import Level, Setup
from kuartui.play import workspace
from kuartui.play.session import start
from kuartui.progress.store import Store
from tests.game.levels import LEVEL
from tests.play.kube import mini

FILES = {"notes/plan.txt": "buy figs\n", "go.sh": "#!/bin/sh\necho go\n", ".dockerignore": ".git\n"}


def level(files: dict[str, str]) -> Level:
    return msgspec.structs.replace(LEVEL, setup=Setup(manifests=("setup/",), files=files))


def test_the_files_of_the_level_are_there() -> None:
    place = workspace.lay_out(level(FILES), "abc")
    assert place == workspace.folder("abc")
    assert {str(item.relative_to(place)) for item in place.rglob("*") if item.is_file()} == {*FILES}
    assert (place / "notes/plan.txt").read_text() == "buy figs\n"
    assert (place / "go.sh").stat().st_mode & stat.S_IXUSR
    assert not (place / "notes/plan.txt").stat().st_mode & stat.S_IXUSR
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_others_can_read_the_files_whatever_the_umask_is() -> None:
    """An image is built from them, and what runs in it is mostly not who owns them."""
    before = os.umask(0o077)
    try:
        place = workspace.lay_out(level(FILES | {"site/pages/one.html": "one\n"}), "abc")
    finally:
        os.umask(before)
    modes = {
        name: stat.S_IMODE((place / name).stat().st_mode) for name in ("site", "site/pages", "site/pages/one.html")
    }
    assert modes == {"site": 0o755, "site/pages": 0o755, "site/pages/one.html": 0o644}
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_reset_makes_it_anew_in_the_same_directory() -> None:
    place = workspace.lay_out(level(FILES), "abc")
    before = place.stat().st_ino
    outside = place.parent / "keep"
    outside.mkdir()
    (outside / "mine").write_text("x")
    (place / "link").symlink_to(outside)
    (place / "more" / "deep").mkdir(parents=True)
    (place / "go.sh").write_text("broken")
    workspace.lay_out(level(FILES), "abc")
    assert place.stat().st_ino == before
    assert not (place / "more").exists()
    assert not (place / "link").is_symlink()
    assert (place / "go.sh").read_text() == FILES["go.sh"]
    assert (outside / "mine").read_text() == "x"
    workspace.clear_away("abc")
    assert not place.exists()
    workspace.clear_away("abc")


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../b", "a//b", ".", "..", "a/.", "a\\b", "-rf", ""])
def test_a_level_cannot_write_elsewhere(path: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        convert({"files": {path: "x"}}, Setup)


@pytest.mark.parametrize("path", [".git/config", "a/.git/config", ".envrc", ".vimrc", "HEAD", "shop/Head", ".git"])
def test_a_level_brings_nothing_that_a_program_runs_by_itself(path: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="that programs look for"):
        convert({"files": {path: "x"}}, Setup)


async def test_file_checks_read_the_workspace_of_the_attempt(tmp_path: Path) -> None:
    folder = tmp_path / "words"
    (folder / "setup").mkdir(parents=True)
    (folder / "setup" / "note.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: note}}\n")
    (folder / "level.yaml").write_text(LEVEL_YAML)
    words = LevelFolder.open(folder).level(0)
    store = Store(tmp_path / "progress.db")
    async with mini(tmp_path) as cluster:
        session = await start(words, cluster=cluster, store=store)
        try:
            view = await session.refresh()
            assert not view.solved
            assert (view.workspace / "list.txt").read_text() == "figs\n"
            (view.workspace / "list.txt").write_text("figs\ndates\n")
            assert (await session.refresh()).solved
            await session.finish()
        finally:
            await session.close(referee=False)
    store.close()
    assert not view.workspace.exists()


LEVEL_YAML = """\
apiVersion: kuartui.dev/v1alpha1
kind: Level
metadata: {name: words}
spec:
  title: A list
  story: Something is not on it.
  task: Put dates on it.
  difficulty: 1
  parTime: 60s
  timeLimit: 120s
  namespace: desk
  setup:
    files: {list.txt: "figs\\n"}
  checks:
    - {name: dates, title: Dates are on it, weight: 100, file: {path: list.txt, contains: dates}}
  solutions: [{name: it, run: ["echo dates >> list.txt"]}]
"""
