"""Annotations that mean something on pods and templates (ValidatePodSpecificAnnotations, applyAppArmorVersionSkew)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kuartui.embedded.kinds.pod_defaults import CONTAINER_LISTS
from kuartui.embedded.kinds.pod_volumes import descending_path
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, quote

Obj = dict[str, Any]

APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
POD_SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"
CONTAINER_SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"
MIRROR = "kubernetes.io/config.mirror"
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_KNOWN_SECCOMP = ("runtime/default", "docker/default", "unconfined")
_APP_ARMOR_TYPES = {"unconfined": "Unconfined", "runtime/default": "RuntimeDefault"}
_OLD_TYPES = {"apparmor": _APP_ARMOR_TYPES, "seccomp": {**_APP_ARMOR_TYPES, "docker/default": "RuntimeDefault"}}
_FIELDS = {"apparmor": "appArmorProfile", "seccomp": "seccompProfile"}
_TYPES = ("Unconfined", "RuntimeDefault", "Localhost")
_LOCAL = "localhost/"


def annotation_errors(metadata: Obj, spec: Obj, path: Path) -> list[FieldError]:
    """What such annotations at `path` must fulfil."""
    given = metadata.get("annotations") or {}
    errors = []
    if MIRROR in given and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid(path.key(MIRROR), given[MIRROR], text))
    cost = given.get(_DELETION_COST)
    if cost is not None and not _is_cost(cost):
        errors.append(invalid(path.key(_DELETION_COST), cost, "must be a 32bit integer"))
    for key in sorted(given, key=lambda key: (key != POD_SECCOMP, key)):
        if key == POD_SECCOMP or key.startswith(CONTAINER_SECCOMP):
            errors += _seccomp(given[key], path / key)
    names = [container.get("name", "") for container in _containers(spec)]
    for key, profile in sorted(given.items()):
        if key.startswith(APP_ARMOR):
            name = key.removeprefix(APP_ARMOR)
            if name not in names:
                errors.append(invalid(path.key(key), name, "container not found"))
            if profile and profile not in _APP_ARMOR_TYPES and not profile.startswith(_LOCAL):
                errors.append(invalid(path.key(key), profile, f"invalid AppArmor profile name: {quote(profile)}"))
    return errors


def confine(pod: Obj) -> list[str]:
    """Put what the old annotations say of AppArmor into the fields; what to warn of."""
    annotations, spec = pod["metadata"].get("annotations") or {}, pod.get("spec") or {}
    if (spec.get("os") or {}).get("name") == "windows":
        return []
    of_pod = (spec.get("securityContext") or {}).get("appArmorProfile")
    found = []
    for container in _containers(spec):
        key = APP_ARMOR + container.get("name", "")
        if key not in annotations or (container.get("securityContext") or {}).get("appArmorProfile"):
            continue
        profile = _profile(annotations[key])
        if profile is not None and profile != of_pod:
            container["securityContext"] = {**(container.get("securityContext") or {}), "appArmorProfile": profile}
        if profile is None or profile != of_pod:
            at = Path("metadata.annotations").key(key)
            found.append(f'{at}: deprecated since v1.30; use the "appArmorProfile" field instead')
    return found


def contradictions(pod: Obj, path: Path) -> list[FieldError]:
    """The old annotations of a new pod, or of a template, must say what the fields of its spec at `path` say."""
    annotations, spec = (pod.get("metadata") or {}).get("annotations"), pod.get("spec") or {}
    if not annotations:
        return []
    context, at = spec.get("securityContext") or {}, path / "securityContext"
    errors = _contradiction("seccomp", annotations.get(POD_SECCOMP), context.get("seccompProfile"), at)
    armored: list[FieldError] = []
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or []):
            name, own = container.get("name", ""), container.get("securityContext") or {}
            at = (path / field).index(index) / "securityContext"
            told = annotations.get(CONTAINER_SECCOMP + name)
            errors += _contradiction("seccomp", told, own.get("seccompProfile"), at)
            profile = own.get("appArmorProfile") or context.get("appArmorProfile")
            armored += _contradiction("apparmor", annotations.get(APP_ARMOR + name), profile, at)
    return errors if (spec.get("os") or {}).get("name") == "windows" else errors + armored


def _contradiction(noun: str, told: str | None, profile: Obj | None, path: Path) -> list[FieldError]:
    if told is None or not profile or profile.get("type") not in _TYPES:
        return []
    at = path / _FIELDS[noun]
    if profile["type"] == "Localhost" and told.startswith(_LOCAL):
        if told.removeprefix(_LOCAL) == profile.get("localhostProfile"):
            return []
        return [forbidden(at / "localhostProfile", f"{noun} profile in annotation and field must match")]
    if _OLD_TYPES[noun].get(told) == profile["type"]:
        return []
    return [forbidden(at / "type", f"{noun} type in annotation and field must match")]


def changes(new: Obj, old: Obj) -> list[FieldError]:
    """What may not become of a pod's annotations (ValidatePodSpecificAnnotationUpdates)."""
    after, before = (pod["metadata"].get("annotations") or {} for pod in (new, old))
    errors = []
    for key in (*sorted(before), *sorted(after.keys() - before.keys())):
        fixed = "AppArmor annotations" if key.startswith(APP_ARMOR) else "mirror pod annotation"
        if after.get(key) != before.get(key) and (key == MIRROR or key.startswith(APP_ARMOR)):
            verb = "remove or update" if key in before else "add"
            errors.append(forbidden(Path("metadata.annotations").key(key), f"may not {verb} {fixed}"))
    return errors


def _profile(annotation: str) -> Obj | None:
    if annotation in _APP_ARMOR_TYPES:
        return {"type": _APP_ARMOR_TYPES[annotation]}
    local = annotation.removeprefix(_LOCAL)
    if local == annotation or not local or local != local.strip():
        return None
    return {"type": "Localhost", "localhostProfile": local}


def _seccomp(profile: str, path: Path) -> list[FieldError]:
    if profile in _KNOWN_SECCOMP:
        return []
    if profile.startswith(_LOCAL):
        return descending_path(profile.removeprefix(_LOCAL), path)
    return [invalid(path, profile, "must be a valid seccomp profile")]


def _is_cost(text: str) -> bool:
    return re.fullmatch(r"0|-?[1-9][0-9]*", text) is not None and -(2**31) <= int(text) < 2**31


def _containers(spec: Obj) -> Iterator[Obj]:
    for field in CONTAINER_LISTS:
        yield from spec.get(field) or []
