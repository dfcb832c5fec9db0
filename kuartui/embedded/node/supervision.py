"""Looking after the runs of one pod's containers: probes while they go on, and what is known when they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from kuartui.embedded.node import spec
from kuartui.embedded.node.probes.worker import ProbeWorker
from kuartui.embedded.node.services import NodeServices
from kuartui.embedded.node.state import Phase, PodState, Run

Obj = dict[str, Any]

SIGHT_SECONDS = 0.1  # from a start until the kubelet has seen it; its relist comes once a second, we are in a hurry
MESSAGE_BYTES = 4096  # of /dev/termination-log
LOG_LINES, LOG_BYTES = 80, 2048  # of the log, where that stands in for it


class Supervisor:
    """Watches runs. `changed` is told of everything that the status shows, `wake` of what asks for action."""

    def __init__(
        self,
        node: NodeServices,
        state: PodState,
        pod: Callable[[], Obj],
        changed: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        self._node = node
        self._state = state
        self._pod = pod
        self._changed = changed
        self._wake = wake
        self._probes: dict[str, ProbeWorker] = {}
        self._watches: set[asyncio.Task[None]] = set()

    def began(self, run: Run) -> None:
        """A container's first process runs (its postStart hook does not yet)."""
        self._follow(self._watch(run))
        self._changed()

    def started(self, run: Run, container: Obj) -> None:
        """The container has started, its postStart hook is over: begin to probe it, and soon tell of it."""
        self._follow(self._sight(run))
        pod = self._pod()
        found = spec.container(pod, run.name)
        path = spec.field_path(found[0], container) if found else ""

        def report(reason: str, message: str) -> None:
            self._node.event(self._pod(), "Warning", reason, message, path)

        def settled() -> None:
            self._changed()
            self._wake()

        worker = ProbeWorker(self._node.prober, run, container, run.living.sandbox.ip, report, settled)
        self._probes[run.id] = worker
        worker.start()

    def pause(self, paused: bool) -> None:
        """Probe nothing while the kubelet is stopped, and go on with it later."""
        for probes in self._probes.values():
            if paused:
                probes.stop()
            else:
                probes.start()

    def only_readiness(self) -> None:
        """The pod is being stopped: nobody asks any more whether its containers are alive."""
        for probes in self._probes.values():
            probes.stop("livenessProbe", "startupProbe")

    def settle(self, run: Run) -> None:
        """Take over how a run ended, if it has."""
        made = run.container
        if run.exited or made is None or made.exit is None:
            return
        ended = made.exit
        run.phase, run.exit_code, run.reason = Phase.EXITED, ended.code, ended.reason
        run.started_at, run.finished_at = ended.started_at, ended.finished_at
        run.finished = self._node.clock.monotonic()
        run.message = self._last_words(run) or ended.message
        probes = self._probes.pop(run.id, None)
        if probes is not None:
            probes.stop()
        made.remove()
        self._changed()

    def settle_all(self) -> None:
        """The same for every run of the pod."""
        for runs in self._state.runs.values():
            for run in runs:
                self.settle(run)

    def stop(self) -> None:
        """Probe nothing any more."""
        for probes in self._probes.values():
            probes.stop()
        self._probes.clear()

    def release(self) -> None:
        """Forget everything; containers that still run are killed."""
        self.stop()
        for task in self._watches:
            task.cancel()
        for runs in self._state.runs.values():
            for run in runs:
                if run.container is not None:
                    run.container.remove()

    def _follow(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)

    async def _sight(self, run: Run) -> None:
        """What ends before the kubelet looks is only ever told of as ended."""
        await self._node.clock.sleep(SIGHT_SECONDS)
        run.seen = True
        if run.running:
            self._changed()

    async def _watch(self, run: Run) -> None:
        await run.living.wait()
        starting = run.phase is Phase.CREATED  # then whoever starts it goes on by itself
        self.settle(run)
        if not starting:
            self._wake()

    def _last_words(self, run: Run) -> str:
        made = run.living
        text = made.read_file(made.spec.termination_message_path, MESSAGE_BYTES).decode(errors="replace")
        found = spec.container(self._pod(), run.name)
        policy = found[1].get("terminationMessagePolicy") if found else None
        if not text and policy == "FallbackToLogsOnError" and made.exit and made.exit.code:
            return made.log.last(LOG_LINES, LOG_BYTES)
        return text
