"""What may happen to an attempt beside being played: files that go, commands that meet, time that passes unseen."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kuartui.catalog.reader import LevelFolder
from kuartui.errors import AttemptError, ClusterError, StorageError
from kuartui.game.level import Level
from kuartui.play import live, turns
from kuartui.play.dealt import level_of
from kuartui.play.drill import Performance
from kuartui.play.live import AttemptSession
from kuartui.play.session import resume, start
from kuartui.play.view import Finished, WasReset
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
    async with begun(written(tmp_path, LEVEL + RUBBER), tmp_path) as (session, cluster, store):
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: session.snapshot().phase == "drill")
        result = await session.finish()
        assert (result.outcome, result.score.solved, result.score.medal) == ("finished", False, None)
        assert not store.best()["words"].solved


RUBBER = "  after: [{name: rubber, title: The scribe is sent away, deletePod: {selector: app=scribe}}]\n"


async def test_the_end_of_a_drill_is_waited_for_though_the_limit_passes(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All was green in time."""
    monkeypatch.setattr("kuartui.play.leading.DRILL_PAUSE", 1.0)
    text = LEVEL.replace("parTime: 60s", "parTime: 1s").replace("timeLimit: 120s", "timeLimit: 2s")
    async with begun(written(tmp_path, text + RUBBER), tmp_path) as (session, cluster, _):
        await asyncio.sleep(1.0)
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: session.snapshot().outcome is not None)
        assert session.result().outcome == "solved"
        assert session.result().score.elapsed < 2


async def test_a_drill_whose_leader_died_comes_again(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovered = []

    async def recover(self: Performance) -> None:
        recovered.append(self.drill.name)

    monkeypatch.setattr(Performance, "recover", recover)
    monkeypatch.setattr("kuartui.play.leading.DRILL_PAUSE", 0.3)
    async with begun(written(tmp_path, LEVEL + RUBBER), tmp_path) as (session, cluster, store):
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: session.snapshot().phase == "drill")
        await killed(session, store)
        second = await again(session, cluster, store)
        await until(lambda: second.snapshot().outcome == "solved")
        assert recovered == ["rubber"]
        drills = [entry.text for entry in second.result().timeline if entry.kind == "drill"]
        assert drills == [
            "The scribe is sent away",
            "not passed: it was interrupted",
            "The scribe is sent away",
            "passed",
        ]
        await second.close()


async def test_who_follows_hears_of_a_reset(level: Level, tmp_path: Path) -> None:
    """It brings new credentials: a screen has to watch the cluster anew."""
    async with begun(level, tmp_path) as (first, cluster, store):
        other_store = Store(store.path)
        second = await again(first, cluster, other_store)
        heard, events = [], second.events()

        async def listen() -> None:
            async for event in events:
                heard.append(event)

        listening = asyncio.ensure_future(listen())
        await first.reset()
        await until(lambda: WasReset(1) in heard)
        await second.close()
        await listening
        other_store.close()


async def test_a_hint_that_another_process_took_meanwhile_costs_no_other(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, _, _):
        assert (await session.hint(0)).text == (await session.hint(0)).text == "Look."
        assert len(session.snapshot().hints) == 1


async def test_a_clock_stops_and_is_said_to_stop_or_neither(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with begun(level, tmp_path, mode="practice") as (session, _, store):
        with monkeypatch.context() as broken:
            broken.setattr("kuartui.progress.store.encode", lambda _: None)  # no event is taken
            with pytest.raises(StorageError):
                await session.pause()
        assert store.anchor(session.attempt_id).ticking
        assert not session.snapshot().paused


async def test_records_that_cannot_be_read_for_a_while_stop_no_check(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(*_: object) -> None:
        raise StorageError("another program holds it")

    async with begun(level, tmp_path) as (session, cluster, _):
        await until(lambda: "unknown" not in states(session).values())
        with monkeypatch.context() as broken:
            broken.setattr(Store, "findings", held)
            cluster.kube.put("ConfigMap", "desk", "note", data={"word": "sesame"})
            await until(lambda: session.snapshot().trouble == "another program holds it")
        await until(lambda: states(session)["word"] == "passing")
        await until(lambda: not session.snapshot().trouble)
        cluster.kube.put("ConfigMap", "desk", "note", data={"word": "abracadabra"})
        await until(lambda: states(session)["word"] == "failing")
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: session.snapshot().outcome == "solved")


async def test_a_place_that_cannot_be_removed_keeps_nobody_waiting(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no(*_: object) -> None:
        raise ClusterError("it stays")

    async with begun(level, tmp_path) as (session, _, _):
        events = session.events()
        leader = session._leader
        assert leader is not None
        with monkeypatch.context() as broken:
            broken.setattr(live, "take_down", no)
            await session.finish()
            with pytest.raises(ClusterError, match="it stays"):
                await session.close()
        assert leader.engine is None
        assert not session.leading
        async with asyncio.timeout(1):
            assert [event async for event in events]


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


async def test_who_goes_on_with_what_is_over_is_told(level: Level, tmp_path: Path) -> None:
    """By a list that was read before it ended, say: the screen would wait for an end that never comes."""
    async with begun(level, tmp_path) as (session, cluster, store):
        await session.finish()
        late = await again(session, cluster, store)
        assert [type(event) async for event in late.events()] == [Finished]
        await late.close()


@pytest.mark.parametrize("end", ["left", "killed"])
async def test_a_reset_that_was_interrupted_is_begun_again(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, no_referee: list[str]
) -> None:
    """Nothing of the level is there then, and whoever went on with it would play in an empty cluster."""
    began = asyncio.Event()
    real = MiniSandbox.reset

    async def stuck(self: MiniSandbox, *args: object, **more: object) -> None:
        await real(self)
        began.set()
        await asyncio.Event().wait()

    async with begun(level, tmp_path) as (session, cluster, store):
        with monkeypatch.context() as patch:
            patch.setattr(MiniSandbox, "reset", stuck)
            resetting = asyncio.ensure_future(session.reset())
            await began.wait()
            resetting.cancel()
            await asyncio.gather(resetting, return_exceptions=True)
        assert "lock" not in cluster.kube.names("ConfigMap")
        if end == "left":
            await session.close()
            assert no_referee == [session.attempt_id]
        else:
            await killed(session, store)
        second = await again(session, cluster, store)
        await until(lambda: second.leading and "unknown" not in states(second).values())
        assert "lock" in cluster.kube.names("ConfigMap")
        assert second._state.resets == 1
        assert not second.snapshot().trouble
        await second.close()


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


@pytest.mark.parametrize("broken", [False, True])
async def test_a_reset_of_what_is_ended_meanwhile_says_so(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    async with begun(level, tmp_path) as (first, cluster, store):
        other_store = Store(store.path)
        second = await again(first, cluster, other_store)

        async def reset(*_: object, **__: object) -> None:
            cluster.kube.objects.clear()
            await second.abandon()
            if broken:
                raise ClusterError("nobody is there")

        monkeypatch.setattr(MiniSandbox, "reset", reset)
        with pytest.raises(AttemptError, match="the attempt is over"):
            await first.reset()
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
