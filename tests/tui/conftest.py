"""A game without a cluster: the real catalog and store, a cluster that is just there, a session that is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kuartui import paths
from kuartui.cluster.base import ClusterStatus
from kuartui.game.attempt import AttemptState
from kuartui.game.events import Mode
from kuartui.game.exam import Task, by_domain, total
from kuartui.game.level import Level
from kuartui.game.score import potential, score
from kuartui.play import present
from kuartui.play.exams import Row, Sheet
from kuartui.play.observe import Row as ObjectRow
from kuartui.play.observe import Section
from kuartui.play.present import Seen
from kuartui.play.view import AttemptView, Finished, HintView, Result, TimelineEntry
from kuartui.progress.store import ExamRecord
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
        self.withheld = False
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
            withheld=self.withheld,
        )

    async def events(self) -> AsyncIterator[Any]:
        async for event in self.queue.read():
            yield event

    async def refresh(self) -> AttemptView:
        self.calls.append("refresh")
        return self.snapshot()

    async def hint(self, offered: int | None = None) -> HintView:
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
                    ObjectRow(
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
                    ObjectRow(
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
        return ObjectRow("Pod", "pods", "market", name, cells, "bad" if broken else "good")


def sheet(name: str = "CKA", minutes: int = 30, *, strict: bool = False) -> Sheet:
    """An exam that has just begun."""
    begun = datetime(2026, 3, 1, 12, tzinfo=UTC)
    tasks = (
        (Task(1, "broken-selector", 1, "troubleshooting", 33), "Nobody is home", "Troubleshooting"),
        (Task(2, "label-leak", 2, "services-networking", 42), "Strange things on the menu", "Services & Networking"),
        (Task(3, "static-pv-bind", 3, "storage", 25), "That shelf [b]and[/b] no other", "Storage"),
    )
    rows = tuple(Row(task, title, domain, "new", 0.0, False) for task, title, domain in tasks)
    return Sheet(ExamRecord("e1", name, minutes, begun, strict=strict), name, minutes * 60.0, rows, 66)


def graded(sheet: Sheet) -> Sheet:
    """The same after its end: all of the first task, a half of the second."""
    rows = tuple(
        replace(row, state=state, spent=spent, credit=credit)
        for row, state, spent, credit in zip(
            sheet.rows, ("handed in", "handed in", "new"), (65.0, 720.0, 0.0), (1.0, 0.5, 0.0), strict=True
        )
    )
    marks = [(row.task, row.credit or 0.0) for row in rows]
    ended = replace(sheet.exam, ended=datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
    return replace(sheet, exam=ended, left=0.0, rows=rows, reached=total(marks), parts=tuple(by_domain(marks)))


class StillGame(Game):
    """No process is started; attempts are scripted."""

    def __init__(self) -> None:
        super().__init__("embedded")
        self.sessions: list[ScriptedSession] = []
        self.objects = StillObjects()
        self.sheet: Any = None

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

    async def exam_sheet(self) -> Any:
        return self.sheet

    async def begin_exam(self, name: str, minutes: int, *, strict: bool) -> bool:
        self.sheet = sheet(name, minutes, strict=strict)
        return True

    async def take_up(self, number: int, post: Any) -> Any:
        self._change(number, state="in play", spent=65.0)
        session = await self.begin(self.level(self.sheet.rows[number - 1].task.level, 1), post, "exam")
        session.withheld = self.sheet.exam.strict
        return session

    def flag(self, number: int) -> bool:
        self._change(number, flagged=not self.sheet.rows[number - 1].flagged)
        return self.sheet.rows[number - 1].flagged

    async def review_task(self, number: int) -> Any:
        level = self.level(self.sheet.rows[number - 1].task.level, 1)
        return replace(ScriptedSession(level, "exam").result(), in_exam=True)

    async def finish_exam(self) -> None:
        self.sheet = graded(self.sheet)

    def _change(self, number: int, **more: Any) -> None:
        rows = list(self.sheet.rows)
        rows[number - 1] = replace(rows[number - 1], **more)
        self.sheet = replace(self.sheet, rows=tuple(rows))

    async def detail(self, session: Any, row: ObjectRow, view: Any) -> AsyncIterator[str]:
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
