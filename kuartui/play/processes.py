"""Whether a command works or waits for something from outside.

A proof lets time pass only while the command that it plays waits. On Linux `/proc` tells: a process that computes, or
would if it had a core, is running; one that waits for an answer or a timer sleeps in each of its threads. Fields:
https://docs.kernel.org/filesystems/proc.html (stat) and https://docs.kernel.org/scheduler/sched-stats.html (schedstat).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

#: interruptible sleep, idle, ended; anything else works or waits for a disk
ASLEEP = frozenset((b"S", b"I", b"Z", b"X"))
LONGEST = 1 << 16  # bytes of such a file


@dataclass(frozen=True, slots=True)
class Glance:
    """`spent` is the time on cores so far, in nanoseconds: two glances that are equal saw nothing happen between."""

    working: bool
    processes: frozenset[int]
    spent: int


def glance(leader: int) -> Glance | None:
    """What a process and its descendants do this moment; None when it is gone, and where nobody can tell. One that has
    ended works until we have learnt of it: nothing but us is waited for."""
    working, members, spent, waiting = False, set(), 0, [str(leader)]
    while waiting:
        number = waiting.pop()
        for thread in _threads(number):
            place = f"/proc/{number}/task/{thread}"
            stat, children = _read(f"{place}/stat"), _read(f"{place}/children")
            if not stat or children is None:
                continue  # it ended meanwhile
            members.add(int(number))
            waiting += children.decode().split()
            state = stat.rpartition(b")")[2].split()[0]
            working = working or state not in ASLEEP or (state == b"Z" and number == str(leader))
            spent += int((_read(f"{place}/schedstat") or b"0").split()[0])
    return Glance(working, frozenset(members), spent) if members else None


def _threads(number: str) -> list[str]:
    try:
        return os.listdir(f"/proc/{number}/task")
    except OSError:  # it ended meanwhile
        return []


def _read(path: str) -> bytes | None:
    """A file of the kernel's, plainly: there are dozens in a glance, and hundreds of glances in a proof."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            return os.read(file, LONGEST)
        finally:
            os.close(file)
    except OSError:
        return None
