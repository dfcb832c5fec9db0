"""A level in its place: sandbox, checker's client, live copies, engine. Sessions and proofs both play here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from kuartui.checks import baseline
from kuartui.checks.docker import CONTAINER, IMAGE
from kuartui.checks.engine import Engine, Finding
from kuartui.checks.evaluate import evaluate
from kuartui.checks.evidence import NotThereError
from kuartui.checks.objects import Objects
from kuartui.checks.registry import kind_of
from kuartui.checks.world import World
from kuartui.cluster.base import Report, Sandbox, silent
from kuartui.cluster.capabilities import missing
from kuartui.cluster.clock import Clock
from kuartui.cluster.rest import Api
from kuartui.containers.engine import Docker
from kuartui.containers.traces import Stock
from kuartui.errors import ClusterError, MissingError
from kuartui.game.level import Guard, Level, Stage
from kuartui.message import later
from kuartui.play import dockside, workspace
from kuartui.play.cleanup import Before, Undo, take_stock
from kuartui.play.setup import Setup
from kuartui.progress.store import Made

LONGEST_HEAD_START = 300.0  # seconds
DOCKER_KINDS = (IMAGE.name, CONTAINER.name)
DOCKER_SECONDS = 30.0  # for a level's containers to do what its guards ask of them
DOCKER_POLL = 0.1


class Arena:
    """`prepare` sets the level up and takes the baseline, then `follow` starts the checks."""

    def __init__(self, level: Level, sandbox: Sandbox, attempt_id: str, desk: str = "") -> None:
        """`desk` is what the workspace goes by, where that is not the attempt's own."""
        self.level, self.sandbox, self.attempt_id, self.desk = level, sandbox, attempt_id, desk or attempt_id
        self.docker = Docker()
        self.api = self._open()
        self.world = self._new_world()
        self.engine: Engine | None = None
        self.made: list[Made] = []
        self.before: Before | None = None
        self.seen: Mapping[str, Finding] = {}  # what the checks found as it was set up, where somebody has looked
        self.stock: Stock | None = None  # of the Docker engine, before the level was on it

    @property
    def clock(self) -> Clock:
        """Time as the place lives it."""
        return self.sandbox.clock

    def _open(self) -> Api:
        api = Api.open(self.sandbox.checker_kubeconfig)
        api.fence = self.sandbox.fence(self.level.rights)
        return api

    def _new_world(self) -> World:
        objects = Objects(self.api, self.level.namespace, wide=self.sandbox.disposable)
        return World(
            api=self.api,
            level=self.level,
            clock=self.sandbox.clock,
            objects=objects,
            workspace=workspace.folder(self.desk),
            docker=self.docker,
            machines=self.sandbox.machines(self.api),
        )

    async def prepare(
        self,
        report: Report = silent,
        note: Callable[[list[Made]], None] = lambda _: None,
        *,
        found: Callable[[Before], None] = lambda _: None,
        stocked: Callable[[Stock], None] = lambda _: None,
        take_inventory: bool = False,
    ) -> dict[str, Any]:
        """Set the level up, settle, and return the baseline (JSON). ClusterError when it does not work."""
        if take_inventory or not self.sandbox.disposable:
            self.before = await take_stock(self.api, self.level.rights, alone=self.sandbox.disposable)
            found(self.before)

        place = workspace.lay_out(self.level, self.desk)
        if self.level.setup.docker is not None:
            self.stock = await dockside.take_stock(self.level.setup.docker, self.docker)
            stocked(self.stock)
            await dockside.set_up(self.level.setup.docker, self.docker, place, self.attempt_id, report)

        def remember(objects: list[Made]) -> None:
            self.made += objects
            note(objects)

        async def let_in(namespace: str) -> None:
            await self.sandbox.admit([namespace], self.level.rights)

        patient = not self.sandbox.disposable
        opened = let_in if patient else None
        setup = Setup(self.world, self.attempt_id, note=remember, report=report, patient=patient, opened=opened)
        await setup.run()
        await self.sandbox.admit(sorted(setup.namespaces), self.level.rights)
        await self.sandbox.present()
        self.world.clock = self.sandbox.clock
        self.world.baseline = await baseline.capture(self.world)
        if self.stock is not None:
            await self._docker_settles()
        return self.world.baseline

    def again(self, sandbox: Sandbox, desk: str) -> Arena:
        """The same, as it was prepared, in a copy of its sandbox."""
        arena = Arena(self.level, sandbox, self.attempt_id, desk)
        workspace.lay_out(self.level, desk)
        arena.world.objects = self.world.objects.again(arena.api)
        arena.world.known, arena.world.baseline = self.world.known, self.world.baseline
        arena.world.violated = {*self.world.violated}
        arena.made, arena.before, arena.seen = [*self.made], self.before, self.seen
        return arena

    async def _docker_settles(self) -> None:
        """A container that was started has yet to begin: wait until what the level guards of the engine holds."""
        guards = [item for item in self.level.guards if item.type in DOCKER_KINDS]
        until = self.clock.monotonic() + DOCKER_SECONDS
        while trouble := [why for item in guards if (why := await self._why_not(item))]:
            if self.clock.monotonic() > until:
                raise ClusterError(
                    later(
                        "{name} did not settle within {timeout:g} s: {problem}",
                        name=self.level.name,
                        timeout=DOCKER_SECONDS,
                        problem=trouble[0],
                    )
                )
            await self.clock.sleep(DOCKER_POLL)

    async def _why_not(self, guard: Guard) -> str:
        try:
            evidence = await kind_of(guard).observe(guard.spec, self.world, guard.name)
        except NotThereError as error:
            return str(error)
        verdict = evaluate(guard, evidence)
        return "" if verdict.holds else f"{guard.title} ({verdict.observed or verdict.problem})"

    async def change(self, stage: Stage) -> None:
        """Do a step of the level's own timeline, without waiting for what follows from it."""
        await Setup(
            self.world, self.attempt_id, note=self.made.extend, report=silent, patient=not self.sandbox.disposable
        ).change(stage)

    async def follow(
        self,
        *,
        on_change: Callable[[Finding, Finding], None] = lambda _now, _before: None,
        on_trouble: Callable[[str], None] = lambda _: None,
        on_violation: Callable[[str], None] = lambda _: None,
        leisure: float = 1.0,
        passed: Collection[str] = (),
    ) -> Engine:
        """Start the live checks; `world.baseline` must be there. `passed` names those that passed when somebody looked
        last."""
        self.engine = Engine(
            self.world,
            on_change=on_change,
            on_trouble=on_trouble,
            on_violation=on_violation,
            leisure=leisure,
            passed=passed,
            seen=self.seen,
        )
        await self.engine.start()
        return self.engine

    async def vacate(self, report: Report = silent) -> None:
        """Make room to start over: a new cluster where that is cheap, else undo. Checks are stopped."""
        await self._stop()
        _must_be_gone(await self.clear_docker())
        if self.sandbox.disposable:
            await self.sandbox.reset(report, head=head_start(self.level))
            await self.api.close()
            self.api = self._open()
        else:
            _must_be_gone(await self.undo())
        self.world = self._new_world()
        self.made = []

    async def undo(self) -> list[str]:
        """Remove what the attempt left behind; what could not be removed."""
        await self._stop()
        if self.level.switches_nodes and self.world.machines is not None:
            await self.world.machines.repair()
        return await Undo(
            self.api,
            self.clock,
            self.attempt_id,
            made=self.made,
            before=self.before,
            rights=self.level.rights,
            alone=self.sandbox.disposable,
        ).run()

    async def clear_docker(self) -> list[str]:
        """Remove what the attempt has on the Docker engine; what could not be removed."""
        return [] if self.stock is None else await dockside.clear(self.stock, self.docker)

    async def pause(self) -> None:
        """Let go of the cluster, and keep what is known of it: `again` goes on from there."""
        if self.engine is not None:
            self.seen = self.engine.findings
        await self._stop_looking()
        await self.world.objects.pause()
        await self.api.close()

    async def close(self) -> None:
        """Let go of the cluster; nothing in it changes."""
        await self._stop()
        await self.api.close()
        self.docker.close()

    async def _stop(self) -> None:
        await self._stop_looking()
        await self.world.objects.stop()

    async def _stop_looking(self) -> None:
        if self.engine is not None:
            await self.engine.stop()
            self.engine = None


def _must_be_gone(left: list[str]) -> None:
    """What is there when a level is set up passes for what was there before: it would never be undone."""
    if left:
        raise ClusterError(
            later("could not remove {left}", left=", ".join(left[:3])),
            hint=later("remove it, then reset the level again"),
        )


def head_start(level: Level) -> float:
    """How long ago a level's set-up begins, in seconds, where a cluster's clock can have a head start.

    Half of the patience that the level asks for: most settle in far less, and a player should find the trouble fresh.
    """
    return min(LONGEST_HEAD_START, sum(stage.settle.timeout for stage in level.setup.all_stages()) / 2)


def require(level: Level, capabilities: frozenset[str], cluster: str) -> None:
    """MissingError when a cluster cannot do what the level needs. Docker is no matter of the cluster's."""
    lacking = missing(level.needs, capabilities | dockside.OF_ENGINE)
    if lacking:
        raise MissingError(
            later(
                "{name} needs what cluster {cluster} does not have: {lacking}",
                name=level.name,
                cluster=cluster,
                lacking=", ".join(lacking),
            ),
            hint=later("play it with --cluster embedded"),
        )
