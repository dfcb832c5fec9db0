"""Whatever way the app ends, what it opened is closed: sessions with their connections, watches, files."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from kuartui.catalog.reader import LevelFolder
from kuartui.tui.app import KuartuiApp
from kuartui.tui.background import Background
from kuartui.tui.feed import Game
from kuartui.tui.screens.play import PlayScreen
from tests.play.kube import mini
from tests.play.test_session import LEVEL
from tests.tui.golden import until


def folder(place: Path) -> LevelFolder:
    place.mkdir()
    (place / "level.yaml").write_text(LEVEL)
    (place / "debrief.md").write_text("Open sesame.\n")
    (place / "setup").mkdir()
    lock = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lock}\ndata: {kind: rusty}\n"
    (place / "setup" / "lock.yaml").write_text(lock)
    return LevelFolder.open(place)


async def test_an_app_that_ends_in_the_middle_of_play_leaves_no_connection_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching: list[str] = []
    monkeypatch.setattr("kuartui.play.referee.spawn", watching.append)
    monkeypatch.setenv("KUARTUI_SHELL", "0")
    level = folder(tmp_path / "words").level(3)
    async with mini(tmp_path) as cluster:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            await _play(level, cluster, monkeypatch)
            gc.collect()
        assert [str(warning.message) for warning in said if issubclass(warning.category, ResourceWarning)] == []
    assert len(watching) == 1, "the level goes on, and is looked after"


async def _play(level: Any, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is left when this returns but what somebody else holds on to."""
    game = Game("embedded")
    monkeypatch.setattr(game, "cluster", lambda: cluster)
    app = KuartuiApp(game)
    async with app.run_test(size=(80, 24)) as pilot:
        app.show_play(await game.run(game.begin(level, app.post_message)))
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen._observer)
        await until(pilot, lambda: app.screen._observer.ready)  # type: ignore[attr-defined]
    assert await asyncio.to_thread(game.close)


async def test_work_that_is_coming_to_its_end_is_not_interrupted_again() -> None:
    background, begun, ended = Background(), threading.Event(), threading.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await background._end.wait()  # such as a connection that says good-bye, and takes longer than close
            for _ in range(9):
                await asyncio.sleep(0)
            ended.set()

    waiting = asyncio.create_task(background.run(work()))
    await asyncio.to_thread(begun.wait)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await asyncio.to_thread(background.close)
    assert ended.is_set()
