"""What a kubelet knows of a pod on its node: the runs of its containers, its sandbox, what it is waiting for.

The API's pod status is always computed from this (`status.py`), never kept beside it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.node.runtime import Container

Obj = dict[str, Any]


class Phase(StrEnum):
    """Where one run of a container is."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


class Run(Struct):
    """One run of one container; a restart is a new one."""

    name: str
    id: str
    restarts: int
    image: str
    image_id: str
    identity: tuple[str, str]
    sandbox: int = 0
    """Which sandbox of the pod it ran in; runs of an earlier one count for back-off and status only."""
    superseded: bool = False
    """All containers of the pod were restarted since; it counts for the status only."""
    phase: Phase = Phase.CREATED
    seen: bool = False
    """Whether the kubelet has looked since it began to run; the status shows it as being created until then."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    finished: float = 0.0
    """Monotonic time of the end, for back-off."""
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    resources: Obj = field(default_factory=dict)
    container: Container | None = None
    """The runtime's container; None for a run that a former process of ours recorded."""
    startup: bool | None = None
    """Last settled result of each probe; None before the first (or without such a probe)."""
    readiness: bool | None = None
    liveness: bool | None = None

    @property
    def living(self) -> Container:
        """The runtime's container of a run of this process."""
        if self.container is None:
            raise LookupError(f"container {self.name} ran in a former process")
        return self.container

    @property
    def running(self) -> bool:
        return self.phase is Phase.RUNNING

    @property
    def fresh(self) -> bool:
        """Begun, and the status does not show it yet."""
        return self.phase is Phase.CREATED or (self.running and not self.seen)

    @property
    def exited(self) -> bool:
        return self.phase is Phase.EXITED

    @property
    def ended_with(self) -> int | None:
        """The exit code, None while it has not ended."""
        return self.exit_code if self.exited else None


class Waiting(Struct):
    """Why a container could not be started, as its waiting state tells it."""

    reason: str
    message: str = ""


class PodState(Struct):
    """A pod on its node."""

    runs: dict[str, list[Run]] = field(default_factory=dict)
    """By container name, oldest first, at most two are kept (the last and the one before)."""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    replacing: set[str] = field(default_factory=set)
    """Containers that the kubelet kills to start them anew; until it has, the status stays what it was."""
    ips: list[str] = field(default_factory=list)
    sandbox: bool = False
    """Whether the pod's network is up."""
    sandboxes: int = 0
    """How many sandboxes there were before this one; a node's reboot makes a new one."""
    ended: bool = False
    """All containers have ended for good; none starts again whatever the restart policy."""
    failure: tuple[str, str] | None = None
    """Reason and message of a failure of the whole pod: Evicted, DeadlineExceeded, OutOfcpu."""

    doomed: bool = False
    """The kubelet stops the pod for such a failure; until it has, the phase stays what it was."""
    rejected: bool = False
    """The node did not take the pod; nothing of it ever ran here."""
    disruption: str = ""
    """Message of the DisruptionTarget condition: the kubelet evicts this pod."""
    resources: Obj | None = None
    """What was allocated to the pod as a whole; None until its first sync."""
    restarting: bool = False
    """All containers are being stopped, to start over."""
    resize: tuple[str, str] | None = None
    """Why a resize has to wait: Deferred or Infeasible, and the message."""
    resize_error: str = ""
    """Why a resize that was granted cannot be done yet."""

    def last(self, name: str) -> Run | None:
        """The newest run of a container."""
        runs = self.runs.get(name)
        return runs[-1] if runs else None

    def current(self, name: str) -> Run | None:
        """The newest run of a container, if it belongs to the present sandbox and the pod's last start."""
        run = self.valid(name)
        return run if run and run.sandbox == self.sandboxes else None

    def valid(self, name: str) -> Run | None:
        """The newest run of a container, unless all containers were restarted after it."""
        run = self.last(name)
        return run if run and not run.superseded else None

    def add(self, run: Run) -> None:
        """Make `run` the newest of its container."""
        self.runs[run.name] = [*self.runs.get(run.name, ())[-1:], run]

    def active(self) -> list[Run]:
        """Runs that are going on."""
        return [run for runs in self.runs.values() for run in runs[-1:] if run.running]
