"""Pods that no kubelet will ever finish: their node is gone, or declared out of service, or they never had one.

After pkg/controller/podgc.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.disruption import conditions_of_disrupted
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

QUARANTINE = 40.0  # seconds that a node may be missing before its pods go
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


class PodGarbageCollector(Controller):
    """Keys are pods."""

    name = "pod-garbage-collector"

    def setup(self) -> None:
        self.watch("pods", self._pod_changed)
        self.watch("nodes", self._node_changed)

    def _pod_changed(self, event: Event) -> None:
        pod = event.obj.data
        if event.type is EventType.DELETED:
            return
        node = pod["spec"].get("nodeName")
        if not node:
            if objects.being_deleted(pod):
                self.enqueue_object(event)
        elif self.client.get("nodes", "", node) is None:
            self.enqueue_after(*event.obj.key[1:], QUARANTINE)
        elif objects.being_deleted(pod) and self._out_of_service(node):
            self.enqueue_object(event)

    def _node_changed(self, event: Event) -> None:
        name = event.obj.key.name
        if event.type is EventType.DELETED:
            for stored in self.client.store.by_index("pods", "node", name):
                self.enqueue_after(*stored.key[1:], QUARANTINE)
        elif self._out_of_service(name):
            for stored in self.client.store.by_index("pods", "node", name):
                self.enqueue(*stored.key[1:])

    def _out_of_service(self, name: str) -> bool:
        node = self.client.get("nodes", "", name)
        if node is None or objects.condition_true(node, "Ready"):
            return False
        return any(taint["key"] == OUT_OF_SERVICE for taint in node.get("spec", {}).get("taints") or ())

    async def reconcile(self, namespace: str, name: str) -> None:
        pod = self.client.get("pods", namespace, name)
        if pod is None:
            return
        node = pod["spec"].get("nodeName")
        if not node:
            if objects.being_deleted(pod):
                await self._force(pod)
        elif self.client.get("nodes", "", node) is None:
            await self._fail(pod, "DeletionByPodGC", "PodGC: node no longer exists")
        elif objects.being_deleted(pod) and self._out_of_service(node):
            await self._fail(pod, "", "")

    async def _fail(self, pod: Obj, reason: str, message: str) -> None:
        """A pod that was running has failed; whoever counts pods must know."""
        if not pods.finished(pod):
            status: Obj = {"phase": "Failed"}
            if reason:
                status["conditions"] = conditions_of_disrupted(pod, reason, message, self.clock.now())
            try:
                await self.client.patch(
                    "pods", objects.namespace_of(pod), objects.name_of(pod), {"status": status}, "status"
                )
            except StatusError as error:
                if error.code != 404:
                    raise
        await self._force(pod)

    async def _force(self, pod: Obj) -> None:
        namespace, name = objects.namespace_of(pod), objects.name_of(pod)
        try:
            await self.client.delete("pods", namespace, name, uid=objects.uid_of(pod), grace=0)
        except StatusError as error:
            if error.code not in (404, 409):
                raise
