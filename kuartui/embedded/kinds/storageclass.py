"""StorageClasses and VolumeAttributesClasses (pkg/apis/storage)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import immutable, label_key, one_of
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.kinds.node_labels import DEPRECATED
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, forbidden, invalid, required, too_long

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_OLD_DEFAULT = "storageclass.beta.kubernetes.io/is-default-class"
MOST_PARAMETERS, MOST_BYTES = 512, 256 * 1024


def is_default(obj: Obj) -> bool:
    """Whether claims without a class get this one."""
    annotations = obj["metadata"].get("annotations") or {}
    return annotations.get(_DEFAULT) == "true" or annotations.get(_OLD_DEFAULT) == "true"


@register("storageclasses.storage.k8s.io")
class StorageClasses(Strategy):
    returns_deleted = True
    has_status = False
    generation = False

    def default(self, obj: Obj) -> None:
        missing(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")

    def validate(self, obj: Obj) -> list[FieldError]:
        provisioner = obj.get("provisioner", "")
        errors = label_key(provisioner.lower(), Path("provisioner")) if provisioner else [required("provisioner")]
        errors += _parameters(obj)
        errors += one_of(obj.get("reclaimPolicy"), Path("reclaimPolicy"), ("Delete", "Retain"))
        mode = obj.get("volumeBindingMode")
        errors += one_of(mode, Path("volumeBindingMode"), ("Immediate", "WaitForFirstConsumer"))
        return errors + _topologies(obj.get("allowedTopologies") or [], Path("allowedTopologies"))

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = _same_parameters(new, old)
        for field in ("provisioner", "reclaimPolicy", "volumeBindingMode"):
            errors += immutable(new.get(field), old.get(field), field)
        return errors

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        path = Path("allowedTopologies")
        return [
            f"{(path.index(place) / 'matchLabelExpressions').index(index) / 'key'}: {DEPRECATED[rule['key']]}"
            for place, term in enumerate(obj.get("allowedTopologies") or [])
            for index, rule in enumerate(term.get("matchLabelExpressions") or [])
            if rule.get("key") in DEPRECATED
        ]

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [
            cells.name(obj) + (" (default)" if is_default(obj) else ""),
            obj.get("provisioner", ""),
            obj.get("reclaimPolicy") or "Delete",
            obj.get("volumeBindingMode") or "Immediate",
            bool(obj.get("allowVolumeExpansion")),
            cells.age(obj, now),
        ]


def _same_parameters(new: Obj, old: Obj) -> list[FieldError]:
    if (new.get("parameters") or {}) == (old.get("parameters") or {}):
        return []
    return [forbidden("parameters", "updates to parameters are forbidden.")]


def _parameters(obj: Obj) -> list[FieldError]:
    parameters = obj.get("parameters") or {}
    if len(parameters) > MOST_PARAMETERS:
        return [too_long("parameters", MOST_PARAMETERS)]
    errors = [invalid("parameters", key, "field can not be empty.") for key in parameters if not key]
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > MOST_BYTES:
        errors.append(too_long("parameters", MOST_BYTES))
    return errors


def _topologies(terms: list[Obj], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    known: list[dict[str, set[str]]] = []
    for place, term in enumerate(terms):
        at = path.index(place) / "matchLabelExpressions"
        found: dict[str, set[str]] = {}
        for index, rule in enumerate(term.get("matchLabelExpressions") or []):
            key, values, here = rule.get("key", ""), rule.get("values") or [], at.index(index)
            if not values:
                errors.append(required(here / "values"))
            errors += [
                duplicate((here / "values").index(number), value)
                for number, value in enumerate(values)
                if value in values[:number]
            ]
            errors += label_key(key, here / "key")
            if key in found:
                errors.append(duplicate(here / "key", key))
            found[key] = set(values)
        errors += [duplicate(at, "") for other in known if other == found]
        known.append(found)
    return errors


@register("volumeattributesclasses.storage.k8s.io")
class VolumeAttributesClasses(Strategy):
    returns_deleted = True
    has_status = False
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        driver = obj.get("driverName", "")
        errors = label_key(driver.lower(), Path("driverName")) if driver else [required("driverName")]
        errors += _parameters(obj)
        if not obj.get("parameters"):
            errors.append(required("parameters", "must contain at least one key/value pair"))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = immutable(new.get("driverName"), old.get("driverName"), "driverName")
        return errors + _same_parameters(new, old) + self.validate(new)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        name = cells.name(obj) + (" (default)" if is_default(obj) else "")
        return [name, obj.get("driverName", ""), cells.age(obj, now)]
