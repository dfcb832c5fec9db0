"""Whether a command works or waits for something from outside.

A proof lets time pass only while the command that it plays waits. On Linux `/proc` tells: a process that computes, or
would if it had a core, is running; one that waits for an answer or a timer sleeps in each of its threads. Fields:
https://docs.kernel.org/filesystems/proc.html (stat) and https://docs.kernel.org/scheduler/sched-stats.html (schedstat).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

ASLEEP = frozenset("SIZX")  # interruptible sleep, idle, ended; anything else works or waits for a disk


@dataclass(frozen=True, slots=True)
class Glance:
    """`spent` is the time on cores so far, in nanoseconds: two glances that are equal saw nothing happen between."""

    working: bool
    processes: frozenset[int]
    spent: int


def glance(leader: int) -> Glance | None:
    """What a process and its descendants do this moment; None when it is gone, and where nobody can tell."""
    working, members, spent, waiting = False, set(), 0, [str(leader)]
    while waiting:
        number = waiting.pop()
        for thread in _threads(number):
            place = f"/proc/{number}/task/{thread}"
            stat, children = _read(f"{place}/stat"), _read(f"{place}/children")
            if not stat or children is None:
                continue  # it ended meanwhile
            members.add(int(number))
            waiting += children.split()
            working = working or stat.rpartition(")")[2].split()[0] not in ASLEEP
            spent += int((_read(f"{place}/schedstat") or "0").split()[0])
    return Glance(working, frozenset(members), spent) if members else None


def _threads(number: str) -> list[str]:
    try:
        return os.listdir(f"/proc/{number}/task")
    except OSError:  # it ended meanwhile
        return []


def _read(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None
