"""How a node stays in the cluster: its Node object, its status, its lease.

After pkg/kubelet/kubelet_node_status.go and component-helpers' lease controller. The lease is renewed every ten
seconds; the status is written when it says something new, or after five minutes.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import format_micro
from kuartui.embedded.node.machine import HEALTHY, IMAGES_REPORTED
from kuartui.embedded.node.reporter import difference
from kuartui.embedded.node.services import NodeServices
from kuartui.embedded.rounds import attempt, rounds

Obj = dict[str, Any]

log = logging.getLogger(__name__)

LEASES = "leases.coordination.k8s.io"
LEASE_NAMESPACE = "kube-node-lease"
CSI_NODES = "csinodes.storage.k8s.io"
MIGRATED = "aws-ebs", "azure-disk", "azure-file", "cinder", "gce-pd", "portworx-volume", "vsphere-volume"
"""Volume plugins that used to be part of the kubelet; for these it would ask CSI drivers."""
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
REPORT_SECONDS = 300.0  # nodeStatusReportFrequency


class Heartbeat:
    """Tells the API about one node."""

    def __init__(self, services: NodeServices, pressure: set[str]) -> None:
        self._services = services
        self._task: asyncio.Task[None] | None = None
        self._reported = 0.0
        self._pressure = pressure
        self._unschedulable = False  # as last told in an event

    async def register(self, *, rebooted: bool = False) -> None:
        """Create the Node, or bring back the one of a former life; `rebooted` if the machine was down meanwhile."""
        services = self._services
        if not services.node():
            # what a kubelet may not say of its node (that it is a control plane), kubeadm says as an administrator
            client = services.client.as_user("kubernetes-admin", "system:masters", manager="kubelet")
            try:
                await client.create("nodes", services.machine.node(services.clock.now()))
            except StatusError as error:
                if error.code != 409:
                    raise
        await self._register_drivers()
        self._node_event("Starting", "Starting kubelet.")
        self._node_event("NodeAllocatableEnforced", "Updated Node Allocatable limit across pods")
        for reason, _ in HEALTHY.values():
            self._tell_of(reason)
        await self.report(rebooted=rebooted)

    async def _register_drivers(self) -> None:
        """Create the CSINode, where drivers would be listed: it belongs to the Node."""
        services, node = self._services, self._services.node()
        if not node or services.client.get(CSI_NODES, "", services.machine.name) is not None:
            return
        meta = node["metadata"]
        owner = {"apiVersion": "v1", "kind": "Node", "name": meta["name"], "uid": meta["uid"]}
        plugins = ",".join(f"kubernetes.io/{name}" for name in MIGRATED)
        annotations = {"storage.alpha.kubernetes.io/migrated-plugins": plugins}
        metadata = {"name": meta["name"], "annotations": annotations, "ownerReferences": [owner]}
        try:
            await services.client.create(CSI_NODES, {"metadata": metadata, "spec": {"drivers": None}})
        except StatusError as error:
            log.warning("CSINode of node %s not written: %s", services.machine.name, error)

    def start(self) -> None:
        """Begin to renew."""
        self._task = asyncio.get_running_loop().create_task(self._beat())

    def stop(self) -> None:
        """Fall silent."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def report(self, *, rebooted: bool = False) -> None:
        """Write the node's status, with a new boot id if it was `rebooted`."""
        services = self._services
        node = services.node()
        if not node:
            return
        old = node.get("status") or {}
        if rebooted:
            old = self._with_new_boot(old)
        now = services.clock.now()
        new = services.machine.status(old, services.images.listed(), self._pressure, now)
        was_ready = _ready(old)
        patch = {"status": difference(node.get("status") or {}, new)}
        try:
            await services.client.patch("nodes", "", services.machine.name, patch, "status")
        except StatusError as error:
            log.warning("status of node %s not written: %s", services.machine.name, error)
            return
        self._reported = services.clock.monotonic()
        before = {one["type"]: one["status"] for one in old.get("conditions") or ()}
        for one in new["conditions"]:
            if one["type"] in HEALTHY and before.get(one["type"], one["status"]) != one["status"]:
                self._tell_of(one["reason"])
        if not was_ready:
            self._tell_of("NodeReady")

    def _tell_of(self, reason: str) -> None:
        """An event of what the node has come to, by the reason of its condition."""
        reason = reason.replace("Kubelet", "Node", 1)
        self._node_event(reason, f"Node {self._services.machine.name} status is now: {reason}")

    def _with_new_boot(self, status: Obj) -> Obj:
        machine = self._services.machine
        info = status.get("nodeInfo") or {}
        boot_id = machine.boot_id(info.get("bootID", ""))
        text = f"Node {machine.name} has been rebooted, boot id: {boot_id}"
        self._node_event("Rebooted", text, "Warning")
        return status | {"nodeInfo": info | {"bootID": boot_id}}

    async def _beat(self) -> None:
        await attempt(self._renew)
        await rounds(self._services.clock, RENEW_SECONDS, self._round)

    async def _round(self) -> None:
        if self._services.node():
            self._tell_of_cordon()
            if self._due():
                await self.report()
        await self._renew()

    def _tell_of_cordon(self) -> None:
        """The kubelet notices a cordon when it looks at its Node, so up to ten seconds late; one of its start, too."""
        unschedulable = bool(self._services.node()["spec"].get("unschedulable"))
        if unschedulable == self._unschedulable:
            return
        self._unschedulable = unschedulable
        self._tell_of("NodeNotSchedulable" if unschedulable else "NodeSchedulable")

    def _due(self) -> bool:
        if self._services.clock.monotonic() - self._reported >= REPORT_SECONDS:
            return True
        status = self._services.node().get("status") or {}
        if status.get("capacity") != status.get("allocatable"):  # somebody added to it, or took away
            return True
        return not _ready(status) or len(status.get("images") or ()) != min(IMAGES_REPORTED, len(self._services.images))

    async def _renew(self) -> None:
        """Renew the lease, straight in the store: it is written all the time, and no admission minds it."""
        services = self._services
        name, store = services.machine.name, services.client.store
        stamp = format_micro(services.clock.now())
        lease = store.get(LEASES, LEASE_NAMESPACE, name)
        if lease is not None:
            renewed = {**lease.data, "metadata": {**lease.data["metadata"]}}
            if not renewed["metadata"].get("ownerReferences"):  # made while there was no Node
                renewed["metadata"] |= self._owned()
            renewed["spec"] = {**lease.data["spec"], "holderIdentity": name, "renewTime": stamp}
            store.update(LEASES, LEASE_NAMESPACE, name, renewed, lease.rv)
            return
        try:
            await services.client.create(LEASES, self._new_lease(stamp))
        except StatusError as error:
            log.debug("lease of node %s not made: %s", name, error)

    def _new_lease(self, stamp: str) -> Obj:
        name = self._services.machine.name
        meta: Obj = {"name": name, "namespace": LEASE_NAMESPACE, **self._owned()}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": meta,
            "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": stamp},
        }

    def _owned(self) -> Obj:
        """What of a lease's metadata has it go with the Node, if there is one."""
        node = self._services.node()
        if not node:
            return {}
        meta = node["metadata"]
        return {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": meta["name"], "uid": meta["uid"]}]}

    def _node_event(self, reason: str, message: str, type_: str = "Normal") -> None:
        services = self._services
        node = services.node()
        if node:
            services.event(node, type_, reason, message)


def _ready(status: Obj) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ())
