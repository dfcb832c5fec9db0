"""Room in memory: a bound on what a piece of work may take beyond what the process has by then.

Linux counts what a process has asked for (RLIMIT_AS); elsewhere there is no bound.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import resource
except ImportError:  # no such thing on this system
    _BEFORE = None
else:
    _BEFORE = resource.getrlimit(resource.RLIMIT_AS) if Path("/proc/self/statm").exists() else None


@contextmanager
def room(size: int) -> Iterator[None]:
    """Within it, who asks for more than `size` bytes more has a MemoryError. What the process had as its own bound
    before holds again afterwards, also when two threads are in here at a time."""
    if _BEFORE is None:
        yield
        return
    soft, hard = _BEFORE
    with open("/proc/self/statm", "rb", buffering=0) as file:
        wanted = int(file.read(64).split()[0]) * os.sysconf("SC_PAGE_SIZE") + size
    bounds = [bound for bound in (wanted, soft, hard) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(bounds), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, _BEFORE)
