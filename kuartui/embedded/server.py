"""The process: `python -m kuartui.embedded.server --state-dir DIR`. Hosts clusters until it is told to stop.

With several `--state-dir` a process hosts those of each, and this one waits for them (`forks.py`).

Exit codes: 0 stopped as asked, 3 another process holds the state directory, 4 the port is taken, 5 it may have too few
files open, 6 the directory cannot be written.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import fcntl
import gc
import json
import logging
import math
import os
import resource
import secrets
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

GARBAGE = (50_000, 20, 20)  # objects between two looks for garbage; most of what clusters make lives, or goes by itself
FILES = 8192  # that a process may have open; macOS allows no more than 10240
FEWEST_FILES = 512  # with which a cluster and an attempt beside it can do
DELETED_EVERY = 5.0  # seconds between two looks at whether the state directory is still there
PASSING = (500_000, 20, 20)  # the same where clusters come and go: most of it has gone by then


def main(arguments: list[str] | None = None) -> int:
    """Entry point; gives the exit code."""
    parser = argparse.ArgumentParser(prog="kuartui.embedded.server", description="Host embedded Kubernetes clusters.")
    parser.add_argument("--state-dir", type=Path, required=True, action="append")
    parser.add_argument("--port", type=int, default=0, help="loopback port of the management API; 0: any")
    parser.add_argument(
        "--ready-fd",
        type=int,
        action="append",
        help="an inherited pipe for each state directory, to write to once requests are answered",
    )
    parser.add_argument("--tied", action="store_true", help="end when standard input does: with whoever started it")
    parser.add_argument("--release", default="", help="what to say of the version, to whoever finds the process")
    parser.add_argument("--log-level", default="WARNING")
    options = parser.parse_args(arguments)
    gc.disable()  # until all is loaded: nothing of that is garbage
    files = _take_more_files()
    if files < FEWEST_FILES:
        few = f"a process may have {files} files open here, the embedded cluster needs {FEWEST_FILES}"
        return _fail(5, few, hint=f"raise the hard limit: ulimit -Hn {FILES} (as root), or where it is set")
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    states: list[Path] = options.state_dir
    pipes: list[int] = options.ready_fd or []
    if len(states) == 1:
        return _host(options, states[0], pipes[0] if pipes else -1)
    if len(pipes) != len(states):
        parser.error("several state directories need a pipe each")
    from kuartui.embedded import forks

    works = {ready: partial(_one_of_several, options, state, ready) for state, ready in zip(states, pipes, strict=True)}
    return forks.run_each(works)


def _take_more_files() -> float:
    """A cluster and its clients have hundreds of files open; macOS gives 256 to a process that asks for no more. How
    many it may have by now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return math.inf if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _one_of_several(options: argparse.Namespace, state: Path, ready: int) -> int:
    """Host the clusters of a directory, with a log there."""
    log = os.open(state / "host.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for output in (sys.stdout, sys.stderr):
        os.dup2(log, output.fileno())
    os.close(log)
    return _host(options, state, ready, garbage=PASSING)


def _host(options: argparse.Namespace, state: Path, ready: int, garbage: tuple[int, int, int] = GARBAGE) -> int:
    """Host the clusters of a directory; the exit code."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)  # held until the process ends
    except OSError as error:
        return _fail(6, f"cannot write {state}: {(error.strerror or str(error)).lower()}")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return _fail(3, f"another process hosts the clusters in {state}")
    try:
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())  # who holds it, though it may not answer, or not yet
        gc.set_threshold(*garbage)
        return asyncio.run(_serve(state, lock, options.port, options.release, tied=options.tied, ready=ready))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(6, f"cannot write {state}: {(error.strerror or str(error)).lower()}")


def _fail(code: int, message: str, *, hint: str = "") -> int:
    with contextlib.suppress(OSError):  # the disk of the log may be what is full; the code tells
        print(f"error: {message}", file=sys.stderr)  # noqa: T201
        if hint:
            print(f"hint: {hint}", file=sys.stderr)  # noqa: T201
    return code


async def _serve(state: Path, lock: int, port: int, release: str, *, tied: bool, ready: int) -> int:
    import uvicorn

    import kuartui.embedded.parts  # noqa: F401  for the first cluster
    from kuartui.embedded.api.listener import hang_up
    from kuartui.embedded.host import Host, listen
    from kuartui.embedded.identity import write_private
    from kuartui.embedded.management import Management

    try:
        listener = listen(port)
        if port and listener.getsockname()[1] != port:
            raise OSError(98, "Address already in use")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return _fail(4, f"cannot listen on 127.0.0.1:{port}: {why}", hint="--port 0 takes any that is free")
    host = Host(state)
    gc.freeze()  # what is loaded by now lives as long as the process
    gc.enable()
    await host.restore()
    token = secrets.token_urlsafe(32)
    config: Any = uvicorn.Config(
        Management(host, token),
        http="httptools",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])

    def announce(place: Path) -> None:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        found = {"pid": os.getpid(), "url": url, "token": token, "release": release}
        write_private(place / "host.json", json.dumps(found).encode())

    announce(state)
    host.announce = announce
    if ready >= 0:
        os.write(ready, b"\n")
        os.close(ready)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, host.stopping.set)
    if tied:
        loop.add_reader(sys.stdin.fileno(), host.stopping.set)
    await _until_over(host.stopping, lock)
    if _is_there(lock):
        (state / "host.json").unlink(missing_ok=True)
    await host.stop()
    await hang_up(server, 1.0)
    listener.close()
    return 0


async def _until_over(stopping: asyncio.Event, lock: int) -> None:
    """Until it is told to stop, or its state directory was deleted: nobody finds it there any more."""
    while _is_there(lock):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), DELETED_EVERY)
            return


def _is_there(lock: int) -> bool:
    """Whether an open file has not been deleted; another one may have taken its place."""
    return os.fstat(lock).st_nlink > 0


if __name__ == "__main__":
    sys.exit(main())
