"""A process that evaluates the expressions of levels that are not ours, so that one which takes all memory, all time or
brings the library down takes none of them from us.

It is asked one thing at a time, over a socket: a length of four bytes and JSON, each way. It ends with whoever began
it, is ended when it thinks for too long, and is begun again when something else is asked.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from typing import Any, BinaryIO

import orjson

from kuartui.paths import process

ROOM = 2**29  # bytes that it may take: a chain of replace() would take all that there are
SECONDS = 3.0  # for an answer; honest ones take milliseconds
START_SECONDS = 60.0  # to be there at all, on a machine that has much to do
ANSWER = 2**24  # bytes


class Refused(Exception):
    """There is no answer, for this reason. `absent` is that of a `CelError`."""

    def __init__(self, message: str, *, absent: bool = False) -> None:
        super().__init__(message)
        self.absent = absent


class Juror:
    """The process, from the outside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        atexit.register(self.dismiss)

    def evaluate(self, source: str, variables: tuple[str, ...], values: Mapping[str, Any], *, truth: bool) -> Any:
        """What `Program.evaluate` says there, in JSON's types. Refused when it says nothing."""
        needed = {name: values.get(name) for name in variables}
        asked = {"source": source, "variables": variables, "values": needed, "truth": truth}
        with self._lock:
            answer = self._ask(orjson.dumps(asked))
        if "refused" in answer:
            raise Refused(answer["refused"], absent=answer["absent"])
        return answer["value"]

    def dismiss(self) -> None:
        """End the process, if there is one."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._socket = self._process = None

    def _ask(self, question: bytes) -> Any:
        for _ in range(2):  # somebody else may have ended it
            try:
                with (self._socket or self._begin()).makefile("rwb") as stream:
                    _write(stream, question)
                    if answer := _read(stream, ANSWER):
                        return orjson.loads(answer)
            except TimeoutError:
                self.dismiss()
                raise Refused("it takes too much time") from None
            except ConnectionError:
                pass
            self.dismiss()
        raise Refused("it takes too much memory")

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                process(__name__), stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        self._socket = ours
        ours.settimeout(START_SECONDS)
        ours.recv(1)  # it is ready
        ours.settimeout(SECONDS)
        return ours


def _write(stream: BinaryIO | Any, data: bytes) -> None:
    stream.write(len(data).to_bytes(4) + data)
    stream.flush()


def _read(stream: BinaryIO | Any, limit: int = 2**32) -> bytes:
    """Empty at the end, or when there is more than that."""
    length = int.from_bytes(stream.read(4))
    return stream.read(length) if length <= limit else b""


def main() -> None:
    """The process, from the inside."""
    from kuartui.game.cel import CelError, compile_cel

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to all that run there
    _take_no_more_than(ROOM)
    with socket.socket(fileno=0) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"+")
        with connection.makefile("rwb") as stream:
            while asked := _read(stream):
                question = orjson.loads(asked)
                try:
                    program = compile_cel(question["source"], question["variables"])
                    answer = {"value": program.evaluate(question["values"], truth=question["truth"])}
                    said = orjson.dumps(answer, default=str, option=orjson.OPT_NON_STR_KEYS)
                except CelError as error:
                    said = orjson.dumps({"refused": str(error), "absent": error.absent})
                except TypeError:  # nested deeper than JSON may be
                    said = orjson.dumps({"refused": "its value cannot be said", "absent": False})
                _write(stream, said)


def _take_no_more_than(size: int) -> None:
    """Linux counts what a process has asked for; elsewhere its time alone is bounded."""
    try:
        import resource

        with open("/proc/self/statm", "rb", buffering=0) as file:
            bound = int(file.read(64).split()[0]) * resource.getpagesize() + size
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (bound if hard < 0 else min(bound, hard), hard))
    except (ImportError, OSError):
        pass


if __name__ == "__main__":
    main()
