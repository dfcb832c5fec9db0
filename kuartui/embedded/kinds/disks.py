"""What volumes on disks of clouds and storage networks must say, beside the fields that have to be there.

pkg/apis/core/validation: validateISCSIVolumeSource, validateFCVolumeSource, validateAzureDisk, …
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, not_supported, required

Obj = dict[str, Any]

_LUN = "must be between 0 and 255, inclusive"
_PARTITION = "must be between 1 and 255, inclusive"
_QUALIFIED = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([a-z0-9.-]+)(:[^,;*&$|\s]+)"),
    "eui": re.compile(r"eui.[a-zA-Z0-9]{16}"),
    "naa": re.compile(r"naa.[a-zA-Z0-9]{32}"),
}
_KINDS = ("Dedicated", "Managed", "Shared")
_CACHES = ("None", "ReadOnly", "ReadWrite")
_MANAGED = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def more(kind: str) -> Callable[[Obj, Path], list[FieldError]]:
    """The further check of a kind of source."""
    return _CHECKS.get(kind, lambda _source, _path: [])


def _partition(source: Obj, path: Path) -> list[FieldError]:
    number = source.get("partition") or 0
    return [] if 0 <= number <= 255 else [invalid(path / "partition", number, _PARTITION)]


def _iscsi(source: Obj, path: Path) -> list[FieldError]:
    errors = _name(source["iqn"], path / "iqn", "iqn") if source.get("iqn") else []
    lun = source.get("lun") or 0
    if not 0 <= lun <= 255:
        errors.append(invalid(path / "lun", lun, _LUN))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        errors.append(required(path / "secretRef"))
    if source.get("initiatorName") is not None:
        errors += _name(source["initiatorName"], path / "initiatorname", "initiatorname")
    return errors


def _name(name: str, path: Path, what: str) -> list[FieldError]:
    """An iSCSI qualified name, or one of its older forms."""
    rule = _QUALIFIED.get(name[:3])
    if rule is None:
        wanted = "must be valid format starting with iqn, eui, or naa" if what == "iqn" else "must be valid format"
        return [invalid(path, name, wanted)]
    return [] if rule.fullmatch(name) else [invalid(path, name, "must be valid format")]


def _fc(source: Obj, path: Path) -> list[FieldError]:
    names, ids = source.get("targetWWNs") or [], source.get("wwids") or []
    at, errors = path / "targetWWNs", []
    if not names and not ids:
        errors.append(required(at, "must specify either targetWWNs or wwids, but not both"))
    if names and ids:
        errors.append(invalid(at, names, "targetWWNs and wwids can not be specified simultaneously"))
    if names:
        lun = source.get("lun")
        if lun is None:
            errors.append(required(path / "lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            errors.append(invalid(path / "lun", lun, _LUN))
    return errors


def _azure_disk(source: Obj, path: Path) -> list[FieldError]:
    caching, kind, uri = source.get("cachingMode"), source.get("kind"), source.get("diskURI", "")
    errors = []
    if caching is not None and caching not in _CACHES:
        errors.append(not_supported(path / "cachingMode", caching, _CACHES))
    if kind is not None and kind not in _KINDS:
        errors.append(not_supported(path / "kind", kind, _KINDS))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.append(not_supported(path / "diskURI", uri, (_MANAGED,)))
    if kind is not None and kind != "Managed" and not uri.startswith("https://"):
        errors.append(not_supported(path / "diskURI", uri, (_BLOB,)))
    return errors


_CHECKS: dict[str, Callable[[Obj, Path], list[FieldError]]] = {
    "gcePersistentDisk": _partition,
    "awsElasticBlockStore": _partition,
    "iscsi": _iscsi,
    "fc": _fc,
    "azureDisk": _azure_disk,
}
