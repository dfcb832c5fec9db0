"""From the headless core to messages. Everything here may wait and runs in the background thread; nothing here touches
a widget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from textual.message import Message

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.base import Cluster, ClusterStatus, Progress
from kuartui.cluster.select import choose
from kuartui.errors import KuartuiError
from kuartui.game.events import Mode
from kuartui.game.ghost import Split, splits
from kuartui.game.level import Level
from kuartui.language import chosen
from kuartui.play import detail, exams
from kuartui.play.dealt import level_of
from kuartui.play.detail import View
from kuartui.play.exams import Sheet
from kuartui.play.observe import Observer, Row
from kuartui.play.session import AttemptSession, resume, start
from kuartui.play.view import Finished, Result, WasReset
from kuartui.progress.store import AttemptRecord, Store
from kuartui.translate import unheard
from kuartui.tui import choices
from kuartui.tui.background import Background
from kuartui.tui.messages import AttemptChanged, AttemptEnded, AttemptReset, ClusterChanged, Failed, StepTaken
from kuartui.tui.screens.levels import Shelf

T = TypeVar("T")
Post = Callable[[Message], Any]


class Game:
    """What the screens play with: levels, records, the cluster, the attempt. Its methods are for the background:
    `await game.run(game.status())`, `await game.call(game.shelf)`."""

    def __init__(self, cluster: str) -> None:
        self.kind = cluster
        self.language = chosen()
        self.catalog = Catalog.default()
        self._background = Background()
        self.run, self.call, self.begin_work = self._background.run, self._background.call, self._background.begin
        try:
            self.store = self._background.wait(Store)  # SQLite wants to be used where it was opened
        except KuartuiError:
            self._background.close()
            raise
        self._background.at_end.append(self.store.close)
        self._held: set[AttemptSession] = set()
        self._dealt: dict[str, int] = {}

    def cluster(self) -> Cluster:
        return choose(self.kind, "kuartui")

    def shelf(self) -> Shelf:
        """The levels, with what the player made of them."""
        return Shelf(
            cards=self.catalog.cards(self.language),
            tracks={track.name: track.title_in(self.language) for track in self.catalog.tracks()},
            best=self.store.best(),
            attempt=self.running(),
            exam=self.store.exam(),
            tries=self.store.tries(),
            broken=dict(self.catalog.broken),
            now=datetime.now(UTC),
        )

    def unheard(self) -> str:
        """One sentence where the player asks for a language that there is not, else ""."""
        return unheard(self.catalog.languages)

    def running(self) -> AttemptRecord | None:
        """The attempt that can be continued."""
        record = self.store.running()
        return record if record is not None and self.store.events(record.id) else None

    def splits(self, result: Result) -> list[Split]:
        """This attempt beside the best other one at the level."""
        ghost = self.store.best_attempt(result.level.name, without=result.attempt_id)
        names = [check.name for check in result.level.checks]
        best = [event for _, event in self.store.events(ghost.id)] if ghost else []
        return splits(names, [event for _, event in self.store.events(result.attempt_id)], best)

    def level(self, name: str, seed: int) -> Level:
        """By name, or by path to a level folder."""
        from pathlib import Path

        from kuartui.catalog.reader import LevelFolder

        if "/" in name:
            return LevelFolder.open(Path(name)).level(seed, self.language)
        return self.catalog.level(name, seed, self.language)

    def seed(self, name: str) -> int:
        """What a level is dealt with next: what is told of it before it is played is true when it is."""
        return self._dealt.setdefault(name, self.draw())

    def deal(self, name: str) -> int:
        """The same, to play it now."""
        seed = self.seed(name)
        del self._dealt[name]
        return seed

    def draw(self) -> int:
        """Any seed."""
        import random

        return random.SystemRandom().randrange(1, 10_000)

    async def status(self) -> ClusterStatus:
        return await self.cluster().status()

    async def up(self, post: Post) -> bool:
        """Have the cluster ready before it is needed; True, or a KuartuiError."""
        await self.cluster().up(_told(post))
        return True

    async def begin(self, level: Level, post: Post, mode: Mode = "ranked") -> AttemptSession:
        """Start an attempt, telling the steps."""
        return self._hold(await start(level, cluster=self.cluster(), store=self.store, mode=mode, report=_told(post)))

    async def resume(self, record: AttemptRecord) -> AttemptSession:
        """Go on with an attempt."""
        level = level_of(record, self.language)
        return self._hold(await resume(record, level, cluster=choose(record.cluster, "kuartui"), store=self.store))

    @property
    def _hall(self) -> dict[str, Any]:
        """Where exams are held: on the embedded cluster, since each task has a cluster of its own."""
        return {"cluster": choose("embedded", "kuartui"), "store": self.store}

    async def exam_sheet(self) -> Sheet | None:
        """The latest exam as it stands; closed first if its time is over."""
        await exams.current(**self._hall)
        exam = self.store.exam()
        return exams.sheet(exam, store=self.store, catalog=self.catalog, language=self.language) if exam else None

    async def begin_exam(self, name: str, minutes: int, *, strict: bool) -> bool:
        """Deal the tasks and start the clock; True, or a KuartuiError."""
        exams.begin(name, minutes, catalog=self.catalog, strict=strict, **self._hall)
        return True

    async def take_up(self, number: int, post: Post) -> AttemptSession:
        """Work at a task of the exam."""
        exam, more = exams.under_way(self.store), self._hall
        session = await exams.take_up(
            exam, number, catalog=self.catalog, language=self.language, report=_told(post), **more
        )
        return self._hold(session)

    def flag(self, number: int) -> bool:
        """Flag a task, or take the flag away; whether it is flagged now."""
        return exams.flag(exams.under_way(self.store), number, self.store)

    async def review_task(self, number: int) -> Result | None:
        """How a task of the last exam went; None for one that was never begun."""
        exam = self.store.exam()
        return await exams.review(exam, number, language=self.language, **self._hall) if exam is not None else None

    async def finish_exam(self) -> None:
        await exams.finish(exams.under_way(self.store), **self._hall)

    def _hold(self, session: AttemptSession) -> AttemptSession:
        """Know of a session, whatever becomes of the screen it was meant for."""
        self._held.add(session)
        return session

    def observer(self, session: AttemptSession) -> Observer | None:
        """Of the level's objects; None before there are credentials to look with."""
        kubeconfig = session.kubeconfig
        return Observer(kubeconfig, session.level, wide=session.cluster.kind == "embedded") if kubeconfig else None

    async def detail(self, session: AttemptSession, row: Row, view: View) -> AsyncIterator[str]:
        """What kubectl says about an object, line by line."""
        from kuartui.cluster import kubectl

        tool = await asyncio.to_thread(kubectl.find)
        assert session.kubeconfig is not None
        async for line in detail.read(tool.path, session.kubeconfig, row, view):
            yield line

    def let_go(self, session: AttemptSession) -> None:
        """Of an attempt, which goes on. Nobody waits: a cluster that does not answer would keep them."""
        self._background.begin(self._release(session))

    async def _release(self, session: AttemptSession) -> None:
        self._held.discard(session)
        await session.close()

    async def _release_all(self) -> None:
        await asyncio.gather(*(self._release(session) for session in list(self._held)), return_exceptions=True)

    def keep(self, name: str, value: str) -> None:
        """Remember a choice."""

        async def write() -> None:
            choices.keep(name, value)

        self._background.begin(write())

    def close(self) -> bool:
        """Let go of whatever a screen did not, also where the app ended by a bug. False when something that cannot be
        ended is still under way."""
        self._background.begin(self._release_all())
        return self._background.close()


def _told(post: Post) -> Callable[[Progress], None]:
    return lambda progress: post(StepTaken(progress))


async def follow(session: AttemptSession, post: Post) -> None:
    """Tell of everything that happens in an attempt until it is over."""
    events = session.events()
    post(AttemptChanged())  # whoever showed the attempt before this moment may have missed something
    async for event in events:
        if isinstance(event, Finished):
            post(AttemptEnded(event.result))
        else:
            if isinstance(event, WasReset):
                post(AttemptReset())
            post(AttemptChanged())


async def observe(observer: Observer, post: Post) -> None:
    """Tell whenever the level's objects changed, until cancelled."""
    try:
        await observer.start()
        while True:
            await observer.changed()
            post(ClusterChanged())
    finally:
        await observer.stop()


async def guarded(work: Coroutine[Any, Any, T], post: Callable[[Failed], Any], *, fatal: bool = False) -> T | None:
    """Run it; a foreseen failure becomes a message and None."""
    try:
        return await work
    except KuartuiError as error:
        post(Failed(error.message, error.hint, fatal))
        return None
