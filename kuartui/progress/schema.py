"""The tables of the progress file, and how an older file becomes a newer one."""

from __future__ import annotations

import sqlite3

MIGRATIONS = (
    """
    CREATE TABLE attempts (
        id TEXT PRIMARY KEY,
        level TEXT NOT NULL,
        seed INTEGER NOT NULL,
        mode TEXT NOT NULL,
        folder TEXT NOT NULL,          -- where the level's files are
        digest TEXT NOT NULL,          -- and what is in them
        cluster TEXT NOT NULL,
        sandbox TEXT NOT NULL,
        kubeconfig TEXT NOT NULL,
        begun TEXT NOT NULL,           -- ISO 8601, UTC
        outcome TEXT,                  -- NULL while it runs
        score INTEGER NOT NULL DEFAULT 0,
        elapsed REAL NOT NULL DEFAULT 0,
        medal TEXT NOT NULL DEFAULT '',
        solved INTEGER NOT NULL DEFAULT 0,
        ranked INTEGER NOT NULL DEFAULT 0,
        -- the attempt's clock: seconds at an anchor, and when that was
        anchor_elapsed REAL NOT NULL DEFAULT 0,
        anchor_monotonic REAL NOT NULL DEFAULT 0,
        anchor_wall REAL NOT NULL DEFAULT 0,
        boot TEXT NOT NULL DEFAULT '', -- monotonic times compare within one boot of the machine
        ticking INTEGER NOT NULL DEFAULT 0,
        baseline BLOB,                 -- JSON: the cluster at the start
        CHECK (outcome IS NULL OR outcome IN ('solved', 'finished', 'time-up', 'abandoned'))
    );
    CREATE INDEX attempts_by_level ON attempts (level, begun);
    CREATE TABLE events (
        attempt TEXT NOT NULL REFERENCES attempts (id),
        seq INTEGER NOT NULL,
        wall TEXT NOT NULL,
        data BLOB NOT NULL,            -- JSON, kuartui.game.events
        PRIMARY KEY (attempt, seq)
    ) WITHOUT ROWID;
    CREATE TABLE findings (            -- what the leader sees right now, for those who follow
        attempt TEXT NOT NULL REFERENCES attempts (id),
        name TEXT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (attempt, name)
    ) WITHOUT ROWID;
    CREATE TABLE leases (
        attempt TEXT PRIMARY KEY REFERENCES attempts (id),
        holder TEXT NOT NULL,
        until REAL NOT NULL            -- seconds since the epoch
    ) WITHOUT ROWID;
    CREATE TABLE made (                -- what an attempt puts into a cluster, noted before it is made
        attempt TEXT NOT NULL REFERENCES attempts (id),
        kind TEXT NOT NULL,
        api_version TEXT NOT NULL,
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (attempt, kind, api_version, namespace, name)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE changes (             -- what changed in the cluster meanwhile, in words
        attempt TEXT NOT NULL REFERENCES attempts (id),
        seq INTEGER NOT NULL,
        at REAL NOT NULL,              -- seconds on the attempt's clock
        kind TEXT NOT NULL,            -- write, reaction, warning
        text TEXT NOT NULL,
        PRIMARY KEY (attempt, seq)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE made ADD COLUMN uid TEXT NOT NULL DEFAULT ''; -- once it is made, of a namespace
    """,
    """
    CREATE TABLE exams (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,            -- CKA, CKAD
        minutes INTEGER NOT NULL,
        begun TEXT NOT NULL,           -- ISO 8601, UTC
        ended TEXT                     -- NULL while it runs
    );
    CREATE TABLE exam_tasks (
        exam TEXT NOT NULL REFERENCES exams (id),
        number INTEGER NOT NULL,
        level TEXT NOT NULL,
        seed INTEGER NOT NULL,
        domain TEXT NOT NULL,
        weight INTEGER NOT NULL,       -- percent
        flagged INTEGER NOT NULL DEFAULT 0,
        attempt TEXT REFERENCES attempts (id), -- the latest one, NULL before the first
        credit REAL,                   -- 0 to 1, once the exam is over
        PRIMARY KEY (exam, number)
    ) WITHOUT ROWID;
    CREATE INDEX exam_tasks_by_attempt ON exam_tasks (attempt);
    ALTER TABLE attempts ADD COLUMN aside INTEGER NOT NULL DEFAULT 0; -- a task of an exam while another one is in play
    """,
    """
    ALTER TABLE exams ADD COLUMN strict INTEGER NOT NULL DEFAULT 0; -- nothing tells what is right before its end
    """,
)
VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> int:
    """Bring the file to the present version; its version. Two processes may try at once."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version >= VERSION:
        return version
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for number in range(version, VERSION):
            for statement in MIGRATIONS[number].split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {max(version, VERSION)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ended it already
            connection.execute("ROLLBACK")
        raise
    return VERSION
