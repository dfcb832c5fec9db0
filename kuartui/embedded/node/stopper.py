"""Stopping containers: events, preStop hooks, signals, grace periods, and the order that sidecars need.

After `killContainer` and `killPodWithSyncResult` (pkg/kubelet/kuberuntime).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from kuartui.embedded.node import spec
from kuartui.embedded.node.hooks import HookFailed
from kuartui.embedded.node.services import NodeServices
from kuartui.embedded.node.state import PodState, Run

Obj = dict[str, Any]

SHORTEST_GRACE = 2.0  # seconds; minimumGracePeriodInSeconds


class Stopper:
    """Stops containers of one pod."""

    def __init__(self, node: NodeServices, state: PodState) -> None:
        self._node = node
        self._state = state

    async def stop(
        self,
        pod: Obj,
        run: Run,
        message: str = "",
        probe: str = "",
        grace: float | None = None,
        after: Iterable[asyncio.Event] = (),
    ) -> None:
        """Stop one run and wait for its end. `probe` names the probe whose own grace period may apply.

        `after`: what must have happened before it gets its signal; its preStop hook does not wait for that.
        """
        if run.container is None or run.exited:
            return
        found = spec.container(pod, run.name)
        kind: str = found[0] if found else spec.REGULAR
        container: Obj = found[1] if found else {"name": run.name}
        text = message or f"Stopping container {run.name}"
        self._node.event(pod, "Normal", "Killing", text, spec.field_path(kind, container))
        left = _grace(pod, container, probe) if grace is None else grace
        hook = (container.get("lifecycle") or {}).get("preStop")
        if hook and left > 0 and run.started_at is not None:
            left -= await self._pre_stop(pod, kind, container, run, hook, left)
        if left > 0:
            left -= await self._turn(after, left)
        await run.container.stop(max(left, SHORTEST_GRACE))

    async def stop_all(self, pod: Obj, grace: float | None = None) -> None:
        """Stop every container: all are told at once; a sidecar's signal waits for those that started after it."""
        allowed = float(spec.grace_period(pod)) if grace is None else grace
        sidecars = [one["name"] for one in spec.containers(pod, spec.INIT) if spec.sidecar(spec.INIT, one)]
        alive = [runs[-1] for runs in self._state.runs.values() if runs and runs[-1].container and not runs[-1].exited]
        alive.sort(key=lambda run: sidecars.index(run.name) if run.name in sidecars else len(sidecars))
        ended = [asyncio.Event() for _ in alive]

        async def stop(number: int, run: Run) -> None:
            later = ended[number + 1 :] if run.name in sidecars else ()
            try:
                await self.stop(pod, run, grace=allowed, after=later)
            finally:
                ended[number].set()

        await asyncio.gather(*(stop(number, run) for number, run in reversed(list(enumerate(alive)))))

    async def _turn(self, after: Iterable[asyncio.Event], grace: float) -> float:
        """Wait for a container's turn, not longer than its grace period; the seconds that it took."""
        began = self._node.clock.monotonic()
        try:
            async with self._node.clock.timeout(grace):
                for event in after:
                    await event.wait()
        except TimeoutError:
            pass
        return self._node.clock.monotonic() - began

    async def _pre_stop(self, pod: Obj, kind: str, container: Obj, run: Run, hook: Obj, grace: float) -> float:
        """Run a preStop hook; the seconds that it took."""
        began = self._node.clock.monotonic()
        try:
            async with self._node.clock.timeout(grace):
                await self._node.run_hook(hook, pod, container, run.living)
        except TimeoutError:
            pass
        except HookFailed:
            path = spec.field_path(kind, container)
            self._node.event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", path)
        return self._node.clock.monotonic() - began


def _grace(pod: Obj, container: Obj, probe: str) -> float:
    own = (container.get(probe) or {}).get("terminationGracePeriodSeconds") if probe else None
    if own is not None and not pod["metadata"].get("deletionTimestamp"):
        return float(own)
    return float(spec.grace_period(pod))
