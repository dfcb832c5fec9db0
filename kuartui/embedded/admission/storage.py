"""DefaultStorageClass, PersistentVolumeClaimResize and StorageObjectInUseProtection.

kubernetes/plugin/pkg/admission/storage/{storageclass/setdefault,storageobjectinuseprotection}.
"""

from __future__ import annotations

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.meta import errors, quantity
from kuartui.embedded.store import Store

CLASSES = "storageclasses.storage.k8s.io"
DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
LEGACY_CLASS = "volume.beta.kubernetes.io/storage-class"
PROTECTIONS = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
    "volumeattributesclasses.storage.k8s.io": "kubernetes.io/vac-protection",
}


class DefaultStorageClass(Plugin):
    """A claim that names no class gets the default one; of several the newest."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> None:
        claim = attributes.obj
        if attributes.resource != "persistentvolumeclaims" or attributes.operation != "CREATE" or claim is None:
            return
        annotations = claim["metadata"].get("annotations") or {}
        if "storageClassName" in claim["spec"] or LEGACY_CLASS in annotations:
            return
        candidates = [
            stored
            for stored in self._store.list(CLASSES)
            if any((stored.data["metadata"].get("annotations") or {}).get(key) == "true" for key in DEFAULT)
        ]
        if candidates:
            newest = max(candidates, key=lambda stored: stored.data["metadata"]["creationTimestamp"])
            claim["spec"]["storageClassName"] = newest.key.name


class ClaimResize(Plugin):
    """A claim grows only where its class says that volumes can.

    kubernetes/plugin/pkg/admission/storage/persistentvolume/resize.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def validate(self, attributes: Attributes) -> None:
        new, old = attributes.obj, attributes.old
        if attributes.resource != "persistentvolumeclaims" or attributes.subresource or new is None or old is None:
            return
        asked, had = (one["spec"].get("resources", {}).get("requests", {}).get("storage", "0") for one in (new, old))
        if not quantity.parse(had) < quantity.parse(asked):
            return
        if old.get("status", {}).get("phase") != "Bound":
            why = "Only bound persistent volume claims can be expanded"
            raise errors.forbidden(attributes.resource, attributes.name, why)
        found = self._store.get(CLASSES, "", old["spec"].get("storageClassName") or "")
        if found is None or not found.data.get("allowVolumeExpansion"):
            why = (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                "support resize"
            )
            raise errors.forbidden(attributes.resource, attributes.name, why)


class StorageProtection(Plugin):
    """Claims, volumes and their classes of attributes that are in use stay until nobody uses them: a finalizer that a controller takes off."""

    async def mutate(self, attributes: Attributes) -> None:
        finalizer = PROTECTIONS.get(attributes.resource)
        if finalizer is None or attributes.operation != "CREATE" or attributes.obj is None or attributes.subresource:
            return
        finalizers = attributes.obj["metadata"].setdefault("finalizers", [])
        if finalizer not in finalizers:
            finalizers.append(finalizer)
