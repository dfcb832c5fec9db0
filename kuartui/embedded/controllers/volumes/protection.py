"""Claims, volumes and classes in use do not go: finalizers that are taken off when nobody uses them any more.

After pkg/controller/volume/{pvcprotection,pvprotection,vacprotection}. Also makes the claims of generic ephemeral volumes, after
pkg/controller/volume/ephemeral.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.volumes import matching
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
CLAIM_FINALIZER, VOLUME_FINALIZER = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"
ATTRIBUTES, ATTRIBUTES_FINALIZER = "volumeattributesclasses.storage.k8s.io", "kubernetes.io/vac-protection"


class ClaimProtection(Controller):
    """Lets go of claims that no scheduled pod mounts."""

    name = "pvc-protection-controller"

    def setup(self) -> None:
        self.watch(CLAIMS, self._claim_changed)
        self.watch("pods", self._pod_gone)

    def _claim_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED and objects.being_deleted(event.obj.data):
            self.enqueue_object(event)

    def _pod_gone(self, event: Event) -> None:
        if event.type is EventType.DELETED:
            for name, _ in matching.claims_of(event.obj.data):
                self.enqueue(event.obj.key.namespace, name)

    async def reconcile(self, namespace: str, name: str) -> None:
        claim = self.client.get(CLAIMS, namespace, name)
        if claim is None or not objects.being_deleted(claim) or CLAIM_FINALIZER not in objects.finalizers(claim):
            return
        used = any(
            pod["spec"].get("nodeName") and any(mounted == name for mounted, _ in matching.claims_of(pod))
            for pod in self.client.list("pods", namespace)
        )
        if not used:
            await _take_off(self, CLAIMS, claim, CLAIM_FINALIZER)


class VolumeProtection(Controller):
    """Lets go of volumes that are not bound."""

    name = "pv-protection-controller"

    def setup(self) -> None:
        self.watch(VOLUMES, self._volume_changed)

    def _volume_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED and objects.being_deleted(event.obj.data):
            self.enqueue_object(event)

    async def reconcile(self, namespace: str, name: str) -> None:
        volume = self.client.get(VOLUMES, "", name)
        if volume is None or not objects.being_deleted(volume) or VOLUME_FINALIZER not in objects.finalizers(volume):
            return
        if volume.get("status", {}).get("phase") != "Bound":
            await _take_off(self, VOLUMES, volume, VOLUME_FINALIZER)


class AttributesProtection(Controller):
    """Lets go of VolumeAttributesClasses that no volume and no claim names."""

    name = "volumeattributesclass-protection-controller"

    def setup(self) -> None:
        self.watch(ATTRIBUTES, self._class_changed)
        self.watch(CLAIMS, self._user_changed)
        self.watch(VOLUMES, self._user_changed)

    def _class_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED and objects.being_deleted(event.obj.data):
            self.enqueue_object(event)

    def _user_changed(self, event: Event) -> None:
        now = set() if event.type is EventType.DELETED else _attributes_of(event.obj.data)
        before = event.old.data if event.old is not None else event.obj.data
        for name in sorted(_attributes_of(before) - now):
            self.enqueue("", name)

    async def reconcile(self, namespace: str, name: str) -> None:
        found = self.client.get(ATTRIBUTES, "", name)
        if found is None or not objects.being_deleted(found) or ATTRIBUTES_FINALIZER not in objects.finalizers(found):
            return
        users = (*self.client.list(VOLUMES), *self.client.list(CLAIMS))
        if not any(name in _attributes_of(user) for user in users):
            await _take_off(self, ATTRIBUTES, found, ATTRIBUTES_FINALIZER)


def _attributes_of(user: Obj) -> set[str]:
    """The VolumeAttributesClasses that a volume or a claim has, wants, or is on its way to."""
    spec, status = user.get("spec") or {}, user.get("status") or {}
    named = (
        spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return {name for name in named if name}


class EphemeralVolumes(Controller):
    """Makes the claims that pods bring along."""

    name = "ephemeral-volume-controller"

    def setup(self) -> None:
        self.watch("pods", self._pod_changed)
        self.watch(CLAIMS, self._claim_gone)

    def _pod_changed(self, event: Event) -> None:
        if event.type is EventType.ADDED and any(own for _, own in matching.claims_of(event.obj.data)):
            self.enqueue_object(event)

    def _claim_gone(self, event: Event) -> None:
        ref = objects.controller_of(event.obj.data)
        if event.type is EventType.DELETED and ref is not None and ref["kind"] == "Pod":
            self.enqueue(event.obj.key.namespace, ref["name"])

    async def reconcile(self, namespace: str, name: str) -> None:
        pod = self.client.get("pods", namespace, name)
        if pod is None or objects.being_deleted(pod):
            return
        for volume in pod["spec"].get("volumes") or ():
            if "ephemeral" in volume:
                await self._claim(pod, volume)

    async def _claim(self, pod: Obj, volume: Obj) -> None:
        name = f"{objects.name_of(pod)}-{volume['name']}"
        found = self.client.get(CLAIMS, objects.namespace_of(pod), name)
        if found is not None:
            if not objects.controlled_by(found, pod):
                where = f"{objects.namespace_of(pod)}/{name} was not created for pod "
                text = f"PVC {where}{objects.namespace_of(pod)}/{objects.name_of(pod)} (pod is not owner)"
                self._failed(pod, volume, text)
            return
        template = volume["ephemeral"]["volumeClaimTemplate"]
        given = template.get("metadata") or {}
        meta = {key: given[key] for key in ("labels", "annotations") if given.get(key)}
        meta |= {
            "name": name,
            "namespace": objects.namespace_of(pod),
            "ownerReferences": [objects.controller_reference(pod)],
        }
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": template["spec"]}
        try:
            await self.client.create(CLAIMS, objects.copy(claim))
        except StatusError as error:
            self._failed(pod, volume, f"create PVC {name}: {error}")
            raise

    def _failed(self, pod: Obj, volume: Obj, why: str) -> None:
        text = f"ephemeral volume {volume['name']}: {why}"
        self.client.record(pod, "Warning", "FailedBinding", text, "ephemeral_volume")


async def _take_off(controller: Controller, resource: str, obj: Obj, finalizer: str) -> None:
    left = [one for one in objects.finalizers(obj) if one != finalizer]
    meta = {"finalizers": left or None, "resourceVersion": obj["metadata"]["resourceVersion"]}
    try:
        await controller.client.patch(resource, objects.namespace_of(obj), objects.name_of(obj), {"metadata": meta})
    except StatusError as error:
        if error.code != 404:
            raise
