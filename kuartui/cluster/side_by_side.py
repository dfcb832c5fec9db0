"""Several processes that host embedded clusters, for work side by side: begun together, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kuartui.cluster.host import STOP_SECONDS, EmbeddedHost, spawn


@contextmanager
def side_by_side(folder: Path, count: int) -> Iterator[list[EmbeddedHost]]:
    """`count` hosts with directories of theirs in `folder`. They have begun, but nobody has waited for them; they end
    with us, whatever ends us. Raises StorageError."""
    hosts = [EmbeddedHost(folder / str(number), tied=True) for number in range(count)]
    # Where it can be, one loads what all need and the others are its forks; elsewhere, the system's libraries may run
    # threads of which nobody knows, and which no fork has.
    groups = [hosts] if sys.platform == "linux" else [[host] for host in hosts]
    begun: list[subprocess.Popen[bytes]] = []
    try:
        for group in groups:
            process, told = spawn([host.state for host in group], tied=True)
            begun.append(process)
            for host, pipe in zip(group, told, strict=True):
                host.adopt(process, pipe)
        yield hosts
    finally:
        for host in hosts:
            host.stop()
        for process in begun:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let go of a process and what it has forked, and wait until they have ended."""
    if process.stdin is not None:
        process.stdin.close()  # which tells whoever has not heard it yet
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
