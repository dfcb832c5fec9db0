"""What may happen to an attempt beside being played: files that go, commands that meet, time that passes unseen."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kuartui.catalog.reader import LevelFolder
from kuartui.errors import AttemptError
from kuartui.game.level import Level
from kuartui.play import live, turns
from kuartui.play.live import AttemptSession
from kuartui.play.session import level_of, resume, start
from kuartui.progress.store import Store
from tests.play import test_session
from tests.play.kube import MiniCluster, MiniSandbox, mini
from tests.play.test_session import LEVEL, SOLVED, begun, states, until

level, no_referee = test_session.level, test_session.no_referee  # fixtures


def written(folder: Path, text: str) -> Level:
    (folder / "words" / "level.yaml").write_text(text)
    return LevelFolder.open(folder / "words").level(3)


def died(session: AttemptSession) -> None:
    """As kill -9 would: no goodbye."""
    assert session._task is not None
    session._task.cancel()


async def killed(session: AttemptSession, store: Store) -> None:
    """The process of a session dies without a goodbye, and its lease runs out."""
    died(session)
    await session._drop_lead(release=False)
    store._execute("UPDATE leases SET until = 0", ())


async def again(session: AttemptSession, cluster: MiniCluster, store: Store) -> AttemptSession:
    record = store.attempt(session.attempt_id)
    assert record is not None
    return await resume(record, level_of(record), cluster=cluster, store=store)


async def test_work_after_the_limit_counts_nothing_though_nobody_looked(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with begun(level, tmp_path) as (session, cluster, store):
        await until(lambda: "unknown" not in states(session).values())
        await killed(session, store)
        later = session.clock.monotonic() + 500
        monkeypatch.setattr(type(session.clock), "monotonic", lambda _: later)
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        late = await again(session, cluster, store)
        await asyncio.sleep(0.3)
        assert late.result().outcome == "time-up"
        assert late.result().score.total == 0
        await late.close()


async def test_a_level_with_fewer_hints_than_were_taken_goes_on(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, cluster, store):
        await session.hint()
        await session.hint()
        written(tmp_path, LEVEL.replace(", {cost: 20, text: Say it.}", ""))
        second = await again(session, cluster, store)
        assert len(second.snapshot().hints) == 1
        await second.close()


async def test_who_finishes_before_the_drills_has_not_solved_it(level: Level, tmp_path: Path) -> None:
    after = "  after: [{name: rubber, title: The scribe is sent away, deletePod: {selector: app=scribe}}]\n"
    async with begun(written(tmp_path, LEVEL + after), tmp_path) as (session, cluster, store):
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: session.snapshot().phase == "drill")
        result = await session.finish()
        assert (result.outcome, result.score.solved, result.score.medal) == ("finished", False, None)
        assert not store.best()["words"].solved


async def test_what_was_held_is_held_whoever_leads(level: Level, tmp_path: Path) -> None:
    text = LEVEL.replace("title: And the other", "title: And the other\n      hold: 1s")
    async with begun(written(tmp_path, text), tmp_path) as (session, cluster, store):
        cluster.kube.put("ConfigMap", "desk", "note", data={"other": "open"})
        await until(lambda: states(session)["twice"] == "passing")
        await killed(session, store)
        second = await again(session, cluster, store)
        await until(lambda: second.leading)
        await second.refresh()
        result = await second.finish()
        assert [check.green for check in result.checks] == [False, True]
        await second.close()


async def test_what_was_not_true_meanwhile_is_held_anew(level: Level, tmp_path: Path) -> None:
    text = LEVEL.replace("title: And the other", "title: And the other\n      hold: 1s")
    async with begun(written(tmp_path, text), tmp_path) as (session, cluster, store):
        cluster.kube.put("ConfigMap", "desk", "note", data={"other": "open"})
        await until(lambda: states(session)["twice"] == "passing")
        await killed(session, store)
        cluster.kube.put("ConfigMap", "desk", "note", data={"other": "shut"})
        second = await again(session, cluster, store)
        await until(lambda: states(second)["twice"] == "failing")
        cluster.kube.put("ConfigMap", "desk", "note", data={"other": "open"})
        await until(lambda: states(second)["twice"] == "holding")
        await second.close()


async def test_nobody_else_leads_while_a_reset_takes_its_time(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes: who led with what was there before would see guards broken that are not."""
    monkeypatch.setattr(live, "LEASE_EVERY", 0.05)
    monkeypatch.setattr(Store.lease, "__defaults__", (0.3,))
    monkeypatch.setattr("kuartui.progress.store.LEASE_SECONDS", 0.3)
    real = MiniSandbox.reset

    async def slow(self: MiniSandbox, *args: object, **more: object) -> None:
        await real(self)
        await asyncio.sleep(1.0)

    monkeypatch.setattr(MiniSandbox, "reset", slow)
    async with begun(level, tmp_path) as (first, cluster, store):
        other_store = Store(store.path)
        second = await again(first, cluster, other_store)
        led = []
        resetting = asyncio.ensure_future(first.reset())
        while not resetting.done():
            led.append(second.leading)
            await asyncio.sleep(0.02)
        await resetting
        assert not any(led)
        assert first.leading
        await second.close()
        other_store.close()


async def test_two_resets_at_once_are_one(level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = MiniSandbox.reset

    async def slow(self: MiniSandbox, *args: object, **more: object) -> None:
        await real(self)
        await asyncio.sleep(0.5)

    monkeypatch.setattr(MiniSandbox, "reset", slow)
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    async with begun(level, tmp_path) as (first, cluster, store):
        other_store = Store(store.path)
        second = await again(first, cluster, other_store)
        resetting = asyncio.ensure_future(first.reset())
        await asyncio.sleep(0.1)
        with pytest.raises(AttemptError, match="being set up"):
            await second.reset()
        await resetting
        assert first.snapshot().phase == "running"
        assert (first._state.resets, first.leading) == (1, True)
        await second.close()
        other_store.close()


async def test_a_second_start_leaves_the_first_alone(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = MiniCluster.sandbox

    async def slow(self: MiniCluster, sandbox_id: str, **more: object) -> MiniSandbox:
        await asyncio.sleep(0.5)
        return await real(self, sandbox_id)

    monkeypatch.setattr(MiniCluster, "sandbox", slow)
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    async with mini(tmp_path) as cluster:
        store, other_store = Store(tmp_path / "p.sqlite3"), Store(tmp_path / "p.sqlite3")
        first = asyncio.ensure_future(start(level, cluster=cluster, store=store))
        await asyncio.sleep(0.2)
        with pytest.raises(AttemptError, match="being set up"):
            await start(level, cluster=cluster, store=other_store)
        session = await first
        assert session.snapshot().outcome is None
        await session.close()
        for one in (store, other_store):
            one.close()


async def test_an_attempt_whose_set_up_died_with_its_files_is_closed(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, cluster, store):
        await session.abandon()
        cluster.kube.objects.clear()
        record = store.attempt(session.attempt_id)
        assert record is not None
        store.begin(replace(record, outcome=None, id="lost", folder=str(tmp_path / "gone"), level="gone"))
        second = await start(level, cluster=cluster, store=store)
        closed = store.attempt("lost")
        assert closed is not None
        assert closed.outcome == "abandoned"
        await second.abandon()


async def test_after_a_reset_what_happens_by_itself_happens_again(level: Level, tmp_path: Path) -> None:
    text = LEVEL.replace(
        "setup: {manifests: [setup/], settle: {quiet: 0s}}",
        "setup: {manifests: [setup/], settle: {quiet: 0s}, events: [{at: 0s, apply: [late/], message: Rain.}]}",
    )
    folder = tmp_path / "words" / "late"
    folder.mkdir()
    (folder / "rain.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rain}\ndata: {wet: very}\n")
    async with begun(written(tmp_path, text), tmp_path) as (session, cluster, _):
        await until(lambda: "rain" in cluster.kube.names("ConfigMap"))
        await until(lambda: bool(session._state.fired))
        await session.reset()
        assert "rain" not in cluster.kube.names("ConfigMap")
        await until(lambda: "rain" in cluster.kube.names("ConfigMap"))
