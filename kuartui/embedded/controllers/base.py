"""The loop that every controller is: keys of objects in a queue, one reconcile at a time per key.

Level-triggered, as in client-go's workqueue: a key that is added while it is worked on runs once more afterwards; a
reconcile that fails is retried with exponential back-off on the cluster's clock. What happens at one moment is looked
at once: ten pods that become ready are one change for their ReplicaSet, as they are where answers take a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from kuartui.embedded.client import Client
from kuartui.embedded.clock import Timer
from kuartui.embedded.store import Event

log = logging.getLogger(__name__)

NamespacedName = tuple[str, str]

FIRST_RETRY = 0.005  # seconds; client-go's DefaultControllerRateLimiter
LAST_RETRY = 60.0  # client-go waits up to 1000 s; a practice session is shorter than that


class Controller:
    """Subclasses say what they watch in `setup` (with `watch`) and implement `reconcile`."""

    name = "controller"
    first_retry = FIRST_RETRY

    def __init__(self, client: Client) -> None:
        self.client = client.as_user(
            f"system:serviceaccount:kube-system:{self.name}", manager="kube-controller-manager"
        )
        self.clock = client.clock
        self._queue: deque[NamespacedName] = deque()
        self._queued: set[NamespacedName] = set()
        self._running: set[NamespacedName] = set()
        self._again: set[NamespacedName] = set()
        self._failures: dict[NamespacedName, int] = {}
        self._timers: dict[NamespacedName, tuple[float, Timer]] = {}
        self._wake = asyncio.Event()
        self._waking = False
        self._stops: list[Callable[[], None]] = []

    def setup(self) -> None:
        """Call `watch` for each resource that matters."""

    async def reconcile(self, namespace: str, name: str) -> None:
        """Bring one object nearer to what it should be. May run at any time, must be idempotent."""
        raise NotImplementedError

    def watch(self, resource: str, handler: Callable[[Event], None]) -> None:
        """Have `handler` called for each change (existing objects first); it calls `enqueue`."""
        self._stops.append(self.client.listen(resource, handler))

    def enqueue(self, namespace: str, name: str) -> None:
        """Have a key reconciled soon."""
        key = (namespace, name)
        if key in self._running:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._queue.append(key)
            if not self._waking:
                self._waking = True
                self.clock.afterwards(self._awake)

    def enqueue_object(self, event: Event) -> None:
        """Handler for `watch`: the changed object's own key."""
        self.enqueue(event.obj.key.namespace, event.obj.key.name)

    def enqueue_after(self, namespace: str, name: str, seconds: float) -> None:
        """Have a key reconciled in a while; the earlier of two wishes wins."""
        key = (namespace, name)
        due = self.clock.monotonic() + seconds
        waiting = self._timers.get(key)
        if waiting:
            if waiting[0] <= due:
                return
            waiting[1].cancel()
        self._timers[key] = due, self.clock.call_later(seconds, lambda: self._due(key))

    def _awake(self) -> None:
        self._waking = False
        self._wake.set()

    def _due(self, key: NamespacedName) -> None:
        self._timers.pop(key, None)
        self.enqueue(*key)

    async def run(self) -> None:
        """Work until cancelled."""
        self.setup()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                for _ in range(len(self._queue)):  # what is added meanwhile has its turn in the next moment
                    await self._one(self._queue.popleft())
        finally:
            for stop in self._stops:
                stop()
            for _, timer in self._timers.values():
                timer.cancel()

    async def _one(self, key: NamespacedName) -> None:
        self._queued.discard(key)
        self._running.add(key)
        try:
            await self.reconcile(*key)
            self._failures.pop(key, None)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  the edge of a worker: one bad object must not stop the controller
            self._retry(key, error)
        finally:
            self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.enqueue(*key)

    def _retry(self, key: NamespacedName, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        log.debug("%s: %s/%s failed %d times: %s", self.name, *key, failures, error, exc_info=error)
        self.enqueue_after(*key, min(LAST_RETRY, self.first_retry * 2 ** (failures - 1)))
