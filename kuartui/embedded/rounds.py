"""Work that is done again and again: a round that fails (the disk is full) must not end those after it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from kuartui.embedded.clock import Clock

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]


async def attempt(work: Work) -> None:
    """Do it; what goes wrong is logged."""
    try:
        await work()
    except Exception:  # the edge of a loop that nobody waits for
        log.exception("%s failed", getattr(work, "__qualname__", work))


async def rounds(clock: Clock, seconds: float, work: Work) -> None:
    """Do it after so many seconds, and so on until cancelled."""
    while True:
        await clock.sleep(seconds)
        await attempt(work)
