"""A level is set up once, and each run of a proof begins there."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.cluster import exec as cluster_exec
from kuartui.cluster.embedded import EmbeddedCluster, EmbeddedSandbox
from kuartui.cluster.exec import ExecResult
from kuartui.errors import ClusterError
from kuartui.game.level import Level
from kuartui.play import workspace
from kuartui.play.arena import Arena
from kuartui.play.pace import Pace
from kuartui.play.proof import prove
from kuartui.play.proof_run import Line
from kuartui.play.scene import Scene

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="a process is copied on Linux only")


def level(name: str) -> Level:
    return Catalog.default().open(name).level(0)


async def states(arena: Arena) -> dict[str, str]:
    """What the checks of a level find."""
    engine = await arena.follow()
    pace = Pace(arena.clock, lambda: engine.busy, lambda: arena.api.asked)
    await pace.through(engine.looked())
    await pace.step()
    return {check.name: engine.findings[check.name].state for check in arena.level.checks}


@on_linux
async def test_each_run_finds_the_level_as_it_was_set_up() -> None:
    async with EmbeddedCluster("x").apart(1) as (place,):
        scene = await Scene.of(level("first-steps"), place, {}, runs=3)
        arenas = []
        for _ in range(3):
            arena = await scene.enter()
            assert arena is not None
            arenas.append(arena)
            before = await states(arena)
            assert set(before.values()) == {"failing"}
            resource, namespace = await arena.api.resource("Deployment", "apps/v1"), arena.level.namespace
            (deployment,) = (await arena.api.list(resource, namespace)).items
            await arena.api.delete(resource, namespace, deployment["metadata"]["name"])
            await arena.clock.advance(60)
        assert len({arena.sandbox.checker_kubeconfig for arena in arenas}) == 3
        assert len({workspace.folder(arena.desk) for arena in arenas}) == 3
        for arena in arenas:
            await arena.close()
            await arena.sandbox.close()
        await scene.close()


@on_linux
async def test_a_run_need_not_look_at_what_was_looked_at_before_it_was_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    run = cluster_exec.run

    async def noted(*arguments: Any, **options: Any) -> ExecResult:
        asked.append(arguments)
        return await run(*arguments, **options)

    monkeypatch.setattr(cluster_exec, "run", noted)
    async with EmbeddedCluster("x").apart(1) as (place,):
        scene = await Scene.of(level("target-port-mismatch"), place, {}, runs=2)
        assert asked, "it was looked at as it was set up"
        for _ in range(2):
            asked.clear()
            arena = await scene.enter()
            assert arena is not None
            engine = await arena.follow()
            await Pace(arena.clock, lambda engine=engine: engine.busy).through(engine.looked())
            assert asked == []
            assert {engine.findings[check.name].state for check in arena.level.checks} <= {"failing", "waiting"}
            await Pace(arena.clock).through(engine.refresh())
            assert asked, "but it can"
            await arena.close()
            await arena.sandbox.close()
        await scene.close()


@on_linux
async def test_the_last_run_waits_until_nobody_copies_what_it_is_played_on(monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    copy = EmbeddedSandbox.copy

    async def slowly(sandbox: EmbeddedSandbox) -> EmbeddedSandbox:
        made = await copy(sandbox)
        await asyncio.sleep(0.05)
        order.append("copied")
        return made

    monkeypatch.setattr(EmbeddedSandbox, "copy", slowly)
    async with EmbeddedCluster("x").apart(1) as (place,):
        scene = await Scene.of(level("first-steps"), place, {}, runs=3)

        async def enter() -> Arena:
            arena = await scene.enter()
            assert arena is not None
            order.append("entered")
            return arena

        arenas = await asyncio.gather(*(enter() for _ in range(3)))
        assert order == ["copied", "entered", "copied", "entered", "entered"]
        for arena in arenas:
            await arena.close()
            await arena.sandbox.close()
        await scene.close()


@on_linux
async def test_a_level_is_set_up_once_for_all_runs_of_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    sandbox = EmbeddedCluster.sandbox

    async def counted(cluster: EmbeddedCluster, name: str, **how: Any) -> EmbeddedSandbox:
        made.append(how["head"])
        return await sandbox(cluster, name, **how)

    monkeypatch.setattr(EmbeddedCluster, "sandbox", counted)
    levels = [Catalog.default().open("first-steps").level(seed) for seed in range(2)]
    found = await prove(levels, EmbeddedCluster("x"))
    assert not found.failed
    assert len([line for line in found.lines if line.what in ("solution", "cheat")]) > 4
    assert len(made) == 2
    assert 0.0 in made  # and the other one some time ago, as players find it
    assert max(made) > 0.0


async def test_where_nothing_can_be_copied_each_run_is_set_up_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: EmbeddedSandbox) -> EmbeddedSandbox:
        raise ClusterError("no room for another process")

    monkeypatch.setattr(EmbeddedSandbox, "copy", never)
    first = outcome(await _lines())
    monkeypatch.setattr(EmbeddedCluster, "copies", False)
    assert outcome(await _lines()) == first
    assert {what for what, _, _ in first} == {"level", "solution", "cheat", "undo", "mutation", "par"}
    assert all(ok for _, _, ok in first)


async def _lines() -> list[Line]:
    return list((await prove([level("first-steps")], EmbeddedCluster("x"))).lines)


def outcome(lines: list[Line]) -> set[tuple[str, str, bool]]:
    return {(line.what, line.name, line.ok) for line in lines}
