"""Whether the processes of a session work or wait for something from outside.

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


def glance(session: int) -> Glance | None:
    """What the processes of a session do this moment; None where nobody can tell."""
    try:
        numbers = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return None
    working, members, spent = False, set(), 0
    for number in numbers:
        fields = _stat(f"/proc/{number}/stat")
        if fields is None or fields[3] != str(session):
            continue
        members.add(int(number))
        for thread in _threads(number):
            stat = _stat(f"/proc/{number}/task/{thread}/stat")
            working = working or (stat is not None and stat[0] not in ASLEEP)
            spent += _on_core(f"/proc/{number}/task/{thread}/schedstat")
    return Glance(working, frozenset(members), spent) if members else None


def _threads(number: str) -> list[str]:
    try:
        return os.listdir(f"/proc/{number}/task")
    except OSError:  # it ended meanwhile
        return []


def _stat(path: str) -> list[str] | None:
    """The fields after the command's name: state, parent, process group, session …"""
    try:
        with open(path, "rb") as file:
            return file.read().rpartition(b")")[2].decode().split()
    except OSError:
        return None


def _on_core(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return int(file.read().split()[0])
    except (OSError, IndexError, ValueError):
        return 0
