"""A level that is set up once and played many times: each run of a proof begins on a copy of the same cluster.

Only where a sandbox can be copied, and on stepped time, which stands still while the copies are made.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Self

from kuartui.cluster.base import Cluster
from kuartui.errors import ClusterError
from kuartui.game.level import Level
from kuartui.play import trail, workspace
from kuartui.play.arena import Arena
from kuartui.play.pace import Pace


@asynccontextmanager
async def staged(
    level: Level,
    cluster: Cluster,
    known: dict[Hashable, bool],
    turns: asyncio.Semaphore,
    *,
    head: float = 0.0,
    runs: int = 0,
    undone: bool = True,
) -> AsyncIterator[Scene]:
    """A scene for as long as it is needed; to set it up takes a turn. Raises ClusterError."""
    async with turns:
        scene = await Scene.of(level, cluster, known, head=head, runs=runs, undone=undone)
    try:
        yield scene
    finally:
        await scene.close()


class Scene:
    """`arena` is where the level was set up, `runs` how many are played on it (0: nobody knows)."""

    def __init__(self, arena: Arena, runs: int = 0) -> None:
        self._arena, self._left = arena, runs
        self._copying = asyncio.Lock()

    @classmethod
    async def of(
        cls,
        level: Level,
        cluster: Cluster,
        known: dict[Hashable, bool],
        *,
        head: float = 0.0,
        runs: int = 0,
        undone: bool = True,
    ) -> Self:
        """Set it up, in the past by so many seconds. `known` is what runs need not ask again, `undone` whether one of
        them is undone in the end. Raises ClusterError."""
        attempt_id = uuid.uuid4().hex[:12]
        sandbox = await cluster.sandbox(trail.place_of(attempt_id), fast=True, head=head)
        arena = Arena(level, sandbox, attempt_id)
        arena.world.known = known
        scene = cls(arena, runs)
        try:
            await Pace(sandbox.clock).through(arena.prepare(take_inventory=undone))
            await sandbox.player_kubeconfig(level.namespace)  # for all who play on copies
            engine = await arena.follow()  # so that each run knows what there is, and what the checks say of it
            pace = Pace(sandbox.clock, lambda: engine.busy, lambda: arena.api.asked)
            await pace.through(engine.looked())
            await pace.calm()
            await arena.pause()
        except BaseException:
            await scene.close()
            raise
        return scene

    async def enter(self) -> Arena | None:
        """It, as it was when it had been set up, for one run; None where it could not be copied. The last run is played
        on what the others are copies of."""
        async with self._copying:  # nobody plays on that while it is copied
            self._left -= 1
            sandbox = self._arena.sandbox
            if self._left:
                try:
                    sandbox = await sandbox.copy()
                except ClusterError:
                    return None
            return self._arena.again(sandbox, desk=uuid.uuid4().hex[:12])

    async def close(self) -> None:
        """Remove it, where the last run has not."""
        await self._arena.close()
        workspace.clear_away(self._arena.desk)
        await self._arena.sandbox.close()
