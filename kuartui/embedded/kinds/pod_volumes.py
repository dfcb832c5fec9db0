"""Volumes of pods, and the sources that persistent volumes share with them.

ValidateVolumes and validateVolumeSource in pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kuartui.embedded.kinds import disks
from kuartui.embedded.kinds.checks import (
    annotation_keys,
    dns_label,
    dns_subdomain,
    errors_of,
    label_selector,
    labels,
    one_of,
)
from kuartui.embedded.kinds.pod_fields import FIELDS_IN_FILES, field_ref, resource_ref
from kuartui.embedded.meta import names, quantity
from kuartui.embedded.meta.fielderr import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)

Obj = dict[str, Any]

FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_MOST_OF_DRIVER = 63
ONE_TYPE = "may not specify more than 1 volume type"
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_SHOWN_AS = {"gcePersistentDisk": "persistentDisk"}  # names that differ in messages, as Kubernetes has them
_SHOWN_IF_SECOND = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
_REQUIRED_FIELDS: dict[str, tuple[str, ...]] = {  # sources that only want some fields to be there
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "persistentVolumeClaim": ("claimName",),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "quobyte": ("registry", "volume"),
    "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "storageos": ("volumeName",),
    "csi": ("driver",),
    "local": ("path",),
}


def volumes(listed: list[Obj], pod_name: str, path: Path, is_pod: bool) -> tuple[dict[str, Obj], list[FieldError]]:
    """The sound volumes by name, and what is wrong with the others."""
    sound: dict[str, Obj] = {}
    errors: list[FieldError] = []
    made = {f"{pod_name}-{v.get('name', '')}" for v in listed if v.get("ephemeral") is not None} if pod_name else set()
    for index, volume in enumerate(listed):
        at = path.index(index)
        name = volume.get("name", "")
        problems = _sources(volume, pod_name, at, is_pod)
        problems += dns_label(name, at / "name") if name else [required(at / "name")]
        if name in sound:
            problems.append(duplicate(at / "name", name))
        if problems:
            errors += problems
        else:
            sound[name] = volume
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if claim in made:
            text = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(invalid(at / "persistentVolumeClaim" / "claimName", claim, text))
    return sound, errors


def _sources(volume: Obj, pod_name: str, path: Path, is_pod: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    count = 0
    for kind, check in _SOURCES.items():
        source = volume.get(kind)
        if source is None:
            continue
        if count and kind != "emptyDir":
            errors.append(forbidden(path / second(kind), ONE_TYPE))
            continue
        count += 1
        errors += check(source, path / shown(kind))
    if volume.get("ephemeral") is not None and pod_name and volume.get("name"):
        claim = f"{pod_name}-{volume['name']}"
        errors += [
            invalid(path / "name", volume["name"], f'PVC name "{claim}": {text}')
            for text in names.dns1123_subdomain(claim)
        ]
    if volume.get("image") is not None and is_pod and not volume["image"].get("reference"):
        errors.append(required(path / "image" / "reference"))
    if not count:
        errors.append(required(path, "must specify a volume type"))
    return errors


def shown(kind: str) -> str:
    """A kind of source as messages on what is in it call it."""
    return _SHOWN_AS.get(kind, kind)


def second(kind: str) -> str:
    """A kind of source as the message calls it that there is another one already."""
    return _SHOWN_IF_SECOND.get(kind, kind)


def no_backsteps(target: str, path: Path) -> list[FieldError]:
    return [invalid(path, target, "must not contain '..'")] if ".." in target.split("/") else []


def descending_path(target: str, path: Path) -> list[FieldError]:
    """Relative, and without `..` in it."""
    errors = [invalid(path, target, "must be a relative path")] if target.startswith("/") else []
    return errors + no_backsteps(target, path)


def local_path(target: str, path: Path) -> list[FieldError]:
    """Descending, and not beginning with `..` either."""
    errors = descending_path(target, path)
    if target.startswith("..") and not target.startswith("../"):
        errors.append(invalid(path, target, "must not start with '..'"))
    return errors


def host_path(source: Obj, path: Path) -> list[FieldError]:
    if not source.get("path"):
        return [required(path / "path")]
    errors = no_backsteps(source["path"], path / "path")
    kind = source.get("type")
    if kind is not None and kind not in _HOST_PATH_TYPES:
        errors.append(not_supported(path / "type", kind, _HOST_PATH_TYPES))
    return errors


def nfs(source: Obj, path: Path) -> list[FieldError]:
    errors = [required(path / field) for field in ("server", "path") if not source.get(field)]
    if not source.get("path", "").startswith("/"):
        errors.append(invalid(path / "path", source.get("path", ""), "must be an absolute path"))
    return errors


def wants(kind: str) -> Callable[[Obj, Path], list[FieldError]]:
    """The check of a source most of whose fields only have to be there."""
    further = disks.more(kind)

    def check(source: Obj, path: Path) -> list[FieldError]:
        absent = [required(path / field) for field in _REQUIRED_FIELDS.get(kind, ()) if not source.get(field)]
        return absent + further(source, path)

    return check


def _empty_dir(source: Obj, path: Path) -> list[FieldError]:
    limit = source.get("sizeLimit")
    if limit is not None and quantity.parse(limit) < quantity.ZERO:
        return [forbidden(path / "sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def _mode(source: Obj, field: str, path: Path) -> list[FieldError]:
    mode = source.get(field)
    return [] if mode is None or 0 <= mode <= 0o777 else [invalid(path / field, mode, FILE_MODE)]


def _items(source: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, item in enumerate(source.get("items") or []):
        at = (path / "items").index(index)
        errors += [required(at / field) for field in ("key", "path") if not item.get(field)]
        errors += local_path(item.get("path", ""), at / "path")
        errors += _mode(item, "mode", at)
    return errors


def _secret(source: Obj, path: Path) -> list[FieldError]:
    errors = [] if source.get("secretName") else [required(path / "secretName")]
    return errors + _mode(source, "defaultMode", path) + _items(source, path)


def _config_map(source: Obj, path: Path) -> list[FieldError]:
    errors = [] if source.get("name") else [required(path / "name")]
    return errors + _mode(source, "defaultMode", path) + _items(source, path)


def _downward_file(item: Obj, path: Path) -> list[FieldError]:
    errors = [] if item.get("path") else [required(path / "path")]
    errors += local_path(item.get("path", ""), path / "path")
    if item.get("fieldRef") is not None:
        errors += field_ref(item["fieldRef"], FIELDS_IN_FILES, path / "fieldRef")
        if item.get("resourceFieldRef") is not None:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid(path, "resource", text))
    elif item.get("resourceFieldRef") is not None:
        errors += resource_ref(item["resourceFieldRef"], path / "resourceFieldRef", in_file=True)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return errors + _mode(item, "mode", path)


def _downward(source: Obj, path: Path) -> list[FieldError]:
    errors = _mode(source, "defaultMode", path)
    for item in source.get("items") or []:
        errors += _downward_file(item, path)
    return errors


def _projected(source: Obj, path: Path) -> list[FieldError]:
    errors = _mode(source, "defaultMode", path)
    taken: set[str] = set()

    def claim(target: str, value: str) -> list[FieldError]:
        if not target:
            return []
        if target in taken:
            return [invalid(path, value, "conflicting duplicate paths")]
        taken.add(target)
        return []

    for index, part in enumerate(source.get("sources") or []):
        at = (path / "sources").index(index)
        for kind in ("secret", "configMap"):
            projection = part.get(kind)
            if projection is not None:
                if not projection.get("name"):
                    errors.append(required(at / kind / "name"))
                errors += _items(projection, at / kind)
                for item in projection.get("items") or []:
                    errors += claim(item.get("path", ""), projection.get("name", ""))
        if part.get("downwardAPI") is not None:
            for item in part["downwardAPI"].get("items") or []:
                errors += _downward_file(item, at / "downwardAPI")
                errors += claim(item.get("path", ""), item.get("path", ""))
        if part.get("serviceAccountToken") is not None:
            errors += _token(part["serviceAccountToken"], at / "serviceAccountToken", path)
        if part.get("clusterTrustBundle") is not None:
            bundle = part["clusterTrustBundle"]
            errors += _trust_bundle(bundle, at / "clusterTrustBundle")
            errors += claim(bundle.get("path", ""), bundle.get("path", ""))
        if sum(value is not None for value in part.values()) > 1:
            errors.append(forbidden(at, "may not specify more than 1 volume type per source"))
    return errors


def _token(token: Obj, path: Path, volume: Path) -> list[FieldError]:
    errors = []
    seconds = token.get("expirationSeconds", 0)
    if seconds < 10 * 60:
        errors.append(invalid(path / "expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > 1 << 32:
        text = "may not specify a duration larger than 2^32 seconds"
        errors.append(invalid(path / "expirationSeconds", seconds, text))
    if not token.get("path"):
        return [*errors, required(volume / "path")]
    return errors + local_path(token["path"], volume / "path")


def _trust_bundle(bundle: Obj, path: Path) -> list[FieldError]:
    errors = []
    name, signer = bundle.get("name"), bundle.get("signerName")
    if name is not None and signer is not None:
        errors.append(invalid(path, bundle, "only one of name and signerName may be used"))
    elif name is None and signer is None:
        errors.append(required(path, "either name or signerName must be specified"))
    elif signer is not None:
        errors += label_selector(bundle.get("labelSelector"), path / "labelSelector")
    if not bundle.get("path"):
        errors.append(required(path / "path"))
    return errors + local_path(bundle.get("path", ""), path / "path")


def _git_repo(source: Obj, path: Path) -> list[FieldError]:
    return wants("gitRepo")(source, path) + descending_path(source.get("directory", ""), path / "directory")


def _ephemeral(source: Obj, path: Path) -> list[FieldError]:
    from kuartui.embedded.kinds.persistentvolumeclaim import claim_spec

    template = source.get("volumeClaimTemplate")
    if template is None:
        return [required(path / "volumeClaimTemplate")]
    at, metadata = path / "volumeClaimTemplate", template.get("metadata") or {}
    errors = annotation_keys(metadata.get("annotations"), at / "metadata" / "annotations")
    errors += labels(metadata.get("labels"), at / "metadata" / "labels")
    errors += [
        forbidden(at / "metadata" / field, "cannot be set")
        for field, value in metadata.items()
        if value and field not in ("annotations", "labels")
    ]
    return errors + claim_spec(template.get("spec") or {}, at / "spec")


def _image(source: Obj, path: Path) -> list[FieldError]:
    return one_of(source.get("pullPolicy"), path / "pullPolicy", ("Always", "IfNotPresent", "Never"))


def _csi(source: Obj, path: Path) -> list[FieldError]:
    errors = csi_driver_name(source.get("driver", ""), path / "driver")
    secret = source.get("nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        errors.append(required(path / "nodePublishSecretRef" / "name"))
    elif secret is not None:
        errors += dns_subdomain(secret["name"], path / "name")
    return errors


def csi_driver_name(name: str, path: Path) -> list[FieldError]:
    if not name:
        return [required(path)]
    errors = [too_long(path, _MOST_OF_DRIVER)] if len(name) > _MOST_OF_DRIVER else []
    return errors + errors_of(path, name, names.dns1123_subdomain(name.lower()))


def flocker(source: Obj, path: Path) -> list[FieldError]:
    name, errors = source.get("datasetName", ""), []
    if not name and not source.get("datasetUUID"):
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    elif name and source.get("datasetUUID"):
        errors.append(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in name:
        errors.append(invalid(path / "datasetName", name, "must not contain '/'"))
    return errors


_SOURCES: dict[str, Callable[[Obj, Path], list[FieldError]]] = {
    "emptyDir": _empty_dir,
    "hostPath": host_path,
    "gitRepo": _git_repo,
    "gcePersistentDisk": wants("gcePersistentDisk"),
    "awsElasticBlockStore": wants("awsElasticBlockStore"),
    "secret": _secret,
    "nfs": nfs,
    "iscsi": wants("iscsi"),
    "glusterfs": wants("glusterfs"),
    "flocker": flocker,
    "persistentVolumeClaim": wants("persistentVolumeClaim"),
    "rbd": wants("rbd"),
    "cinder": wants("cinder"),
    "cephfs": wants("cephfs"),
    "quobyte": wants("quobyte"),
    "downwardAPI": _downward,
    "fc": wants("fc"),
    "flexVolume": wants("flexVolume"),
    "configMap": _config_map,
    "azureFile": wants("azureFile"),
    "vsphereVolume": wants("vsphereVolume"),
    "photonPersistentDisk": wants("photonPersistentDisk"),
    "portworxVolume": wants("portworxVolume"),
    "azureDisk": wants("azureDisk"),
    "storageos": wants("storageos"),
    "projected": _projected,
    "scaleIO": wants("scaleIO"),
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
