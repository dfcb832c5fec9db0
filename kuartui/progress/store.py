"""Attempts and their events, in one SQLite file that several processes share.

Write-ahead log, so that the screen and the command line may read and write at once and a kill -9 loses nothing that
was acknowledged. Events are append-only; everything else can be computed from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kuartui.game.events import AttemptEvent, Mode, Outcome


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
    outcome: Outcome | None = None
    score: int = 0
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class Best:
    """The best ranked attempt at a level so far."""

    level: str
    score: int
    elapsed: float
    medal: str
    attempts: int
    solved: bool


class Store:
    """`Store()` opens the player's own; `Store(path)` another one. StorageError when it cannot."""

    def __init__(self, path: Path | None = None) -> None:
        raise NotImplementedError

    def running(self) -> AttemptRecord | None:
        """The attempt that is not over, if there is one."""
        raise NotImplementedError

    def attempt(self, attempt_id: str) -> AttemptRecord | None:
        raise NotImplementedError

    def attempts(self, level: str | None = None, limit: int = 100) -> list[AttemptRecord]:
        """Newest first."""
        raise NotImplementedError

    def events(self, attempt_id: str, after: int = 0) -> list[tuple[int, AttemptEvent]]:
        """(sequence number, event) in order, those after number `after`."""
        raise NotImplementedError

    def best(self) -> dict[str, Best]:
        """By level name; levels never tried are not in it."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
