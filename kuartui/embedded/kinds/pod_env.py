"""Environment variables of containers (ValidateEnv, ValidateEnvFrom in pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.checks import dns_label, dns_subdomain, errors_of
from kuartui.embedded.kinds.pod_fields import FIELDS_IN_ENV, field_ref, resource_ref
from kuartui.embedded.kinds.pod_volumes import no_backsteps
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, not_found, required

Obj = dict[str, Any]

_SOURCES = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
_SEVERAL = "may not have more than one field specified at a time"


def environment(container: Obj, path: Path) -> list[FieldError]:
    """env and envFrom."""
    errors: list[FieldError] = []
    for index, variable in enumerate(container.get("env") or []):
        at = (path / "env").index(index)
        name = variable.get("name", "")
        errors += errors_of(at / "name", name, names.env_var_name(name)) if name else [required(at / "name")]
        if variable.get("valueFrom") is not None:
            errors += _value_from(variable, at / "valueFrom")
    listed = path / "envFrom"
    for index, source in enumerate(container.get("envFrom") or []):
        at = listed.index(index)
        if source.get("prefix"):
            errors += errors_of(at / "prefix", source["prefix"], names.env_var_name(source["prefix"]))
        given = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        for kind in given:
            errors += _name(source[kind].get("name", ""), at / kind / "name")
        if not given:
            errors.append(invalid(listed, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(invalid(listed, "", _SEVERAL))
    return errors


def _name(name: str, path: Path) -> list[FieldError]:
    return dns_subdomain(name, path) if name else [required(path)]


def _value_from(variable: Obj, path: Path) -> list[FieldError]:
    source = variable["valueFrom"]
    errors: list[FieldError] = []
    count = 0
    if source.get("fieldRef") is not None:
        count += 1
        errors += field_ref(source["fieldRef"], FIELDS_IN_ENV, path / "fieldRef")
    if source.get("resourceFieldRef") is not None:
        count += 1
        errors += resource_ref(source["resourceFieldRef"], path / "resourceFieldRef", in_file=False)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if source.get(kind) is not None:
            count += 1
            errors += _key_ref(source[kind], path / kind)
    if source.get("fileKeyRef") is not None:
        count += 1
        errors += _file_ref(source["fileKeyRef"], path / "fileKeyRef")
    if not count:
        errors.append(invalid(path, "", f"must specify one of: {_SOURCES}"))
    elif variable.get("value"):
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(invalid(path, "", _SEVERAL))
    return errors


def _key_ref(ref: Obj, path: Path) -> list[FieldError]:
    errors = dns_subdomain(ref.get("name", ""), path / "name")
    key = ref.get("key", "")
    if not key:
        return [*errors, required(path / "key")]
    return errors + errors_of(path / "key", key, names.config_map_key(key))


def _file_ref(ref: Obj, path: Path) -> list[FieldError]:
    key, name, target = (ref.get(field, "") for field in ("key", "volumeName", "path"))
    errors = errors_of(path / "key", key, names.env_var_name(key)) if key else [required(path / "key")]
    errors += dns_label(name, path / "volumeName") if name else [required(path / "volumeName")]
    return errors + (no_backsteps(target, path / "path") if target else [required(path / "path")])


def file_volumes(spec: Obj, path: Path) -> list[FieldError]:
    """Variables can be read from files of emptyDirs only (validateFileKeyRefVolumes)."""
    errors = []
    volumes = {volume.get("name", ""): volume for volume in spec.get("volumes") or []}
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(kind) or []):
            for place, variable in enumerate(container.get("env") or []):
                ref = (variable.get("valueFrom") or {}).get("fileKeyRef")
                if ref is None:
                    continue
                name = ref.get("volumeName", "")
                at = ((path / kind).index(index) / "env").index(place) / "valueFrom" / "fileKeyRef" / "volumeName"
                if name not in volumes:
                    errors.append(not_found(at, name))
                elif volumes[name].get("emptyDir") is None:
                    errors.append(invalid(at, name, "referenced volume must be of type emptyDir"))
    return errors
