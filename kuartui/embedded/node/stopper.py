"""Stopping containers: events, preStop hooks, signals, grace periods, and the order that sidecars need.

After `killContainer` and `killPodWithSyncResult` (pkg/kubelet/kuberuntime).
"""

from __future__ import annotations

import asyncio
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

    async def stop(self, pod: Obj, run: Run, message: str = "", probe: str = "", grace: float | None = None) -> None:
        """Stop one run and wait for its end. `probe` names the probe whose own grace period may apply."""
        if run.container is None or run.exited:
            return
        found = spec.container(pod, run.name)
        kind: str = found[0] if found else spec.REGULAR
        container: Obj = found[1] if found else {"name": run.name}
        text = message or f"Stopping container {run.name}"
        self._node.event(pod, "Normal", "Killing", text, spec.field_path(kind, container))
        left = _grace(pod, container, probe) if grace is None else grace
        hook = (container.get("lifecycle") or {}).get("preStop")
        if hook and left > 0 and run.running:
            left -= await self._pre_stop(pod, kind, container, run, hook, left)
        await run.container.stop(max(left, SHORTEST_GRACE))

    async def stop_all(self, pod: Obj, grace: float | None = None) -> None:
        """Stop every container: the regular ones together, then the sidecars, last one first."""
        began = self._node.clock.monotonic()
        allowed = float(spec.grace_period(pod)) if grace is None else grace
        sidecars = [one["name"] for one in spec.containers(pod, spec.INIT) if spec.sidecar(spec.INIT, one)]
        alive = [runs[-1] for runs in self._state.runs.values() if runs and runs[-1].container and not runs[-1].exited]
        ordinary = [run for run in alive if run.name not in sidecars]
        await asyncio.gather(*(self.stop(pod, run, grace=allowed) for run in ordinary))
        for name in reversed(sidecars):
            for run in alive:
                if run.name == name:
                    left = max(0.0, allowed - (self._node.clock.monotonic() - began))
                    await self.stop(pod, run, grace=left)

    async def _pre_stop(self, pod: Obj, kind: str, container: Obj, run: Run, hook: Obj, grace: float) -> float:
        """Run a preStop hook; the seconds that it took."""
        made = run.living
        began = self._node.clock.monotonic()
        try:
            async with self._node.clock.timeout(grace):
                await self._node.hooks.run(hook, pod, container, made, made.sandbox.ip)
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
