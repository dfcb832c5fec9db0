"""A mock exam from start to result: tasks that wait, time that runs out, processes that die."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.errors import AttemptError, UnknownName
from kuartui.play import exams, live
from kuartui.play.session import start
from kuartui.progress.store import ExamRecord, Store
from tests.play.kube import MiniCluster, MiniSandbox, mini
from tests.play.test_session import LEVEL, SOLVED, states, until

DOMAINS = ("troubleshooting", "cluster-architecture", "services-networking")


@pytest.fixture(autouse=True)
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    referees: list[str] = []
    monkeypatch.setattr("kuartui.play.referee.spawn", referees.append)
    monkeypatch.setattr("kuartui.play.leading.CONFIRM", 0.05)
    monkeypatch.setattr(live, "POLL", 0.02)
    return referees


class Hall:
    """An exam of three tasks on a cluster of no size. `now` is the clock on the wall."""

    def __init__(self, cluster: MiniCluster, catalog: Catalog, path: Path) -> None:
        self.cluster, self.catalog, self.path = cluster, catalog, path
        self.now = 1_800_000_000.0
        self.store = self.open()

    def open(self) -> Store:
        return Store(self.path, wall=lambda: self.now)

    def begin(self, *, strict: bool = False) -> ExamRecord:
        return exams.begin(
            "cka", 22, cluster=self.cluster, store=self.store, catalog=self.catalog, seed=1, strict=strict
        )

    async def take_up(self, exam: ExamRecord, number: int) -> live.AttemptSession:
        return await exams.take_up(exam, number, cluster=self.cluster, store=self.store, catalog=self.catalog)

    def sheet(self) -> exams.Sheet:
        exam = self.store.exam()
        assert exam is not None
        return exams.sheet(exam, store=self.store, catalog=self.catalog)

    def states(self) -> list[str]:
        return [row.state for row in self.sheet().rows]

    def answer(self, number: int, **data: str) -> None:
        level = self.sheet().rows[number - 1].task.level
        self.cluster.kube.put("ConfigMap", f"desk-{level[-1]}", "note", data=data)


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    for number, domain in enumerate(DOMAINS):
        folder = tmp_path / "pack" / "levels" / "words" / f"words-{number}"
        (folder / "setup").mkdir(parents=True)
        text = LEVEL.replace("name: words", f"name: words-{number}").replace(
            "namespace: desk", f"namespace: desk-{number}"
        )
        text = text.replace("  difficulty: 1", f"  difficulty: 1\n  exams: [{{exam: CKA, domain: {domain}}}]")
        (folder / "level.yaml").write_text(text)
        (folder / "debrief.md").write_text("Open sesame.\n")
        (folder / "setup" / "lock.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lock}\ndata: {kind: rusty}\n"
        )
    async with mini(tmp_path) as cluster:
        found = Hall(cluster, Catalog([tmp_path / "pack" / "levels"]), tmp_path / "p.sqlite3")
        yield found
        found.store.close()


async def test_tasks_wait_as_they_were_left(hall: Hall) -> None:
    exam = hall.begin()
    assert hall.states() == ["new", "new", "new"]
    assert sum(row.task.weight for row in hall.sheet().rows) == 100
    with pytest.raises(AttemptError, match="the exam is not over"):
        await exams.review(exam, 1, cluster=hall.cluster, store=hall.store)
    first = await hall.take_up(exam, 1)
    hall.answer(1, word="sesame")
    await until(lambda: states(first)["word"] == "passing")
    await first.close()
    second = await hall.take_up(exam, 2)
    assert hall.states() == ["waiting", "in play", "new"]
    spent = hall.sheet().rows[0].spent
    await second.close()
    again = await hall.take_up(exam, 1)
    assert hall.states() == ["in play", "waiting", "new"]
    assert again.attempt_id == first.attempt_id
    assert again.elapsed() >= spent
    hall.answer(1, **SOLVED)
    await until(lambda: again.snapshot().outcome == "solved")
    await again.close()
    assert hall.states() == ["handed in", "waiting", "new"]
    with pytest.raises(AttemptError, match="task 1 was handed in"):
        await hall.take_up(exam, 1)
    with pytest.raises(AttemptError, match="no task 4"):
        await hall.take_up(exam, 4)
    await exams.finish(exam, cluster=hall.cluster, store=hall.store)
    sheet = hall.sheet()
    weight = sheet.rows[0].task.weight
    assert [row.credit for row in sheet.rows] == [1.0, 0.0, 0.0]
    assert sheet.reached == weight
    assert sum(part.reached for part in sheet.parts) == weight
    assert not sheet.passed
    assert hall.store.leftovers() == []
    result, never = [
        await exams.review(hall.store.exams()[0], number, cluster=hall.cluster, store=hall.store) for number in (1, 3)
    ]
    assert never is None
    assert result is not None
    assert (result.outcome, result.in_exam, result.debrief) == ("solved", True, "Open sesame.\n")
    assert result.level.time_limit == 120


async def test_of_tasks_that_two_commands_took_up_at_once_one_is_in_play(hall: Hall) -> None:
    exam = hall.begin()
    first, second = await hall.take_up(exam, 1), await hall.take_up(exam, 2)
    hall.store.set_aside(first.attempt_id, False)  # each command saw the other one's task wait
    third = await hall.take_up(exam, 2)
    assert hall.states() == ["waiting", "in play", "new"]
    for session in (first, second, third):
        await session.close()


async def test_there_is_partial_credit_and_no_help(hall: Hall) -> None:
    exam = hall.begin()
    session = await hall.take_up(exam, 1)
    view = session.snapshot()
    assert (view.mode, view.next_hint_cost, view.hints_left) == ("exam", None, 0)
    assert session.in_exam
    with pytest.raises(AttemptError, match="no hints in an exam"):
        await session.hint()
    with pytest.raises(AttemptError, match="practice only"):
        await session.pause()
    hall.answer(1, word="sesame")
    await until(lambda: states(session)["word"] == "passing")
    other = hall.open()  # of the command line, while the screen shows the task
    await exams.finish(exam, cluster=hall.cluster, store=other)
    other.close()
    await until(lambda: session.snapshot().outcome == "finished")
    await session.close()
    assert not session.in_exam
    assert hall.sheet().rows[0].credit == pytest.approx(0.7)
    assert hall.store.best()[hall.sheet().rows[0].task.level].score == 0


def recorded(hall: Hall, attempt_id: str) -> list[str]:
    return [type(event).__name__ for _, event in hall.store.events(attempt_id)]


async def test_a_strict_exam_tells_after_its_end(hall: Hall) -> None:
    exam = hall.begin(strict=True)
    session = await hall.take_up(exam, 1)
    heard = session.events()
    hall.answer(1, **SOLVED)
    hall.cluster.kube.put("ConfigMap", f"desk-{hall.sheet().rows[0].task.level[-1]}", "lock", data={"kind": "new"})
    await until(lambda: recorded(hall, session.attempt_id).count("CheckPassed") == 2)
    await until(lambda: "GuardBroken" in recorded(hall, session.attempt_id))
    view = await session.refresh()
    assert view.withheld
    assert set(states(session).values()) == {"unknown"}
    assert not any(check.observed or check.problem for check in view.checks)
    assert not any(guard.broken for guard in view.guards)
    assert (view.solved, view.score.total, view.score.share) == (False, 0, 0)
    assert {entry.kind for entry in view.timeline} <= {"started", "write", "reaction", "warning"}
    hall.cluster.kube.put("ConfigMap", f"desk-{hall.sheet().rows[0].task.level[-1]}", "lock", data={"kind": "rusty"})
    await until(lambda: "GuardRestored" in recorded(hall, session.attempt_id))
    await asyncio.sleep(0.3)  # six times as long as it takes to end by itself
    assert session.snapshot().outcome is None
    result = await session.finish()
    assert (result.outcome, result.score.total) == ("finished", 0)
    assert {check.state for check in result.checks} == {"unknown"}
    await session.close()
    told = [type(event).__name__ async for event in heard]
    assert not {"CheckChanged", "GuardChanged"} & set(told)
    level = hall.sheet().rows[0].task.level
    assert not hall.store.best()[level].solved
    other = hall.open()  # of a process that looks in the midst of the exam
    again = await exams.take_up(exam, 2, cluster=hall.cluster, store=other, catalog=hall.catalog)
    assert again.snapshot().withheld
    await again.close()
    other.close()
    await exams.finish(exam, cluster=hall.cluster, store=hall.store)
    assert hall.sheet().exam.strict
    assert [row.credit for row in hall.sheet().rows] == [1.0, 0.0, 0.0]
    assert hall.store.best()[level].solved
    found = await exams.review(hall.store.exams()[0], 1, cluster=hall.cluster, store=hall.store)
    assert found is not None
    assert {check.state for check in found.checks} == {"passing"}
    assert "passed" in {entry.kind for entry in found.timeline}


async def test_what_is_right_when_the_time_of_a_strict_exam_is_over_is_solved(hall: Hall) -> None:
    exam = hall.begin(strict=True)
    session = await hall.take_up(exam, 1)
    hall.answer(1, **SOLVED)
    await until(lambda: recorded(hall, session.attempt_id).count("CheckPassed") == 2)
    hall.now += 22 * 60
    await until(lambda: session.snapshot().outcome is not None)
    await session.close()
    assert await exams.current(cluster=hall.cluster, store=hall.store) is None
    assert [row.credit for row in hall.sheet().rows] == [1.0, 0.0, 0.0]
    assert hall.store.best()[hall.sheet().rows[0].task.level].solved


async def test_what_is_undone_again_brings_nothing_in_a_strict_exam(hall: Hall) -> None:
    exam = hall.begin(strict=True)
    session = await hall.take_up(exam, 1)
    hall.answer(1, **SOLVED)
    await until(lambda: recorded(hall, session.attempt_id).count("CheckPassed") == 2)
    hall.answer(1, word="sesame")
    await until(lambda: "CheckLost" in recorded(hall, session.attempt_id))
    await session.close()
    await exams.finish(exam, cluster=hall.cluster, store=hall.store)
    assert hall.sheet().rows[0].credit == pytest.approx(0.7)


async def test_time_runs_out_while_nobody_looks(hall: Hall) -> None:
    exam = hall.begin()
    first = await hall.take_up(exam, 1)
    hall.answer(1, word="sesame")
    await until(lambda: states(first)["word"] == "passing")
    await first.close()
    second = await hall.take_up(exam, 2)
    assert second.level.time_limit == pytest.approx(22 * 60, abs=5)
    await second.close()
    hall.now += 22 * 60
    with pytest.raises(AttemptError, match="the exam is over"):
        await hall.take_up(exam, 3)
    assert await exams.current(cluster=hall.cluster, store=hall.store) is None
    assert [row.credit for row in hall.sheet().rows] == [pytest.approx(0.7), 0.0, 0.0]
    assert {record.outcome for record in hall.store.attempts()} == {"time-up"}
    again = hall.begin()
    assert again.id != exam.id


async def test_nothing_is_lost_with_the_process(hall: Hall) -> None:
    """What follows is done by another one, which has the store only."""
    exam = hall.begin()
    session = await hall.take_up(exam, 2)
    hall.answer(2, word="sesame")
    await until(lambda: states(session)["word"] == "passing")
    await session.close(referee=False)
    hall.store.close()
    hall.store = hall.open()
    found = await exams.current(cluster=hall.cluster, store=hall.store)
    assert found == exam
    assert hall.states() == ["new", "in play", "new"]
    again = await hall.take_up(exam, 2)
    assert again.attempt_id == session.attempt_id
    assert states(again)["word"] == "passing"
    await again.close()


async def test_a_clock_that_was_stopped_goes_on_whatever_died_meanwhile(hall: Hall) -> None:
    exam = hall.begin()
    session = await hall.take_up(exam, 1)
    await session.close(referee=False)
    record = hall.store.running()
    assert record is not None
    exams.put_aside(record, hall.store)
    hall.store.set_aside(record.id, False)  # and then the process that took it up again died
    again = await hall.take_up(exam, 1)
    assert not again.snapshot().paused
    assert hall.store.anchor(record.id).ticking
    await again.close()


async def test_a_task_whose_set_up_failed_begins_anew(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    exam = hall.begin()
    level = hall.sheet().rows[0].task.level
    hall.cluster.kube.put("Namespace", "", f"desk-{level[-1]}")
    with pytest.raises(Exception, match="is there already"):
        await hall.take_up(exam, 1)
    assert hall.states() == ["new", "new", "new"]


async def test_one_thing_at_a_time(hall: Hall) -> None:
    with pytest.raises(UnknownName):
        exams.begin("KCNA", None, cluster=hall.cluster, store=hall.store, catalog=hall.catalog)
    level = hall.catalog.level("words-0")
    session = await start(level, cluster=hall.cluster, store=hall.store)
    with pytest.raises(AttemptError, match="words-0 is still in play"):
        hall.begin()
    await session.abandon()
    exam = hall.begin()
    with pytest.raises(AttemptError, match="an exam is under way"):
        hall.begin()
    with pytest.raises(AttemptError, match="an exam is under way"):
        await start(level, cluster=hall.cluster, store=hall.store)
    assert exam.begun + timedelta(minutes=22) > hall.store.now()


async def test_a_flag_comes_and_goes(hall: Hall) -> None:
    exam = hall.begin()
    assert exams.flag(exam, 3, hall.store)
    assert [row.flagged for row in hall.sheet().rows] == [False, False, True]
    assert not exams.flag(exam, 3, hall.store)
    with pytest.raises(AttemptError, match="no task 4"):
        exams.flag(exam, 4, hall.store)


async def test_nobody_leads_a_task_that_waits(hall: Hall) -> None:
    """Also where another terminal shows it."""
    exam = hall.begin()
    first = await hall.take_up(exam, 1)
    second = await hall.take_up(exam, 2)
    await until(lambda: not first.leading)
    hall.answer(1, **SOLVED)
    await asyncio.sleep(0.2)
    assert not any(check.green for check in first.snapshot().checks)
    again = await hall.take_up(exam, 1)
    await until(lambda: again.snapshot().outcome == "solved")
    for session in (first, second, again):
        await session.close()


async def test_a_task_goes_on_after_the_set_up_of_another_was_killed(hall: Hall) -> None:
    exam = hall.begin()
    first = await hall.take_up(exam, 1)
    await first.close()
    record = hall.store.attempt(first.attempt_id)
    assert record is not None
    for name in ("second", "third"):  # as kill -9 leaves them, in the middle of their set-up
        exams.put_aside(record, hall.store)
        hall.store.begin(replace(record, id=name, sandbox=f"attempt-{name}"))
        hall.store.begin_task(exam.id, 2, name)
        await hall.cluster.sandbox(f"attempt-{name}")
        if name == "second":
            again = await hall.take_up(exam, 1)
            await again.close()
            running = hall.store.running()
            assert running is not None
            assert running.id == first.attempt_id
    await exams.finish(exam, cluster=hall.cluster, store=hall.store)
    assert hall.store.running() is None
    assert "attempt-third" not in hall.cluster.sandboxes


async def test_what_is_over_is_no_task_that_waits(hall: Hall) -> None:
    """`level finish` a second time must not hand in another task."""
    exam = hall.begin()
    for number in (1, 2, 1):
        session = await hall.take_up(exam, number)
        if session.level.name != hall.sheet().rows[0].task.level:
            await session.close()
    await session.finish()
    await session.close()
    over = hall.store.latest_over()
    assert over is not None
    assert over.id == session.attempt_id
    assert hall.states() == ["handed in", "waiting", "new"]


async def test_the_wall_ends_a_task_whose_own_clock_stood_still(hall: Hall) -> None:
    """As after a night with the lid closed: what is done in the morning counts nothing."""
    exam = hall.begin()
    session = await hall.take_up(exam, 1)
    await until(lambda: "unknown" not in states(session).values())
    hall.now += 9 * 3600
    hall.answer(1, **SOLVED)
    await until(lambda: session.snapshot().outcome is not None)
    assert session.result().outcome == "time-up"
    await session.close()
    assert await exams.current(cluster=hall.cluster, store=hall.store) is None
    assert hall.sheet().reached == 0


async def test_an_exam_that_is_ended_while_a_task_is_set_up(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    exam = hall.begin()
    real = MiniCluster.sandbox

    async def ended_meanwhile(self: MiniCluster, sandbox_id: str, **more: Any) -> MiniSandbox:
        await exams.finish(exam, cluster=hall.cluster, store=hall.store)
        return await real(self, sandbox_id, **more)

    monkeypatch.setattr(MiniCluster, "sandbox", ended_meanwhile)
    with pytest.raises(AttemptError, match="the exam is over"):
        await hall.take_up(exam, 1)
    assert hall.store.running() is None
    assert hall.cluster.sandboxes == {}


async def test_a_task_whose_level_is_gone_ends_with_its_exam(hall: Hall) -> None:
    exam = hall.begin()
    session = await hall.take_up(exam, 1)
    await session.close()
    shutil.rmtree(session.level.folder)
    await exams.finish(exam, cluster=hall.cluster, store=hall.store)
    hall.catalog = Catalog([hall.path.parent / "pack" / "levels"])
    assert hall.store.running() is None
    assert (hall.states()[0], hall.sheet().rows[0].credit) == ("handed in", 0.0)


async def test_an_exam_is_under_way_though_the_wall_clock_was_set_back(hall: Hall) -> None:
    first = hall.begin()
    await exams.finish(first, cluster=hall.cluster, store=hall.store)
    hall.now -= 86400
    second = hall.begin()
    assert exams.under_way(hall.store).id == second.id
    assert hall.sheet().exam.id == second.id
    hall.now -= 86400
    assert hall.sheet().left == 22 * 60, "no exam is longer than it is"


async def test_exams_that_are_begun_at_once_are_one(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exams, "_only_one", lambda _: None)  # both have looked
    hall.begin()
    with pytest.raises(AttemptError, match="an exam is under way"):
        hall.begin()
    assert len(hall.store.exams()) == 1
