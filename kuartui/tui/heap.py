"""The C library's heap, kept whole.

glibc gives each of a few threads a heap of its own, of which every one has holes; and after it has freed a large block,
it no longer returns such blocks to the system. Python runs one thread at a time, so one heap serves them all as
quickly: together 3 MB less after six levels, which is as much as they grow.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# /usr/include/malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGE = 64 * 1024  # bytes; a block of this size is the system's, and goes back to it
SPARE = 128 * 1024  # bytes that may lie free at the heap's end: what glibc begins with


def keep_whole() -> None:
    """One heap, for threads that begin after this. Does nothing where the C library is another one than glibc."""
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        for parameter, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, SPARE)):
            mallopt(parameter, value)


def trim() -> None:
    """Give the system back what is free in the midst of the heap: 6 MB once the expressions of a level are gone."""
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
