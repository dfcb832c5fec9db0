"""When probes run, what thresholds make of their results, and what a kubelet says about them.

After pkg/kubelet/prober/worker.go. Readiness runs at once when a container has started; the others tick first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kuartui.embedded.node.probes.handlers import Outcome, Prober, Result
from kuartui.embedded.node.state import Run

Obj = dict[str, Any]

PROBES = {"startupProbe": "Startup", "readinessProbe": "Readiness", "livenessProbe": "Liveness"}
RETRIES = 3  # of a probe that could not be done at all

Report = Callable[[str, str], None]
"""Records a Warning about the container: reason, message."""


class ProbeWorker:
    """All probes of one run of one container, from its start to its end."""

    def __init__(
        self, prober: Prober, run: Run, spec: Obj, pod_ip: str, report: Report, changed: Callable[[], None]
    ) -> None:
        self._prober = prober
        self._clock = prober.clock
        self._run = run
        self._spec = spec
        self._pod_ip = pod_ip
        self._report = report
        self._changed = changed
        self._started_at = self._clock.monotonic()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begin with those that may run now, or go on where they were stopped."""
        if "startupProbe" in self._spec and self._run.startup is not True:
            self._begin("startupProbe")
        else:
            self._begin_others()

    def stop(self, *kinds: str) -> None:
        """End some or (without arguments) all of them."""
        for kind in kinds or tuple(self._tasks):
            task = self._tasks.pop(kind, None)
            if task and task is not asyncio.current_task():
                task.cancel()

    def _begin_others(self) -> None:
        for kind in ("readinessProbe", "livenessProbe"):
            if kind in self._spec:
                self._begin(kind)

    def _begin(self, kind: str) -> None:
        self._tasks[kind] = asyncio.get_running_loop().create_task(self._work(kind, self._spec[kind]))

    async def _work(self, kind: str, probe: Obj) -> None:
        period = float(probe.get("periodSeconds") or 10)
        wanted = {
            Result.SUCCESS: int(probe.get("successThreshold") or 1),
            Result.FAILURE: int(probe.get("failureThreshold") or 3),
        }
        if kind != "readinessProbe":
            await self._clock.sleep(period)
        last, streak = Result.UNKNOWN, 0
        while True:
            if int(self._clock.monotonic() - self._started_at) >= int(probe.get("initialDelaySeconds") or 0):
                began = self._clock.monotonic()
                result = await self._once(kind, probe)
                if result is not None:
                    streak = streak + 1 if result is last else 1
                    last = result
                    if streak >= wanted[result] and self._settle(kind, result is Result.SUCCESS):
                        return
                await self._clock.sleep(max(0.0, period - (self._clock.monotonic() - began)))
            else:
                await self._clock.sleep(period)

    async def _once(self, kind: str, probe: Obj) -> Result | None:
        """The result of one probe; None if there is none."""
        container = self._run.living
        seconds = float(probe.get("timeoutSeconds") or 1)
        outcome = Outcome(Result.UNKNOWN)
        for _ in range(RETRIES):
            outcome = await self._prober.probe(probe, seconds, self._spec, container, self._pod_ip)
            if outcome.result is not Result.UNKNOWN:
                break
        word = PROBES[kind]
        if outcome.result is Result.UNKNOWN:
            self._report("Unhealthy", f"{word} probe errored and resulted in unknown state: {outcome.output}")
            return None
        if outcome.result is Result.FAILURE:
            self._report("Unhealthy", f"{word} probe failed: {outcome.output}")
            return Result.FAILURE
        if outcome.result is Result.WARNING:
            self._report("ProbeWarning", f"{word} probe warning: {outcome.output}")
        return Result.SUCCESS

    def _settle(self, kind: str, good: bool) -> bool:
        """Take over a result that reached its threshold; True ends this probe."""
        run = self._run
        match kind:
            case "startupProbe":
                run.startup = good
                if good:
                    self._begin_others()
                self._changed()
                return True
            case "readinessProbe":
                if run.readiness is not good:
                    run.readiness = good
                    self._changed()
                return False
            case _:
                if run.liveness is not good:
                    run.liveness = good
                    if not good:
                        self._changed()
                return not good
