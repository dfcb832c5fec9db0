"""Locks between processes: files that one of them at a time holds. Whatever ends a process lets go of what it held."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from kuartui import paths

POLL = 0.05  # seconds; a thread that waits in flock(2) itself could not be cancelled, and would hold up the end


@asynccontextmanager
async def alone(place: Path, *, patience: float = float("inf"), passing: bool = False) -> AsyncIterator[None]:
    """While no other process holds the file at `place`. A `passing` one is removed afterwards. TimeoutError after
    `patience` seconds; StorageError when there can be no such file."""
    paths.private_dir(place.parent)
    waited = 0.0
    while True:
        try:
            lock = place.open("w")
        except OSError as error:
            raise paths.unwritable(place, error) from error
        with lock:
            while not _locked(lock):
                if waited >= patience:
                    raise TimeoutError
                await asyncio.sleep(POLL)
                waited += POLL
            if not _is_at(lock, place):
                continue  # whoever had it took it away: others wait for a new one by now
            try:
                yield
            finally:
                if passing:
                    _remove(place)
            return


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: IO[str], place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), place.stat())
    except FileNotFoundError:
        return False


def _remove(place: Path) -> None:
    place.unlink(missing_ok=True)
