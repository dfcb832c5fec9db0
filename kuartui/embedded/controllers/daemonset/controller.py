"""One pod on each node that should have one, after pkg/controller/daemon/daemon_controller.go."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.adoption import claim
from kuartui.embedded.controllers.daemonset import placement, rolling
from kuartui.embedded.controllers.revisions import REVISIONS, History
from kuartui.embedded.controllers.workload import WorkloadController
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event

Obj = dict[str, Any]

SETS = "daemonsets.apps"
FIRST_BACKOFF, LAST_BACKOFF = 1.0, 900.0


class DaemonSetController(WorkloadController):
    """Keeps daemon pods."""

    name = "daemon-set-controller"
    component = "daemonset-controller"
    resource = SETS
    kind = "DaemonSet"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._removals: dict[tuple[str, str], tuple[int, float]] = {}
        """Failed pods by set and node: how many, and when the last was removed."""

    def setup(self) -> None:
        self.watch(SETS, self.enqueue_object)
        self.watch("pods", self.owned)
        self.watch("nodes", self._node_changed)

    def _node_changed(self, event: Event) -> None:
        if event.old is not None and _matters(event.obj.data) == _matters(event.old.data):
            return
        for stored in self.client.store.list(SETS):
            self.enqueue(*stored.key[1:])

    async def reconcile(self, namespace: str, name: str) -> None:
        daemonset = self.client.get(SETS, namespace, name)
        if daemonset is None:
            return
        selector = self.selector(daemonset)
        if not selector:
            text = "This daemon set is selecting all pods. A non-empty selector is required."
            self.record(daemonset, "Warning", "SelectingAll", text)
            return
        stored = await claim(self.client, REVISIONS, daemonset, selector, self.candidates(REVISIONS, daemonset))
        history = History(self.client, daemonset, stored, placement.HASH)
        current = await history.current(objects.annotations_of(daemonset))
        digest = objects.labels_of(current)[placement.HASH]
        error: StatusError | None = None
        if not objects.being_deleted(daemonset):
            try:
                await self._manage(daemonset, digest)
                if (daemonset["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
                    await self._roll(daemonset, digest)
            except StatusError as failure:
                error = failure
        owned = await self._pods(daemonset)
        now = self.clock.now()
        status = self._status(daemonset, _by_node(owned), digest, history.collisions, now)
        if status != daemonset.get("status", {}):
            await self.client.update_status(SETS, objects.with_status(daemonset, status))
        live = {_revision_name(daemonset, pod) for pod in owned} | {objects.name_of(current)}
        await history.prune(live, daemonset["spec"].get("revisionHistoryLimit"))
        if error is not None and not pods.namespace_terminating(error):
            raise error
        wait = pods.next_availability(owned, _min_ready(daemonset), now)
        if wait is not None:
            self.enqueue_after(namespace, name, wait)

    async def _pods(self, daemonset: Obj) -> list[Obj]:
        candidates = self.candidates("pods", daemonset)
        return await claim(self.client, "pods", daemonset, self.selector(daemonset), candidates)

    async def _manage(self, daemonset: Obj, digest: str) -> None:
        """Make what is missing, delete what does not belong."""
        by_node = _by_node(await self._pods(daemonset))
        nodes = self.client.list("nodes")
        surges = rolling.limits(daemonset, 1)[0] > 0
        doomed: list[Obj] = []
        lacking: list[str] = []
        for node in nodes:
            name = objects.name_of(node)
            start, stay = placement.belongs(daemonset, node)
            there = by_node.pop(name, [])
            if not there:
                if start:
                    lacking.append(name)
            elif not stay:
                doomed += there
            else:
                doomed += self._finished(daemonset, name, there) or self._doubled(daemonset, there, digest)
                if start and surges and all(map(objects.being_deleted, there)):
                    lacking.append(name)  # a new pod does not wait for the end of the old one
        for orphans in by_node.values():  # pods made for nodes that are gone and that never ran
            doomed += [pod for pod in orphans if not pod["spec"].get("nodeName")]
        for pod in doomed:
            if not objects.being_deleted(pod):
                await self.pod_control.delete(daemonset, pod)
        await self._create(daemonset, lacking, digest)

    def _finished(self, daemonset: Obj, node: str, there: list[Obj]) -> list[Obj]:
        """Pods that ended, to be replaced; failing ones ever more slowly."""
        doomed = []
        for pod in there:
            if not pods.finished(pod) or objects.being_deleted(pod):
                continue
            where = f"{objects.namespace_of(pod)}/{objects.name_of(pod)} on node {node}"
            if pods.phase(pod) == "Failed":
                if self._too_soon(daemonset, node):
                    continue
                text = f"Found failed daemon pod {where}, will try to kill it"
                self.record(daemonset, "Warning", "FailedDaemonPod", text)
            else:
                text = f"Found succeeded daemon pod {where}, will try to delete it"
                self.record(daemonset, "Normal", "SucceededDaemonPod", text)
            doomed.append(pod)
        return doomed

    def _too_soon(self, daemonset: Obj, node: str) -> bool:
        key = objects.uid_of(daemonset), node
        count, last = self._removals.get(key, (0, float("-inf")))
        now = self.clock.monotonic()
        wait = min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** (count - 1)) if count else 0.0
        if now - last > 2 * LAST_BACKOFF:
            count = 0
        elif now - last < wait:
            self.enqueue_after(objects.namespace_of(daemonset), objects.name_of(daemonset), wait - (now - last))
            return True
        self._removals[key] = count + 1, now
        return False

    def _doubled(self, daemonset: Obj, there: list[Obj], digest: str) -> list[Obj]:
        """More pods on a node than there should be: the oldest stays.

        With a surge a new one may start beside an old one that works.
        """
        alive = sorted((pod for pod in there if pods.active(pod)), key=_seniority)
        if len(alive) < 2:
            return []
        surge, _ = rolling.limits(daemonset, 1)
        if not surge:
            return alive[1:]
        new = [pod for pod in alive if objects.labels_of(pod).get(placement.HASH) == digest]
        old = [pod for pod in alive if pod not in new]
        doomed = new[1:] + old[1:]
        if new and old:
            replaced = pods.available(new[0], _min_ready(daemonset), self.clock.now())
            doomed += old[:1] if replaced or not pods.ready(old[0]) else []
        return doomed

    async def _roll(self, daemonset: Obj, digest: str) -> None:
        """A step of RollingUpdate. Old pods go also from where no new one may start, unless that comes first."""
        by_node = _by_node(await self._pods(daemonset))
        wanted = [one for one in self.client.list("nodes") if placement.belongs(daemonset, one)[0]]
        there = {objects.name_of(node): by_node.pop(objects.name_of(node), []) for node in wanted}
        if not rolling.limits(daemonset, len(wanted))[0]:
            there |= by_node
        now, min_ready = self.clock.now(), _min_ready(daemonset)
        step = rolling.step(daemonset, there, len(wanted), digest, lambda pod: pods.available(pod, min_ready, now))
        for pod in step.delete:
            await self.pod_control.delete(daemonset, pod)
        await self._create(daemonset, step.add, digest)

    async def _create(self, daemonset: Obj, nodes: list[str], digest: str) -> None:
        def make(index: int) -> Awaitable[object]:
            return self.pod_control.create(daemonset, placement.new_pod(daemonset, nodes[index], digest))

        await pods.slowly(len(nodes), make)

    def _status(
        self, daemonset: Obj, by_node: dict[str, list[Obj]], digest: str, collisions: int, now: datetime
    ) -> Obj:
        min_ready = _min_ready(daemonset)
        desired = current = misplaced = ready = updated = available = 0
        for node in self.client.list("nodes"):
            there = sorted(by_node.get(objects.name_of(node), []), key=_seniority)
            if not placement.belongs(daemonset, node)[0]:
                misplaced += bool(there)
                continue
            desired += 1
            if not there:
                continue
            current += 1
            ready += pods.ready(there[0])
            available += pods.available(there[0], min_ready, now)
            updated += objects.labels_of(there[0]).get(placement.HASH) == digest
        status = objects.nonzero(
            {
                "observedGeneration": daemonset["metadata"].get("generation", 0),
                "updatedNumberScheduled": updated,
                "numberAvailable": available,
                "numberUnavailable": desired - available,
                "collisionCount": collisions,
            }
        )
        return status | {
            "desiredNumberScheduled": desired,
            "currentNumberScheduled": current,
            "numberMisscheduled": misplaced,
            "numberReady": ready,
        }


def _by_node(owned: list[Obj]) -> dict[str, list[Obj]]:
    """Pods by node; those that have ended and only wait for their finalizers are as good as gone."""
    found: dict[str, list[Obj]] = {}
    for pod in owned:
        if pods.finished(pod) and objects.being_deleted(pod):
            continue
        found.setdefault(placement.node_of(pod), []).append(pod)
    return found


def _seniority(pod: Obj) -> tuple[Any, ...]:
    """Sort key: who has a node before who has none, older before younger."""
    return not pod["spec"].get("nodeName"), *objects.created(pod)


def _matters(node: Obj) -> tuple[Any, ...]:
    """What of a node decides on daemon pods."""
    spec = node.get("spec", {})
    return objects.labels_of(node), spec.get("taints"), spec.get("unschedulable")


def _min_ready(daemonset: Obj) -> int:
    return int(daemonset["spec"].get("minReadySeconds") or 0)


def _revision_name(daemonset: Obj, pod: Obj) -> str:
    return f"{objects.name_of(daemonset)}-{objects.labels_of(pod).get(placement.HASH, '')}"
