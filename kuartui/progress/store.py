"""Attempts and their events, in one SQLite file that several processes share.

Write-ahead log, so that the screen and the command line may read and write at once and a kill -9 loses nothing that
was acknowledged. Events are append-only; everything else can be computed from them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson

from kuartui import paths
from kuartui.errors import StorageError
from kuartui.game.events import AttemptEvent, Mode, Outcome, decode, encode
from kuartui.game.exam import Task
from kuartui.game.review import Try
from kuartui.game.score import Score
from kuartui.message import later
from kuartui.progress.schema import VERSION, migrate

FILE = "progress.sqlite3"
BUSY_SECONDS = 5.0
LEASE_SECONDS = 4.0
MOST_CHANGES = 2000  # kept per attempt


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt. `sandbox` finds its place on the cluster again; `outcome` is None while it runs."""

    id: str
    level: str
    seed: int
    mode: Mode
    cluster: str  # name of the cluster, e.g. embedded
    sandbox: str
    kubeconfig: str  # path of the player's kubeconfig
    begun: datetime
    folder: str = ""  # where the level's files are
    digest: str = ""
    outcome: Outcome | None = None
    score: int = 0
    elapsed: float = 0.0
    medal: str = ""
    solved: bool = False
    exam: str = ""  # the exam that it is a task of
    aside: bool = False  # it waits, while another task of the exam is in play


@dataclass(frozen=True, slots=True)
class ExamRecord:
    """One mock exam; `ended` is None while it runs. In a `strict` one nothing tells what is right before its end."""

    id: str
    name: str
    minutes: int
    begun: datetime
    ended: datetime | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task of an exam, and what became of it: `attempt` is the latest, "" before the first; `credit` (0 to 1) is
    there once the exam is over."""

    task: Task
    flagged: bool = False
    attempt: str = ""
    credit: float | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """A moment at which the attempt's clock showed `elapsed`; while it ticks, time counts on from there."""

    elapsed: float
    monotonic: float
    wall: float
    boot: str
    ticking: bool


@dataclass(frozen=True, slots=True)
class Best:
    """The best ranked attempt at a level so far; `elapsed` is None where there was practice only."""

    level: str
    score: int
    elapsed: float | None
    medal: str
    attempts: int
    solved: bool


@dataclass(frozen=True, slots=True)
class Made:
    """An object that an attempt puts into a cluster; the uid once it is there, of what is known by that afterwards."""

    kind: str
    api_version: str
    namespace: str
    name: str
    uid: str = ""


class Store:
    """`Store()` opens the player's own; `Store(path)` another one. StorageError when it cannot."""

    def __init__(self, path: Path | None = None, *, wall: Callable[[], float] = time.time) -> None:
        self.path = path or paths.data_dir() / FILE
        self._wall = wall
        paths.private_dir(self.path.parent)
        with self._guard():
            self._db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            if migrate(self._db) > VERSION:
                self._db.close()
                raise StorageError(
                    later("{path} was written by a newer kuartui", path=self.path), hint=later("upgrade kuartui")
                )
        with self._guard():
            self.path.chmod(0o600)

    def close(self) -> None:
        with self._guard():
            self._db.close()

    def now(self) -> datetime:
        """By the clock on the wall, as records are stamped."""
        return datetime.fromtimestamp(self._wall(), UTC)

    # --- reading ------------------------------------------------------------------------------------------------

    def running(self) -> AttemptRecord | None:
        """The attempt that is not over, if there is one; not a task of an exam that waits."""
        rows = self._records("WHERE outcome IS NULL AND NOT aside ORDER BY rowid DESC LIMIT 1", ())
        return rows[0] if rows else None

    def latest_over(self) -> AttemptRecord | None:
        """Of the attempts that are over, the one that was begun last."""
        rows = self._records("WHERE outcome IS NOT NULL ORDER BY rowid DESC LIMIT 1", ())
        return rows[0] if rows else None

    def not_over(self) -> list[AttemptRecord]:
        """The attempt in play, and the tasks of an exam that wait."""
        return self._records("WHERE outcome IS NULL", ())

    def count(self) -> int:
        """How many attempts are over."""
        return int(self._all("SELECT count(*) FROM attempts WHERE outcome IS NOT NULL", ())[0][0])

    def attempt(self, attempt_id: str) -> AttemptRecord | None:
        rows = self._records("WHERE id = ?", (attempt_id,))
        return rows[0] if rows else None

    def attempts(self, level: str | None = None, limit: int = 100) -> list[AttemptRecord]:
        """Newest first, whatever the clock on the wall said."""
        if level is None:
            return self._records("ORDER BY rowid DESC LIMIT ?", (limit,))
        return self._records("WHERE level = ? ORDER BY rowid DESC LIMIT ?", (level, limit))

    def events(self, attempt_id: str, after: int = 0) -> list[tuple[int, AttemptEvent]]:
        """(sequence number, event) in order, those after number `after`."""
        query = "SELECT seq, data FROM events WHERE attempt = ? AND seq > ? ORDER BY seq"
        try:
            return [(seq, decode(data)) for seq, data in self._all(query, (attempt_id, after))]
        except msgspec.MsgspecError as error:
            raise StorageError(
                later("{path} tells of what this kuartui does not know: {error}", path=self.path, error=error),
                hint=later("was it written by a newer one? upgrade kuartui"),
            ) from error

    def best(self) -> dict[str, Best]:
        """By level name; levels never tried are not in it."""
        query = """
            SELECT level, max(CASE WHEN ranked THEN score ELSE 0 END), count(*), max(solved)
            FROM attempts WHERE outcome IS NOT NULL AND outcome != 'abandoned' GROUP BY level"""
        found = {}
        for level, score, count, solved in self._all(query, ()):
            top = self._all(
                "SELECT elapsed, medal FROM attempts WHERE level = ? AND ranked AND score = ? ORDER BY elapsed LIMIT 1",
                (level, score),
            )
            elapsed, medal = top[0] if top else (None, "")
            found[level] = Best(level, score, elapsed, medal, count, bool(solved))
        return found

    def best_score(self, level: str, without: str) -> int | None:
        """The best ranked score at a level in all attempts but one; None when there were none."""
        query = """
            SELECT max(CASE WHEN ranked THEN score ELSE 0 END) FROM attempts
            WHERE level = ? AND id != ? AND outcome IS NOT NULL AND outcome != 'abandoned'"""
        found = self._all(query, (level, without))[0][0]
        return None if found is None else int(found)

    def best_attempt(self, level: str, without: str = "") -> AttemptRecord | None:
        """The best ranked attempt at a level that is over, the faster one of equals, all but one considered."""
        where = "WHERE level = ? AND id != ? AND ranked AND outcome IS NOT NULL AND outcome != 'abandoned'"
        rows = self._records(f"{where} ORDER BY score DESC, elapsed LIMIT 1", (level, without))
        return rows[0] if rows else None

    def leftovers(self) -> list[AttemptRecord]:
        """Attempts that are over, but whose place was not taken down."""
        return self._records("WHERE outcome IS NOT NULL AND sandbox != '' ORDER BY begun", ())

    def exam(self) -> ExamRecord | None:
        """The latest exam, over or not."""
        found = self.exams(1)
        return found[0] if found else None

    def exam_under_way(self) -> ExamRecord | None:
        """The one that is not over, if there is one."""
        return next((exam for exam in self.exams() if exam.ended is None), None)

    def exams(self, limit: int = 100) -> list[ExamRecord]:
        """Newest first."""
        query = "SELECT id, name, minutes, begun, ended, strict FROM exams ORDER BY rowid DESC LIMIT ?"
        return [
            ExamRecord(id_, name, minutes, self._moment(begun), self._moment(ended) if ended else None, bool(strict))
            for id_, name, minutes, begun, ended, strict in self._all(query, (limit,))
        ]

    def tasks(self, exam_id: str) -> list[TaskRecord]:
        """Of an exam, in their order."""
        query = """
            SELECT number, level, seed, domain, weight, flagged, coalesce(attempt, ''), credit
            FROM exam_tasks WHERE exam = ? ORDER BY number"""
        return [
            TaskRecord(Task(number, level, seed, domain, weight), bool(flagged), attempt, credit)
            for number, level, seed, domain, weight, flagged, attempt, credit in self._all(query, (exam_id,))
        ]

    def tries(self) -> list[Try]:
        """Every attempt that is over, as reviews count them."""
        query = """
            SELECT level, begun, solved, medal FROM attempts
            WHERE outcome IS NOT NULL AND outcome != 'abandoned' ORDER BY begun"""
        return [
            Try(level, self._moment(begun), bool(solved), late=medal == "bronze")
            for level, begun, solved, medal in self._all(query, ())
        ]

    def last_played(self) -> dict[str, datetime]:
        """When each level was begun last."""
        query = "SELECT level, max(begun) FROM attempts GROUP BY level"
        return {level: self._moment(begun) for level, begun in self._all(query, ())}

    def baseline(self, attempt_id: str) -> dict[str, Any]:
        """What the cluster was like at the start, as `set_baseline` stored it."""
        rows = self._all("SELECT baseline FROM attempts WHERE id = ?", (attempt_id,))
        return dict(orjson.loads(rows[0][0])) if rows and rows[0][0] else {}

    def anchor(self, attempt_id: str) -> Anchor:
        rows = self._all(
            "SELECT anchor_elapsed, anchor_monotonic, anchor_wall, boot, ticking FROM attempts WHERE id = ?",
            (attempt_id,),
        )
        elapsed, monotonic, wall, boot, ticking = rows[0]
        return Anchor(elapsed, monotonic, wall, boot, bool(ticking))

    def findings(self, attempt_id: str) -> dict[str, dict[str, Any]]:
        """What the leader saw last, by the name of the check or guard."""
        rows = self._all("SELECT name, data FROM findings WHERE attempt = ?", (attempt_id,))
        return {name: orjson.loads(data) for name, data in rows}

    def changes(self, attempt_id: str, after: int = 0) -> list[tuple[int, float, str, str]]:
        """(number, seconds, kind, text) of what changed in the cluster, those after number `after`."""
        query = "SELECT seq, at, kind, text FROM changes WHERE attempt = ? AND seq > ? ORDER BY seq"
        return [(seq, at, kind, text) for seq, at, kind, text in self._all(query, (attempt_id, after))]

    def made(self, attempt_id: str) -> list[Made]:
        query = "SELECT kind, api_version, namespace, name, uid FROM made WHERE attempt = ?"
        return [Made(*row) for row in self._all(query, (attempt_id,))]

    def data_version(self) -> int:
        """Changes when another process wrote; cheap to ask often."""
        return int(self._all("PRAGMA data_version", ())[0][0])

    # --- writing ------------------------------------------------------------------------------------------------

    def begin(self, record: AttemptRecord) -> None:
        """Note a new attempt, before anything is set up for it."""
        with self._write() as db:
            db.execute(
                "INSERT INTO attempts (id, level, seed, mode, folder, digest, cluster, sandbox, kubeconfig, begun)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.id,
                    record.level,
                    record.seed,
                    record.mode,
                    record.folder,
                    record.digest,
                    record.cluster,
                    record.sandbox,
                    record.kubeconfig,
                    record.begun.astimezone(UTC).isoformat(),
                ),
            )

    def begin_exam(self, exam: ExamRecord, tasks: Iterable[Task]) -> bool:
        """Note a new exam with its tasks; False, and nothing is noted, while another one is under way."""
        with self._write() as db:
            begun = db.execute(
                "INSERT INTO exams (id, name, minutes, begun, strict) SELECT ?, ?, ?, ?, ?"
                " WHERE NOT EXISTS (SELECT 1 FROM exams WHERE ended IS NULL)",
                (exam.id, exam.name, exam.minutes, exam.begun.astimezone(UTC).isoformat(), exam.strict),
            )
            if not begun.rowcount:
                return False
            db.executemany(
                "INSERT INTO exam_tasks (exam, number, level, seed, domain, weight) VALUES (?, ?, ?, ?, ?, ?)",
                [(exam.id, task.number, task.level, task.seed, task.domain, task.weight) for task in tasks],
            )
        return True

    def begin_task(self, exam_id: str, number: int, attempt_id: str) -> None:
        """Say which attempt a task is worked at in."""
        self._execute("UPDATE exam_tasks SET attempt = ? WHERE exam = ? AND number = ?", (attempt_id, exam_id, number))

    def flag(self, exam_id: str, number: int, flagged: bool) -> None:
        """Mark a task to come back to, or take the mark away."""
        self._execute("UPDATE exam_tasks SET flagged = ? WHERE exam = ? AND number = ?", (flagged, exam_id, number))

    def set_aside(self, attempt_id: str, aside: bool) -> None:
        """Let a task of an exam wait, or take it up again."""
        self._execute("UPDATE attempts SET aside = ? WHERE id = ?", (aside, attempt_id))

    def end_exam(self, exam_id: str, ended: datetime, brought: Mapping[int, float]) -> None:
        """Close an exam with what each task brought, by number; what is closed stays so."""
        with self._write() as db:
            stamp = ended.astimezone(UTC).isoformat()
            done = db.execute("UPDATE exams SET ended = ? WHERE id = ? AND ended IS NULL", (stamp, exam_id))
            if done.rowcount:
                rows = [(credit, exam_id, number) for number, credit in brought.items()]
                db.executemany("UPDATE exam_tasks SET credit = ? WHERE exam = ? AND number = ?", rows)

    def append(self, attempt_id: str, *events: AttemptEvent, anchor: Anchor | None = None) -> int:
        """Add events, and set the clock if need be, all or nothing; the last sequence number."""
        stamp = datetime.fromtimestamp(self._wall(), UTC).isoformat()
        with self._write() as db:
            last = int(
                db.execute("SELECT coalesce(max(seq), 0) FROM events WHERE attempt = ?", (attempt_id,)).fetchone()[0]
            )
            rows = [(attempt_id, last + index, stamp, encode(event)) for index, event in enumerate(events, 1)]
            db.executemany("INSERT INTO events (attempt, seq, wall, data) VALUES (?, ?, ?, ?)", rows)
            if anchor is not None:
                self.set_anchor(attempt_id, anchor)
        return last + len(events)

    def note_changes(self, attempt_id: str, entries: Sequence[tuple[float, str, str]]) -> None:
        """Add to what changed in the cluster, as long as there is room: the first ones tell most."""
        with self._write() as db:
            count = int(db.execute("SELECT count(*) FROM changes WHERE attempt = ?", (attempt_id,)).fetchone()[0])
            kept = entries[: max(0, MOST_CHANGES - count)]
            rows = [(attempt_id, count + index, *entry) for index, entry in enumerate(kept, 1)]
            db.executemany("INSERT INTO changes (attempt, seq, at, kind, text) VALUES (?, ?, ?, ?, ?)", rows)

    def set_place(self, attempt_id: str, sandbox: str, kubeconfig: str) -> None:
        self._execute("UPDATE attempts SET sandbox = ?, kubeconfig = ? WHERE id = ?", (sandbox, kubeconfig, attempt_id))

    def set_baseline(self, attempt_id: str, baseline: dict[str, Any]) -> None:
        self._execute("UPDATE attempts SET baseline = ? WHERE id = ?", (orjson.dumps(baseline), attempt_id))

    def set_anchor(self, attempt_id: str, anchor: Anchor) -> None:
        self._execute(
            "UPDATE attempts SET anchor_elapsed = ?, anchor_monotonic = ?, anchor_wall = ?, boot = ?, ticking = ?"
            " WHERE id = ?",
            (anchor.elapsed, anchor.monotonic, anchor.wall, anchor.boot, anchor.ticking, attempt_id),
        )

    def set_finding(self, attempt_id: str, name: str, finding: dict[str, Any]) -> None:
        self._execute("INSERT OR REPLACE INTO findings VALUES (?, ?, ?)", (attempt_id, name, orjson.dumps(finding)))

    def clear_findings(self, attempt_id: str) -> None:
        """Before a level is set up anew."""
        self._execute("DELETE FROM findings WHERE attempt = ?", (attempt_id,))

    def set_outcome(self, attempt_id: str, outcome: Outcome, score: Score) -> None:
        """Close the books; what is over stays as it was closed first."""
        self._execute(
            "UPDATE attempts SET outcome = ?, score = ?, elapsed = ?, medal = ?, solved = ?, ranked = ?, ticking = 0"
            " WHERE id = ? AND outcome IS NULL",
            (outcome, score.total, score.elapsed, score.medal or "", score.solved, score.ranked, attempt_id),
        )

    def set_score(self, attempt_id: str, score: Score) -> None:
        """Say what an attempt brought that was closed without it."""
        self._execute(
            "UPDATE attempts SET score = ?, elapsed = ?, medal = ?, solved = ?, ranked = ?"
            " WHERE id = ? AND outcome != 'abandoned'",
            (score.total, score.elapsed, score.medal or "", score.solved, score.ranked, attempt_id),
        )

    def close_unscored(self, attempt_id: str, outcome: Outcome, elapsed: float) -> None:
        """Close the books of an attempt that brings nothing; what is over stays as it was closed first."""
        query = "UPDATE attempts SET outcome = ?, elapsed = ?, ticking = 0 WHERE id = ? AND outcome IS NULL"
        self._execute(query, (outcome, elapsed, attempt_id))

    def forget_made(self, attempt_id: str) -> None:
        """After everything was undone."""
        self._execute("DELETE FROM made WHERE attempt = ?", (attempt_id,))

    def note_made(self, attempt_id: str, objects: Iterable[Made]) -> None:
        """Before they are made, so that a crash in between leaves nothing that we do not know of; then with uids."""
        rows = [(attempt_id, item.kind, item.api_version, item.namespace, item.name, item.uid) for item in objects]
        with self._write() as db:
            db.executemany(
                "INSERT INTO made (attempt, kind, api_version, namespace, name, uid) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET uid = excluded.uid WHERE excluded.uid != ''",
                rows,
            )

    def lease(self, attempt_id: str, holder: str, seconds: float = LEASE_SECONDS) -> bool:
        """Take or keep the lead of an attempt. False while somebody else holds it."""
        now = self._wall()
        with self._write() as db:
            row = db.execute("SELECT holder, until FROM leases WHERE attempt = ?", (attempt_id,)).fetchone()
            if row is not None and row[0] != holder and now < row[1] <= now + 2 * LEASE_SECONDS:
                return False
            db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (attempt_id, holder, now + seconds))
        return True

    def seize(self, attempt_id: str, holder: str) -> None:
        """Take the lead whoever has it: a reset cannot wait."""
        until = self._wall() + LEASE_SECONDS
        self._execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (attempt_id, holder, until))

    def release(self, attempt_id: str, holder: str) -> None:
        self._execute("DELETE FROM leases WHERE attempt = ? AND holder = ?", (attempt_id, holder))

    # --- SQLite ---------------------------------------------------------------------------------------------------

    def _records(self, where: str, values: tuple[Any, ...]) -> list[AttemptRecord]:
        columns = (
            "id, level, seed, mode, cluster, sandbox, kubeconfig, begun,"
            " folder, digest, outcome, score, elapsed, medal, solved,"
            " coalesce((SELECT exam FROM exam_tasks WHERE attempt = attempts.id), ''), aside"
        )
        rows = self._all(f"SELECT {columns} FROM attempts {where}", values)  # noqa: S608  no outside text in it
        return [self._record(row) for row in rows]

    def _record(self, row: Sequence[Any]) -> AttemptRecord:
        id_, level, seed, mode, cluster, sandbox, kubeconfig, begun, *row = row
        folder, digest, outcome, score, elapsed, medal, solved, exam, aside = row
        return AttemptRecord(
            id=id_,
            level=level,
            seed=seed,
            mode=mode,
            cluster=cluster,
            sandbox=sandbox,
            kubeconfig=kubeconfig,
            begun=self._moment(begun),
            folder=folder,
            digest=digest,
            outcome=outcome,
            score=score,
            elapsed=elapsed,
            medal=medal,
            solved=bool(solved),
            exam=exam,
            aside=bool(aside),
        )

    def _moment(self, stamp: object) -> datetime:
        """What was written down as a moment, in UTC. StorageError when it is none."""
        try:
            found = datetime.fromisoformat(str(stamp))
        except ValueError as error:
            raise self._damaged(later("{stamp!r} is no date", stamp=stamp)) from error
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def _damaged(self, why: object) -> StorageError:
        return StorageError(
            later("{path} is damaged: {error}", path=self.path, error=why),
            hint=later("move the file away to start afresh"),
        )

    def _all(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._guard():
            return self._db.execute(query, values).fetchall()

    def _execute(self, query: str, values: tuple[Any, ...]) -> None:
        with self._guard():
            self._db.execute(query, values)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk ended it already
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                hint = later("make room, or set {variable} to a directory that has some", variable=paths.HOME_VARIABLE)
                raise StorageError(later("the disk is full: {path}", path=self.path), hint=hint) from error
            hint = later(
                "is it writable, and is there space? {variable} names another place", variable=paths.HOME_VARIABLE
            )
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:  # an extended code has that in its low byte
                hint = later("another program holds it; try again when that has ended")
            raise StorageError(later("cannot use {path}: {error}", path=self.path, error=error), hint=hint) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error
        except OSError as error:
            raise paths.unwritable(self.path, error) from error
