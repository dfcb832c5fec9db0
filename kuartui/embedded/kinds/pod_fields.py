"""References to a pod's own fields and resources (the downward API), in environment variables and files.

validateObjectFieldSelector and validateContainerResourceFieldSelector in pkg/apis/core/validation,
ConvertDownwardAPIFieldLabel in pkg/apis/core/pods.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from kuartui.embedded.kinds.checks import errors_of
from kuartui.embedded.meta import names, quantity
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, not_supported, required

Obj = dict[str, Any]

FIELDS_IN_FILES = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
FIELDS_IN_ENV = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_KNOWN = {*FIELDS_IN_FILES, *FIELDS_IN_ENV, "spec.restartPolicy", "spec.schedulerName", "status.phase"}
_OLD_NAMES = {"spec.host": "spec.nodeName"}
_SUBSCRIPT = re.compile(r"(.+?)\['(.*)'\]")
_RESOURCES = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)
_UNITS = ("1", *(f"1{p}" for p in "kMGTPE"), *(f"1{p}i" for p in "KMGTPE"))
_DIVISORS = {"cpu": ("1m", "1"), "memory": _UNITS, "ephemeral-storage": _UNITS}


def field_ref(ref: Obj, allowed: Collection[str], path: Path) -> list[FieldError]:
    """A fieldRef: known, and of those allowed here."""
    if not ref.get("apiVersion"):
        return [required(path / "apiVersion")]
    given: str = ref.get("fieldPath") or ""
    if not given:
        return [required(path / "fieldPath")]
    if ref["apiVersion"] != "v1":
        text = f"error converting fieldPath: unsupported pod version: {ref['apiVersion']}"
        return [invalid(path / "fieldPath", given, text)]
    found = _SUBSCRIPT.fullmatch(given)
    if found:
        field, key = found.groups()
        if field == "metadata.annotations":
            return errors_of(path, key.lower(), names.qualified_name(key.lower()))
        if field == "metadata.labels":
            return errors_of(path, key, names.qualified_name(key))
        text = f"error converting fieldPath: field label does not support subscript: {given}"
        return [invalid(path / "fieldPath", given, text)]
    given = _OLD_NAMES.get(given, given)
    if given not in _KNOWN:
        text = f"error converting fieldPath: field label not supported: {given}"
        return [invalid(path / "fieldPath", given, text)]
    return [] if given in allowed else [not_supported(path / "fieldPath", given, allowed)]


def resource_ref(ref: Obj, path: Path, in_file: bool) -> list[FieldError]:
    """A resourceFieldRef; in a file it must name its container."""
    name: str = ref.get("resource") or ""
    errors = []
    if in_file and not ref.get("containerName"):
        errors.append(required(path / "containerName"))
    elif not name:
        errors.append(required(path / "resource"))
    elif name not in _RESOURCES and not name.startswith(("requests.hugepages-", "limits.hugepages-")):
        errors.append(not_supported(path / "resource", name, _RESOURCES))
    divisor = quantity.parse(ref["divisor"]) if ref.get("divisor") else quantity.ZERO
    allowed = _DIVISORS.get(name.partition(".")[2], _UNITS)
    if divisor and str(divisor) not in allowed:
        kind = {"ephemeral-storage": "local ephemeral storage"}.get(name.partition(".")[2], name.partition(".")[2])
        values = "1m and 1" if kind == "cpu" else ", ".join(_UNITS)
        errors.append(
            invalid(path / "divisor", name, f"only divisor's values {values} are supported with the {kind} resource")
        )
    return errors
