"""Pods that do not tolerate a NoExecute taint of their node go, at once or after tolerationSeconds.

After pkg/controller/tainteviction.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.disruption import conditions_of_disrupted
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.scheduler.matching import tolerates
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

MESSAGE = "Taint manager: deleting due to NoExecute taint"


class TaintEvictionController(Controller):
    """Keys are pods."""

    name = "taint-eviction-controller"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._planned: dict[str, datetime] = {}
        """By uid of the pod: since when its deletion has been planned."""

    def setup(self) -> None:
        self.watch("nodes", self._node_changed)
        self.watch("pods", self._pod_changed)

    def _node_changed(self, event: Event) -> None:
        before = _evicting(event.old.data) if event.old else []
        if event.type is EventType.DELETED or _evicting(event.obj.data) == before:
            return
        for stored in self.client.store.by_index("pods", "node", event.obj.key.name):
            self.enqueue(*stored.key[1:])

    def _pod_changed(self, event: Event) -> None:
        if event.type is EventType.DELETED:
            self._planned.pop(event.obj.uid, None)
            return
        spec = event.obj.data["spec"]
        old = event.old.data["spec"] if event.old else {}
        placed = spec.get("nodeName") and spec.get("nodeName") != old.get("nodeName")
        if placed or (spec.get("nodeName") and spec.get("tolerations") != old.get("tolerations")):
            self.enqueue_object(event)

    async def reconcile(self, namespace: str, name: str) -> None:
        pod = self.client.get("pods", namespace, name)
        if pod is None or objects.being_deleted(pod) or pods.finished(pod):
            return
        node = self.client.get("nodes", "", pod["spec"].get("nodeName", ""))
        wait = _patience(pod, _evicting(node) if node else [])
        uid, now = objects.uid_of(pod), self.clock.now()
        if wait is None:
            if self._planned.pop(uid, None) is not None:
                self._tell(pod, f"Cancelling deletion of Pod {namespace}/{name}")
            return
        start = self._planned.setdefault(uid, now)
        left = wait - (now - start).total_seconds()
        if left > 0:
            self.enqueue_after(namespace, name, left)
            return
        self._tell(pod, f"Marking for deletion Pod {namespace}/{name}")
        await self._delete(pod)

    async def _delete(self, pod: Obj) -> None:
        namespace, name = objects.namespace_of(pod), objects.name_of(pod)
        condition = conditions_of_disrupted(pod, "DeletionByTaintManager", MESSAGE, self.clock.now())
        try:
            await self.client.patch("pods", namespace, name, {"status": {"conditions": condition}}, "status")
            await self.client.delete("pods", namespace, name, uid=objects.uid_of(pod))
        except StatusError as error:
            if error.code != 404:
                raise

    def _tell(self, pod: Obj, message: str) -> None:
        self.client.record(pod, "Normal", "TaintManagerEviction", message, self.name)


def _evicting(node: Obj) -> list[Obj]:
    """NoExecute taints."""
    return [taint for taint in node.get("spec", {}).get("taints") or () if taint["effect"] == "NoExecute"]


def _patience(pod: Obj, taints: list[Obj]) -> float | None:
    """Seconds that a pod may stay on a node with these taints; None for ever."""
    if not taints:
        return None
    tolerations = pod["spec"].get("tolerations") or ()
    shortest: float | None = None
    for taint in taints:
        fitting = next((one for one in tolerations if tolerates([one], taint)), None)  # the first one alone counts
        if fitting is None:
            return 0.0
        seconds = fitting.get("tolerationSeconds")
        if seconds is not None:
            shortest = max(0.0, float(seconds)) if shortest is None else min(shortest, max(0.0, float(seconds)))
    return shortest
