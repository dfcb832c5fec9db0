"""Binds claims and volumes to each other, after pkg/controller/volume/persistentvolume/pv_controller.go.

One queue for both: claims have a namespace, volumes have none. Volumes of external provisioners are made and deleted by
`provisioner`; this controller only asks for them.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.volumes import matching
from kuartui.embedded.controllers.volumes.matching import BIND_COMPLETED, BOUND_BY_CONTROLLER, CLASSES
from kuartui.embedded.controllers.volumes.reclaim import (
    PROVISIONED_BY,
    RECYCLER,
    RECYCLER_NAMESPACE,
    Reclaimer,
)
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
IS_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
PROVISIONER = ("volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner")
COMPONENT = "persistentvolume-controller"
RESYNC_SECONDS = 15.0  # pvclaimbinder-sync-period
MIGRATED = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
}
"""Provisioners that were part of Kubernetes once, and the CSI drivers that are asked in their place."""


class BinderController(Controller):
    """Brings claims and volumes together."""

    name = "persistent-volume-binder"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._reclaimer = Reclaimer(self.client, self._event, self._unbind)

    def setup(self) -> None:
        self.watch(CLASSES, self._class_changed)
        self.watch(VOLUMES, self._volume_changed)
        self.watch(CLAIMS, self._claim_changed)
        self.watch("pods", self._pod_changed)

    def _class_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED:
            self._wake_pending()

    def _volume_changed(self, event: Event) -> None:
        self.enqueue("", event.obj.key.name)
        ref = event.obj.data["spec"].get("claimRef")
        if ref:
            self.enqueue(*_claim_of(ref))
        if event.type is not EventType.DELETED and (not ref or not ref.get("uid")):
            self._wake_pending()

    def _claim_changed(self, event: Event) -> None:
        self.enqueue_object(event)
        volume = event.obj.data["spec"].get("volumeName")
        if volume:
            self.enqueue("", volume)
        if event.type is EventType.DELETED:
            for stored in self.client.store.list(VOLUMES):
                if (stored.data["spec"].get("claimRef") or {}).get("uid") == event.obj.uid:
                    self.enqueue("", stored.key.name)

    def _pod_changed(self, event: Event) -> None:
        """A first consumer changes what a waiting claim says; the end of a recycler frees its volume."""
        namespace, name = event.obj.key.namespace, event.obj.key.name
        if event.type is EventType.ADDED:
            for claim, _ in matching.claims_of(event.obj.data):
                self.enqueue(namespace, claim)
        elif namespace == RECYCLER_NAMESPACE and name.startswith(RECYCLER):
            self.enqueue("", name.removeprefix(RECYCLER))

    def _wake_pending(self) -> None:
        for stored in self.client.store.list(CLAIMS):
            if not matching.bound(stored.data):
                self.enqueue(*stored.key[1:])

    async def reconcile(self, namespace: str, name: str) -> None:
        if namespace:
            claim = self.client.get(CLAIMS, namespace, name)
            if claim is not None:
                await self._claim(claim)
            return
        volume = self.client.get(VOLUMES, "", name)
        if volume is not None:
            await self._volume(volume)

    # Claims

    async def _claim(self, claim: Obj) -> None:
        if BIND_COMPLETED in objects.annotations_of(claim):
            await self._bound_claim(claim)
            return
        if claim["spec"].get("volumeName"):
            await self._claim_by_name(claim)
        elif not objects.being_deleted(claim):
            await self._claim_any(claim)
        # Upstream looks at all claims again; only those that are not bound have anything to tell.
        self.enqueue_after(objects.namespace_of(claim), objects.name_of(claim), RESYNC_SECONDS)

    async def _claim_any(self, claim: Obj) -> None:
        claim = await self._with_default_class(claim)
        delayed = matching.waits_for_consumer(self.client, claim)
        volume = matching.best_volume(claim, self.client.list(VOLUMES), delayed=delayed)
        if volume is not None:
            await self._bind(volume, claim)
            return
        if delayed and matching.SELECTED_NODE not in objects.annotations_of(claim):
            self._tell_waiting(claim)
        elif matching.class_of(claim):
            claim = await self._ask_provisioner(claim)
        else:
            text = "no persistent volumes available for this claim and no storage class is set"
            self._event(claim, "Normal", "FailedBinding", text)
        await self._claim_phase(claim, "Pending")

    async def _with_default_class(self, claim: Obj) -> Obj:
        """A claim without a class gets the default one as soon as there is one."""
        if claim["spec"].get("storageClassName") is not None or matching.BETA_CLASS in objects.annotations_of(claim):
            return claim
        defaults = [
            one
            for one in self.client.list(CLASSES)
            if any(objects.annotations_of(one).get(key) == "true" for key in IS_DEFAULT)
        ]
        if not defaults:
            return claim
        newest = max(defaults, key=objects.created)
        changed = {**claim, "spec": {**claim["spec"], "storageClassName": objects.name_of(newest)}}
        return await self.client.update(CLAIMS, changed)

    def _tell_waiting(self, claim: Obj) -> None:
        users = [
            objects.name_of(pod)
            for pod in self.client.list("pods", objects.namespace_of(claim))
            if not pod["spec"].get("nodeName")
            and any(name == objects.name_of(claim) for name, _ in matching.claims_of(pod))
        ]
        if users:
            text = f"waiting for pod{'s' if len(users) > 1 else ''} {','.join(users)} to be scheduled"
            self._event(claim, "Normal", "WaitForPodScheduled", text)
        else:
            text = "waiting for first consumer to be created before binding"
            self._event(claim, "Normal", "WaitForFirstConsumer", text)

    async def _ask_provisioner(self, claim: Obj) -> Obj:
        name = matching.class_of(claim)
        storage_class = self.client.get(CLASSES, "", name)
        if storage_class is None:
            text = f'storageclass.storage.k8s.io "{name}" not found'
            self._event(claim, "Warning", "ProvisioningFailed", text)
            return claim
        asked: str = storage_class["provisioner"]
        provisioner = MIGRATED.get(asked, asked)
        if provisioner.startswith("kubernetes.io/"):
            text = f"no volume plugin matched name: {provisioner}"
            self._event(claim, "Warning", "ProvisioningFailed", text)
            return claim
        if any(objects.annotations_of(claim).get(key) != provisioner for key in PROVISIONER):
            patch = {"metadata": {"annotations": dict.fromkeys(PROVISIONER, provisioner)}}
            claim = await self.client.patch(CLAIMS, objects.namespace_of(claim), objects.name_of(claim), patch)
        text = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        self._event(claim, "Normal", "ExternalProvisioning", text)
        return claim

    async def _claim_by_name(self, claim: Obj) -> None:
        volume = self.client.get(VOLUMES, "", claim["spec"]["volumeName"])
        if volume is None:
            await self._claim_phase(claim, "Pending")
        elif not volume["spec"].get("claimRef"):
            mismatch = _mismatch(volume, claim)
            if mismatch:
                text = f'Cannot bind to requested volume "{objects.name_of(volume)}": {mismatch}'
                self._event(claim, "Warning", "VolumeMismatch", text)
                await self._claim_phase(claim, "Pending")
            else:
                await self._bind(volume, claim)
        elif matching.names_claim(volume, claim):
            await self._bind(volume, claim)
        else:
            text = f'volume "{objects.name_of(volume)}" already bound to a different claim.'
            self._event(claim, "Warning", "FailedBinding", text)
            await self._claim_phase(claim, "Pending")

    async def _bound_claim(self, claim: Obj) -> None:
        name = claim["spec"].get("volumeName")
        volume = self.client.get(VOLUMES, "", name) if name else None
        if volume is None:
            what = "its" if name else "reference to"
            text = f"Bound claim has lost {what} PersistentVolume. Data on the volume is lost!"
            await self._lose(claim, "ClaimLost", text)
        elif not volume["spec"].get("claimRef") or matching.names_claim(volume, claim):
            await self._bind(volume, claim)
        else:
            text = "Two claims are bound to the same volume, this one is bound incorrectly"
            await self._lose(claim, "ClaimMisbound", text)

    async def _lose(self, claim: Obj, reason: str, text: str) -> None:
        if claim.get("status", {}).get("phase") != "Lost":
            self._event(claim, "Warning", reason, text)
            await self._claim_phase(claim, "Lost")

    # Both

    async def _bind(self, volume: Obj, claim: Obj) -> None:
        """Point each to the other; every step may have been done before."""
        volume = await self._point_volume(volume, claim)
        await self._volume_phase(volume, "Bound")
        claim = await self._point_claim(claim, volume)
        await self._claim_phase(claim, "Bound", volume)

    async def _point_volume(self, volume: Obj, claim: Obj) -> Obj:
        ref = volume["spec"].get("claimRef") or {}
        if ref.get("uid") == objects.uid_of(claim):
            return volume
        meta = {**volume["metadata"]}
        if not ref:
            meta["annotations"] = {**objects.annotations_of(volume), BOUND_BY_CONTROLLER: "yes"}
        new = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "name": objects.name_of(claim),
            "namespace": objects.namespace_of(claim),
            "resourceVersion": claim["metadata"]["resourceVersion"],
            "uid": objects.uid_of(claim),
        }
        spec = {**volume["spec"], "claimRef": new}
        return await self.client.update(VOLUMES, {**volume, "metadata": meta, "spec": spec})

    async def _point_claim(self, claim: Obj, volume: Obj) -> Obj:
        annotations = objects.annotations_of(claim)
        name = objects.name_of(volume)
        wanted = {BIND_COMPLETED: "yes"}
        if claim["spec"].get("volumeName") != name:
            wanted[BOUND_BY_CONTROLLER] = "yes"
        elif BIND_COMPLETED in annotations:
            return claim
        changed = {**claim, "metadata": {**claim["metadata"], "annotations": annotations | wanted}}
        changed["spec"] = {**claim["spec"], "volumeName": name}
        return await self.client.update(CLAIMS, changed)

    async def _claim_phase(self, claim: Obj, phase: str, volume: Obj | None = None) -> None:
        old = claim.get("status") or {}
        status = {**old, "phase": phase}
        if volume is not None:
            status["accessModes"] = volume["spec"].get("accessModes") or []
            if old.get("phase") != "Bound":
                status["capacity"] = volume["spec"].get("capacity") or {}
            attributes = matching.attributes_of(volume)
            if old.get("phase") == "Pending" and attributes:
                status["currentVolumeAttributesClassName"] = attributes
        elif phase == "Pending":
            status = {"phase": phase}
        else:  # what it had is lost
            status = {key: value for key, value in status.items() if key not in ("accessModes", "capacity")}
        if status != old:
            await self.client.update_status(CLAIMS, objects.with_status(claim, status))

    async def _volume_phase(self, volume: Obj, phase: str, message: str = "") -> Obj:
        old = volume.get("status") or {}
        if old.get("phase") == phase:  # what else somebody wrote there stays
            return volume
        status = {"phase": phase, "lastPhaseTransitionTime": format_time(self.clock.now())}
        if message:
            status["message"] = message
        return await self.client.update_status(VOLUMES, objects.with_status(volume, status))

    # Volumes

    async def _volume(self, volume: Obj) -> None:
        ref = volume["spec"].get("claimRef")
        if not ref or not ref.get("uid"):
            await self._volume_phase(volume, "Available")
            return
        claim = self.client.get(CLAIMS, *_claim_of(ref))
        if claim is None or objects.uid_of(claim) != ref["uid"]:
            await self._release(volume)
        elif not claim["spec"].get("volumeName"):
            self.enqueue(*_claim_of(ref))
        elif claim["spec"]["volumeName"] == objects.name_of(volume):
            await self._volume_phase(volume, "Bound")
        elif (
            PROVISIONED_BY in objects.annotations_of(volume)
            and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        ):
            await self._release(volume)  # made for a claim that has another one by now
        else:
            await self._unbind(volume)

    async def _release(self, volume: Obj) -> None:
        """The claim is gone: do as the reclaim policy says."""
        if volume.get("status", {}).get("phase") not in ("Released", "Failed"):
            volume = await self._volume_phase(volume, "Released")
        trouble = await self._reclaimer.reclaim(volume)
        if trouble:
            await self._volume_phase(volume, "Failed", trouble)

    async def _unbind(self, volume: Obj) -> None:
        """The claim chose another one, or is gone; a reservation by a person stays."""
        patch: Obj = {"metadata": {"annotations": {BOUND_BY_CONTROLLER: None}}, "spec": {"claimRef": None}}
        if BOUND_BY_CONTROLLER not in objects.annotations_of(volume):
            patch = {"spec": {"claimRef": {"uid": None}}}
        try:
            await self.client.patch(VOLUMES, "", objects.name_of(volume), patch)
        except StatusError as error:
            if error.code != 404:
                raise

    def _event(self, obj: Obj, type_: str, reason: str, message: str) -> None:
        self.client.record(obj, type_, reason, message, COMPONENT)


def _claim_of(ref: Obj) -> tuple[str, str]:
    """Which claim a volume is reserved for; a claimRef may lack anything."""
    return ref.get("namespace", ""), ref.get("name", "")


def _mismatch(volume: Obj, claim: Obj) -> str:
    """Why a volume that the claim names will not do (checkVolumeSatisfyClaim)."""
    if objects.being_deleted(volume):
        return f'the volume is marked for deletion "{objects.name_of(volume)}"'
    if matching.capacity(volume) < matching.requested(claim):
        return "requested PV is too small"
    if matching.class_of(volume) != matching.class_of(claim):
        return "storageClassName does not match"
    if matching.attributes_of(volume) != matching.attributes_of(claim):
        return "volumeAttributesClassName does not match"
    if volume["spec"].get("volumeMode", "Filesystem") != claim["spec"].get("volumeMode", "Filesystem"):
        return "incompatible volumeMode"
    if not set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ()):
        return "incompatible accessMode"
    return ""
