"""Pods that wait for a node: which is next, and which change may help a pod that was refused.

After pkg/scheduler/backend/queue. A refused pod is tried again when something changes that the plugins which refused it
care about, and after five minutes in any case. As in Kubernetes since 1.33, nobody backs off while there is nothing
else to do; a pod whose attempt broke (a conflict, say) does.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.clock import Clock, Timer
from kuartui.embedded.scheduler.filtering import WAKES

Obj = dict[str, Any]
Name = tuple[str, str]  # namespace, name
Hint = Callable[[Name, str], bool]
"""Whether a change may help a waiting pod past a plugin that refused it."""

FIRST_BACKOFF, LAST_BACKOFF = 1.0, 10.0
FORGOTTEN_AFTER = 300.0  # seconds until a refused pod is tried again whatever happened


class Waiting(Struct):
    """A pod in the queue."""

    name: Name
    uid: str
    priority: int
    since: int
    """Order of arrival."""
    plugins: set[str] = field(default_factory=set)
    failures: int = 0
    timer: Timer | None = None
    in_flight: bool = False
    missed: list[tuple[str, Hint | None]] = field(default_factory=list)
    """Changes that happened during an attempt, with what is to be asked of them."""
    changed: bool = False
    """It changed itself during an attempt."""


class Queue:
    """Keeps pods by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pods: dict[Name, Waiting] = {}
        self._active: list[tuple[int, int, Name]] = []
        self._ready: set[Name] = set()
        self._arrivals = itertools.count()

    def add(self, name: Name, pod: Obj, caring: set[str] | None = None) -> None:
        """A new pod, or one that may fit now since it changed itself; `caring` are the plugins that look at what changed."""
        uid, priority = pod["metadata"].get("uid", ""), pod["spec"].get("priority") or 0
        waiting = self._pods.get(name)
        if waiting is None or waiting.uid != uid:
            self.remove(name)
            waiting = self._pods[name] = Waiting(name, uid, priority, next(self._arrivals))
        elif caring is not None and waiting.plugins and not waiting.in_flight and waiting.plugins.isdisjoint(caring):
            return
        self._activate(waiting)

    def remove(self, name: Name) -> None:
        """The pod is gone, or has a node."""
        waiting = self._pods.pop(name, None)
        self._ready.discard(name)
        if waiting is not None and waiting.timer is not None:
            waiting.timer.cancel()

    def pop(self) -> Name | None:
        """The most important pod that is worth an attempt; oldest first among equals."""
        while self._active:
            _, since, name = heapq.heappop(self._active)
            waiting = self._pods.get(name)
            if waiting is None or waiting.since != since or name not in self._ready:
                continue
            self._ready.discard(name)
            waiting.in_flight = True
            waiting.missed.clear()
            waiting.changed = False
            return name
        return None

    def refused(self, name: Name, plugins: set[str]) -> None:
        """The attempt ended without a node: wait for a change that these plugins care about."""
        waiting = self._pods.get(name)
        if waiting is None:
            return
        waiting.in_flight = False
        waiting.failures = 0
        waiting.plugins = set(plugins)
        if waiting.changed or any(self._helps(waiting, change, hint) for change, hint in waiting.missed):
            self._activate(waiting)
        else:
            self._later(waiting, FORGOTTEN_AFTER)

    def broken(self, name: Name) -> None:
        """The attempt failed for no reason of the pod's: try again, ever more slowly."""
        waiting = self._pods.get(name)
        if waiting is None:
            return
        waiting.in_flight = False
        waiting.failures += 1
        self._later(waiting, min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** (waiting.failures - 1)))

    def wake(self, change: str, hint: Hint | None = None) -> None:
        """Something changed: give those another try whom it may help. `hint` is asked where a plugin cares at all."""
        for waiting in self._pods.values():
            if waiting.in_flight:
                waiting.missed.append((change, hint))
            elif waiting.name not in self._ready and not waiting.failures and self._helps(waiting, change, hint):
                self._activate(waiting)

    def _helps(self, waiting: Waiting, change: str, hint: Hint | None = None) -> bool:
        if not waiting.plugins:
            return True
        caring = [plugin for plugin in waiting.plugins if change in WAKES.get(plugin, {change})]
        return any(hint is None or hint(waiting.name, plugin) for plugin in caring)

    def _activate(self, waiting: Waiting) -> None:
        if waiting.in_flight:
            waiting.changed = True
            return
        if waiting.timer is not None:
            waiting.timer.cancel()
            waiting.timer = None
        if waiting.name not in self._ready:
            self._ready.add(waiting.name)
            heapq.heappush(self._active, (-waiting.priority, waiting.since, waiting.name))
            self.on_ready()

    def _later(self, waiting: Waiting, seconds: float) -> None:
        if waiting.timer is not None:
            waiting.timer.cancel()
        waiting.timer = self._clock.call_later(seconds, lambda: self._due(waiting))

    def _due(self, waiting: Waiting) -> None:
        if self._pods.get(waiting.name) is waiting:
            waiting.timer = None
            self._activate(waiting)

    def on_ready(self) -> None:
        """Called when a pod becomes worth an attempt; the scheduler sets it."""

    def close(self) -> None:
        """Cancel all timers."""
        for waiting in self._pods.values():
            if waiting.timer is not None:
                waiting.timer.cancel()
