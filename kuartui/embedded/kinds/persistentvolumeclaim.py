"""PersistentVolumeClaims (pkg/apis/core/validation, pkg/registry/core/persistentvolumeclaim)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.kinds.checks import (
    dns_label,
    dns_subdomain,
    immutable,
    label_selector,
    quantity_positive,
    quantity_sound,
)
from kuartui.embedded.meta import quantity
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required

CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
_CHANGED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def default_claim(claim: Obj) -> None:
    """SetDefaults_PersistentVolumeClaim; claim templates get it too."""
    status = claim.get("status") or {}
    if not status.get("phase"):
        status["phase"] = "Pending"
    claim["status"] = status
    spec = claim.setdefault("spec", {})
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"


def storage_class(obj: Obj) -> str:
    """The class of a claim or volume, from the old annotation or the field."""
    annotations = obj["metadata"].get("annotations") or {}
    found: str = annotations.get(CLASS_ANNOTATION) or (obj.get("spec") or {}).get("storageClassName") or ""
    return found


def access_modes(modes: list[str], path: Path) -> list[FieldError]:
    """Known modes, and ReadWriteOncePod alone."""
    errors = [not_supported(path, mode, MODES) for mode in modes if mode not in MODES]
    if "ReadWriteOncePod" in modes and any(mode in MODES and mode != "ReadWriteOncePod" for mode in modes):
        errors.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return errors


def claim_spec(spec: Obj, path: Path) -> list[FieldError]:
    """A PersistentVolumeClaimSpec."""
    modes = spec.get("accessModes") or []
    errors = [] if modes else [required(path / "accessModes", "at least 1 access mode is required")]
    errors += label_selector(spec.get("selector"), path / "selector")
    errors += access_modes(modes, path / "accessModes")
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    at = (path / "resources").key("storage")
    errors += [required(at)] if storage is None else quantity_positive(storage, at)
    if spec.get("storageClassName"):
        errors += dns_subdomain(spec["storageClassName"], path / "storageClassName")
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(not_supported(path / "volumeMode", mode, VOLUME_MODES))
    for field in ("dataSource", "dataSourceRef"):
        if spec.get(field) is not None:
            errors += _data_source(spec[field], path / field)
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is not None:
        if any(source.get(field) != reference.get(field) for field in ("apiGroup", "kind", "name")):
            errors.append(invalid(path, {}, "must match dataSourceRef"))
    if spec.get("volumeAttributesClassName"):
        errors += dns_subdomain(spec["volumeAttributesClassName"], path / "volumeAttributesClassName")
    return errors


def _drop_sources(spec: Obj, before: Obj) -> None:
    """Forget what a claim may not be filled from, unless it was before.

    Feature CrossNamespaceVolumeDataSource is off; dataSource alone has only ever meant claims and snapshots.
    """
    if (spec.get("dataSourceRef") or {}).get("namespace") and before.get("dataSourceRef") is None:
        del spec["dataSourceRef"]
    filled = before.get("dataSource") is not None or before.get("dataSourceRef") is not None
    source = spec.get("dataSource")
    if not filled and source is not None and spec.get("dataSourceRef") is None:
        known = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))
        if (source.get("apiGroup") or "", source.get("kind", "")) not in known:
            del spec["dataSource"]


def _data_source(source: Obj, path: Path) -> list[FieldError]:
    errors = [required(path / field) for field in ("name", "kind") if not source.get(field)]
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid(path, source.get("kind", ""), text))
    if group:
        errors += dns_subdomain(group, path / "apiGroup")
    if source.get("namespace"):
        errors += dns_label(source["namespace"], path / "namespace")
    return errors


def spec_warnings(spec: Obj, path: Path) -> list[str]:
    """On the spec of a claim, or of a template for one."""
    found = []
    for kind in ("requests", "limits"):
        amount = ((spec.get("resources") or {}).get(kind) or {}).get("storage")
        if amount is not None and quantity.parse(amount).milli % 1000:
            text = f'fractional byte value "{quantity.canonical(amount)}" is invalid, must be an integer'
            found.append(f"{(path / 'resources' / kind).key('storage')}: {text}")
    return found


@register("persistentvolumeclaims")
class PersistentVolumeClaims(Strategy):
    returns_deleted = True
    generation = False

    def default(self, obj: Obj) -> None:
        default_claim(obj)

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        obj["status"] = {"phase": "Pending"}
        spec = obj["spec"]
        _drop_sources(spec, {})
        source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
        if source is not None and reference is None:
            spec["dataSourceRef"] = dict(source)
        elif source is None and reference is not None and not reference.get("namespace"):
            spec["dataSource"] = dict(reference)

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        _drop_sources(new.get("spec") or {}, old.get("spec") or {})

    def validate(self, obj: Obj) -> list[FieldError]:
        return claim_spec(obj.get("spec") or {}, Path("spec"))

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self.validate(new) + _update(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        path, capacity = Path("status.capacity"), (new.get("status") or {}).get("capacity") or {}
        return [error for name, text in capacity.items() for error in quantity_sound(text, path.key(name))]

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        found = []
        if CLASS_ANNOTATION in (obj["metadata"].get("annotations") or {}):
            text = 'deprecated since v1.8; use "storageClassName" attribute instead'
            found.append(f"metadata.annotations[{CLASS_ANNOTATION}]: {text}")
        return found + spec_warnings(obj.get("spec") or {}, Path("spec"))

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        bound = bool(spec.get("volumeName"))
        return [
            cells.name(obj),
            "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
            spec.get("volumeName", ""),
            cells.amount((status.get("capacity") or {}).get("storage")) if bound else "",
            cells.access_modes(status.get("accessModes")) if bound else "",
            storage_class(obj),
            cells.UNSET if spec.get("volumeAttributesClassName") is None else spec["volumeAttributesClassName"],
            cells.age(obj, now),
            spec.get("volumeMode") or cells.UNSET,
        ]


def _update(new: Obj, old: Obj) -> list[FieldError]:
    from kuartui.embedded.kinds import go_structs

    spec, before, path = dict(new.get("spec") or {}), dict(old.get("spec") or {}), Path("spec")
    errors: list[FieldError] = []
    if not before.get("volumeName") and spec.get("volumeName"):
        before["volumeName"] = spec["volumeName"]
    notes = [(one["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION, "") for one in (new, old)]
    errors += immutable(notes[0], notes[1], Path("metadata.annotations") / CLASS_ANNOTATION)
    if before.get("storageClassName") is None and notes[1] in ("", spec.get("storageClassName")):
        spec.pop("storageClassName", None)
    if (new.get("status") or {}).get("phase") == "Bound":
        had = ((before.get("resources") or {}).get("requests") or {}).get("storage")
        resources = spec.get("resources") or {}
        spec["resources"] = {**resources, "requests": {**(resources.get("requests") or {}), "storage": had}}
        spec.pop("volumeAttributesClassName", None)
        if "volumeAttributesClassName" in before:
            spec["volumeAttributesClassName"] = before["volumeAttributesClassName"]
    if spec != before:
        sides = (go_structs.render("ClaimSpec", one) for one in (before, spec))
        errors.append(forbidden(path, f"{_CHANGED}\n{go_structs.difference(*sides)}"))
    return errors + _shrunk(new, old, path) + _class_removed(new, old, path / "volumeAttributesClassName")


def _shrunk(new: Obj, old: Obj, path: Path) -> list[FieldError]:
    now, was = (
        quantity.parse((((one.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage", "0"))
        for one in (new, old)
    )
    capacity = quantity.parse(((old.get("status") or {}).get("capacity") or {}).get("storage", "0"))
    errors = []
    if now < was and now <= capacity:
        at = path / "resources" / "requests" / "storage"
        errors.append(forbidden(at, "field can not be less than status.capacity"))
    modes = [(one.get("spec") or {}).get("volumeMode") for one in (new, old)]
    return errors + immutable(modes[0], modes[1], "volumeMode")


def _class_removed(new: Obj, old: Obj, path: Path) -> list[FieldError]:
    now, was = ((one.get("spec") or {}).get("volumeAttributesClassName") for one in (new, old))
    if now or now == was or (old.get("status") or {}).get("currentVolumeAttributesClassName") is None:
        return []
    text = "nil" if now is None else "empty string"
    return [forbidden(path, f"update to {text} is forbidden when status.currentVolumeAttributesClassName is not nil")]
