"""An attempt from start to result, across processes, resets and crashes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from aiohttp import web

from kuartui.catalog.reader import LevelFolder
from kuartui.cli import report
from kuartui.errors import AttemptError, ClusterError, StorageError
from kuartui.game.level import Drill, Level, Right
from kuartui.game.spec import ResourceQuery, StateSpec
from kuartui.play import live
from kuartui.play.dealt import level_of
from kuartui.play.live import AttemptSession
from kuartui.play.referee import watch
from kuartui.play.session import resume, start
from kuartui.play.view import CheckChanged, Finished
from kuartui.progress.store import Store
from tests.play.kube import MiniCluster, MiniKube, MiniSandbox, mini

LEVEL = """\
apiVersion: kuartui.dev/v1alpha1
kind: Level
metadata: {name: words}
spec:
  title: Lost for words
  story: Somebody has forgotten the password.
  task: Write it down.
  difficulty: 1
  parTime: 60s
  timeLimit: 120s
  namespace: desk
  setup: {manifests: [setup/], settle: {quiet: 0s}}
  checks:
    - {name: word, title: The word is there, weight: 70, answer: {configMap: note, key: word, equals: sesame}}
    - name: twice
      title: And the other
      weight: 30
      answer: {configMap: note, key: other, equals: open}
  guards:
    - {name: same-lock, title: The lock is the same, unchanged: {kind: ConfigMap, name: lock, paths: [data]}}
  hints: [{cost: 10, text: Look.}, {cost: 20, text: Say it.}]
  solutions: [{name: it, run: ["true"]}]
"""
SOLVED = {"word": "sesame", "other": "open"}


@pytest.fixture(autouse=True)
def no_referee(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    spawned: list[str] = []
    monkeypatch.setattr("kuartui.play.referee.spawn", spawned.append)
    monkeypatch.setattr("kuartui.play.leading.CONFIRM", 0.05)
    monkeypatch.setattr(live, "POLL", 0.02)
    return spawned


@pytest.fixture
def level(tmp_path: Path) -> Level:
    folder = tmp_path / "words"
    (folder / "setup").mkdir(parents=True)
    (folder / "level.yaml").write_text(LEVEL)
    (folder / "debrief.md").write_text("Open sesame.\n")
    (folder / "setup" / "lock.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lock}\ndata: {kind: rusty}\n"
    )
    return LevelFolder.open(folder).level(3)


@asynccontextmanager
async def begun(
    level: Level, tmp_path: Path, **more: object
) -> AsyncIterator[tuple[AttemptSession, MiniCluster, Store]]:
    async with mini(tmp_path) as cluster:
        store = Store(tmp_path / "p.sqlite3")
        session = await start(level, cluster=cluster, store=store, **more)  # type: ignore[arg-type]
        yield session, cluster, store
        await session.close()
        store.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def states(session: AttemptSession) -> dict[str, str]:
    return {check.name: check.state for check in session.snapshot().checks}


async def test_a_level_is_played_to_its_end(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, cluster, store):
        await until(lambda: states(session) == {"word": "failing", "twice": "failing"})
        assert cluster.kube.names("ConfigMap") == ["lock"]
        events = session.events()
        cluster.kube.put("ConfigMap", "desk", "note", data={"word": "sesame"})
        await until(lambda: states(session)["word"] == "passing")
        view = session.snapshot()
        assert (view.score.total, view.potential) == (35, 50)
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        heard = [event async for event in events]
        assert isinstance(heard[-1], Finished)
        assert any(isinstance(event, CheckChanged) and event.check.green for event in heard)
        result = session.result()
        assert (result.outcome, result.score.total, result.score.medal) == ("solved", 50, "gold")
        assert (result.debrief, result.solutions[0].name, result.best_before) == ("Open sesame.\n", "it", None)
        assert store.running() is None
        assert store.best()["words"].score == 50


async def test_a_drill_is_told_while_it_goes_on(level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is green, a pod is told to go, and a word with it: every process says that this is a drill, until it is over."""
    monkeypatch.setattr("kuartui.play.leading.DRILL_PAUSE", 0.3)
    folder = tmp_path / "words"
    after = "  after: [{name: rubber, title: The scribe is sent away, deletePod: {selector: app=scribe}}]\n"
    (folder / "level.yaml").write_text(LEVEL + after)
    async with begun(LevelFolder.open(folder).level(3), tmp_path) as (session, cluster, store):
        other_store = Store(store.path)
        record = other_store.running()
        assert record is not None
        second = await resume(record, level_of(record), cluster=cluster, store=other_store)
        assert session.snapshot().phase == "running"
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: session.snapshot().phase == "drill")
        cluster.kube.put("ConfigMap", "desk", "note", data={"word": "sesame"})
        await until(lambda: states(session)["twice"] == "failing")
        await until(lambda: second.snapshot().phase == "drill")
        for view in (session.snapshot(), second.snapshot()):
            assert (view.outcome, view.progress) == (None, "The scribe is sent away")
            assert "… drill: The scribe is sent away" in list(report.checks(view))
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: session.snapshot().outcome == "solved")
        assert (session.snapshot().phase, session.snapshot().progress) == ("over", "")
        await second.close()
        other_store.close()


async def test_a_broken_guard_keeps_it_open(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, cluster, _):
        cluster.kube.put("ConfigMap", "desk", "lock", data={"kind": "picked"})
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: set(states(session).values()) == {"passing"})
        await asyncio.sleep(0.2)
        view = session.snapshot()
        assert (view.outcome, view.solved, view.score.total) == (None, False, 0)
        assert [guard.name for guard in view.guards if guard.broken] == ["same-lock"]
        cluster.kube.put("ConfigMap", "desk", "lock", data={"kind": "rusty"})
        await until(lambda: session.snapshot().outcome == "solved")
        assert session.result().score.total == 50


async def test_a_guard_that_breaks_with_the_last_check_is_not_overlooked(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, cluster, _):
        await until(lambda: "unknown" not in states(session).values())
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        cluster.kube.put("ConfigMap", "desk", "lock", data={"kind": "picked"})
        await asyncio.sleep(0.3)
        assert session.snapshot().outcome is None


async def test_a_drill_that_comes_to_nothing_keeps_it_open(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuartui.play.leading.DRILL_PAUSE", 0.01)
    asked = StateSpec(
        resources={"note": ResourceQuery(kind="ConfigMap", name="note")},
        cel='note.data.again == "yes"',
        observe='"nobody answers"',
    )
    drill = Drill(name="ask-again", title="Somebody asks again", until=asked, within=0.1)
    async with begun(msgspec.structs.replace(level, after=(drill,)), tmp_path) as (session, cluster, _):
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)

        def told() -> list[str]:
            return [entry.text for entry in session.snapshot().timeline if entry.kind == "drill"]

        await until(lambda: len(told()) == 2)
        assert told() == ["Somebody asks again", "not passed: nobody answers"]
        view = session.snapshot()
        assert (view.outcome, view.solved) == (None, True)
        written = {"name": "note", "managedFields": [{"manager": "kubectl-edit", "operation": "Update"}]}
        cluster.kube.put("ConfigMap", "desk", "note", metadata=written, data={**SOLVED, "again": "yes"})
        await until(lambda: session.snapshot().outcome == "solved")
        assert told()[2:] == ["Somebody asks again", "passed"]


async def test_hints_cost_points_and_run_out(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, _, _):
        assert session.snapshot().next_hint_cost == 5
        assert (await session.hint()).text == "Look."
        await session.hint()
        view = session.snapshot()
        assert (view.potential, view.next_hint_cost, view.hints_left) == (35, None, 0)
        with pytest.raises(AttemptError, match="no more hints"):
            await session.hint()


async def test_finishing_early_gives_partial_credit(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, cluster, _):
        cluster.kube.put("ConfigMap", "desk", "note", data={"word": "sesame"})
        await until(lambda: states(session)["word"] == "passing")
        result = await session.finish()
        assert (result.outcome, result.score.total, result.score.solved) == ("finished", 35, False)
        with pytest.raises(AttemptError, match="is over"):
            await session.hint()


async def test_an_abandoned_attempt_leaves_nothing(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, cluster, store):
        await session.abandon()
        assert cluster.sandboxes == {}
        assert store.running() is None
        assert store.best() == {}


async def test_a_reset_starts_over_but_not_the_clock(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, cluster, _):
        cluster.kube.put("ConfigMap", "desk", "lock", data={"kind": "picked"})
        cluster.kube.put("ConfigMap", "desk", "note", data={"word": "sesame"})
        await until(lambda: states(session)["word"] == "passing")
        before = session.elapsed()
        await session.reset()
        await until(lambda: states(session)["word"] == "failing")
        view = session.snapshot()
        assert cluster.kube.names("ConfigMap") == ["lock"]
        assert not any(guard.broken for guard in view.guards)
        assert view.elapsed > before
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: session.snapshot().outcome == "solved")


async def test_another_process_sees_and_does_the_same(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (first, cluster, store):
        other_store = Store(store.path)
        record = other_store.running()
        assert record is not None
        second = await resume(record, level_of(record), cluster=cluster, store=other_store)
        assert (first.leading, second.leading) == (True, False)
        await second.hint()
        await until(lambda: len(first.snapshot().hints) == 1)
        cluster.kube.put("ConfigMap", "desk", "note", data={"word": "sesame"})
        await until(lambda: states(second)["word"] == "passing")
        assert abs(first.elapsed() - second.elapsed()) < 0.2
        await second.finish()
        await until(lambda: first.snapshot().outcome == "finished")
        assert first.result().score == second.result().score
        await second.close()
        other_store.close()


async def test_a_look_in_another_process_has_the_leader_look_anew(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise StorageError("the disk is full")

    async with begun(level, tmp_path) as (first, _, store):
        assert first._leader is not None
        assert first._leader.engine is not None
        looks: list[str] = []
        engine = first._leader.engine

        async def refresh() -> None:
            looks.append("began")
            await asyncio.sleep(0.2)  # a probe takes its time
            looks.append("done")

        engine.refresh = refresh  # type: ignore[method-assign]
        other_store = Store(store.path)
        record = other_store.running()
        assert record is not None
        second = await resume(record, level_of(record), cluster=first.cluster, store=other_store)
        for _ in range(2):
            await second.refresh()
            assert looks == ["began", "done"]
            looks.clear()
        monkeypatch.setattr(Store, "set_finding", no_room)
        await second.refresh()  # what was found last is told
        assert looks == []
        assert set(states(second)) == {"word", "twice"}
        await second.close()
        other_store.close()


async def test_when_the_leader_dies_another_takes_over(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (first, cluster, store):
        await until(lambda: "unknown" not in states(first).values())
        assert first._task is not None
        first._task.cancel()  # as kill -9 would: no goodbye
        await first._drop_lead(release=False)
        store._wall = lambda: 9e9  # a lease later
        record = store.running()
        assert record is not None
        second = await resume(record, level, cluster=cluster, store=store)
        assert second.leading
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: second.snapshot().outcome == "solved")
        await second.close()


async def test_closing_leaves_it_running_and_a_referee_watching(
    level: Level, tmp_path: Path, no_referee: list[str]
) -> None:
    async with begun(level, tmp_path) as (session, cluster, store):
        await session.close()
        assert no_referee == [session.attempt_id]
        record = store.running()
        assert record is not None
        again = await resume(record, level, cluster=cluster, store=store)
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: again.snapshot().outcome == "solved")
        await again.close()
        assert cluster.sandboxes == {}, "it is over: its place is taken down"
        assert no_referee == [session.attempt_id], "nobody watches what is over"


async def test_one_attempt_at_a_time(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (_, cluster, store):
        with pytest.raises(AttemptError, match="words is still in play"):
            await start(level, cluster=cluster, store=store)


async def test_time_runs_out(level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with begun(level, tmp_path) as (session, cluster, _):
        cluster.kube.put("ConfigMap", "desk", "note", data={"word": "sesame"})
        await until(lambda: states(session)["word"] == "passing")
        later = session.clock.monotonic() + 500
        monkeypatch.setattr(type(session.clock), "monotonic", lambda _: later)
        await until(lambda: session.snapshot().outcome == "time-up")
        result = session.result()
        assert (result.score.elapsed, result.score.total) == (120, 18)


async def test_only_practice_may_pause(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, _, _):
        with pytest.raises(AttemptError, match="practice only"):
            await session.pause()
    (tmp_path / "p.sqlite3").unlink()
    async with begun(level, tmp_path, mode="practice") as (session, cluster, _):
        await session.pause()
        await session.pause()  # from another screen
        stood = session.elapsed()
        await asyncio.sleep(0.1)
        assert session.elapsed() == stood
        await session.unpause()
        await session.unpause()
        assert [entry.kind for entry in session.snapshot().timeline] == ["started", "paused", "resumed"]
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: session.snapshot().outcome == "solved")
        assert session.result().score.total == 0


async def test_a_referee_goes_home_while_the_clock_stands(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mini(tmp_path) as cluster:
        store = Store()
        session = await start(level, cluster=cluster, store=store, mode="practice")
        await session.pause()
        await session.close(referee=False)
        monkeypatch.setattr("kuartui.cluster.select.choose", lambda *_: cluster)
        async with asyncio.timeout(5):
            await watch(session.attempt_id)
        record = store.running()
        assert record is not None
        assert record.id == session.attempt_id
        store.close()


async def test_a_set_up_that_fails_leaves_no_attempt(level: Level, tmp_path: Path) -> None:
    async with mini(tmp_path) as cluster:
        cluster.kube.put("Namespace", "", "desk")
        store = Store(tmp_path / "p.sqlite3")
        with pytest.raises(ClusterError, match="namespace desk is there already and not ours"):
            await start(level, cluster=cluster, store=store)
        assert store.running() is None
        assert cluster.sandboxes == {}, "nobody could look at it any more"
        cluster.kube.remove("Namespace", "", "desk")
        session = await start(level, cluster=cluster, store=store)
        await session.abandon()
        assert cluster.sandboxes == {}


async def test_a_shared_cluster_is_left_as_it_was(level: Level, tmp_path: Path) -> None:
    async with mini(tmp_path, disposable=False) as cluster:
        cluster.kube.put("Namespace", "", "somebody-elses")
        cluster.kube.put("ConfigMap", "somebody-elses", "precious")
        store = Store(tmp_path / "p.sqlite3")
        right = Right(verbs=("create",), resources=("clusterroles.rbac.authorization.k8s.io",))
        session = await start(msgspec.structs.replace(level, rights=(right,)), cluster=cluster, store=store)
        cluster.kube.put("ClusterRole", "", "made-by-the-player")
        cluster.kube.put("StorageClass", "", "made-by-somebody-else-meanwhile")
        cluster.kube.put("ConfigMap", "somebody-elses", "this-too")
        await session.abandon()
        assert cluster.kube.names("Namespace") == ["somebody-elses"]
        assert cluster.kube.names("ConfigMap") == ["precious", "this-too"]
        assert cluster.kube.names("ClusterRole") == []
        assert cluster.kube.names("StorageClass") == ["made-by-somebody-else-meanwhile"]


async def test_a_level_that_borrows_the_name_of_another_is_practice(level: Level, tmp_path: Path) -> None:
    folder = tmp_path / "broken-selector"
    shutil.copytree(level.folder, folder)
    (folder / "level.yaml").write_text(LEVEL.replace("name: words", "name: broken-selector"))
    async with begun(LevelFolder.open(folder).level(), tmp_path) as (session, cluster, store):
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: session.snapshot().outcome is not None)
        assert session.snapshot().mode == "practice"
        assert session.result().score.total == store.best()["broken-selector"].score == 0


def full(store: Store) -> None:
    """Let the file grow no more: what SQLite then says is what it says on a full disk."""
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")


def room(store: Store) -> None:
    store._db.execute("PRAGMA max_page_count = 1000000")


async def test_a_full_disk_is_told_and_costs_nothing(level: Level, tmp_path: Path, monkeypatch: Any) -> None:
    """Both checks pass while nothing can be written; when there is room again, the level is solved, at the time when it
    was."""
    async with begun(level, tmp_path) as (session, cluster, store):
        await until(lambda: "unknown" not in states(session).values())
        append, set_finding = store.append, store.set_finding

        def refuse(*_: object) -> Any:
            raise StorageError("the disk is full: p.sqlite3")

        monkeypatch.setattr(store, "append", refuse)
        monkeypatch.setattr(store, "set_finding", refuse)
        cluster.kube.put("ConfigMap", "desk", "note", data=SOLVED)
        await until(lambda: "disk is full" in session.snapshot().trouble)
        await asyncio.sleep(0.3)  # so much later there is room
        assert not session.snapshot().outcome
        moment = session.elapsed()
        monkeypatch.setattr(store, "append", append)
        monkeypatch.setattr(store, "set_finding", set_finding)
        await until(lambda: session.snapshot().outcome == "solved")
        assert session.result().score.total == 50
        assert session.result().score.elapsed < moment - 0.2
        assert not session.snapshot().trouble


async def test_a_store_without_room_says_so(level: Level, tmp_path: Path) -> None:
    async with begun(level, tmp_path) as (session, _, store):
        full(store)
        with pytest.raises(StorageError, match="the disk is full: .*sqlite3"):
            for _number in range(1000):
                store.note_changes(session.attempt_id, [(1.0, "write", "x" * 4000)])
        room(store)
        store.note_changes(session.attempt_id, [(1.0, "write", "x")])


async def test_credentials_that_are_no_longer_good_are_renewed(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop that slept for a day, or an account that was removed and made again."""
    monkeypatch.setattr(live, "LEASE_EVERY", 0.05)
    good = ["t"]
    handle, find = MiniKube.handle, MiniCluster.find

    async def ask(self: MiniKube, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") not in (None, f"Bearer {good[0]}"):
            return web.json_response({"message": "Unauthorized", "reason": "Unauthorized"}, status=401)
        return await handle(self, request)

    async def renew(self: MiniCluster, sandbox_id: str, *, uid: str = "") -> MiniSandbox | None:
        config = yaml.safe_load(self.kubeconfig.read_text())
        config["users"] = [{"name": "mini", "user": {"token": good[0]}}]
        self.kubeconfig.write_text(yaml.safe_dump(config))
        return await find(self, sandbox_id, uid=uid)

    monkeypatch.setattr(MiniKube, "handle", ask)
    monkeypatch.setattr(MiniCluster, "find", renew)
    async with begun(level, tmp_path) as (session, cluster, _):
        await until(lambda: states(session) == {"word": "failing", "twice": "failing"})
        good[0] = "second"
        cluster.kube.put("ConfigMap", "desk", "note", data={"word": "sesame"})
        for _, queue in cluster.kube.watchers:
            queue.put_nowait(None)  # the watches end, and are begun anew
        await until(lambda: states(session)["word"] == "passing")
        cluster.kube.put("ConfigMap", "desk", "note", data={"word": "sesame"})
        await until(lambda: not session.snapshot().trouble)
