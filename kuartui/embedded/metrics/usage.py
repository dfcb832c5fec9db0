"""What pods and nodes use now, in the terms of metrics-server: one value per container over the last window."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from kuartui.embedded.clock import Clock

Obj = dict[str, Any]

WINDOW = 15.0  # seconds; metrics-server's resolution: a container younger than that has no metrics yet
SYSTEM_CPU = 45_000_000  # nanocores that kubelet, runtime and kernel take on every node
SYSTEM_MEMORY = 380 << 20


class Run(Protocol):
    """One running container (node.state.Run)."""

    name: str
    started_at: datetime | None

    @property
    def living(self) -> Any:
        """Has `usage()` with cpu_nanocores and memory_bytes. Raises LookupError if it isn't this process's."""


class UsageSource(Protocol):
    """Every running container with its pod (node.fleet.Fleet)."""

    def runs(self, node: str | None = None) -> Iterable[tuple[Obj, Any]]:
        """Of one node, or of all that answer."""

    def answers(self, node: str) -> bool:
        """Whether a node's kubelet can be asked."""


class Use(Struct, frozen=True):
    """CPU in nanocores, memory in bytes."""

    cpu: int
    memory: int


class PodUse(Struct, frozen=True):
    """A pod's containers."""

    pod: Obj
    timestamp: datetime
    containers: dict[str, Use]


class Usage:
    """Reads the usage source."""

    def __init__(self, source: UsageSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock

    def pods(self, node: str | None = None) -> dict[tuple[str, str], PodUse]:
        """By namespace and name; pods without metrics yet are left out."""
        now = self._clock.now()
        found: dict[tuple[str, str], PodUse] = {}
        young: set[tuple[str, str]] = set()
        for pod, run in self._source.runs(node):
            key = pod["metadata"]["namespace"], pod["metadata"]["name"]
            if run.started_at is None or now - run.started_at < timedelta(seconds=WINDOW):
                young.add(key)
                continue
            try:
                sample = run.living.usage()
            except LookupError:
                young.add(key)
                continue
            use = found.setdefault(key, PodUse(pod, now, {}))
            use.containers[run.name] = Use(sample.cpu_nanocores, sample.memory_bytes)
        return {key: use for key, use in found.items() if key not in young}

    def node(self, name: str) -> Use | None:
        """What a node's containers and system use together; None if it does not answer."""
        if not self._source.answers(name):
            return None
        cpu, memory = SYSTEM_CPU, SYSTEM_MEMORY
        for _, run in self._source.runs(name):
            try:
                sample = run.living.usage()
            except LookupError:
                continue
            cpu, memory = cpu + sample.cpu_nanocores, memory + sample.memory_bytes
        return Use(cpu, memory)
