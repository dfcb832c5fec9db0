"""The cluster's own provisioner, `rancher.io/local-path`: directories on the node that a pod was placed on.

After rancher/local-path-provisioner and sig-storage-lib-external-provisioner. It also grows volumes of classes that
allow it, as an external resizer would.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.volumes import matching
from kuartui.embedded.controllers.volumes.matching import CLASSES, SELECTED_NODE
from kuartui.embedded.controllers.volumes.reclaim import PROVISIONED_BY
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

NAME = "rancher.io/local-path"
ASKED = "volume.kubernetes.io/storage-provisioner"
CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
DIRECTORY = "/var/local-path-provisioner"
SINGLE = {"ReadWriteOnce", "ReadWriteOncePod"}


class LocalPathProvisioner(Controller):
    """Makes and deletes volumes."""

    name = "local-path-provisioner"
    component = f"{NAME}_local-path-provisioner"

    def setup(self) -> None:
        self.watch(CLAIMS, self._claim_changed)
        self.watch(VOLUMES, self._volume_changed)
        self.watch(CLASSES, self._class_changed)

    def _claim_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED and objects.annotations_of(event.obj.data).get(ASKED) == NAME:
            self.enqueue_object(event)

    def _volume_changed(self, event: Event) -> None:
        if objects.annotations_of(event.obj.data).get(PROVISIONED_BY) == NAME:
            self.enqueue("", event.obj.key.name)

    def _class_changed(self, event: Event) -> None:
        for stored in self.client.store.list(CLAIMS):
            if objects.annotations_of(stored.data).get(ASKED) == NAME and not matching.bound(stored.data):
                self.enqueue(*stored.key[1:])

    async def reconcile(self, namespace: str, name: str) -> None:
        if namespace:
            claim = self.client.get(CLAIMS, namespace, name)
            if claim is not None and not claim["spec"].get("volumeName") and not objects.being_deleted(claim):
                await self._provision(claim)
            return
        volume = self.client.get(VOLUMES, "", name)
        released = volume is not None and volume.get("status", {}).get("phase") == "Released"
        if volume is not None and released and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            await self._delete(volume)

    async def _provision(self, claim: Obj) -> None:
        storage_class = self.client.get(CLASSES, "", matching.class_of(claim))
        if storage_class is None or storage_class.get("provisioner") != NAME:
            return
        node_name = objects.annotations_of(claim).get(SELECTED_NODE, "")
        if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" and not node_name:
            return
        where = f"{objects.namespace_of(claim)}/{objects.name_of(claim)}"
        self._tell(claim, "Normal", "Provisioning", f'External provisioner is provisioning volume for claim "{where}"')
        trouble = self._refusal(claim, node_name)
        if trouble:
            text = f'failed to provision volume with StorageClass "{objects.name_of(storage_class)}": {trouble}'
            self._tell(claim, "Warning", "ProvisioningFailed", text)
            return
        volume = self._volume(claim, storage_class, node_name)
        try:
            await self.client.create(VOLUMES, volume)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
        text = f"Successfully provisioned volume {objects.name_of(volume)}"
        self._tell(claim, "Normal", "ProvisioningSucceeded", text)

    def _refusal(self, claim: Obj, node_name: str) -> str:
        if not node_name:
            return "configuration error, no node was specified"
        if claim["spec"].get("selector"):
            return "claim.Spec.Selector is not supported"
        if not set(claim["spec"].get("accessModes") or ()) <= SINGLE:
            return "Only support ReadWriteOnce access mode"
        return ""

    def _volume(self, claim: Obj, storage_class: Obj, node_name: str) -> Obj:
        name = f"pvc-{objects.uid_of(claim)}"
        node = self.client.get("nodes", "", node_name)
        host = objects.labels_of(node).get("kubernetes.io/hostname", node_name) if node else node_name
        term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]}
        path = f"{DIRECTORY}/{name}_{objects.namespace_of(claim)}_{objects.name_of(claim)}"
        spec: Obj = {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": objects.name_of(claim),
                "namespace": objects.namespace_of(claim),
                "resourceVersion": claim["metadata"]["resourceVersion"],
                "uid": objects.uid_of(claim),
            },
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": objects.name_of(storage_class),
            "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
        }
        if storage_class.get("mountOptions"):
            spec["mountOptions"] = storage_class["mountOptions"]
        annotations = {"local.path.provisioner/selected-node": node_name, PROVISIONED_BY: NAME}
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": annotations},
            "spec": spec,
        }

    async def _delete(self, volume: Obj) -> None:
        try:
            await self.client.delete(VOLUMES, "", objects.name_of(volume))
        except StatusError as error:
            if error.code != 404:
                raise

    def _tell(self, claim: Obj, type_: str, reason: str, message: str) -> None:
        self.client.record(claim, type_, reason, message, self.component)
