"""Volume mounts and devices of containers (ValidateVolumeMounts, ValidateVolumeDevices in pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.pod_volumes import descending_path, no_backsteps
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_found, not_supported, required

Obj = dict[str, Any]

_PROPAGATION = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def mounts(container: Obj, volumes: dict[str, Obj], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    used = {device.get("name"): device.get("devicePath") for device in container.get("volumeDevices") or []}
    points: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or []):
        at = path.index(index)
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(required(at / "name"))
        if name not in volumes:
            errors.append(not_found(at / "name", name))
        if not target:
            errors.append(required(at / "mountPath"))
        if target in points:
            errors.append(invalid(at / "mountPath", target, "must be unique"))
        points.add(target)
        if name in used:
            errors.append(invalid(at / "name", name, "must not already exist in volumeDevices"))
        if target in used.values():
            text = "must not already exist as a path in volumeDevices"
            errors.append(invalid(at / "mountPath", target, text))
        errors += _sub_path(mount, at, path)
        errors += _propagation(mount, container, path / "mountPropagation")
        errors += _recursive_read_only(mount, path / "recursiveReadOnly")
    return errors


def _sub_path(mount: Obj, at: Path, path: Path) -> list[FieldError]:
    plain, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
    errors: list[FieldError] = []
    if plain:
        errors += descending_path(plain, path / "subPath")
    if expression:
        if plain:
            text = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid(at / "subPathExpr", expression, text))
        errors += descending_path(expression, path / "subPathExpr")
    return errors


def _propagation(mount: Obj, container: Obj, path: Path) -> list[FieldError]:
    mode = mount.get("mountPropagation")
    if mode is None:
        return []
    if mode not in _PROPAGATION:
        return [not_supported(path, mode, _PROPAGATION)]
    if mode == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        return [forbidden(path, "Bidirectional mount propagation is available only to privileged containers")]
    return []


def _recursive_read_only(mount: Obj, path: Path) -> list[FieldError]:
    mode = mount.get("recursiveReadOnly")
    if mode in (None, "Disabled"):
        return []
    if mode not in _RECURSIVE:
        return [not_supported(path, mode, _RECURSIVE)]
    errors = []
    if not mount.get("readOnly"):
        errors.append(forbidden(path, "may only be specified when readOnly is true"))
    if mount.get("mountPropagation") not in (None, "None"):
        errors.append(forbidden(path, "may only be specified when mountPropagation is None or not specified"))
    return errors


def devices(container: Obj, volumes: dict[str, Obj], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    used = {mount.get("name"): mount.get("mountPath") for mount in container.get("volumeMounts") or []}
    names: set[str] = set()
    points: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices") or []):
        at = path.index(index)
        name, target = device.get("name", ""), device.get("devicePath", "")
        volume = volumes.get(name)
        if not name:
            errors.append(required(at / "name"))
        if name in names:
            errors.append(invalid(at / "name", name, "must be unique"))
        if volume is None:
            errors.append(not_found(at / "name", name))
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(at / "name", name, text))
        if not target:
            errors.append(required(at / "devicePath"))
        if target in points:
            errors.append(invalid(at / "devicePath", target, "must be unique"))
        if target and no_backsteps(target, at):
            errors.append(invalid(at / "devicePath", target, "can not contain backsteps ('..')"))
        else:
            points.add(target)
        if name:
            names.add(name)
        if name in used:
            errors.append(invalid(at / "name", name, "must not already exist in volumeMounts"))
        if target in used.values():
            errors.append(invalid(at / "devicePath", target, "must not already exist as a path in volumeMounts"))
    return errors
