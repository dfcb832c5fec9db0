"""A container's log: lines with time and stream, as the CRI log file has them, rotated by size."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime

from msgspec import Struct

from kuartui.embedded.clock import Clock

MAX_LINE = 16 << 10  # containerd splits longer lines into partial entries (tag P)
MAX_BYTES = 10 << 20  # kubelet's containerLogMaxSize


class Entry(Struct, frozen=True):
    """One entry of the log file. `partial` lines have no newline of their own."""

    number: int
    time: datetime
    stream: str
    text: bytes
    partial: bool = False

    @property
    def line(self) -> bytes:
        """Text as `kubectl logs` prints it."""
        return self.text if self.partial else self.text + b"\n"

    @property
    def timestamp(self) -> str:
        """RFC 3339 with nanoseconds, as `--timestamps` shows it."""
        return self.time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.time.microsecond:06d}000Z"


class ContainerLog:
    """Written by a container, read by many; it outlives its container, for `--previous`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._pending = {"stdout": b"", "stderr": b""}
        self._count = 0
        self._closed = False
        self._wakes: set[asyncio.Event] = set()

    def write(self, stream: str, data: bytes) -> None:
        """Take what a process wrote to `stdout` or `stderr`."""
        data = self._pending[stream] + data
        *lines, rest = data.split(b"\n")
        for line in lines:
            while len(line) > MAX_LINE:
                self._add(stream, line[:MAX_LINE], partial=True)
                line = line[MAX_LINE:]
            self._add(stream, line)
        while len(rest) > MAX_LINE:
            self._add(stream, rest[:MAX_LINE], partial=True)
            rest = rest[MAX_LINE:]
        self._pending[stream] = rest
        self._notify()

    def close(self) -> None:
        """The container ended: what has no newline yet becomes an entry, and followers come to their end."""
        if self._closed:
            return
        for stream, rest in self._pending.items():
            if rest:
                self._add(stream, rest, partial=True)
        self._pending = {"stdout": b"", "stderr": b""}
        self._closed = True
        self._notify()

    @property
    def closed(self) -> bool:
        """Whether no more will come."""
        return self._closed

    def entries(self, tail: int | None = None, since: datetime | None = None) -> list[Entry]:
        """What is there now; `tail` counts lines from the end before `since` filters, as the kubelet does."""
        chosen = list(self._entries)
        if tail is not None:
            chosen = chosen[len(chosen) - min(tail, len(chosen)) :]
        return [entry for entry in chosen if since is None or entry.time >= since]

    async def follow(self, tail: int | None = None, since: datetime | None = None) -> AsyncIterator[Entry]:
        """What is there, then what comes, until the container ends."""
        wake = asyncio.Event()
        self._wakes.add(wake)
        try:
            last = -1 if not self._entries else self._entries[0].number - 1
            for entry in self.entries(tail, since):
                last = entry.number
                yield entry
            if self._entries:
                last = max(last, self._entries[-1].number)
            while True:
                fresh = [entry for entry in self._entries if entry.number > last]
                for entry in fresh:
                    last = entry.number
                    if since is None or entry.time >= since:
                        yield entry
                if not fresh:
                    if self._closed:
                        return
                    wake.clear()
                    await wake.wait()
        finally:
            self._wakes.discard(wake)

    def last(self, lines: int, size: int) -> str:
        """The end of the log, for terminationMessagePolicy FallbackToLogsOnError."""
        text = b"".join(entry.line for entry in list(self._entries)[-lines:])
        return text[-size:].decode(errors="replace")

    @property
    def size(self) -> int:
        """Bytes of log on the node's disk."""
        return self._bytes

    def _add(self, stream: str, text: bytes, *, partial: bool = False) -> None:
        self._entries.append(Entry(self._count, self._clock.now(), stream, text, partial))
        self._count += 1
        self._bytes += len(text) + 40
        while self._bytes > MAX_BYTES and len(self._entries) > 1:
            self._bytes -= len(self._entries.popleft().text) + 40

    def _notify(self) -> None:
        for wake in self._wakes:
            wake.set()
