"""Evicting pods from a node that is short of memory, or that use more disk than they may.

After pkg/kubelet/eviction; the messages are its own. One pod at a time, worst offender first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from kuartui.embedded.meta.quantity import parse, whole
from kuartui.embedded.node import spec
from kuartui.embedded.node.admit import critical
from kuartui.embedded.node.resources import pod_requests
from kuartui.embedded.node.runtime import MemoryMeter
from kuartui.embedded.node.services import NodeServices
from kuartui.embedded.node.worker import PodWorker
from kuartui.embedded.rounds import rounds

Obj = dict[str, Any]

PERIOD = 10.0  # seconds; housekeeping-interval of the eviction manager
RESERVE = 100 << 20  # evictionHard memory.available
SYSTEM_MEMORY = 256 << 20  # what the node's own programs use
TRANSITION = 300.0  # eviction-pressure-transition-period


class EvictionManager:
    """Watches over one node."""

    def __init__(
        self,
        services: NodeServices,
        memory: int,
        meter: MemoryMeter,
        workers: Callable[[], Iterable[PodWorker]],
        report: Callable[[], None],
    ) -> None:
        self.pressure: set[str] = set()
        """Node conditions that hold now; shared with whoever reports them."""
        self._services = services
        self._memory = memory
        self._meter = meter
        self._workers = workers
        self._report = report
        self._last_short = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.get_running_loop().create_task(rounds(self._services.clock, PERIOD, self._watch))

    def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _watch(self) -> None:
        for worker in [worker for worker in self._workers() if worker.disk_bounded and _alive(worker)]:
            message = disk_excess(worker)
            if message and not critical(worker.pod):
                self._evict(worker, message)
        self._look_at_memory()

    def _evict(self, worker: PodWorker, message: str) -> None:
        self._services.event(worker.pod, "Warning", "Evicted", message)
        worker.evict(message)

    def _look_at_memory(self) -> None:
        workers: list[PodWorker] = []
        available = self._memory - SYSTEM_MEMORY - self._meter.held
        if available < RESERVE:  # perhaps: the meter counts pods that are being stopped, too
            workers = list(filter(_alive, self._workers()))
            available = self._memory - SYSTEM_MEMORY - sum(map(_total, workers))
        now = self._services.clock.monotonic()
        short = available < RESERVE
        if short:
            self._last_short = now
        pressed = short or ("MemoryPressure" in self.pressure and now - self._last_short < TRANSITION)
        if pressed != ("MemoryPressure" in self.pressure):
            (self.pressure.add if pressed else self.pressure.discard)("MemoryPressure")
            self._report()
        if short:
            node = self._services.node()
            if node:
                self._services.event(node, "Warning", "EvictionThresholdMet", "Attempting to reclaim memory")
        dispensable = [worker for worker in workers if not critical(worker.pod)]
        if short and dispensable:
            worst = max(dispensable, key=_rank)
            threshold = f"Threshold quantity: {_size(RESERVE)}, available: {max(0, available) >> 10}Ki. "
            self._evict(worst, f"The node was low on resource: memory. {threshold}{_consumption(worst)}")


def _alive(worker: PodWorker) -> bool:
    return not worker.state.ended and not worker.stopping


def _rank(worker: PodWorker) -> tuple[bool, int, Decimal]:
    """Above its request first, then the lower priority, then the larger excess."""
    excess = Decimal(_total(worker)) - pod_requests(worker.pod).get("memory", Decimal(0))
    return excess > 0, -int(worker.pod["spec"].get("priority") or 0), excess


def _memory(worker: PodWorker) -> dict[str, int]:
    return {run.name: run.container.memory for run in worker.state.active() if run.container}


def _total(worker: PodWorker) -> int:
    return sum(run.container.memory for run in worker.state.active() if run.container)


def _consumption(worker: PodWorker) -> str:
    text = ""
    used = _memory(worker)
    for container in spec.containers(worker.pod):
        request = ((container.get("resources") or {}).get("requests") or {}).get("memory", "0")
        size = used.get(container["name"], 0)
        if size > parse(request).value:
            text += (
                f"Container {container['name']} was using {size >> 10}Ki, request is {request}, "
                "has larger consumption of memory. "
            )
    return text


def disk_excess(worker: PodWorker) -> str:
    """Why a pod uses too much of its node's disk; "" if it does not."""
    pod = worker.pod
    limited = spec.limits_storage(pod)
    total = 0
    over = ""
    for volume in pod["spec"].get("volumes") or ():
        empty = volume.get("emptyDir")
        limit = empty.get("sizeLimit") if empty else None
        mounted = worker.volumes.mounted.get(volume["name"]) if limit or (limited and empty is not None) else None
        if mounted is None:
            continue
        used = mounted.volume.used()
        if limit and parse(limit).value and used > parse(limit).value:
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
        total += used if empty.get("medium") != "Memory" else 0
    if not limited:
        return ""
    allowed = Decimal(0)
    for container in spec.containers(pod):
        limit = ((container.get("resources") or {}).get("limits") or {}).get(spec.STORAGE)
        run = worker.state.last(container["name"])
        used = run.container.disk_usage() if run and run.container and run.running else 0
        total += used
        if limit:
            allowed += parse(limit).value
            if used > parse(limit).value:
                over = over or f'Container {container["name"]} exceeded its local ephemeral storage limit "{limit}". '
    if allowed and total > allowed:
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {_size(int(allowed))}. "
    return over


def _size(size: int) -> str:
    return str(whole(size, "binary"))
