"""crictl of a node: its containers, pods and images, straight from the runtime."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.images.model import Program
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.node.logs import LogOptions, read
from kuartui.embedded.node.machine import RUNTIME_VERSION
from kuartui.embedded.node.runtime.spec import ExecError, ExecIO

if TYPE_CHECKING:
    from kuartui.embedded.node.kubelet import Kubelet
    from kuartui.embedded.node.runtime.process import Process
    from kuartui.embedded.node.state import Run
    from kuartui.embedded.node.worker import PodWorker

SHORT = 13  # characters of an id
USAGE = "crictl - client for CRI\n\nCommands: ps, pods, images, logs, exec, inspect, stop, version\n"
UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


class Row(Struct, frozen=True):
    """A container and the pod that it is of."""

    worker: PodWorker
    run: Run

    @property
    def id(self) -> str:
        return self.run.id.rpartition("/")[2]

    @property
    def state(self) -> str:
        return "Exited" if self.run.exited else "Running" if self.run.started_at else "Created"


def pod_id(worker: PodWorker) -> str:
    """A sandbox' id: as long as a real one, and always the same for a pod."""
    return worker.uid.replace("-", "") * 2


def crictl(kubelet: Kubelet) -> Program:
    """crictl ps|pods|images|logs|exec|inspect|stop|version."""

    async def run(process: Process) -> int:
        words = process.argv[1:]
        command = next((word for word in words if not word.startswith("-")), "")
        handler = COMMANDS.get(command)
        if handler is None:
            known = not command or command == "help"
            await (process.out(USAGE) if known else process.err(f'No help topic for "{command}"\n'))
            return 0 if known else 3
        process.argv = [f"crictl {command}", *words[words.index(command) + 1 :]]
        return await handler(kubelet, process)

    return run


def _rows(kubelet: Kubelet) -> list[Row]:
    """Newest first, as crictl lists them."""
    rows = [Row(w, run) for w in kubelet.workers.values() for runs in w.state.runs.values() for run in runs if run.id]
    return sorted(rows, key=lambda row: row.run.started_at or kubelet.since, reverse=True)


async def _ps(kubelet: Kubelet, process: Process) -> int:
    options, _ = await parse(
        process, "aqp:o:", ("all", "quiet", "name=", "pod=", "state=", "output=", "no-trunc", "namespace=")
    )
    everything = "a" in options or "all" in options
    state = options.get("state", "").capitalize()
    name, pod = options.get("name", ""), options.get("pod", "") or options.get("p", "")
    namespace = options.get("namespace", "")
    rows = [
        row
        for row in _rows(kubelet)
        if (row.state == state if state else everything or row.state == "Running")
        and name in row.run.name
        and pod_id(row.worker).startswith(pod)
        and namespace in ("", row.worker.pod["metadata"]["namespace"])
    ]
    if "q" in options or "quiet" in options:
        await process.out("".join(f"{row.id}\n" for row in rows))
        return 0
    now = kubelet.services.clock.now()
    cut = None if "no-trunc" in options else SHORT
    table = [("CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE")]
    for row in rows:
        meta = row.worker.pod["metadata"]
        digest = row.run.image_id.rpartition(":")[2]
        made = _ago(now, row.run.started_at)
        pod_cell = pod_id(row.worker)[:cut]
        table.append((row.id[:cut], digest[:cut], made, row.state, row.run.name, str(row.run.restarts), pod_cell, meta["name"], meta["namespace"]))  # fmt: skip
    await process.out(_table(table))
    return 0


async def _pods(kubelet: Kubelet, process: Process) -> int:
    options, _ = await parse(process, "qs:", ("quiet", "name=", "namespace=", "no-trunc", "label=", "state="))
    name, namespace = options.get("name", ""), options.get("namespace", "")
    wanted = (options.get("state", "") or options.get("s", "")).lower()
    key, _, value = options.get("label", "").partition("=")
    now = kubelet.services.clock.now()
    table = [("POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME")]
    for worker in reversed(list(kubelet.workers.values())):
        meta = worker.pod["metadata"]
        if name not in meta["name"] or namespace not in ("", meta["namespace"]):
            continue
        if key and (meta.get("labels") or {}).get(key) != value:
            continue
        began = (worker.pod.get("status") or {}).get("startTime") or meta.get("creationTimestamp")
        made = _ago(now, datetime.fromisoformat(began) if began else None)
        state = "Ready" if worker.sandbox is not None else "NotReady"
        if wanted not in ("", state.lower()):
            continue
        table.append((pod_id(worker)[:SHORT], made, state, meta["name"], meta["namespace"], "0", "(default)"))
    if "q" in options or "quiet" in options:
        await process.out("".join(f"{row[0]}\n" for row in table[1:]))
    else:
        await process.out(_table(table))
    return 0


async def _images(kubelet: Kubelet, process: Process) -> int:
    options, _ = await parse(process, "qv", ("quiet", "verbose"))
    table = [("IMAGE", "TAG", "IMAGE ID", "SIZE")]
    for listed in kubelet.services.images.listed():
        name = next((one for one in listed["names"] if "@" not in one), listed["names"][0])
        repository, _, tag = name.rpartition(":")
        digest = next((one for one in listed["names"] if "@" in one), "").rpartition(":")[2]
        if "q" in options or "quiet" in options:
            await process.out(f"sha256:{digest}\n")
        table.append((repository, tag, digest[:SHORT], _size(listed["sizeBytes"])))
    if "q" not in options and "quiet" not in options:
        await process.out(_table(table))
    return 0


async def _exec(kubelet: Kubelet, process: Process) -> int:
    options, rest = await parse(process, "itsr:", ("interactive", "tty", "sync", "timeout="), mixed=False)
    row = await _find(kubelet, process, rest)
    if row is None:
        return 1
    if len(rest) < 2 or row.run.container is None:
        await process.err("FATA[0000] execing command in container: a command is needed\n")
        return 1

    async def typed() -> AsyncIterator[bytes]:
        while data := await process.stdin.read():
            yield data

    reads = "i" in options or "interactive" in options
    try:
        code = await row.run.container.exec(
            rest[1:], ExecIO(process.stdout, process.stderr, typed() if reads else None)
        )
    except ExecError as error:
        await process.err(f'FATA[0000] execing command in container "{rest[0]}": {error}\n')
        return 1
    if code:
        await process.err(f"FATA[0000] execing command in container: command terminated with exit code {code}\n")
    return 1 if code else 0


async def _version(kubelet: Kubelet, process: Process) -> int:
    name, _, number = RUNTIME_VERSION.partition("://")
    text = f"Version:  0.1.0\nRuntimeName:  {name}\nRuntimeVersion:  v{number}\nRuntimeApiVersion:  v1\n"
    await process.out(text)
    return 0


async def _logs(kubelet: Kubelet, process: Process) -> int:
    options, rest = await parse(process, "fn:pt", ("tail=", "follow", "previous", "timestamps"))
    row = await _find(kubelet, process, rest)
    if row is None:
        return 1
    if row.run.container is None:
        return 0
    tail = options.get("tail", "") or options.get("n", "")
    log, asked = (
        row.run.container.log,
        LogOptions(
            follow="f" in options or "follow" in options,
            timestamps="t" in options or "timestamps" in options,
            tail=int(tail) if tail.isdigit() else None,
        ),
    )
    async for line in read(log, asked):
        await process.stdout(line)
    return 0


async def _inspect(kubelet: Kubelet, process: Process) -> int:
    _, rest = await parse(process, "o:", ("output=",))
    row = await _find(kubelet, process, rest)
    if row is None:
        return 1
    run, meta = row.run, row.worker.pod["metadata"]
    status: dict[str, Any] = {
        "id": row.id,
        "metadata": {"attempt": run.restarts, "name": run.name},
        "state": f"CONTAINER_{row.state.upper()}",
        "startedAt": format_time(run.started_at) if run.started_at else "",
        "finishedAt": format_time(run.finished_at) if run.finished_at else "",
        "exitCode": run.exit_code or 0,
        "image": {"image": run.image},
        "imageRef": run.image_id,
        "reason": run.reason,
        "labels": {
            "io.kubernetes.container.name": run.name,
            "io.kubernetes.pod.name": meta["name"],
            "io.kubernetes.pod.namespace": meta["namespace"],
            "io.kubernetes.pod.uid": meta["uid"],
        },
    }
    await process.out(json.dumps({"status": status}, indent=2) + "\n")
    return 0


async def _stop(kubelet: Kubelet, process: Process) -> int:
    _, rest = await parse(process, "t:", ("timeout=",))
    row = await _find(kubelet, process, rest)
    if row is None:
        return 1
    if row.run.container is not None and not row.run.exited:
        await row.run.container.stop(0)
    await process.out(f"{rest[0]}\n")
    return 0


async def _find(kubelet: Kubelet, process: Process, rest: list[str]) -> Row | None:
    if not rest:
        await process.err("FATA[0000] ID cannot be empty\n")
        return None
    found = next((row for row in _rows(kubelet) if row.id.startswith(rest[0])), None)
    if found is None:
        text = f'rpc error: code = NotFound desc = an error occurred when try to find container "{rest[0]}": not found'
        await process.err(f"FATA[0000] {text}\n")
    return found


COMMANDS: dict[str, Callable[[Kubelet, Process], Awaitable[int]]] = {
    "ps": _ps, "pods": _pods, "images": _images, "img": _images, "logs": _logs, "inspect": _inspect, "stop": _stop,
    "exec": _exec, "version": _version,
}  # fmt: skip


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    """Go's tabwriter, as crictl sets it up: cells of 20 columns at least, three of them blank."""
    rows = list(rows)
    widths = [max(20, 3 + max(len(row[column]) for row in rows)) for column in range(len(rows[0]) - 1)]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)) + "\n" for row in rows
    )


def _ago(now: datetime, then: datetime | None) -> str:
    """units.HumanDuration of docker/go-units."""
    seconds = int((now - then).total_seconds()) if then else 0
    if seconds < 1:
        return "Less than a second ago"
    if seconds < 60:
        return f"{seconds} second{'s' * (seconds > 1)} ago"
    if seconds < 120:
        return "About a minute ago"
    if seconds < 3600:
        return f"{seconds // 60} minutes ago"
    if seconds < 7200:
        return "About an hour ago"
    return f"{seconds // 3600} hours ago" if seconds < 48 * 3600 else f"{seconds // 86400} days ago"


def _size(size: int) -> str:
    for unit, name in UNITS:
        if size >= unit:
            return f"{size / unit:.3g}{name}"
    return f"{size}B"
