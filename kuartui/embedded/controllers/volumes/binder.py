"""The persistent volume controller: claims find volumes, volumes follow their claims, and go or stay when those go.

kubernetes/pkg/controller/volume/persistentvolume/pv_controller.go. Claims of a class that waits for its first consumer
are left to the scheduler, which picks a volume or a node; everything else is bound here at once.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.volumes import matching
from kuartui.embedded.store import Event

Obj = dict[str, Any]

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
COMPONENT = "persistentvolume-controller"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"


class ClaimBinder(Controller):
    """Brings claims to volumes."""

    name = "persistent-volume-binder"

    def setup(self) -> None:
        self.watch(CLAIMS, self.enqueue_object)
        self.watch(VOLUMES, self._volume_changed)
        self.watch(matching.CLASSES, lambda _: self._all_pending())

    def _volume_changed(self, event: Event) -> None:
        reference = event.obj.data["spec"].get("claimRef")
        if reference:
            self.enqueue(reference["namespace"], reference["name"])
        else:
            self._all_pending()

    def _all_pending(self) -> None:
        for claim in self.client.list(CLAIMS):
            if not matching.bound(claim):
                self.enqueue(objects.namespace_of(claim), objects.name_of(claim))

    async def reconcile(self, namespace: str, name: str) -> None:
        claim = self.client.get(CLAIMS, namespace, name)
        if claim is None or claim["metadata"].get("deletionTimestamp"):
            return
        if matching.bound(claim):
            await self._follow(claim)
        elif claim["spec"].get("volumeName"):
            await self._take_named(claim)
        else:
            await self._find(claim)

    async def _follow(self, claim: Obj) -> None:
        """A bound claim keeps its volume; without it, it is lost."""
        volume = self.client.get(VOLUMES, "", claim["spec"]["volumeName"])
        if volume is None:
            await self._phase(claim, "Lost")
            self._event(
                claim, "Warning", "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            )
            return
        await self._bind(claim, volume)

    async def _take_named(self, claim: Obj) -> None:
        """The claim names its volume: bind if that one is free or meant for it."""
        volume = self.client.get(VOLUMES, "", claim["spec"]["volumeName"])
        if volume is None:
            await self._phase(claim, "Pending")
            return
        if volume["spec"].get("claimRef") and not matching.names_claim(volume, claim):
            await self._phase(claim, "Pending")
            return
        await self._bind(claim, volume)

    async def _find(self, claim: Obj) -> None:
        delayed = matching.waits_for_consumer(self.client, claim)
        node_name = objects.annotations_of(claim).get(matching.SELECTED_NODE)
        volumes = self.client.list(VOLUMES)
        reserved = next((volume for volume in volumes if matching.names_claim(volume, claim)), None)
        if reserved is not None:
            await self._bind(claim, reserved)
            return
        await self._phase(claim, "Pending")
        if delayed and not node_name:
            text = "waiting for first consumer to be created before binding"
            self._event(claim, "Normal", "WaitForFirstConsumer", text)
            return
        if not delayed:
            found = matching.best_volume(claim, volumes)
            if found is not None:
                await self._bind(claim, found)
                return
        await self._provision(claim)

    async def _provision(self, claim: Obj) -> None:
        """Ask the class's provisioner, as annotations tell it; say so when there is none."""
        name = matching.class_of(claim)
        storage_class = self.client.get(matching.CLASSES, "", name) if name else None
        if not name:
            text = "no persistent volumes available for this claim and no storage class is set"
            self._event(claim, "Normal", "FailedBinding", text)
            return
        if storage_class is None:
            text = f'storageclass.storage.k8s.io "{name}" not found'
            self._event(claim, "Warning", "ProvisioningFailed", text)
            return
        provisioner = storage_class["provisioner"]
        if provisioner == matching.NO_PROVISIONER:
            text = f'storageclass "{name}" has no provisioner and no volume fits'
            self._event(claim, "Normal", "FailedBinding", text)
            return
        if objects.annotations_of(claim).get(STORAGE_PROVISIONER) != provisioner:
            annotations = {STORAGE_PROVISIONER: provisioner, BETA_PROVISIONER: provisioner}
            await self._patch(CLAIMS, claim, {"metadata": {"annotations": annotations}})
            text = (
                f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually "
                "by the system administrator. If volume creation is delayed, please verify that the provisioner is "
                "running and correctly registered."
            )
            self._event(claim, "Normal", "ExternalProvisioning", text)

    async def _bind(self, claim: Obj, volume: Obj) -> None:
        """Tie the two together: reference, annotations, phases."""
        metadata = claim["metadata"]
        reference = volume["spec"].get("claimRef") or {}
        if reference.get("uid") != metadata["uid"]:
            wanted = {
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "apiVersion": "v1",
                "resourceVersion": metadata["resourceVersion"],
            }
            patch: Obj = {"spec": {"claimRef": wanted}}
            if not reference:
                patch["metadata"] = {"annotations": {matching.BOUND_BY_CONTROLLER: "yes"}}
            await self._patch(VOLUMES, volume, patch)
        if volume.get("status", {}).get("phase") != "Bound":
            await self._patch(VOLUMES, volume, {"status": {"phase": "Bound"}}, "status")
        annotations = objects.annotations_of(claim)
        if claim["spec"].get("volumeName") != objects.name_of(volume) or matching.BIND_COMPLETED not in annotations:
            marks = {matching.BIND_COMPLETED: "yes"}
            if not claim["spec"].get("volumeName"):
                marks[matching.BOUND_BY_CONTROLLER] = "yes"
            change = {"metadata": {"annotations": marks}, "spec": {"volumeName": objects.name_of(volume)}}
            await self._patch(CLAIMS, claim, change)
        status = {
            "phase": "Bound",
            "accessModes": volume["spec"].get("accessModes"),
            "capacity": volume["spec"].get("capacity"),
        }
        current = claim.get("status") or {}
        if any(current.get(key) != value for key, value in status.items()):
            await self._patch(CLAIMS, claim, {"status": status}, "status")

    async def _phase(self, claim: Obj, phase: str) -> None:
        if (claim.get("status") or {}).get("phase") != phase:
            await self._patch(CLAIMS, claim, {"status": {"phase": phase}}, "status")

    async def _patch(self, resource: str, obj: Obj, patch: Obj, subresource: str = "") -> None:
        await self.client.patch(resource, objects.namespace_of(obj), objects.name_of(obj), patch, subresource)

    def _event(self, claim: Obj, type_: str, reason: str, text: str) -> None:
        self.client.record(claim, type_, reason, text, COMPONENT)


class VolumeReclaimer(Controller):
    """The phase of a volume: Available until it is claimed, Released when its claim is gone."""

    name = "persistent-volume-reclaimer"

    def setup(self) -> None:
        self.watch(VOLUMES, self.enqueue_object)
        self.watch(CLAIMS, self._claim_changed)

    def _claim_changed(self, event: Event) -> None:
        volume = event.obj.data["spec"].get("volumeName")
        if volume:
            self.enqueue("", volume)

    async def reconcile(self, namespace: str, name: str) -> None:
        volume = self.client.get(VOLUMES, "", name)
        if volume is None or volume["metadata"].get("deletionTimestamp"):
            return
        reference = volume["spec"].get("claimRef")
        if not reference or not reference.get("uid"):
            await self._phase(volume, "Available")
            return
        claim = self.client.get(CLAIMS, reference["namespace"], reference["name"])
        if claim is not None and claim["metadata"]["uid"] == reference["uid"]:
            return
        await self._phase(volume, "Released")

    async def _phase(self, volume: Obj, phase: str) -> None:
        if volume.get("status", {}).get("phase") != phase:
            await self.client.patch(VOLUMES, "", objects.name_of(volume), {"status": {"phase": phase}}, "status")
