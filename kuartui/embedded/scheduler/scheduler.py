"""The scheduler: one pod after the other gets the best node, or an explanation.

After pkg/scheduler/{schedule_one,eventhandlers}.go. Plugins see the store as it is; a bound pod counts at once, so only
pods whose volumes are still being bound have to be assumed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.kinds.pod_resources import allocation
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.scheduler import filtering, preemption
from kuartui.embedded.scheduler.framework import Diagnosis, Plugin, PluginError, Trial
from kuartui.embedded.scheduler.nodes import Nodes, PodOnNode
from kuartui.embedded.scheduler.plugins.devices import (
    CLAIMS,
    CLASSES,
    SLICES,
    DynamicResources,
    claims_of,
    offer,
    reserve,
)
from kuartui.embedded.scheduler.plugins.volumes import VolumeBinding, placements
from kuartui.embedded.scheduler.queue import Hint, Name, Queue
from kuartui.embedded.scheduler.requests import pod_requests
from kuartui.embedded.scheduler.scores import best_node
from kuartui.embedded.scheduler.volumes import BindingFailed, VolumeBinder
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

log = logging.getLogger(__name__)

NAME = "default-scheduler"
EVERYBODY = ""  # in place of the name of a plugin
NEVER_PREPARED = "not found"  # DynamicResources' offer when a plugin ended the attempt before it was asked


class Scheduler:
    """Places pods that name it as their scheduler; the default one also those that name nobody."""

    def __init__(self, client: Client, name: str = NAME) -> None:
        self.name = name
        self.client = client.as_user("system:kube-scheduler", manager="kube-scheduler")
        self.nodes = Nodes(self.client)
        self.queue = Queue(client.clock)
        self.volumes = VolumeBinder(self.client)
        self._nominated: dict[str, tuple[str, PodOnNode]] = {}
        self._wake = asyncio.Event()
        self._stops: list[Callable[[], None]] = []
        self._bindings: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Schedule until cancelled."""
        self.queue.on_ready = self._wake.set  # type: ignore[method-assign]
        self._stops += self.nodes.follow()
        listen = self.client.listen
        self._stops += [
            listen("pods", self._pod_changed),
            listen("nodes", self._node_changed),
            listen("persistentvolumeclaims", self._claim_changed),
            listen("persistentvolumes", lambda _: self.queue.wake("volume")),
            listen("storageclasses.storage.k8s.io", lambda _: self.queue.wake("class")),
            listen("namespaces", self._namespace_changed),
            listen(CLAIMS, lambda _: self.queue.wake("device-claim")),
            listen(CLASSES, lambda _: self.queue.wake("device-claim")),
            listen(SLICES, lambda _: self.queue.wake("device-claim")),
        ]
        try:
            while True:
                name = self.queue.pop()
                if name is None:
                    self._wake.clear()
                    await self._wake.wait()
                else:
                    await self._attempt(name)
        finally:
            for stop in self._stops:
                stop()
            self.queue.close()
            for task in self._bindings.values():
                task.cancel()

    # Changes

    def _pod_changed(self, event: Event) -> None:
        pod, old = event.obj.data, event.old.data if event.old else None
        name = (event.obj.key.namespace, event.obj.key.name)
        if event.type is EventType.DELETED:
            self._forget(name, event.obj.uid)
            self.queue.wake("pod-gone", self._hint(pod, None))
            return
        if pod["spec"].get("nodeName"):
            self._forget(name, event.obj.uid)
            self._assigned_changed(pod, old)
            return
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or objects.being_deleted(pod):
            self._forget(name, event.obj.uid)
            return
        self._nominate(pod)
        if (pod["spec"].get("schedulerName") or NAME) != self.name or pod["spec"].get("schedulingGates"):
            return
        if old is None:
            self.queue.add(name, pod)
        elif caring := _caring(old, pod):
            self.queue.add(name, pod, None if EVERYBODY in caring else caring)

    def _assigned_changed(self, pod: Obj, old: Obj | None) -> None:
        finished = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if old is None or not old["spec"].get("nodeName"):
            self.queue.wake("pod-placed", self._hint(None, pod))
        elif finished and old.get("status", {}).get("phase") != pod["status"]["phase"]:
            self.queue.wake("pod-gone", self._hint(pod, None))
        else:
            if _shrank(old, pod):
                self.queue.wake("pod-shrunk")
            self._labels_changed(pod, old)

    def _labels_changed(self, pod: Obj, old: Obj) -> None:
        if objects.labels_of(old) != objects.labels_of(pod) or objects.being_deleted(old) != objects.being_deleted(pod):
            self.queue.wake("pod-labels", self._hint(old, pod))

    def _hint(self, before: Obj | None, after: Obj | None) -> Hint:
        """The plugins' queueing hints on another pod's change."""

        return self._ask(lambda plugin, waiting: plugin.helped_by(self.client, waiting, before, after))

    def _ask(self, question: Callable[[Plugin, Obj], bool]) -> Hint:
        """A hint: what a plugin that refused a waiting pod says of it."""

        def hint(name: Name, plugin: str) -> bool:
            waiting, known = self.client.get("pods", *name), filtering.BY_NAME.get(plugin)
            return waiting is None or known is None or question(known, waiting)

        return hint

    def _forget(self, name: Name, uid: str) -> None:
        self.queue.remove(name)
        self._nominated.pop(uid, None)
        task = self._bindings.pop(uid, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _nominate(self, pod: Obj) -> None:
        node = pod.get("status", {}).get("nominatedNodeName")
        uid = objects.uid_of(pod)
        if node and uid not in self._bindings:  # else it counts there already
            self._nominated[uid] = node, PodOnNode(pod)
        else:
            self._nominated.pop(uid, None)

    def _node_changed(self, event: Event) -> None:
        node, old = event.obj.data, event.old.data if event.old else None
        if event.type is EventType.DELETED:
            self.queue.wake("node-gone")
        elif old is None or _placement(node) != _placement(old):
            self.queue.wake("node", self._ask(lambda plugin, pod: plugin.helped_by_node(pod, old, node)))

    def _claim_changed(self, event: Event) -> None:
        self.volumes.claim_changed()
        if event.type is not EventType.DELETED:
            claim = event.obj.data
            self.queue.wake("claim", self._ask(lambda plugin, pod: plugin.helped_by_claim(pod, claim)))

    def _namespace_changed(self, event: Event) -> None:
        if event.old is None or objects.labels_of(event.old.data) != objects.labels_of(event.obj.data):
            self.queue.wake("namespace")

    # One attempt

    async def _attempt(self, name: Name) -> None:
        pod = self.client.get("pods", *name)
        if pod is None or pod["spec"].get("nodeName") or objects.being_deleted(pod):
            self.queue.remove(name)
            return
        if claims_of(self.client, pod) is None:
            self.queue.refused(name, {DynamicResources.name})
            return
        try:
            await self._schedule(name, pod)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the edge of a worker: one bad pod must not stop the scheduler
            log.debug("scheduling %s/%s broke: %s", *name, error, exc_info=error)
            self.queue.broken(name)

    async def _schedule(self, name: Name, pod: Obj) -> None:
        if not len(self.nodes):
            await self._explain(pod, "no nodes available to schedule pods")
            self.queue.refused(name, {"NodeName"})
            return
        trial = Trial(self.client, pod, self.nodes)
        try:
            found, diagnosis = filtering.feasible(trial, self._promises())
        except PluginError as error:
            await self._explain(pod, str(error), reason="SchedulerError")
            self.queue.refused(name, {DynamicResources.name})
            return
        if not found:
            await self._refuse(name, trial, diagnosis)
            return
        node = best_node(trial, found)
        await reserve(self.client, trial, node.name)
        planned = placements(trial, node.node)
        if trial.notes[VolumeBinding.name].delayed and planned:
            self.nodes.assume(pod, node.name)
            self.queue.remove(name)
            task = asyncio.get_running_loop().create_task(self._bind_with_volumes(name, pod, node.name, planned))
            self._bindings[objects.uid_of(pod)] = task
            return
        await self._bind(name, pod, node.name)

    def _promises(self) -> filtering.Nominated:
        promised: filtering.Nominated = {}
        for node, entry in self._nominated.values():
            promised.setdefault(node, []).append(entry)
        return promised

    async def _bind(self, name: Name, pod: Obj, node: str) -> None:
        await self.client.bind(*name, node)
        self.queue.remove(name)
        text = f"Successfully assigned {name[0]}/{name[1]} to {node}"
        self.client.record(self.client.get("pods", *name) or pod, "Normal", "Scheduled", text, self.name)

    async def _bind_with_volumes(self, name: Name, pod: Obj, node: str, planned: list[tuple[Obj, Obj | None]]) -> None:
        uid = objects.uid_of(pod)
        try:
            if pod.get("status", {}).get("nominatedNodeName") != node:
                await self._patch(pod, {"nominatedNodeName": node})  # it may take a while: tell where it is to go
            await self.volumes.bind(planned, node)
            await self._bind(name, pod, node)
        except (BindingFailed, StatusError) as error:
            self.nodes.forget(uid)
            self._bindings.pop(uid, None)
            latest = self.client.get("pods", *name)
            if latest is not None and objects.uid_of(latest) == uid:
                await self._explain(latest, str(error), reason="SchedulerError")
                self.queue.add(name, latest)
        except asyncio.CancelledError:
            self.nodes.forget(uid)
            raise
        finally:
            self._bindings.pop(uid, None)

    async def _refuse(self, name: Name, trial: Trial, diagnosis: Diagnosis) -> None:
        """Try to make room; say what stands in the way."""
        kept = trial.pod.get("status", {}).get("nominatedNodeName")
        nominated: str | None = None
        if diagnosis.before:
            diagnosis.after, nominated = NEVER_PREPARED, kept
        else:
            outcome = preemption.find(trial, diagnosis, self._promises())
            if outcome.candidate is not None:
                nominated = outcome.candidate.node
                await preemption.evict(self.client, trial.pod, outcome.candidate, self.name)
                await self._withdraw(trial.entry, nominated)
            else:
                diagnosis.after = f"{offer(trial)}, preemption: {outcome.message}"
                if outcome.message.startswith("not eligible"):
                    nominated = kept
        await self._explain(trial.pod, diagnosis.message(), nominated=nominated)
        self.queue.refused(name, diagnosis.plugins)

    async def _withdraw(self, winner: PodOnNode, node: str) -> None:
        """Less important pods lose their promise of room on the node."""
        for uid, (place, entry) in list(self._nominated.items()):
            if place == node and uid != winner.uid and entry.priority < winner.priority:
                await self._patch(entry.pod, {"nominatedNodeName": None})

    async def _explain(
        self, pod: Obj, message: str, *, reason: str = "Unschedulable", nominated: str | None = None
    ) -> None:
        """Event and condition of a pod that found no node."""
        self.client.record(pod, "Warning", "FailedScheduling", message, self.name)
        status = pod.get("status", {})
        conditions = status.get("conditions") or []
        current = objects.condition(conditions, "PodScheduled")
        new: Obj = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": format_time(self.client.clock.now()),
            "observedGeneration": pod["metadata"].get("generation", 1),
        }
        if current is not None and current["status"] == "False":
            new["lastTransitionTime"] = current["lastTransitionTime"]
        patch: Obj = {}
        if current != new:
            patch["conditions"] = (
                [new if one is current else one for one in conditions] if current else [*conditions, new]
            )
        if nominated != status.get("nominatedNodeName"):
            patch["nominatedNodeName"] = nominated
        if patch:
            await self._patch(pod, patch)

    async def _patch(self, pod: Obj, status: Obj) -> None:
        namespace, name = objects.namespace_of(pod), objects.name_of(pod)
        try:
            await self.client.patch("pods", namespace, name, {"status": status}, "status")
        except StatusError as error:
            if error.code not in (404, 409):
                raise


def _shrank(old: Obj, new: Obj) -> bool:
    """Whether a pod takes less of its node than before: it was resized in place."""
    if old["spec"] == new["spec"] and allocation(old) == allocation(new):
        return False
    before, after = pod_requests(old), pod_requests(new)
    return any(after.get(name, 0) < amount for name, amount in before.items())


def _caring(old: Obj, new: Obj) -> set[str]:
    """The plugins that look at what a waiting pod changed of itself."""
    plugins: set[str] = set()
    if objects.labels_of(old) != objects.labels_of(new):
        plugins |= {"InterPodAffinity", "PodTopologySpread"}
    if old["spec"] != new["spec"]:
        changed = {key for key in {*old["spec"], *new["spec"]} if old["spec"].get(key) != new["spec"].get(key)}
        plugins |= {"TaintToleration", "NodeUnschedulable", "PodTopologySpread"}
        if changed != {"tolerations"}:
            plugins.add(EVERYBODY)
    before, after = (pod.get("status", {}).get("resourceClaimStatuses") for pod in (old, new))
    if before != after:
        plugins.add(DynamicResources.name)
    return plugins


def _placement(node: Obj) -> tuple[Any, ...]:
    """What of a node decides on placement; heartbeats are no news."""
    spec, status = node.get("spec", {}), node.get("status", {})
    return objects.labels_of(node), spec.get("taints"), spec.get("unschedulable"), status.get("allocatable")
