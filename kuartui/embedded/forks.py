"""Several processes that host clusters side by side: one loads what all of them need, and the others are its forks.

A process may only be forked so while it has one thread, no event loop and no shell of a container. What is forked here
has had a cluster, but nobody who played on it. `live_fork.py` forks one in which more goes on.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

WARM_SECONDS = 30.0  # of a first cluster's own time: its pods run, and have been probed


def run_each(works: Mapping[int, Callable[[], int]]) -> int:
    """Do each work in a fork of its own, which alone inherits the pipe that the work is told by; the worst exit code,
    once all are done. Being told to end tells them."""
    _load()
    asyncio.run(_warm_up())
    gc.collect()
    gc.freeze()  # what is never looked at stays shared
    children: set[int] = set()
    left = list(works)
    while left:
        children.add(_fork(works[left[0]], left[1:]))
        os.close(left.pop(0))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda told, _: _tell(children, told))
    worst = 0
    while children:
        child, status = os.wait()
        children.discard(child)
        worst = max(worst, abs(os.waitstatus_to_exitcode(status)))
    return worst


def _tell(children: Iterable[int], number: int) -> None:
    for child in children:
        os.kill(child, number)


def _fork(work: Callable[[], int], others: Sequence[int]) -> int:
    """The child's process id; the child never comes back from here."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        for pipe in others:
            os.close(pipe)
        code = work()
    except BaseException:  # noqa: BLE001  the end of a process: what is above is its parent's
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _load() -> None:
    """What a process loads when it is first asked for a kind, for a WebSocket, or for a copy of it."""
    import uvicorn.protocols.websockets.wsproto_impl  # noqa: F401

    import kuartui.embedded.live_fork  # noqa: F401
    from kuartui.embedded.kinds.base import strategy
    from kuartui.embedded.kinds.index import MODULES

    for resource in MODULES:
        strategy(resource)


async def _warm_up() -> None:
    """Have a cluster come and go: what is loaded and computed for the first one is there for all."""
    from kuartui.embedded.clock import FastClock
    from kuartui.embedded.cluster import Spec
    from kuartui.embedded.host import Host

    with tempfile.TemporaryDirectory(prefix="kuartui-") as folder:
        host = Host(Path(folder))
        cluster = await host.create(Spec("warm-up", fast=True, durable=False))
        if isinstance(cluster.clock, FastClock):
            await cluster.clock.advance(WARM_SECONDS)
        await host.delete("warm-up")
