"""The process that hosts the embedded clusters, seen from outside: started on demand, found again, asked, ended.

`python -m kuartui.embedded.server` hosts all embedded clusters of a player. It says where it listens in `host.json`;
what it answers is described in `kuartui/embedded/host.py`. Nothing here needs an event loop, and a command that only
looks whether the process is there loads none.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kuartui
from kuartui import paths
from kuartui.cluster.base import Progress, Report, silent
from kuartui.errors import ClusterError, MissingError, StorageError
from kuartui.message import later

Obj = dict[str, Any]

ATTEMPT = "attempt-"  # what the clusters of attempts are called
OTHER_CODE = later("the embedded Kubernetes that runs is of another version of kuartui")
REPLACED = later("it is replaced once no attempt is in play: kuartui level finish, then kuartui cluster down --all")
START_SECONDS = 20.0
CALL_SECONDS = 60.0
STOP_SECONDS = 10.0
ANSWER_SECONDS = 5.0
OTHERS = 3  # the exit code of a process that found another one in its place
FEW = 5  # that of one that may not have as many files open as it needs
FULL = 6  # that of one that cannot write there


@dataclass(frozen=True, slots=True)
class Process:
    """A running host, as its `host.json` tells."""

    pid: int
    url: str
    token: str
    release: str = ""  # of the kuartui that started it; older ones did not say


_begun: dict[Path, tuple[subprocess.Popen[bytes], int]] = {}
"""Processes that were started and that nobody has waited for, by their state directory; with the pipe that tells."""


class EmbeddedHost:
    """The process that hosts the clusters, seen from outside. Without `state` it is the player's; one that is `tied`
    ends with us, whatever ends us."""

    def __init__(self, state: Path | None = None, *, tied: bool = False) -> None:
        self.state = state or paths.state_dir() / "embedded"
        self._tied = tied
        self._child: subprocess.Popen[bytes] | None = None
        self._met: Process | None = None  # that answered us, and was the right one

    # Life

    def told(self) -> Process | None:
        """The process as it said when it started; it may be gone."""
        try:
            said = json.loads((self.state / "host.json").read_bytes())
            return Process(said["pid"], said["url"], said["token"], str(said.get("release", "")))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def running(self) -> Process | None:
        """The process, if it is there and answers."""
        process = self.told()
        if process is None:
            return None
        try:
            answer = _call(process, "GET", "/clusters", None, ANSWER_SECONDS)
        except (OSError, ClusterError):  # or another program listens there by now, which says that it has no such thing
            return None
        return process if "clusters" in answer else None

    def holder(self) -> int | None:
        """The process that has the state directory, though it may not answer; None if none has. The number in
        `host.json` may by now be that of another program."""
        try:
            with (self.state / "lock").open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    told = self.told()
                    return int(lock.read() or (told.pid if told else 0)) or None  # older ones write nothing there
        except (OSError, ValueError):
            return None
        return None

    def start(self, report: Report = silent, port: int = 0) -> Process:
        """Start the process unless it runs. One that an older or newer kuartui left behind is replaced, unless an
        attempt is played in it. Raises ClusterError, MissingError, StorageError."""
        found = self.running()
        if found and (found.release == release() or not self._replace(found, report)):
            self._met = found
            if self.state in _begun:
                self._child, told = _begun.pop(self.state)
                os.close(told)
            return found
        report(Progress(later("starting the embedded Kubernetes"), 1, 2))
        process, told = _begun.pop(self.state) if self.state in _begun else self._spawn(port)
        self._child = process
        try:
            self._met = self._wait(process, told)
        finally:
            os.close(told)
        return self._met

    def meet(self) -> None:
        """Take the process at its word, where it has just told us that it serves."""
        self._met = self.told()

    def tell_to_end(self) -> None:
        """End the process that was met, without seeing to it."""
        if self._met is not None:
            self._tell(self._met)

    def begin(self) -> None:
        """Start the process if none is there, and come back at once: there is something to do until `start` waits for
        it. Raises StorageError."""
        process = self.told()
        if self.state not in _begun and (process is None or not alive(process.pid)):
            self.adopt(*self._spawn(0))

    def adopt(self, process: subprocess.Popen[bytes], told: int) -> None:
        """Take a process that has begun, and what it writes to as soon as it serves, for the one to wait for."""
        _begun[self.state] = process, told

    def _spawn(self, port: int) -> tuple[subprocess.Popen[bytes], int]:
        """The process, and what it writes to as soon as it serves."""
        process, (told,) = spawn([self.state], "--port", str(port), tied=self._tied)
        return process, told

    def _wait(self, process: subprocess.Popen[bytes], told: int) -> Process:
        """Until it serves. It writes to the pipe then, which ends with the process."""
        import http.client  # noqa: F401  what asks it: time to load it is now, while it starts

        log = self.state / "host.log"
        deadline = time.monotonic() + START_SECONDS
        with selectors.DefaultSelector() as pipe:
            pipe.register(told, selectors.EVENT_READ)
            ended = bool(pipe.select(START_SECONDS)) and not os.read(told, 1)
        while time.monotonic() < deadline:
            found = self.running()
            if found:
                return found
            code = _code(process) if ended else process.poll()
            if code == FULL:  # where the disk is full, its log says nothing
                raise StorageError(
                    later("the embedded cluster cannot write to {state}", state=self.state),
                    hint=later(
                        "make room, or set {variable} to a directory that has some", variable=paths.HOME_VARIABLE
                    ),
                )
            if code == FEW:
                raise MissingError(
                    later(
                        "the embedded cluster needs more open files than the {most} that a process may have here",
                        most=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
                    ),
                    hint=later("raise the hard limit, as root with ulimit -Hn 8192, and come again from there"),
                )
            if (ended or code is not None) and code != OTHERS:  # that one was quicker, and will answer soon
                raise ClusterError(
                    later("the embedded cluster did not start: {why}", why=_last_line(log)),
                    hint=later("see {log}", log=log),
                )
            time.sleep(0.02)
        process.kill()
        if (holder := self.holder()) not in (None, process.pid):
            raise ClusterError(
                later("the process of the embedded clusters, {pid}, does not answer", pid=holder),
                hint=later("kuartui cluster down --all ends it; the clusters come back when they are asked for"),
            )
        raise ClusterError(
            later("the embedded cluster did not answer within {start_seconds:.0f} s", start_seconds=START_SECONDS),
            hint=later("see {log}", log=log),
        )

    def _replace(self, found: Process, report: Report) -> bool:
        """End a process with other code than ours; False when it is needed as it is. What it hosts comes back with the
        next one, but an attempt would lose the time that this takes, and every container's memory."""
        try:
            clusters = _call(found, "GET", "/clusters", None, CALL_SECONDS)["clusters"]
        except OSError:  # it ended meanwhile
            return True
        if any(cluster["name"].startswith(ATTEMPT) for cluster in clusters):
            report(Progress(later("{what}; {then}", what=OTHER_CODE, then=REPLACED)))
            return False
        report(Progress(later("replacing the embedded Kubernetes by that of this version of kuartui")))
        self._end(found)
        return True

    def stop(self) -> None:
        """End the process, gently first."""
        if self.state in _begun:  # nobody has waited for it
            os.close(_begun.pop(self.state)[1])
        process = self.running()
        if process is not None:
            self._end(process)
        elif (holder := self.holder()) is not None:  # it hangs, or does not answer yet
            with suppress(ProcessLookupError):
                os.kill(holder, signal.SIGTERM)
            self._see_end(holder)

    def _end(self, process: Process) -> None:
        self._tell(process)
        self._see_end(process.pid)

    def _tell(self, process: Process) -> None:
        self._met = None  # whoever listens there next is another one
        with suppress(OSError):  # one that hangs is ended all the same
            _call(process, "POST", "/shutdown", {}, STOP_SECONDS)

    def _see_end(self, pid: int) -> None:
        """Wait until it has ended, for some seconds; then kill it."""
        if not self._ended(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._ended(pid)

    def _ended(self, pid: int) -> bool:
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            child = self._child
            if child is not None and child.poll() is not None and child.stdin is not None:  # it is there until asked
                child.stdin.close()
            if not alive(pid):
                return True
            time.sleep(0.02)
        return False

    # Clusters

    def call(self, method: str, path: str, body: Obj | None = None, report: Report = silent) -> Obj:
        """Ask the process, starting it first if need be. Raises ClusterError."""
        try:
            if self._met is not None:
                with suppress(ConnectionRefusedError):  # it ended, or ended and came back elsewhere
                    return _call(self._met, method, path, body, CALL_SECONDS)
            return _call(self.start(report), method, path, body, CALL_SECONDS)
        except OSError as error:
            raise ClusterError(
                later("the embedded cluster process stopped answering: {error}", error=error),
                hint=later("see {log}", log=self.state / "host.log"),
            ) from error

    def find(self, name: str) -> Obj | None:
        """A running cluster; None if there is none, or no process."""
        process = self.running()
        if process is None:
            return None
        try:
            clusters = _call(process, "GET", "/clusters", None, CALL_SECONDS)["clusters"]
        except OSError:  # it ended meanwhile
            return None
        return next((found for found in clusters if found["name"] == name), None)

    def folder(self, name: str) -> Path:
        return self.state / "clusters" / name


class Outliving(subprocess.Popen[bytes]):
    """A process that may go on when nobody here knows of it any more, which is no mistake to warn of."""

    def __del__(self) -> None:
        super().__del__(_warn=lambda *_, **__: None)  # type: ignore[call-arg]  # CPython's own way to be asked for it


def spawn(states: Sequence[Path], *more: str, tied: bool) -> tuple[subprocess.Popen[bytes], list[int]]:
    """A process for these state directories, and what is written to as soon as each is served."""
    for state in states:
        paths.private_dir(state)
    log = states[0] / "host.log"
    pipes = [os.pipe() for _ in states]
    try:
        with log.open("ab") as output:
            process = Outliving(
                [*command(*states), *more, *(f"--ready-fd={tell}" for _, tell in pipes), *(["--tied"] if tied else [])],
                stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # it outlives a crashed screen and a closed terminal
                pass_fds=[tell for _, tell in pipes],
            )
    except OSError as error:
        for told, _ in pipes:
            os.close(told)
        raise paths.unwritable(log, error) from error
    finally:
        for _, tell in pipes:
            os.close(tell)
    return process, [told for told, _ in pipes]


def command(*states: Path) -> list[str]:
    """How the process is started."""
    told = (f"--state-dir={state}" for state in states)
    return [*paths.process("kuartui.embedded.server"), *told, "--release", release()]


@cache
def release() -> str:
    """Of the embedded cluster's code as it is installed: kuartui's version, and a digest of what files there are, their
    sizes and times, so that an upgrade from a checkout shows, too."""
    import hashlib

    package = Path(kuartui.__file__).parent
    known = hashlib.sha256()
    for folder, inner, names in os.walk(package / "embedded"):
        inner.sort()
        for name in sorted(names):
            if name.endswith((".py", ".json", ".gz")):
                status = os.stat(os.path.join(folder, name))
                known.update(f"{folder}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return f"{kuartui.__version__}+{known.hexdigest()[:12]}"


def serve_foreground(port: int) -> int:
    """Run the process here, until Ctrl-C, or whatever else ends us; the exit code."""
    host = EmbeddedHost()
    paths.private_dir(host.state)
    process = subprocess.Popen([*command(host.state), "--port", str(port), "--tied"], stdin=subprocess.PIPE)
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
        else:
            return ClusterError.exit_code if code == OTHERS else code


def wake(kubeconfig: Path, report: Report = silent) -> None:
    """Start the process again if that is a kubeconfig of a cluster of its and it ended; it brings its clusters back."""
    host = EmbeddedHost()
    if host.state in kubeconfig.parents:
        host.start(report)


def stop_all() -> None:
    """End the process and with it every cluster; durable ones come back when they are asked for."""
    EmbeddedHost().stop()


def _call(process: Process, method: str, path: str, body: Obj | None, timeout: float) -> Obj:
    """One request. Raises OSError if nobody answers, ClusterError if the answer is no."""
    import http.client

    address = urlsplit(process.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout)
    try:
        headers = {"Authorization": f"Bearer {process.token}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        value = json.loads(answer.read() or b"{}")
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
    if answer.status == 401 or not isinstance(value, dict):
        raise ConnectionRefusedError("another program listens there")
    if answer.status == 507:
        hint = later("make room, or set {variable} to a directory that has some", variable=paths.HOME_VARIABLE)
        raise StorageError(later("the disk is full"), hint=hint)
    if answer.status >= 400:
        raise ClusterError(str(value.get("error", f"HTTP {answer.status}")))
    return value


def alive(pid: int) -> bool:
    """Whether there is such a process, of whoever."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _code(process: subprocess.Popen[bytes]) -> int | None:
    """How a process that is about to end ends; None if it goes on, and it was a fork of it that ended."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(0.2)
    return None


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "it left no word"
    return lines[-1].removeprefix("error: ") if lines else "it left no word"
