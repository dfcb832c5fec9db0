"""Everything that a check may look at: the API as the checker, the live copies, the clock, the start."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kuartui.checks.evidence import NotThereError, Obj
from kuartui.checks.objects import Objects
from kuartui.cluster import exec as cluster_exec
from kuartui.cluster.clock import Clock
from kuartui.cluster.exec import ExecResult
from kuartui.cluster.rest import Api
from kuartui.containers.engine import Docker
from kuartui.errors import ApiError
from kuartui.game.cel import Facts
from kuartui.game.labels import SYSTEM_NAMESPACE
from kuartui.game.level import Level
from kuartui.game.spec import Place, ResourceQuery
from kuartui.message import later

if TYPE_CHECKING:
    from kuartui.checks.access import Answers
    from kuartui.cluster.machines import Machines

PROBE_POD = "probe"
GRACE = 10.0  # real seconds on top of a timeout that runs on the cluster's clock,
STEPPED_GRACE = 60.0  # also where real time means nothing, and a busy machine may be slow


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the live copies had of what a question is about, and what of that it may see."""

    spec: object
    found: dict[str, Obj | list[Obj] | None]
    facts: Facts


@dataclass(slots=True)
class World:
    """`baseline` is what `checks.baseline.capture` saw at the start, by the name of the question."""

    api: Api
    level: Level
    clock: Clock
    objects: Objects
    baseline: dict[str, Any] = field(default_factory=dict)
    violated: set[str] = field(default_factory=set)  # history questions that were false at some time
    workspace: Path | None = None
    machines: Machines | None = None  # where they can be switched off
    docker: Docker = field(default_factory=Docker)
    gathered: dict[str, Gathered] = field(default_factory=dict)  # by the name of a question
    reviews: dict[Hashable, Answers] = field(default_factory=dict)  # what `access` was told, by subject
    known: dict[Hashable, bool] = field(default_factory=dict)  # the same, by subject and rules, on stepped time

    async def place(self, where: Place | Literal["pod"]) -> tuple[str, str, str]:
        """(namespace, pod, container) to run something in. NotThereError when there is no such running container."""
        if where == "pod":
            return SYSTEM_NAMESPACE, PROBE_POD, ""
        return (await self.places(where))[0]

    async def places(self, where: Place, *, ended: bool = False) -> list[tuple[str, str, str]]:
        """All of them. With `ended`, pods that succeeded come after those that are ready: one can still read what they
        wrote."""
        namespace = where.namespace or self.level.namespace
        if where.pod:
            return [(namespace, where.pod, where.container)]
        pods = await self.objects.all(ResourceQuery(kind="Pod", namespace=namespace, selector=where.selector))
        found = [pod for pod in pods if _is_ready(pod)]
        if ended:
            found += [pod for pod in pods if pod.get("status", {}).get("phase") == "Succeeded"]
        if not found:
            raise NotThereError(later("no ready pod with {selector}", selector=where.selector))
        return [(namespace, str(pod["metadata"]["name"]), where.container) for pod in found]

    async def run(self, where: Place | Literal["pod"], command: tuple[str, ...], timeout: float) -> ExecResult:
        """Run a command in a container. NotThereError when the container is not there or not running."""
        namespace, pod, container = await self.place(where)
        absent = later("cannot run commands in pod {pod}", pod=pod)
        timeout += STEPPED_GRACE if self.clock.steppable else GRACE
        if where != "pod" and where.pod and not await self._runs(namespace, pod, container):
            raise NotThereError(absent)  # a probe of a container that crashes would ask in vain at each of its changes
        try:
            return await cluster_exec.run(self.api, namespace, pod, command, container=container, timeout=timeout)
        except ApiError as error:
            if where == "pod":
                raise
            raise NotThereError(absent) from error

    async def _runs(self, namespace: str, pod: str, container: str) -> bool:
        """Whether that container runs, or any where it has no name, as far as the live copy tells."""
        pods = await self.objects.all(ResourceQuery(kind="Pod", namespace=namespace, name=pod))
        return any(
            "running" in status.get("state", {})
            for found in pods
            for status in found.get("status", {}).get("containerStatuses") or []
            if container in ("", status.get("name"))
        )


def _is_ready(pod: Obj) -> bool:
    status = pod.get("status", {})
    ready = any(item.get("type") == "Ready" and item.get("status") == "True" for item in status.get("conditions") or [])
    return ready and not pod["metadata"].get("deletionTimestamp")
