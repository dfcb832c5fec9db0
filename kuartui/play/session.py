"""One attempt, from start to result: the API that the command line and the screen share.

    session = await start(level, cluster=cluster, store=store)          # sets the level up, then the clock runs
    session = await resume(record, level, cluster=cluster, store=store) # after a restart, or beside another process
    async for event in session.events(): screen.show(session.snapshot())
    await session.hint(); await session.reset(); result = await session.finish()

An attempt belongs to no process. Its events are in the progress store; the screen and the command line may both have
a session of it, and each sees what the other does. One of them, the leader (a lease in the store), runs the live
checks and records what they find; if it dies, another takes over. `close()` leaves the attempt running.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from kuartui.cluster.base import Cluster, Report, silent
from kuartui.game.events import Mode
from kuartui.game.level import Level
from kuartui.play.view import AttemptView, HintView, PlayEvent, Result

if TYPE_CHECKING:
    from kuartui.progress.store import AttemptRecord, Store


class AttemptSession:
    """A running (or finished) attempt as one process sees it."""

    @property
    def attempt_id(self) -> str:
        raise NotImplementedError

    def snapshot(self) -> AttemptView:
        """All there is to show, now. Cheap: call it at every event and every tick of a clock."""
        raise NotImplementedError

    def events(self) -> AsyncIterator[PlayEvent]:
        """What happens from now on, until the attempt is over or the session closed."""
        raise NotImplementedError

    async def refresh(self) -> AttemptView:
        """Look at every check now (probes included) and return the new snapshot: `level check`."""
        raise NotImplementedError

    async def hint(self) -> HintView:
        """Take the next hint. AttemptError when there is none left or the attempt is over."""
        raise NotImplementedError

    async def open_solutions(self) -> None:
        """Look at the solutions before the end: the attempt becomes practice."""
        raise NotImplementedError

    async def pause(self) -> None:
        """Stop the clock. AttemptError when the mode does not allow it."""
        raise NotImplementedError

    async def unpause(self) -> None:
        raise NotImplementedError

    async def reset(self, report: Report = silent) -> None:
        """Set the level up anew. The clock runs on."""
        raise NotImplementedError

    async def finish(self) -> Result:
        """End it here with what is green. An attempt that turns all green ends by itself."""
        raise NotImplementedError

    async def abandon(self) -> None:
        """End it without a score, and clean up."""
        raise NotImplementedError

    def result(self) -> Result:
        """AttemptError while it is not over."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go; a running attempt goes on and can be resumed."""
        raise NotImplementedError


async def start(
    level: Level,
    *,
    cluster: Cluster,
    store: Store,
    mode: Mode = "ranked",
    report: Report = silent,
) -> AttemptSession:
    """Begin an attempt at `level` (already filled in for a seed) and return when it is set up and settled."""
    raise NotImplementedError


async def resume(record: AttemptRecord, level: Level, *, cluster: Cluster, store: Store) -> AttemptSession:
    """A session of an attempt that began earlier."""
    raise NotImplementedError
