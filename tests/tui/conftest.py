"""A game without a cluster: the real catalog and store, a cluster that is just there, a session that is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kuartui import paths
from kuartui.cluster.base import ClusterStatus
from kuartui.game.attempt import AttemptState
from kuartui.game.events import Mode
from kuartui.game.level import Level
from kuartui.game.score import potential, score
from kuartui.play import present
from kuartui.play.observe import Row, Section
from kuartui.play.present import Seen
from kuartui.play.view import AttemptView, Finished, HintView, Result, TimelineEntry
from kuartui.tui.feed import Game
from tests.tui.golden import Golden, screen_text


@pytest.fixture(autouse=True)
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Players who look before they press a key."""
    monkeypatch.setattr("kuartui.tui.screens.result.REST_SECONDS", -1.0)


class Mailbox:
    """A queue that one thread writes and another one reads, as the screens and the background do."""

    def __init__(self) -> None:
        self._waiting: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    def put_nowait(self, event: Any) -> None:
        if self._loop is None:
            self._waiting.append(event)
        else:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, event)

    async def read(self) -> AsyncIterator[Any]:
        for event in self._waiting:
            self._queue.put_nowait(event)
        self._loop = asyncio.get_running_loop()
        while True:
            event = await self._queue.get()
            if isinstance(event, Exception):
                raise event
            yield event


class ScriptedSession:
    """An attempt whose checks the test decides."""

    def __init__(self, level: Level, mode: Mode = "ranked") -> None:
        self.level, self.mode = level, mode
        self.seen: dict[str, Seen] = {check.name: Seen("failing", "0 of 3 seen") for check in level.checks}
        self.state = AttemptState(started=True, mode=mode)
        self.elapsed = 65.0
        self.trouble = ""
        self.timeline: tuple[TimelineEntry, ...] = ()
        self.calls: list[str] = []
        self.queue = Mailbox()

    def snapshot(self) -> AttemptView:
        level, state = self.level, self.state
        following = present.next_hint(level, state)
        return AttemptView(
            attempt_id="a1",
            level=level,
            mode=self.mode,
            cluster="embedded",
            kubeconfig=Path("/home/player/kubeconfig"),
            workspace=Path("/home/player/work"),
            phase="running",
            elapsed=self.elapsed,
            paused=self.state.paused,
            checks=present.checks(level, state, self.seen, self.elapsed),
            guards=present.guards(level, state),
            hints=present.hints(level, state),
            next_hint_cost=None if following is None else present.hint(level, following).cost,
            hints_left=len(level.hints) - len(state.hints),
            score=score(level, state, self.elapsed),
            potential=potential(level, state, self.elapsed),
            timeline=self.timeline,
            trouble=self.trouble,
        )

    async def events(self) -> AsyncIterator[Any]:
        async for event in self.queue.read():
            yield event

    async def refresh(self) -> AttemptView:
        self.calls.append("refresh")
        return self.snapshot()

    async def hint(self) -> HintView:
        self.calls.append("hint")
        index = len(self.state.hints)
        self.state = replace(self.state, hints=self.state.hints | {index})
        return present.hint(self.level, index)

    async def pause(self) -> None:
        self.state = replace(self.state, paused=True)

    async def unpause(self) -> None:
        self.state = replace(self.state, paused=False)

    async def reset(self) -> None:
        self.calls.append("reset")

    async def finish(self) -> Result:
        self.calls.append("finish")
        result = self.result()
        self.queue.put_nowait(Finished(result))
        return result

    def result(self) -> Result:
        view = self.snapshot()
        return Result(
            attempt_id="a1",
            level=self.level,
            outcome="finished",
            score=view.score,
            checks=view.checks,
            guards=view.guards,
            timeline=(),
            debrief=self.level.debrief,
            solutions=self.level.solutions,
            best=view.score.total,
        )

    async def close(self) -> None:
        self.calls.append("close")


class StillObjects:
    """What there is in the cluster, as the test decides."""

    def __init__(self) -> None:
        self.pods = ["kiosk-1", "kiosk-2", "kiosk-broken"]
        self.problem = ""
        self.silent = 0.0

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    async def changed(self) -> None:
        await asyncio.Event().wait()

    def sections(self, search: str = "") -> tuple[Section, ...]:
        pods = [name for name in self.pods if search in name]
        return (
            Section("Pod", ("Name", "Ready", "Status", "Restarts", "Age"), tuple(self._pod(name) for name in pods)),
            Section(
                "Service",
                ("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age"),
                (
                    Row(
                        "Service",
                        "services",
                        "market",
                        "kiosk",
                        ("kiosk", "ClusterIP", "10.96.0.7", "<none>", "80/TCP", "5m"),
                    ),
                ),
            ),
            Section(
                "Event",
                ("Last Seen", "Type", "Reason", "Object", "Message"),
                (
                    Row(
                        "Event",
                        "events",
                        "market",
                        "kiosk.1",
                        ("9s", "Warning", "BackOff", "pod/kiosk-broken", "Back-off [/pulling] image"),
                        "bad",
                    ),
                ),
                more=3,
            ),
        )

    def _pod(self, name: str) -> Row:
        broken = "broken" in name
        cells = (name, "0/1", "ImagePullBackOff", "0", "5m") if broken else (name, "1/1", "Running", "0", "5m")
        return Row("Pod", "pods", "market", name, cells, "bad" if broken else "good")


class StillGame(Game):
    """No process is started; attempts are scripted."""

    def __init__(self) -> None:
        super().__init__("embedded")
        self.sessions: list[ScriptedSession] = []
        self.objects = StillObjects()

    def draw(self) -> int:
        return 0

    async def status(self) -> ClusterStatus:
        return ClusterStatus("ready", "", "v1.36.2", 3, "https://127.0.0.1:6443")

    async def up(self, post: Any) -> bool:
        return True

    async def begin(self, level: Level, post: Any, mode: Mode = "ranked") -> Any:
        self.sessions.append(ScriptedSession(level, mode))
        return self.sessions[-1]

    def observer(self, session: Any) -> Any:
        return self.objects

    async def detail(self, session: Any, row: Row, view: Any) -> AsyncIterator[str]:
        yield f"{view} {row.resource}/{row.name}: [not markup] [/x]"
        for number in range(200):
            yield f"line {number}"


KEPT: dict[str, bytes] = {}  # the cards of the levels, which take a second to make: once is enough


@pytest.fixture
def game(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KUARTUI_SHELL", "0")  # no real shell in these tests
    for name, data in KEPT.items():
        paths.write_private(paths.cache_dir() / name, data)
    made = StillGame()
    yield made
    made.close()
    KEPT.update({file.name: file.read_bytes() for file in paths.cache_dir().glob("cards-*.json")})


@pytest.fixture
def text_of() -> Any:
    return screen_text


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(request.config.getoption("--update-goldens"))
