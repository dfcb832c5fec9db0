"""`kubectl logs` on the node: which run's log, which part of it, and the refusals of `validateContainerLogStatus`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from msgspec import Struct

from kuartui.embedded.node.runtime import ContainerLog, Entry
from kuartui.embedded.node.state import PodState, Run
from kuartui.embedded.node.wording import quoted

Obj = dict[str, Any]


class NoLog(Exception):
    """There is no log to show; the API answers 400 with this text."""


class LogOptions(Struct, frozen=True):
    """PodLogOptions."""

    previous: bool = False
    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime | None = None
    limit: int | None = None
    stream: str = "All"


def choose(pod: Obj, status: Obj | None, state: PodState, container: str, previous: bool) -> ContainerLog | None:
    """The log to read; None if it was lost with a former process. `status` is the container's. Raises NoLog."""
    name = pod["metadata"]["name"]
    where = f"container {quoted(container)} in pod {quoted(name)}"
    if status is None:
        raise NoLog(f"{where} is not available")
    now, last = status["state"], (status.get("lastState") or {}).get("terminated") or {}
    if previous:
        if not last.get("containerID"):
            raise NoLog(f"previous terminated {where} not found")
        return _log(state, container, last["containerID"])
    if "running" in now:
        return _log(state, container, status.get("containerID", ""))
    ended = now.get("terminated") or last
    if ended.get("containerID"):
        return _log(state, container, ended["containerID"])
    if ended:
        raise NoLog(f"{where} is terminated")
    reason = now.get("waiting", {}).get("reason", "")
    if reason == "ErrImagePull":
        raise NoLog(f"{where} is waiting to start: image can't be pulled")
    if reason == "ImagePullBackOff":
        raise NoLog(f"{where} is waiting to start: trying and failing to pull image")
    if reason:
        raise NoLog(f"{where} is waiting to start: {reason}")
    raise NoLog(f"{where} is waiting to start - no logs yet")


def _log(state: PodState, container: str, container_id: str) -> ContainerLog | None:
    run: Run | None = next((run for run in state.runs.get(container, ()) if run.id == container_id), None)
    return run.container.log if run and run.container else None


async def read(log: ContainerLog, options: LogOptions) -> AsyncIterator[bytes]:
    """The asked part of a log, as `kubectl logs` prints it."""
    left = options.limit
    async for entry in _entries(log, options):
        if options.stream not in ("All", entry.stream.capitalize()):
            continue
        line = f"{entry.timestamp} ".encode() + entry.line if options.timestamps else entry.line
        if left is not None:
            line = line[:left]
            left -= len(line)
        yield line
        if left is not None and left <= 0:
            return


async def _entries(log: ContainerLog, options: LogOptions) -> AsyncIterator[Entry]:
    if options.follow:
        async for entry in log.follow(options.tail, options.since):
            yield entry
    else:
        for entry in log.entries(options.tail, options.since):
            yield entry
