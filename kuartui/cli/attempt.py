"""The attempt in play, shared by the commands and the screens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kuartui.errors import AttemptError, LevelError, UnknownName
from kuartui.message import later

if TYPE_CHECKING:
    from kuartui.play.session import AttemptSession
    from kuartui.progress.store import AttemptRecord

START = "kuartui level start LEVEL"


def current_record() -> AttemptRecord | None:
    """What the progress store says of the attempt in play."""
    from kuartui.progress.store import Store

    store = Store()
    try:
        return store.running()
    finally:
        store.close()


async def give_up_unreadable() -> bool:
    """Abandon the attempt in play if its level can no longer be read; whether it was so."""
    from kuartui.cluster.select import choose
    from kuartui.play.dealt import level_of
    from kuartui.play.session import give_up
    from kuartui.progress.store import Store

    store = Store()
    try:
        record = store.running()
        if record is None:
            return False
        try:
            level_of(record)
        except (LevelError, UnknownName):
            await give_up(record, choose(record.cluster, "kuartui"), store)
            return True
        return False
    finally:
        store.close()


@asynccontextmanager
async def current_session(language: str = "", *, ended: bool = False) -> AsyncIterator[AttemptSession]:
    """The attempt in play, resumed, its level in `language`; it goes on when the command ends. AttemptError if there
    is none.

    An attempt ends by itself when all is green: with `ended` the latest one is given then.
    """
    from kuartui.cluster.select import choose
    from kuartui.play.dealt import level_of
    from kuartui.play.session import resume
    from kuartui.progress.store import Store

    store = Store()
    try:
        record = store.running()
        if record is None and ended:
            record = store.latest_over()  # not a task of an exam that waits
        if record is None:
            hint = START if store.exam_under_way() is None else "kuartui exam task TASK"
            raise AttemptError(later("no level is in play"), hint=hint)
        try:
            level = level_of(record, language)
        except (LevelError, UnknownName) as error:
            what = later("the files of {level} cannot be read: {why}", level=record.level, why=error.message)
            raise AttemptError(what, hint=later("kuartui level finish --abandon gives it up")) from error
        session = await resume(record, level, cluster=choose(record.cluster, "kuartui"), store=store)
        try:
            yield session
        finally:
            await session.close()
    finally:
        store.close()
