"""One level is set up at a time, also by several processes: a second one would take down what the first is at, or make
the same things beside it. Whatever ends the process that sets one up lets go."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

from kuartui import paths
from kuartui.errors import AttemptError
from kuartui.message import later

PATIENCE = 3.0  # seconds for a set-up that was given up to come to its end
POLL = 0.05


@asynccontextmanager
async def setting_up() -> AsyncIterator[None]:
    """While a level is set up, or set up anew. AttemptError while another one is."""
    place = paths.private_dir(paths.state_dir()) / "set-up.lock"
    try:
        lock = place.open("w")
    except OSError as error:
        raise paths.unwritable(place, error) from error
    with lock:
        waited = 0.0
        while not _locked(lock):
            if waited >= PATIENCE:
                raise AttemptError(
                    later("a level is being set up by another command"),
                    hint=later("wait until it is done, or end it"),
                )
            await asyncio.sleep(POLL)
            waited += POLL
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
