"""A fork of a process that hosts a cluster, with all that runs in it: event loop, containers, and their shells.

What a proof sets up is played on many times, and a fork costs a fraction of setting it up again. But a fork has one
thread of those that its parent had, the one that called it. The shells of containers run on a thread of bashkit's
runtime (tokio), which nobody can start again. The event loop can be: all that it knows is on the heap, except for the
frame of `run_forever`. So it is bashkit's thread that forks, in a command of its own, while the main thread stands still
in a callback of the loop; and in the fork a new thread runs the loop.

A fork shares every open file with its parent. Each connection that the parent has ends in the fork, as if its peer had
hung up; whoever listens does so at an address of its own; what wakes threads (epoll, eventfd) is made anew, under the
same numbers. All of this is for Linux, and for clusters on stepped time, where nothing moves unless somebody has time
pass. tests/embedded/test_live_fork.py holds asyncio and bashkit to what this relies on.
"""

from __future__ import annotations

import _thread
import asyncio
import ctypes
import gc
import os
import platform
import re
import select
import socket
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from bashkit import Bash, BuiltinContext, BuiltinResult

AVAILABLE = sys.platform == "linux"
STILL_SECONDS = 10.0  # for the one thread to wait for the other
LOOK_SECONDS = 0.0005  # between two looks at what the other threads do,
LOOKS = 200  # and so many of them, before there is no fork
NAME = "kuartui"  # of the thread that runs the loop in a fork; bashkit's are told by theirs (runtime/strands.py)
#: a line about what an epoll waits for (proc_pid_fdinfo(5))
WATCHED = re.compile(rb"^tfd:\s+(\d+)\s+events:\s+([0-9a-f]+)\s+data:\s+([0-9a-f]+)", re.MULTILINE)
ADD = 1  # EPOLL_CTL_ADD

Move = Callable[[socket.socket], socket.socket]


class ForkError(Exception):
    """Why there is no fork."""


async def fork(move: Move) -> int:
    """As `os.fork`: the process id of the fork, and 0 in it. There, `move` makes a listener for each that there was.
    Raises ForkError."""
    if not AVAILABLE:
        raise ForkError("this system cannot fork a process that hosts a cluster")
    return await _LiveFork(asyncio.get_running_loop(), move).make()


class _LiveFork:
    def __init__(self, loop: Any, move: Move) -> None:
        self._loop, self._move = loop, move
        self._still, self._over = threading.Event(), threading.Event()
        self._child, self._why = -1, "the threads of this process do not come to rest"
        self._idle = 0  # threads that the fork lacks
        self._woken: list[asyncio.Future[Any]] = []

    async def make(self) -> int:
        running = asyncio.ensure_future(Bash(custom_builtins={"fork": self._fork}).execute("fork"))
        self._loop.call_soon(self._stand_still)
        await running
        if self._child < 0:
            raise ForkError(self._why)
        return self._child

    def _stand_still(self) -> None:
        """On the main thread. Whatever the loop was about to do after this, it does in both processes."""
        self._still.set()
        self._over.wait(STILL_SECONDS)

    def _fork(self, _context: BuiltinContext) -> BuiltinResult:
        """On bashkit's thread."""
        try:
            if self._still.wait(STILL_SECONDS) and self._others_sleep():
                opened = _opened()
                watched = _watched(opened)
                self._child = os.fork()
                if not self._child:
                    self._begin(opened, watched)
        except OSError as error:
            self._why = f"this process cannot be forked: {error}"
        finally:
            self._over.set()
        return BuiltinResult(exit_code=0)

    def _others_sleep(self) -> bool:
        """Whether every other thread sleeps, and has gone on sleeping: one that has nothing to do holds no lock."""
        before: dict[str, tuple[str, str]] = {}
        for _ in range(LOOKS):
            time.sleep(LOOK_SECONDS)  # the interpreter is free for whoever wants it
            seen = _other_threads()
            if seen == before and all(state == "S" for state, _ in seen.values()):
                self._idle = len(seen) - 1  # all but the main one
                return True
            before = seen
        return False

    # --- in the fork ---

    def _begin(self, opened: dict[str, set[int]], watched: dict[int, bytes]) -> None:
        try:
            _part(self._loop, self._move, opened, watched)
            self._loop._thread_id = None  # it does not run, whatever it thinks
            self._loop._default_executor = None  # whose threads are gone
            _thread.start_new_thread(self._run, ())
        except BaseException:  # noqa: BLE001  half a fork must not go on
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    def _run(self) -> None:
        """On a thread of its own."""
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(NAME)
        gc.freeze()  # what is never looked at stays shared with the parent
        self._loop.call_soon(self._wake)
        try:
            self._loop.run_forever()
        finally:
            os._exit(1)

    def _wake(self) -> None:
        """bashkit has threads that tell Python how a script ended. Those that had nothing to do are gone, but it counts
        on them: each is given something in vain, then a new one is begun, which does all of that."""
        self._woken = [asyncio.ensure_future(Bash().execute("true")) for _ in range(self._idle)]


def _other_threads() -> dict[str, tuple[str, str]]:
    """The state of every thread but this one, and how often it has waited for something."""
    found = {}
    for task in os.listdir("/proc/self/task"):
        if int(task) != threading.get_native_id():
            status = Path(f"/proc/self/task/{task}/status").read_text()
            _, _, state = status.partition("\nState:\t")
            _, _, waits = status.partition("\nvoluntary_ctxt_switches:\t")
            found[task] = state[:1], waits.partition("\n")[0]
    return found


class _EpollEvent(ctypes.Structure):
    """struct epoll_event of epoll_ctl(2). Python's own epoll chooses `data` itself, and tokio has its own there."""

    _pack_ = 1 if platform.machine() == "x86_64" else 0
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))


def _watched(opened: dict[str, set[int]]) -> dict[int, bytes]:
    """What each epoll of this process waits for, in the kernel's words. To be asked before the fork: both share it, and
    the parent goes on changing it."""
    watched = {}
    for number in opened["anon_inode:[eventpoll]"]:
        with FileIO(f"/proc/self/fdinfo/{number}") as words:
            watched[number] = words.readall()
    return watched


def _part(loop: Any, move: Move, opened: dict[str, set[int]], watched: dict[int, bytes]) -> None:
    """Share no connection with the parent, and nothing that wakes a thread."""
    for number in opened["anon_inode:[eventfd]"]:
        _put(number, os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
    own = (loop._ssock, loop._csock)  # how other threads wake the loop
    for kept, new in zip(own, socket.socketpair(), strict=True):
        _put(kept.fileno(), _detached(new))
    known = {key.fd for key in loop._selector.get_map().values()} | set(loop._transports)
    for number in known & opened["socket"] - {kept.fileno() for kept in own}:
        with socket.socket(fileno=os.dup(number)) as old:
            listens = old.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            _put(number, _detached(move(old) if listens else _ended()))
    control = ctypes.CDLL(None, use_errno=True).epoll_ctl
    for number, words in watched.items():
        with select.epoll() as new_epoll:
            for target, events, data in WATCHED.findall(words):
                event = _EpollEvent(int(events, 16), int(data, 16))
                if control(new_epoll.fileno(), ADD, int(target), ctypes.byref(event)):
                    raise OSError(ctypes.get_errno(), f"epoll_ctl {target}")
            os.dup2(new_epoll.fileno(), number, inheritable=False)


def _opened() -> dict[str, set[int]]:
    """The open files by kind, as /proc calls them; sockets, which have numbers there, as "socket"."""
    found: dict[str, set[int]] = defaultdict(set)
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the directory itself, which is closed by now
            kind = os.readlink(f"/proc/self/fd/{number}")
            found["socket" if kind.startswith("socket:") else kind].add(int(number))
    return found


def _ended() -> socket.socket:
    """One whose peer has hung up."""
    connection, peer = socket.socketpair()
    peer.close()
    return connection


def _detached(connection: socket.socket) -> int:
    connection.setblocking(False)
    return connection.detach()


def _put(number: int, new: int) -> None:
    """Have a number mean another file."""
    os.dup2(new, number, inheritable=False)
    os.close(new)
