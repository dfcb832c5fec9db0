"""One pod on its node, from its arrival to its end: the loop that brings it nearer to its spec.

After pkg/kubelet/pod_workers.go and `syncPod`. The loop sleeps unless something happened: the pod was changed, a
container ended, a probe's result is another, a back-off is over. A wish to stop the pod interrupts whatever it does.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.node import resize, spec
from kuartui.embedded.node.actions import Actions, Kill, next_actions, start_over
from kuartui.embedded.node.credentials import missing_pull_secrets
from kuartui.embedded.node.devices import missing_driver
from kuartui.embedded.node.pull import StartFailure
from kuartui.embedded.node.reporter import Reporter
from kuartui.embedded.node.resources import cgroup_limits, sandbox_memory
from kuartui.embedded.node.runtime import Sandbox
from kuartui.embedded.node.runtime.spec import MEMORY_OF_INIT, NOT_CREATED, OUT_OF_MEMORY
from kuartui.embedded.node.sandbox import PodNetwork
from kuartui.embedded.node.services import NodeServices
from kuartui.embedded.node.starter import AFTER_ERROR, Starter
from kuartui.embedded.node.state import PodState, Run, Waiting
from kuartui.embedded.node.status import pod_status
from kuartui.embedded.node.stopper import Stopper
from kuartui.embedded.node.supervision import Supervisor
from kuartui.embedded.node.volumes.content import Sources, token_seconds
from kuartui.embedded.node.volumes.mounter import PodVolumes

Obj = dict[str, Any]

log = logging.getLogger(__name__)

FROM_RUNTIME = "rpc error: code = Unknown desc = "
HANDLERS = ("", "runc")  # what the container runtime is configured for
SANDBOX_SECONDS = 0.05  # what containerd and the CNI plugin take
RELIST_SECONDS = 1.0  # until the kubelet sees that a container runs, and looks at its pod again
TEARDOWN_SECONDS = 0.3  # until the kubelet has seen the end of all containers and taken the sandbox down
RESIZE_SECONDS = 180.0  # until a deferred resize is tried again whatever happened
EVICTION_GRACE = 1.0  # seconds; immediateEvictionGracePeriodSeconds
TOKEN_SHARE = 0.8  # of a mounted token's life, after which there is a new one; of a day at most
DAY = 86_400.0
DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class PodWorker:
    """Runs one pod. `state` is public for logs, exec and statistics; only the worker changes it."""

    def __init__(
        self,
        node: NodeServices,
        pod: Obj,
        state: PodState,
        network: PodNetwork,
        others: Callable[[], list[Obj]],
        made_room: Callable[[], None],
    ) -> None:
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.state = state
        self.sandbox: Sandbox | None = None
        self.volumes = PodVolumes(node.disks, node.network, node.machine.name, node.machine.ip)
        self.disk_bounded = spec.bounds_disk(pod)
        """Whether there is a limit to what it may write."""
        self.gone = False
        """The object is no longer in the API."""
        self.ended = asyncio.Event()
        """All of it has ended, or its node has."""
        self.waits_for: list[PodWorker] = []
        """Pods that have to end before it may start."""
        self._node = node
        self._clock = node.clock
        self._network = network
        self._others = others
        """The other active pods on the node."""
        self._made_room = made_room
        """Called when the pod takes less of its node than before."""
        self.reporter = Reporter(node.client, pod, self._status)
        self._wake = asyncio.Event()
        self._supervisor = Supervisor(node, state, lambda: self.pod, self.reporter.changed, self._wake.set)
        self._stopper = Stopper(node, state)
        self._starter = Starter(node, state, self.volumes, self._stopper, self._supervisor.began)
        self._step: asyncio.Task[float | None] | None = None
        self._kill: asyncio.Task[None] | None = None
        self._verdict: tuple[str, str] | None = None
        self._verdict_grace: float | None = None
        self._deadline: Any = None
        self._renewal: Any = None
        """When the tokens that the pod mounts are written anew."""
        self._done = False
        self._paused = False
        """The kubelet is not running: nobody looks after the pod."""
        self._stale = False
        self._resizing = ""
        """What a resize that is under way asks for, as events tell it."""

    # --- what others tell it ---

    def update(self, pod: Obj) -> None:
        """The object in the API changed."""
        old, self.pod = self.pod, pod
        if _stop_wish(pod) != _stop_wish(old):
            self._interrupt()
        elif _differs(pod, old):
            self._stale = True
            self._set_deadline()
            self._wake.set()
        elif _gates(pod) != _gates(old):
            self.reporter.changed()

    def adopt(self, mirror: Obj) -> None:
        """The pod is known to the API by another object from now on: a static pod's new mirror."""
        self.pod, self.uid = mirror, mirror["metadata"]["uid"]
        self.reporter.turn_to(mirror)

    def removed(self) -> None:
        """The object in the API is gone."""
        self.gone = True
        self._interrupt()

    def fail(self, reason: str, message: str, grace: float | None = None) -> None:
        """Stop the pod for good: evicted, or its time is up."""
        if self._verdict is None and not self.state.ended:
            self._verdict, self._verdict_grace = (reason, message), grace
            self.state.doomed = True
            self._interrupt()

    def evict(self, message: str) -> None:
        """Stop the pod because the node needs what it uses; hardly any time is given."""
        self.state.disruption = message
        self.fail("Evicted", message, grace=EVICTION_GRACE)

    def preempt(self, reason: str, message: str) -> None:
        """Stop the pod because the node needs its room for another; it has its usual time."""
        self.state.disruption = message
        self.fail(reason, message)

    def pause(self, paused: bool) -> None:
        """The kubelet was stopped, or runs again; containers go on, but nothing is done for them meanwhile."""
        self._paused = paused
        self._supervisor.pause(paused)
        self.reporter.mute(paused)
        if paused:
            self._interrupt()
            return
        self._set_deadline()
        self.refresh()

    def refresh(self) -> None:
        """What the pod mounts may have changed: look at it soon."""
        self._stale = True
        self._wake.set()

    @property
    def stopping(self) -> bool:
        """Whether its containers are to end."""
        return self.gone or self._verdict is not None or bool(self.pod["metadata"].get("deletionTimestamp"))

    # --- the loop ---

    async def run(self) -> None:
        """Work until the pod is gone from the API and from the node."""
        self._set_deadline()
        try:
            while not self._done:
                self._wake.clear()
                if self._paused:
                    await self._wake.wait()
                    continue
                delay = await self._guard(self._terminate() if self.stopping else self._sync())
                await self._rest(delay)
        finally:
            self._release()

    async def _guard(self, work: Any) -> float | None:
        """Do one step; an interruption ends it early and the next one begins at once."""
        self._step = asyncio.get_running_loop().create_task(work)
        try:
            return await self._step
        except asyncio.CancelledError:
            if self._step.cancelled() and not _cancelling():
                return 0.0
            self._step.cancel()
            raise
        except Exception:  # the edge of a worker: a bug with one pod must not stop its node
            log.exception("pod %s/%s", self.pod["metadata"]["namespace"], self.pod["metadata"]["name"])
            return AFTER_ERROR
        finally:
            self._step = None

    async def _rest(self, delay: float | None) -> None:
        if self._done or delay == 0:
            return
        timer = None if delay is None else self._clock.call_later(delay, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _interrupt(self) -> None:
        self._wake.set()
        if self._kill is not None:
            self._kill.cancel()
        elif self._step is not None:
            self._step.cancel()

    def _set_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        seconds, began = self.pod["spec"].get("activeDeadlineSeconds"), self.pod.get("status", {}).get("startTime")
        if seconds is None or self.state.ended:
            return
        passed = 0.0
        if began:
            passed = (self._clock.now() - datetime.fromisoformat(began)).total_seconds()
        self._deadline = self._clock.call_later(max(0.0, seconds - passed), self._too_late)

    def _too_late(self) -> None:
        if not self.stopping and not self.state.ended and not self._paused:
            self._node.event(self.pod, "Normal", *DEADLINE)
            self.fail(*DEADLINE)

    # --- towards running ---

    async def _sync(self) -> float | None:
        """Do what can be done now; seconds until there is more, None if only an event can bring that."""
        if self.state.ended:
            return None
        self.reporter.changed()
        sources = self._sources()
        for failure in self.volumes.set_up(sources):
            self._node.event(self.pod, "Warning", "FailedMount", failure.message)
        if self.volumes.pending:
            return max(0.01, self.volumes.next_retry() - self._clock.monotonic())
        missing = self._pull_secrets_missing()
        newest = self._newest_runs()
        sandbox = self.sandbox or await self._make_sandbox()
        if sandbox is None:
            return AFTER_ERROR
        if self._stale:
            self._stale = False
            self._refresh_volumes()
        await self._resize()
        delay = await self._converge(sandbox)
        if self._resizing and not resize.pending(self.pod, self.state):
            self._node.event(self.pod, "Normal", "ResizeCompleted", f"Pod resize completed: {self._resizing}")
            self._resizing = ""
        if self.state.resize_error:
            delay = min(AFTER_ERROR, delay or AFTER_ERROR)
        elif self.state.resize:
            delay = min(RESIZE_SECONDS, delay or RESIZE_SECONDS)
        if missing and self._newest_runs() != newest:
            return min(RELIST_SECONDS, delay or RELIST_SECONDS)
        return delay

    def _newest_runs(self) -> set[str]:
        return {runs[-1].id for runs in self.state.runs.values()}

    def _pull_secrets_missing(self) -> bool:
        """Whether pull secrets do not exist; the kubelet says so each time that it looks at the pod."""
        missing = missing_pull_secrets(self._node.client, self.pod)
        if missing:
            message = f"Unable to retrieve some image pull secrets ({', '.join(missing)})"
            message += "; attempting to pull the image may not succeed."
            self._node.event(self.pod, "Warning", "FailedToRetrieveImagePullSecret", message)
        return bool(missing)

    def _refresh_volumes(self) -> None:
        self.volumes.refresh(self._sources())
        seconds = token_seconds(self.pod)
        if seconds is None:
            return
        if self._renewal is not None:
            self._renewal.cancel()
        self._renewal = self._clock.call_later(min(TOKEN_SHARE * seconds, DAY), self.refresh)

    def _sources(self) -> Sources:
        return Sources(self._node.client, self.pod, self._node.around(self.state.ips), self._node.tokens)

    def _runtime_handler(self) -> str:
        """The container runtime's configuration that the pod's RuntimeClass names, "" for the usual one."""
        name = self.pod["spec"].get("runtimeClassName")
        found = self._node.client.get("runtimeclasses.node.k8s.io", "", name) if name else None
        return str(found.get("handler", "")) if found else ""

    def _no_sandbox(self, why: str) -> None:
        self._node.event(self.pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {why}")

    async def _make_sandbox(self) -> Sandbox | None:
        await self._clock.sleep(SANDBOX_SECONDS)
        for message in self._network.omitted(self.pod):
            self._node.event(self.pod, "Warning", "DNSConfigForming", message)
        handler = self._runtime_handler()
        if handler not in HANDLERS:
            self._no_sandbox(f'{FROM_RUNTIME}failed to get sandbox runtime: no runtime for "{handler}" is configured')
            return None
        memory = sandbox_memory(self.pod)
        if memory is not None and 0 < memory <= MEMORY_OF_INIT:
            which = secrets.token_hex(32)
            self._no_sandbox(f'{FROM_RUNTIME}failed to start sandbox "{which}": {NOT_CREATED}{OUT_OF_MEMORY}')
            return None
        if missing := missing_driver(self._node.client, self.pod):
            message = f"Failed to prepare dynamic resources: prepare dynamic resources: {missing}"
            self._node.event(self.pod, "Warning", "FailedPrepareDynamicResources", message)
            return None
        try:
            made = self._network.up(self.pod)
        except RuntimeError as error:
            where = f'failed to setup network for sandbox "{self.uid.replace("-", "")}"'
            self._no_sandbox(f'{FROM_RUNTIME}{where}: plugin type="ptp" failed (add): {error}')
            return None
        except ValueError as error:
            self._no_sandbox(str(error))
            return None
        self.sandbox = made
        self.state.ips, self.state.sandbox = [made.ip], True
        self._refresh_volumes()
        self.reporter.changed()
        return made

    async def _resize(self) -> None:
        """Give running containers the resources that the spec asks for, if the node has them."""
        if self.state.resources is None:
            self.state.resources = resize.whole(self.pod)
        pending = resize.pending(self.pod, self.state)
        before, self.state.resize = self.state.resize, None
        failed, self.state.resize_error = self.state.resize_error, ""
        if not pending:
            if before or failed:
                self.reporter.changed()
            return
        self.state.resize = resize.obstacle(self.pod, self._node.node(), self._others())
        self.reporter.changed()
        if self.state.resize:
            if self.state.resize != before:
                kind, why = self.state.resize
                text = f"Pod resize {kind}: {resize.summary(self.pod, why)}"
                self._node.event(self.pod, "Warning", f"Resize{kind}", text)
            return
        asked = resize.summary(self.pod)
        if self._resizing != asked:
            self._resizing = asked
            self._node.event(self.pod, "Normal", "ResizeStarted", f"Pod resize started: {asked}")
        self.state.resources = resize.whole(self.pod)
        self.state.resize_error = resize.below_usage(self.pod, self.state)
        if self.state.resize_error:
            if not failed:
                text = f"Pod resize error: {resize.summary(self.pod, self.state.resize_error)}"
                self._node.event(self.pod, "Warning", "ResizeError", text)
            return
        for container, run in resize.outdated(self.pod, self.state):
            if resize.restarts_for(self.pod, container, run):
                message = f"Container {run.name} resize requires restart"
                await self._stopper.stop(self.pod, run, message)
                self._supervisor.settle(run)
            else:
                run.living.update(cgroup_limits(self.pod, container))
                run.resources = container.get("resources") or {}
        self._made_room()

    async def _converge(self, sandbox: Sandbox) -> float | None:
        retries: list[float] = []
        while True:
            if start_over(self.pod, self.state):
                await self._start_over()
            actions = next_actions(self.pod, self.state)
            if actions.end:
                await self._end()
                return None
            retries = [delay for delay in await self._take(actions, sandbox) if delay is not None]
            if not actions.kill and len(retries) == actions.starts:
                return min(retries, default=None)

    async def _take(self, actions: Actions, sandbox: Sandbox) -> list[float | None]:
        """Kill and start what is planned; what came of each start (see `_start`)."""
        since = {kill.run.name: self._restart_base(kill.run) for kill in actions.kill}
        self.state.replacing = {kill.run.name for kill in actions.kill if kill.restart}
        try:
            await asyncio.gather(*(self._kill_one(kill) for kill in actions.kill))
            again = [(kill.kind, kill.container) for kill in actions.kill if kill.restart]
            return [
                await self._start(kind, container, sandbox, since)
                for kind, containers in (
                    (spec.EPHEMERAL, actions.ephemeral),
                    (spec.INIT, [*(one for kind, one in again if kind == spec.INIT), *actions.init]),
                    (spec.REGULAR, [*actions.regular, *(one for kind, one in again if kind == spec.REGULAR)]),
                )
                for container in containers
            ]
        finally:
            self.state.replacing = set()

    async def _start_over(self) -> None:
        """Stop all containers, without their hooks; then the pod begins anew where it is, with its volumes and address."""
        self.state.restarting = True
        self.reporter.changed()
        await self._stopper.stop_all(self.pod, grace=0)
        self._supervisor.settle_all()
        for runs in self.state.runs.values():
            runs[-1].superseded = True
        self.state.restarting = False
        self.reporter.changed()

    def _restart_base(self, run: Run) -> float | None:
        """Since when a killed container's back-off counts: the end of the run before, as the kubelet has it."""
        runs = self.state.runs[run.name]
        return runs[-2].finished if len(runs) > 1 and runs[-2].exited else None

    async def _kill_one(self, kill: Kill) -> None:
        await self._stopper.stop(self.pod, kill.run, kill.message, kill.probe)
        self._supervisor.settle(kill.run)

    async def _start(self, kind: str, container: Obj, sandbox: Sandbox, since: dict[str, float | None]) -> float | None:
        """Start a container; None if that went well, otherwise the seconds until the next try."""
        name = container["name"]
        last = self.state.last(name)
        ended = since.get(name, last.finished if last and last.exited and not last.superseded else None)
        try:
            run = await self._starter.start(self.pod, kind, container, sandbox, ended)
        except StartFailure as failure:
            self.state.replacing.discard(name)
            self.state.waiting[name] = Waiting(failure.reason, failure.message)
            self.reporter.changed()
            return min(AFTER_ERROR, failure.retry if failure.retry is not None else AFTER_ERROR)
        self.state.replacing.discard(name)
        self.state.waiting.pop(name, None)
        if run.running:
            self._supervisor.started(run, container)
        self.reporter.changed()
        return None

    # --- towards the end ---

    async def _end(self) -> None:
        """All containers have done their work: stop sidecars, give the sandbox up."""
        await self._stopper.stop_all(self.pod)
        self._supervisor.settle_all()
        self._finish()

    def _finish(self) -> None:
        self.state.ended = True
        self.ended.set()
        self.state.sandbox = False
        self.state.waiting.clear()
        self._supervisor.stop()
        self._network.down()
        self.volumes.discard()
        self.sandbox = None
        self.reporter.changed()
        self._made_room()

    async def _terminate(self) -> float | None:
        """Stop the containers, report the end, and remove the object if it is being deleted."""
        self._supervisor.only_readiness()
        if not self.state.ended:
            self.reporter.changed()
            if not await self._stop_within_grace():
                return 0.0
            self._supervisor.settle_all()
            if self._verdict is not None:
                self.state.failure = self._verdict
            self.reporter.changed()
            await self._clock.sleep(TEARDOWN_SECONDS)
            self._finish()
        self._verdict = None
        await self.reporter.flush()
        if self.gone:
            self._done = True
        elif self.pod["metadata"].get("deletionTimestamp"):
            await self._delete()
            return AFTER_ERROR if not self._done else None
        return None

    async def _stop_within_grace(self) -> bool:
        """Stop everything; False if the allowed time was changed meanwhile."""
        grace = self._verdict_grace if self._verdict is not None else None
        self._kill = asyncio.get_running_loop().create_task(self._stopper.stop_all(self.pod, grace))
        try:
            await self._kill
        except asyncio.CancelledError:
            if _cancelling():
                self._kill.cancel()
                raise
            return False
        finally:
            self._kill = None
        return True

    async def _delete(self) -> None:
        meta = self.pod["metadata"]
        try:
            await self._node.client.delete("pods", meta["namespace"], meta["name"], uid=self.uid, grace=0)
        except StatusError as error:
            if error.code != 404:
                log.warning("pod %s/%s not removed: %s", meta["namespace"], meta["name"], error)
                return
        self._done = self.gone or not meta.get("finalizers")

    def _release(self) -> None:
        """Leave nothing on the node, also when the worker is cancelled."""
        self.ended.set()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._renewal is not None:
            self._renewal.cancel()
        self._supervisor.release()
        self.reporter.mute(True)
        self._network.down()
        self._node.images.forget(self.uid)

    def _status(self, pod: Obj) -> Obj:
        return pod_status(pod, self.state, [self._node.machine.ip], self._clock.now())


def _cancelling() -> bool:
    """Whether this very task (not one that it waits for) was cancelled."""
    task = asyncio.current_task()
    return bool(task and task.cancelling())


def _stop_wish(pod: Obj) -> tuple[Any, Any]:
    meta = pod["metadata"]
    return meta.get("deletionTimestamp") is not None, meta.get("deletionGracePeriodSeconds")


def _gates(pod: Obj) -> list[Obj]:
    """What others say of the conditions that the pod's readiness waits for."""
    types = {gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()}
    return [one for one in pod.get("status", {}).get("conditions") or () if one["type"] in types]


def _differs(new: Obj, old: Obj) -> bool:
    return bool(
        new["spec"] != old["spec"]
        or any(new["metadata"].get(k) != old["metadata"].get(k) for k in ("labels", "annotations"))
    )
