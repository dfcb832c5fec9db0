"""The store: revisions, history, watches, and what survives the process."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kuartui.embedded.store import AlreadyExists, Compacted, Conflict, Event, NotFound, Store, WatchOverflow
from kuartui.embedded.store.sqlite import SqliteJournal


def obj(name: str, **data: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **data}


def test_each_write_has_a_revision_of_its_own() -> None:
    store = Store()
    made = store.create("things", "ns", "a", obj("a"))
    changed = store.update("things", "ns", "a", obj("a", x=1), made.rv)
    gone = store.delete("things", "ns", "a")
    assert made.rv < changed.rv < gone.rv == store.revision
    assert gone.data["metadata"]["resourceVersion"] == str(gone.rv)


def test_writers_see_who_was_first() -> None:
    store = Store()
    made = store.create("things", "ns", "a", obj("a"))
    with pytest.raises(AlreadyExists):
        store.create("things", "ns", "a", obj("a"))
    store.update("things", "ns", "a", obj("a"), made.rv)
    with pytest.raises(Conflict):
        store.update("things", "ns", "a", obj("a"), made.rv)
    with pytest.raises(NotFound):
        store.delete("things", "ns", "b")


def test_the_past_can_be_listed_while_it_is_remembered() -> None:
    store = Store(history=4)
    store.create("things", "ns", "a", obj("a"))
    then = store.revision
    store.create("things", "ns", "b", obj("b"))
    store.update("things", "ns", "a", obj("a", x=1), None)
    store.delete("things", "ns", "a")
    assert next(stored.data for stored in store.list_at("things", None, then)).get("x") is None
    assert [stored.key.name for stored in store.list_at("things", "ns", then)] == ["a"]
    for index in range(4):
        store.create("things", "ns", f"c{index}", obj("c"))
    with pytest.raises(Compacted):
        store.list_at("things", None, then)


def test_an_index_follows_every_write() -> None:
    store = Store()
    store.create("pods", "ns", "a", obj("a", node="n1"))
    store.add_index("pods", "node", lambda pod: [pod["node"]])
    store.create("pods", "ns", "b", obj("b", node="n1"))
    store.update("pods", "ns", "a", obj("a", node="n2"), None)
    assert [pod.key.name for pod in store.by_index("pods", "node", "n1")] == ["b"]
    store.delete("pods", "ns", "b")
    assert store.by_index("pods", "node", "n1") == []


async def test_a_watch_sees_its_namespace_from_its_revision_on() -> None:
    store = Store()
    store.create("things", "ns", "a", obj("a"))
    watch = store.watch("things", "ns", store.revision - 1)
    store.create("things", "other", "b", obj("b"))
    store.delete("things", "ns", "a")
    watch.close()
    assert [(event.type, event.obj.key.name) async for event in watch] == [("ADDED", "a"), ("DELETED", "a")]


async def test_a_watch_that_lags_too_far_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuartui.embedded.store.mvcc.BACKLOG", 2)
    store = Store()
    watch = store.watch("things", None, None)
    for index in range(5):
        store.create("things", "ns", str(index), obj(str(index)))
    seen: list[Event] = []
    with pytest.raises(WatchOverflow):
        async for event in watch:
            seen.append(event)
    assert len(seen) == 2


def test_a_journal_brings_everything_back(tmp_path: Path) -> None:
    store = Store(SqliteJournal(tmp_path / "db"))
    store.create("things", "ns", "a", obj("a", x=1))
    store.create("things", "ns", "b", obj("b"))
    store.delete("things", "ns", "b")
    store.create("things", "ns", "d", obj("d"))
    store.delete("things", "ns", "d")
    last = store.revision
    store.close()
    again = Store(SqliteJournal(tmp_path / "db"))
    assert [(stored.key.name, stored.data["x"]) for stored in again.list("things")] == [("a", 1)]
    assert again.create("things", "ns", "c", obj("c")).rv == last + 1
    with pytest.raises(Compacted):
        again.watch("things", None, last - 1)
    again.close()


def test_a_batch_is_all_or_nothing(tmp_path: Path) -> None:
    store = Store(SqliteJournal(tmp_path / "db"))
    store.create("things", "ns", "before", obj("before"))
    with store.batch():
        store.create("things", "ns", "a", obj("a"))
        store.delete("things", "ns", "before")
        assert _names(tmp_path / "db") == ["before"]  # nobody else sees it yet
    assert _names(tmp_path / "db") == ["a"]
    with pytest.raises(RuntimeError), store.batch():
        store.create("things", "ns", "b", obj("b"))
        raise RuntimeError
    assert _names(tmp_path / "db") == ["a"]
    store.create("things", "ns", "c", obj("c"))
    assert _names(tmp_path / "db") == ["a", "c"]
    store.close()
    with Store().batch():  # one that keeps nothing has nothing to do
        pass


def _names(path: Path) -> list[str]:
    """What another process would find in the file."""
    with closing(sqlite3.connect(path)) as database:
        return [name for (name,) in database.execute("SELECT name FROM objects ORDER BY name")]


WRITER = """
import sys
from pathlib import Path
from kuartui.embedded.store import Store
from kuartui.embedded.store.sqlite import SqliteJournal

store = Store(SqliteJournal(Path(sys.argv[1])))
for index in range(100_000):
    stored = store.create("things", "ns", str(index), {"metadata": {"name": str(index)}})
    sys.stdout.write(f"{index} {stored.rv}\\n")
    sys.stdout.flush()
"""


def test_no_acknowledged_write_is_lost_to_a_kill(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "db")], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().split() for _ in range(200)]
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().splitlines()
    writer.wait()
    acknowledged += [line.split() for line in rest if len(line.split()) == 2]
    store = Store(SqliteJournal(tmp_path / "db"))
    for name, revision in acknowledged[:-1]:  # the last line may be cut
        found = store.get("things", "ns", name)
        assert found is not None
        assert found.rv == int(revision)
    assert store.revision >= int(acknowledged[-2][1])
    store.close()
