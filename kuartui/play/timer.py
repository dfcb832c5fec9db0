"""The clock of an attempt: it survives restarts, and stands still only while paused.

An anchor in the store says what it showed when. Within one boot of the machine monotonic time counts on from there
(every process sees the same); after a reboot, or where a boot cannot be told, the wall clock has to do, and never goes
back behind what was recorded.
"""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

from kuartui.cluster.clock import Clock
from kuartui.progress.store import Anchor

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Names this boot of the machine; empty where the system does not say."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def anchor(clock: Clock, elapsed: float, *, ticking: bool) -> Anchor:
    """An anchor for this moment."""
    return Anchor(elapsed, clock.monotonic(), time.time() if not clock.steppable else 0.0, boot_id(), ticking)


def elapsed(clock: Clock, at: Anchor, least: float = 0.0) -> float:
    """Seconds on the attempt's clock now; `least` is the time of the last recorded event."""
    if not at.ticking:
        return max(at.elapsed, least)
    if clock.steppable or (at.boot and at.boot == boot_id()):
        passed = clock.monotonic() - at.monotonic
    else:
        passed = clock.now().timestamp() - at.wall
    return max(at.elapsed + max(0.0, passed), least)
