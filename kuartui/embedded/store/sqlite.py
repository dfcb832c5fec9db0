"""The durable side of the store: one SQLite file in WAL mode.

`synchronous=NORMAL` survives kill -9 of this process (the write is in the kernel), not a power cut in the last
moment; a practice cluster needs no more, and FULL costs ten times as much per write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kuartui.embedded.store.mvcc import Key

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, rv INTEGER NOT NULL, raw BLOB NOT NULL,
  PRIMARY KEY (resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revision (id INTEGER PRIMARY KEY CHECK (id = 1), rv INTEGER NOT NULL);
INSERT OR IGNORE INTO revision VALUES (1, 1);
"""


class SqliteJournal:
    """A journal in the file `path`. The revision is that of the last object put, or of the last deletion if it is later;
    so none is ever given out twice."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def load(self) -> tuple[int, Iterable[tuple[Key, int, bytes]]]:
        (revision,) = self._db.execute("SELECT rv FROM revision").fetchone()
        rows = self._db.execute("SELECT resource, namespace, name, rv, raw FROM objects").fetchall()
        found = [(Key(resource, namespace, name), rv, raw) for resource, namespace, name, rv, raw in rows]
        return max([revision, *(rv for _, rv, _ in found)]), found

    def put(self, key: Key, rv: int, raw: bytes) -> None:
        # one statement is a transaction by itself, and a fraction of the price of one with several
        self._db.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", (*key, rv, raw))

    def remove(self, key: Key, rv: int) -> None:
        with self.batch():
            self._db.execute("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?", key)
            self._db.execute("UPDATE revision SET rv = ?", (rv,))

    @contextmanager
    def batch(self) -> Iterator[None]:
        """All changes within are one transaction: all are there after a crash, or none. One inside of another is part of
        that."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        with self._db:  # commits, or rolls back on an error
            yield

    def close(self) -> None:
        self._db.close()
