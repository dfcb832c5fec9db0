"""The kubelet of one node: registers it, keeps it alive in the API, and has a worker for each pod on it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from kuartui.embedded.kinds.pod_resources import as_allocated
from kuartui.embedded.node import preemption, spec
from kuartui.embedded.node.admit import Crowded, Rejected, admit, critical
from kuartui.embedded.node.eviction import EvictionManager
from kuartui.embedded.node.heartbeat import Heartbeat
from kuartui.embedded.node.host.system import HostSystem
from kuartui.embedded.node.recovery import recorded_state
from kuartui.embedded.node.resources import Amounts
from kuartui.embedded.node.runtime import MemoryMeter
from kuartui.embedded.node.sandbox import PodNetwork
from kuartui.embedded.node.services import NodeServices
from kuartui.embedded.node.static_pods import StaticPods, is_mirror, shows_manifests
from kuartui.embedded.node.volumes.mounter import shown_objects
from kuartui.embedded.node.worker import PodWorker

Obj = dict[str, Any]

log = logging.getLogger(__name__)

RESYNC = 60.0  # seconds; syncFrequency, stretched by up to a half per pod
FIRST_LOOK_SECONDS = 1.5  # from a start until static pods are read: other things matter first
REJECTION_SECONDS = 0.5  # from a refusal until the API knows of it


class Kubelet:
    """One node. `on` and `off` are the machine's power switch; `pause` stops the kubelet process only."""

    def __init__(self, services: NodeServices, cores: float, memory: int) -> None:
        self.services = services
        self.name = services.machine.name
        self.workers: dict[str, PodWorker] = {}
        self.powered = False
        self.running = False
        """Whether the kubelet itself runs; a powered machine's may be stopped."""
        self._meter = MemoryMeter()
        self.eviction = EvictionManager(services, memory, self._meter, self.workers.values, self._pressed)
        self.heartbeat = Heartbeat(services, self.eviction.pressure)
        self.static_pods = StaticPods(self)
        services.disks.systems[self.name] = HostSystem(self)
        self.since = services.clock.now()
        """When it was last started or stopped."""
        self.journal = services.journal.kubelet
        self._cores, self._memory = cores, memory
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pods: dict[str, Obj] = {}
        """Newest objects by uid: also what happens while the kubelet is not running."""
        self._refreshing: set[str] = set()
        self._failed = False
        """It has lost power before: what comes next is another boot."""
        self._report: asyncio.Task[None] | None = None

    # --- the machine ---

    async def on(self) -> None:
        """Boot: join the cluster, take up the pods that are bound here."""
        if self.powered:
            return
        machine = self.services.machine
        self.services.network.add_node(machine.name, machine.ip)
        self.powered = self.running = True
        self.since = self.services.clock.now()
        await self.heartbeat.register(rebooted=self._failed)
        self.heartbeat.start()
        self.eviction.start()
        for pod in list(self._pods.values()):
            if not is_mirror(pod):
                self._add(pod, rebooted=True)
        if self.services.disks.known(self.name) or any(self.mirrors()):
            self.services.clock.call_later(FIRST_LOOK_SECONDS, self.static_pods.start)

    def off(self) -> None:
        """Power failure: everything on the machine stops, nobody is told."""
        self.powered = self.running = False
        self._failed = True
        self.heartbeat.stop()
        self.eviction.stop()
        self.static_pods.stop()
        for task in self._tasks.values():
            task.cancel()
        self.workers.clear()
        self._tasks.clear()
        self.services.network.remove_node(self.services.machine.ip)

    async def pause(self, paused: bool) -> None:
        """Stop (or start again) the kubelet process: containers go on, but nobody looks after them."""
        if not self.powered or self.running is not paused:
            return
        self.running = not paused
        self.since = self.services.clock.now()
        for worker in self.workers.values():
            worker.pause(paused)
        if paused:
            self.heartbeat.stop()
            self.eviction.stop()
            self.static_pods.stop()
            return
        await self.heartbeat.register()
        self.heartbeat.start()
        self.eviction.start()
        if self.services.disks.known(self.name):
            self.static_pods.start()
        for uid, worker in list(self.workers.items()):
            pod = self._pods.get(uid)
            if is_mirror(worker.pod):
                continue
            if pod is None:
                worker.removed()
            else:
                worker.update(pod)
        for uid, pod in list(self._pods.items()):
            if uid not in self.workers and not is_mirror(pod):
                self._add(pod, rebooted=False)

    # --- pods ---

    def pod_changed(self, pod: Obj) -> None:
        """A pod bound to this node was added or changed."""
        uid = pod["metadata"]["uid"]
        self._pods[uid] = pod
        if not self.running:
            return
        if is_mirror(pod):
            self.static_pods.changed()
            return
        worker = self.workers.get(uid)
        if worker is None:
            self._add(pod, rebooted=False)
        else:
            worker.update(pod)

    def pod_removed(self, uid: str) -> None:
        """A pod is gone from the API."""
        pod = self._pods.pop(uid, None)
        worker = self.workers.get(uid)
        if pod is not None and is_mirror(pod):
            self.static_pods.changed()
        elif worker is not None and self.running:
            worker.removed()

    def mirrors(self) -> list[Obj]:
        """The pods of the API that stand for static pods of this node."""
        return [pod for pod in self._pods.values() if is_mirror(pod)]

    def take(self, mirror: Obj) -> None:
        """Run a static pod whose mirror is in the API."""
        self._pods[mirror["metadata"]["uid"]] = mirror
        self._add(mirror, rebooted=True)

    def adopt(self, worker: PodWorker, mirror: Obj) -> None:
        """A static pod's mirror was made anew: its containers go on."""
        self.workers.pop(worker.uid, None)
        task = self._tasks.pop(worker.uid, None)
        worker.adopt(mirror)
        self.workers[worker.uid] = worker
        if task is not None:
            self._tasks[worker.uid] = task

    def object_changed(self, resource: str, namespace: str, name: str) -> None:
        """A ConfigMap or Secret came, changed or went: pods that show it see it when they are next looked at."""
        for worker in self.workers.values():
            pod = worker.pod
            if pod["metadata"]["namespace"] == namespace and (resource, name) in shown_objects(pod):
                self._refresh_later(worker)

    def _refresh_later(self, worker: PodWorker) -> None:
        if worker.uid in self._refreshing:
            return
        self._refreshing.add(worker.uid)
        period = RESYNC * (1 + int(worker.uid[:2], 16) / 512)
        delay = period - self.services.clock.monotonic() % period

        def refresh() -> None:
            self._refreshing.discard(worker.uid)
            worker.refresh()

        self.services.clock.call_later(delay, refresh)

    def active(self, but: str = "") -> list[Obj]:
        """Pods on this node that count when room is needed, with what they were granted, one perhaps left out.

        Not those that the API has removed, nor those that are known there to have come to their end: the scheduler has
        given their room away already.
        """
        return [
            as_allocated(worker.pod) if worker.state.resize else worker.pod
            for uid, worker in self.workers.items()
            if uid != but and not (worker.state.ended or worker.gone or spec.terminal(self._pods.get(uid, worker.pod)))
        ]

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of a pod by name; the newest, if a former one is still stopping."""
        found = [
            worker
            for worker in self.workers.values()
            if worker.pod["metadata"]["name"] == name and worker.pod["metadata"]["namespace"] == namespace
        ]
        return next((worker for worker in found if not worker.gone), found[-1] if found else None)

    def _pressed(self) -> None:
        """The node's conditions changed: say so now."""
        self._report = asyncio.get_running_loop().create_task(self.heartbeat.report())

    def _add(self, pod: Obj, *, rebooted: bool) -> None:
        """Take up a pod; `rebooted` if it may have run here before."""
        uid = pod["metadata"]["uid"]
        state = recorded_state(pod, self.services.clock)
        restored = bool(state.runs)
        network = PodNetwork(
            self.services.network,
            self.services.machine,
            self.services.addresses,
            self._cores,
            self._memory,
            self._meter,
        )
        worker = PodWorker(self.services, pod, state, network, lambda: self.active(but=worker.uid), self._retry_resizes)
        if shows_manifests(pod):
            self.static_pods.start()
        if not restored and not spec.terminal(pod) and not pod["metadata"].get("deletionTimestamp"):
            try:
                admit(pod, self.services.node(), self.active(), self.eviction.pressure)
            except Rejected as rejected:
                self._reject(worker, rejected)
            except Crowded as crowded:
                self._make_room(worker, crowded.missing)
        elif restored and rebooted and not (state.ended or pod["metadata"].get("deletionTimestamp")):
            message = "Pod sandbox changed, it will be killed and re-created."
            self.services.event(pod, "Normal", "SandboxChanged", message)
        self.workers[uid] = worker
        task = self._tasks[uid] = asyncio.get_running_loop().create_task(self._run(worker))
        task.add_done_callback(lambda _: self._forget(worker))

    def _reject(self, worker: PodWorker, rejected: Rejected) -> None:
        self.services.event(worker.pod, "Warning", rejected.reason, rejected.message)
        worker.state.failure = (rejected.reason, f"Pod was rejected: {rejected.message}")
        worker.state.rejected = worker.state.ended = True

    def _make_room(self, critical_one: PodWorker, missing: Amounts) -> None:
        """End less important pods for a critical one, which starts once they are gone; refuse it if that is no help."""
        active = {one["metadata"]["uid"]: one for one in self.active() if not critical(one)}
        try:
            chosen = preemption.victims(active.values(), missing)
        except preemption.NoVictims as error:
            self._reject(critical_one, Rejected("UnexpectedAdmissionError", str(error)))
            return
        for pod in chosen:
            victim = self.workers[pod["metadata"]["uid"]]
            self.services.event(victim.pod, "Warning", preemption.REASON, preemption.MESSAGE)
            victim.preempt(preemption.REASON, preemption.MESSAGE)
            critical_one.waits_for.append(victim)

    async def _run(self, worker: PodWorker) -> None:
        for victim in worker.waits_for:
            await victim.ended.wait()
        if worker.state.rejected:
            # Not at once: whoever replaces rejected pods without end must not do so without time passing.
            await self.services.clock.sleep(REJECTION_SECONDS)
            worker.reporter.changed()
        await worker.run()

    def _forget(self, worker: PodWorker) -> None:
        if self.workers.get(worker.uid) is worker:
            del self.workers[worker.uid]
            del self._tasks[worker.uid]
            self.static_pods.changed()
            self._retry_resizes()

    def _retry_resizes(self) -> None:
        """There may be room now: look at the resizes that wait for it, the most important pods first."""
        for worker in sorted((one for one in self.workers.values() if one.state.resize), key=_resize_order):
            worker.refresh()


def _resize_order(worker: PodWorker) -> tuple[int, bool, str]:
    """Higher priority first, then guaranteed pods, then who waits longest."""
    status = worker.pod.get("status") or {}
    since = (one for one in status.get("conditions") or () if one["type"] == "PodResizePending")
    waiting = next((one.get("lastTransitionTime") or "" for one in since), "")
    return -int(worker.pod["spec"].get("priority") or 0), status.get("qosClass") != "Guaranteed", waiting
