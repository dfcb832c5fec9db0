"""What the store acknowledged survives; several processes share it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings

from kuartui.errors import StorageError
from kuartui.game.attempt import AttemptState, replay
from kuartui.game.events import CheckPassed, Finished, HintTaken, Started, encode
from kuartui.game.score import score
from kuartui.progress import schema
from kuartui.progress.store import Anchor, AttemptRecord, ExamRecord, Made, Store
from tests.game.levels import LEVEL
from tests.game.test_score import stories

BEGUN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RECORD = AttemptRecord("a1", "sample", 3, "ranked", "embedded", "attempt-a1", "/k", BEGUN, "/levels/sample", "d1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "progress.sqlite3")


def finish(
    store: Store, attempt_id: str, points: int, at: float, level: str = "sample", *, ranked: bool = True
) -> None:
    record = replace(RECORD, id=attempt_id, level=level)
    store.begin(record)
    result = score(LEVEL, AttemptState(passed=frozenset(check.name for check in LEVEL.checks)), at)
    medal = result.medal if ranked else None
    store.set_outcome(attempt_id, "solved", replace(result, total=points, ranked=ranked, medal=medal))


def test_an_attempt_is_found_again(store: Store) -> None:
    store.begin(RECORD)
    assert store.running() == store.attempt("a1") == RECORD
    assert store.attempts("sample") == [RECORD]
    assert store.attempts("another") == []


@given(stories)
@settings(max_examples=30)
def test_replaying_the_store_is_replaying_the_events(tmp_path_factory: pytest.TempPathFactory, events: list) -> None:  # type: ignore[type-arg]
    store = Store(tmp_path_factory.mktemp("store") / "p.sqlite3")
    store.begin(RECORD)
    for event in events:
        store.append("a1", event)
    stored = store.events("a1")
    assert [sequence for sequence, _ in stored] == list(range(1, len(events) + 1))
    assert replay(LEVEL, (event for _, event in stored)) == replay(LEVEL, events)
    store.close()


def test_events_after_a_number(store: Store) -> None:
    store.begin(RECORD)
    assert store.append("a1", HintTaken(at=1, index=0), HintTaken(at=2, index=1)) == 2
    assert [event.at for _, event in store.events("a1", after=1)] == [2]


def test_two_connections_see_each_other(store: Store) -> None:
    other = Store(store.path)
    version = store.data_version()
    other.begin(RECORD)
    other.append("a1", CheckPassed(at=1, check="one"))
    assert store.data_version() != version
    assert store.append("a1", CheckPassed(at=2, check="two")) == 2
    assert len(other.events("a1")) == 2


def test_what_was_acknowledged_survives_kill_minus_9(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from kuartui.game.events import HintTaken
        from kuartui.progress.store import Store
        from tests.progress.test_store import RECORD
        from pathlib import Path
        store = Store(Path(sys.argv[1]))
        store.begin(RECORD)
        for number in range(100000):
            store.append("a1", HintTaken(at=float(number), index=number))
            print(number, flush=True)
    """)
    path = tmp_path / "p.sqlite3"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    acknowledged = -1
    while acknowledged < 20:
        acknowledged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = Store(path)
    assert len(store.events("a1")) > acknowledged
    assert store.running() is not None


def test_one_leader_at_a_time(tmp_path: Path) -> None:
    now = [1000.0]
    store = Store(tmp_path / "p.sqlite3", wall=lambda: now[0])
    store.begin(RECORD)
    assert store.lease("a1", "me")
    assert not store.lease("a1", "you")
    assert store.lease("a1", "me"), "a leader may go on"
    now[0] += 5
    assert store.lease("a1", "you"), "the leader has died"
    store.release("a1", "me")
    assert not store.lease("a1", "me"), "only the holder gives it back"
    store.release("a1", "you")
    assert store.lease("a1", "me")
    now[0] -= 100_000
    assert store.lease("a1", "you"), "a clock that was set back locks nobody out"
    store.seize("a1", "me")
    assert not store.lease("a1", "you")


def test_the_best_clean_attempt_counts(store: Store) -> None:
    finish(store, "a", 70, 50)
    finish(store, "b", 90, 200)
    finish(store, "c", 90, 120)
    finish(store, "d", 10, 1, level="other")
    best = store.best()
    assert (best["sample"].score, best["sample"].elapsed, best["sample"].attempts) == (90, 120, 3)
    assert best["other"].score == 10
    assert store.best_score("sample", without="b") == 90
    assert store.best_score("nothing", without="") is None


def test_practice_has_no_best_time(store: Store) -> None:
    finish(store, "a", 0, 50, ranked=False)
    found = store.best()["sample"]
    assert (found.score, found.elapsed, found.medal, found.attempts) == (0, None, "", 1)


def test_books_are_closed_once(store: Store) -> None:
    finish(store, "a", 70, 50)
    result = score(LEVEL, AttemptState(), 0)
    store.set_outcome("a", "abandoned", result)
    record = store.attempt("a")
    assert record is not None
    assert (record.outcome, record.score) == ("solved", 70)


def test_baseline_anchor_findings_and_made(store: Store) -> None:
    store.begin(RECORD)
    assert store.baseline("a1") == {}
    store.set_baseline("a1", {"same": {"start": [1]}})
    assert store.baseline("a1") == {"same": {"start": [1]}}
    anchor = Anchor(12.5, 100.0, 200.0, "boot", True)
    store.set_anchor("a1", anchor)
    assert store.anchor("a1") == anchor
    store.set_finding("a1", "up", {"state": "failing"})
    store.set_finding("a1", "up", {"state": "passing"})
    assert store.findings("a1") == {"up": {"state": "passing"}}
    thing = Made("Namespace", "v1", "", "market")
    store.note_made("a1", [thing])
    store.note_made("a1", [thing])
    assert store.made("a1") == [thing]


def test_files_are_private(store: Store) -> None:
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(StorageError, match="cannot write"):
        Store(closed / "below" / "p.sqlite3")


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot write"):
        Store(tmp_path / "file" / "p.sqlite3")


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "p.sqlite3"
    path.write_bytes(b"this is no database, whatever it may be" * 100)
    with pytest.raises(StorageError, match="is damaged"):
        Store(path)


@pytest.mark.parametrize("stamp", ["yesterday", "", 1.5])
def test_a_date_that_is_none_is_said_to_be_damage(store: Store, stamp: object) -> None:
    finish(store, "a1", 70, 60)
    store.begin_exam(ExamRecord("e1", "CKA", 60, BEGUN), [])
    for table in ("attempts", "exams"):
        store._execute(f"UPDATE {table} SET begun = ?", (stamp,))
    for read in (store.attempts, store.latest_over, store.tries, store.last_played, store.exam):
        with pytest.raises(StorageError, match=r"p.*sqlite3 is damaged: .* is no date"):
            read()


def test_a_date_without_a_zone_is_in_utc(store: Store) -> None:
    store.begin(RECORD)
    store._execute("UPDATE attempts SET begun = ?", ("2026-11-23T12:00:00",))
    assert store.attempts() == [RECORD]


def test_a_file_of_the_future_is_refused(store: Store) -> None:
    store.close()
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 999")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="newer kuartui"):
        Store(store.path)


@pytest.mark.parametrize("version", range(schema.VERSION))
def test_a_file_of_any_earlier_version_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = tmp_path / "old.sqlite3"
    old = sqlite3.connect(path)
    for statements in schema.MIGRATIONS[:version]:
        old.executescript(statements)
    old.execute(f"PRAGMA user_version = {version}")
    if version:
        old.execute(
            "INSERT INTO attempts (id, level, seed, mode, folder, digest, cluster, sandbox, kubeconfig, begun)"
            " VALUES ('a1', 'broken-selector', 7, 'ranked', '', '', 'embedded', '', '', '2025-01-01T00:00:00+00:00')"
        )
        old.execute("INSERT INTO events VALUES ('a1', 1, '', ?)", (encode(CheckPassed(at=2.0, check="answers")),))
    old.commit()
    old.close()
    store = Store(path)
    assert [record.id for record in store.attempts()] == (["a1"] if version else [])
    assert len(store.events("a1")) == bool(version)
    assert store.exams() == store.leftovers() == []
    store.close()


def test_an_attempt_without_a_place_is_no_leftover(store: Store) -> None:
    store.begin(RECORD)
    store.append("a1", Started(at=0, level="sample", seed=3), Finished(at=9, outcome="finished"))
    store.set_outcome("a1", "finished", score(LEVEL, AttemptState(), 9))
    assert [record.id for record in store.leftovers()] == ["a1"]
    store.set_place("a1", "", "/k")
    assert store.leftovers() == []


def test_an_event_of_a_later_version_is_told(store: Store) -> None:
    store.begin(RECORD)
    store._execute("INSERT INTO events VALUES ('a1', 1, '', ?)", (b'{"type":"teleported","at":1}',))
    with pytest.raises(StorageError, match="what this kuartui does not know"):
        store.events("a1")


def test_a_file_that_another_program_holds(store: Store) -> None:
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._db.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(StorageError, match="database is locked") as told:
        store.begin(RECORD)
    assert told.value.hint == "another program holds it; try again when that has ended"
    other.close()


def test_a_migration_whose_transaction_the_machine_ended_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full disk does."""
    Store(tmp_path / "p.sqlite3").close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "INSERT OR ROLLBACK INTO exams (id) VALUES ('x')"))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(StorageError, match="NOT NULL constraint failed: exams.name"):
        Store(tmp_path / "p.sqlite3")
