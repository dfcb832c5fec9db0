"""PersistentVolumes (pkg/apis/core/validation, pkg/registry/core/persistentvolume)."""

from __future__ import annotations

import posixpath
from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.kinds.checks import dns_label, dns_subdomain, immutable, quantity_positive, quantity_sound
from kuartui.embedded.kinds.node_labels import term_warnings
from kuartui.embedded.kinds.persistentvolumeclaim import (
    CLASS_ANNOTATION,
    VOLUME_MODES,
    access_modes,
    storage_class,
)
from kuartui.embedded.kinds.pod_defaults import default_volume_source
from kuartui.embedded.kinds.pod_scheduling import node_selector
from kuartui.embedded.kinds.pod_volumes import (
    ONE_TYPE,
    csi_driver_name,
    flocker,
    host_path,
    nfs,
    no_backsteps,
    second,
    shown,
    wants,
)
from kuartui.embedded.kinds.pod_warnings import OLD_VOLUMES
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required
from kuartui.embedded.meta.time import format_time

_OLD_ANNOTATIONS = {
    CLASS_ANNOTATION: 'deprecated since v1.8; use "storageClassName" attribute instead',
    "volume.beta.kubernetes.io/mount-options": 'deprecated since v1.31; use "mountOptions" attribute instead',
}


@register("persistentvolumes")
class PersistentVolumes(Strategy):
    returns_deleted = True
    generation = False

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        status = obj.get("status") or {}
        if not status.get("phase"):
            status["phase"] = "Pending"
        obj["status"] = status
        if not spec.get("persistentVolumeReclaimPolicy"):
            spec["persistentVolumeReclaimPolicy"] = "Retain"
        if spec.get("volumeMode") is None:
            spec["volumeMode"] = "Filesystem"
        default_volume_source(spec)

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        obj["status"] = {"phase": "Pending"}
        if ctx.now is not None:
            obj["status"]["lastPhaseTransitionTime"] = format_time(ctx.now)

    def prepare_status_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        status, before = new.setdefault("status", {}), old.get("status") or {}
        if status.get("phase") != before.get("phase"):
            given = status.get("lastPhaseTransitionTime")
            if ctx.now is not None and given in (None, before.get("lastPhaseTransitionTime")):
                status["lastPhaseTransitionTime"] = format_time(ctx.now)

    def validate(self, obj: Obj) -> list[FieldError]:
        return _spec_errors(obj.get("spec") or {}, Path("spec"))

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        errors = self.validate(new)
        sources = [{kind: one[kind] for kind in _SOURCES if one.get(kind) is not None} for one in (before, spec)]
        if sources[0] != sources[1]:
            from kuartui.embedded.kinds import go_structs

            diff = go_structs.difference(*(go_structs.render("VolumeSource", one) for one in sources))
            text = f"spec.persistentvolumesource is immutable after creation\n{diff}"
            errors.append(forbidden("spec.persistentvolumesource", text))
        errors += immutable(spec.get("volumeMode"), before.get("volumeMode"), "volumeMode")
        if before.get("nodeAffinity") is not None and before["nodeAffinity"] != spec.get("nodeAffinity"):
            text = "field is immutable, except for updating from beta label to GA"
            errors.append(invalid("nodeAffinity", spec.get("nodeAffinity"), text))
        if before.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
            text = "update from non-nil value to nil is forbidden"
            errors.append(forbidden("spec.volumeAttributesClassName", text))
        return errors

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        spec, path = obj.get("spec") or {}, Path("spec")
        found = [
            f"metadata.annotations[{key}]: {text}"
            for key, text in _OLD_ANNOTATIONS.items()
            if key in (obj["metadata"].get("annotations") or {})
        ]
        if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
            found.append(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
                "Instead, the recommended approach is to use dynamic provisioning."
            )
        terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or []
        for index, term in enumerate(terms):
            found += term_warnings(term, (path / "nodeAffinity.required.nodeSelectorTerms").index(index))
        return found + [f"{path / kind}: {text}" for kind, text in OLD_VOLUMES.items() if spec.get(kind) is not None]

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        claim = spec.get("claimRef")
        return [
            cells.name(obj),
            cells.amount((spec.get("capacity") or {}).get("storage")),
            cells.access_modes(spec.get("accessModes")),
            spec.get("persistentVolumeReclaimPolicy", ""),
            "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
            f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
            storage_class(obj),
            cells.UNSET if spec.get("volumeAttributesClassName") is None else spec["volumeAttributesClassName"],
            status.get("reason", ""),
            cells.age(obj, now),
            spec.get("volumeMode") or cells.UNSET,
        ]


_RECLAIM = ("Delete", "Recycle", "Retain")
_SOURCES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)


def _spec_errors(spec: Obj, path: Path) -> list[FieldError]:
    modes, capacity = spec.get("accessModes") or [], spec.get("capacity") or {}
    errors = [] if modes else [required(path / "accessModes")]
    errors += access_modes(modes, path / "accessModes")
    if not capacity:
        errors.append(required(path / "capacity"))
    if "storage" not in capacity or len(capacity) > 1:
        errors.append(not_supported(path / "capacity", capacity or None, ("storage",)))
    for name, text in capacity.items():
        at = (path / "capacity").key(name)
        errors += quantity_sound(text, at) + quantity_positive(text, at)
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in _RECLAIM:
        errors.append(not_supported(path / "persistentVolumeReclaimPolicy", policy, _RECLAIM))
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        at = path / "nodeAffinity" / "required"
        if affinity.get("required") is None:
            errors.append(required(at, "must specify required node constraints"))
        else:
            errors += node_selector(affinity["required"], at)
    errors += _source_errors(spec, path)
    if posixpath.normpath((spec.get("hostPath") or {}).get("path") or ".") in ("/", "//") and policy == "Recycle":
        text = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden(path / "persistentVolumeReclaimPolicy", text))
    if spec.get("storageClassName"):
        errors += dns_subdomain(spec["storageClassName"], path / "storageClassName")
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(not_supported(path / "volumeMode", mode, VOLUME_MODES))
    attributes = spec.get("volumeAttributesClassName")
    if attributes is not None:
        at = path / "volumeAttributesClassName"
        errors += dns_subdomain(attributes, at) if attributes else [required(at, "an empty string is disallowed")]
        if spec.get("csi") is None:
            errors.append(required(path / "csi", "has to be specified when using volumeAttributesClassName"))
    return errors


def _source_errors(spec: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    count = 0
    for kind in _SOURCES:
        source = spec.get(kind)
        if source is None:
            continue
        if count:
            errors.append(forbidden(path / second(kind), ONE_TYPE))
            continue
        count += 1
        at = path / shown(kind)
        if kind == "hostPath":
            errors += host_path(source, at)
        elif kind == "nfs":
            errors += nfs(source, at)
        elif kind == "csi":
            errors += csi_driver_name(source.get("driver", ""), at / "driver")
            if not source.get("volumeHandle"):
                errors.append(required(at / "volumeHandle"))
            for use in ("controllerPublish", "controllerExpand", "nodePublish", "nodeExpand"):
                errors += _secret(source.get(f"{use}SecretRef"), at / f"{use}SecretRef")
        elif kind == "flocker":
            errors += flocker(source, at)
        else:
            errors += wants(kind)(source, at)
        if kind == "local":
            errors += no_backsteps(source.get("path", ""), at / "path")
            if spec.get("nodeAffinity") is None:
                errors.append(required(path / "nodeAffinity", "Local volume requires node affinity"))
    if not count:
        errors.append(required(path, "must specify a volume type"))
    return errors


def _secret(ref: Obj | None, path: Path) -> list[FieldError]:
    if ref is None:
        return []
    name, namespace = ref.get("name", ""), ref.get("namespace", "")
    errors = dns_subdomain(name, path / "name") if name else [required(path / "name")]
    return errors + (dns_label(namespace, path / "namespace") if namespace else [required(path / "namespace")])
