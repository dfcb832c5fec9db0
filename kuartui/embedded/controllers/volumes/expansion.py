"""Growing volumes: first the volume, then, once a pod has it mounted, the file system.

After kubernetes-csi/external-resizer and the kubelet's part of it (pkg/volume/util/operationexecutor/node_expander.go).
Only volumes of the cluster's own provisioner can grow; for others the claim says who it waits for.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.conditions import new_condition
from kuartui.embedded.controllers.volumes import matching
from kuartui.embedded.controllers.volumes.provisioner import NAME as OURS
from kuartui.embedded.controllers.volumes.reclaim import PROVISIONED_BY
from kuartui.embedded.meta.quantity import parse
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
PENDING = "Waiting for user to (re-)start a pod to finish file system resize of volume on node."


class ExpansionController(Controller):
    """Follows larger requests of bound claims."""

    name = "expand-controller"
    component = "volume_expand"
    resizer = f"external-resizer {OURS}"

    def setup(self) -> None:
        self.watch(CLAIMS, self._claim_changed)
        self.watch("pods", self._pod_changed)

    def _claim_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED and _wants_more(event.obj.data):
            self.enqueue_object(event)

    def _pod_changed(self, event: Event) -> None:
        if event.type is EventType.DELETED or pods.phase(event.obj.data) != "Running":
            return
        for name, _ in matching.claims_of(event.obj.data):
            claim = self.client.get(CLAIMS, event.obj.key.namespace, name)
            if claim is not None and _wants_more(claim):
                self.enqueue(event.obj.key.namespace, name)

    async def reconcile(self, namespace: str, name: str) -> None:
        claim = self.client.get(CLAIMS, namespace, name)
        if claim is None or not _wants_more(claim) or objects.being_deleted(claim):
            return
        volume = self.client.get(VOLUMES, "", claim["spec"]["volumeName"])
        if volume is None:
            return
        wanted = claim["spec"]["resources"]["requests"]["storage"]
        grown = matching.capacity(volume) >= parse(wanted)
        ours = objects.annotations_of(volume).get(PROVISIONED_BY) == OURS
        if not grown or not ours:  # Kubernetes itself only says who it leaves it to
            text = "waiting for an external controller to expand this PVC"
            self.client.record(claim, "Normal", "ExternalExpanding", text, self.component)
        if not ours:
            return
        if not grown:
            text = f"External resizer is resizing volume {objects.name_of(volume)}"
            self.client.record(claim, "Normal", "Resizing", text, self.resizer)
            await self.client.patch(VOLUMES, "", objects.name_of(volume), {"spec": {"capacity": {"storage": wanted}}})
            text = "Require file system resize of volume on node"
            self.client.record(claim, "Normal", "FileSystemResizeRequired", text, self.resizer)
        users = self._users(claim)
        if users:
            await self._finish(claim, wanted, users)
        else:
            await self._wait(claim, wanted)

    def _users(self, claim: Obj) -> list[Obj]:
        """Running pods that have it mounted."""
        name = objects.name_of(claim)
        return [
            pod
            for pod in self.client.list("pods", objects.namespace_of(claim))
            if pods.phase(pod) == "Running" and any(used == name for used, _ in matching.claims_of(pod))
        ]

    async def _finish(self, claim: Obj, wanted: str, users: list[Obj]) -> None:
        status = {k: v for k, v in claim["status"].items() if k not in ("conditions", "allocatedResourceStatuses")}
        status["capacity"] = {**(status.get("capacity") or {}), "storage": wanted}
        status["allocatedResources"] = {"storage": wanted}
        await self.client.update_status(CLAIMS, objects.with_status(claim, status))
        node = users[0]["spec"].get("nodeName", "")
        text = f'MountVolume.NodeExpandVolume succeeded for volume "{claim["spec"]["volumeName"]}" {node}'
        for told in (users[0], claim):  # the kubelet says it of the pod, too
            self.client.record(told, "Normal", "FileSystemResizeSuccessful", text, "kubelet", node)

    async def _wait(self, claim: Obj, wanted: str) -> None:
        allocated = {"storage": wanted}
        if claim["status"].get("allocatedResources") == allocated:
            return
        condition = new_condition("FileSystemResizePending", "True", "", PENDING, self.clock.now())
        condition["lastProbeTime"] = None
        status = {
            **claim["status"],
            "allocatedResources": allocated,
            "allocatedResourceStatuses": {"storage": "NodeResizePending"},
            "conditions": [condition],
        }
        await self.client.update_status(CLAIMS, objects.with_status(claim, status))


def _wants_more(claim: Obj) -> bool:
    if claim.get("status", {}).get("phase") != "Bound" or not claim["spec"].get("volumeName"):
        return False
    has = parse((claim["status"].get("capacity") or {}).get("storage", "0"))
    return bool(has < matching.requested(claim))
